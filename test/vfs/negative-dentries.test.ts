import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { type Ino, ROOT_INO } from '../../src/base/vocabulary.ts';
import { NegativeDentries } from '../../src/vfs/cache/negative-dentries.ts';
import type { Vfs } from '../../src/vfs/vfs.ts';
import { MOUNT } from '../support/callers.ts';
import { until } from '../support/until.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const timeout = 60_000;
const volume = await testVolume();
const one = await joinVfs(volume);
const two = await joinVfs(volume);

beforeEach(() => {
  one.trips.clear();
  two.trips.clear();
});

async function absent(vfs: Vfs, parent: Ino, name: string): Promise<boolean> {
  return vfs.names.lookup(MOUNT, parent, name).then(
    () => false,
    (error) => {
      if (isFsError(error, 'ENOENT')) return true;
      throw error;
    },
  );
}

test('new names in a directory of our own are looked up without a trip', { timeout }, async () => {
  const dir = (await one.vfs.names.mkdir(MOUNT, ROOT_INO, 'fresh', 0o755)).attr.ino;
  one.trips.clear();
  assert.ok(await absent(one.vfs, dir, 'a'));
  assert.deepEqual([...one.trips], []);
  const made = await one.vfs.names.mknod(MOUNT, dir, 'a', 0o644, 0);
  assert.equal((await one.vfs.names.lookup(MOUNT, dir, 'a')).attr.ino, made.attr.ino);
  await one.vfs.names.rename(MOUNT, { parent: dir, name: 'a', newParent: dir, newName: 'b', mode: 'replace' });
  assert.equal((await one.vfs.names.lookup(MOUNT, dir, 'b')).attr.ino, made.attr.ino);
  assert.ok(await absent(one.vfs, dir, 'a'));
  await one.vfs.names.symlink(MOUNT, dir, 's', Buffer.from('b'));
  await one.vfs.names.link(MOUNT, made.attr.ino, dir, 'l');
  for (const name of ['s', 'l', 'b']) assert.ok(!(await absent(one.vfs, dir, name)), name);
});

test('a directory that was there before is asked for every name', { timeout }, async () => {
  const dir = (await one.vfs.names.mkdir(MOUNT, ROOT_INO, 'elsewhere', 0o755)).attr.ino;
  await one.vfs.names.mknod(MOUNT, dir, 'x', 0o644, 0);
  assert.ok(!(await absent(two.vfs, dir, 'x')));
  for (const name of ['y', 'z']) {
    two.trips.clear();
    assert.ok(await absent(two.vfs, dir, name));
    assert.ok(two.trips.has('lookup'), name);
  }
});

test('a name that another session makes in our directory is found', { timeout }, async () => {
  const dir = (await one.vfs.names.mkdir(MOUNT, ROOT_INO, 'shared', 0o755)).attr.ino;
  assert.ok(await absent(one.vfs, dir, 'theirs'));
  await two.vfs.names.mknod(MOUNT, dir, 'theirs', 0o644, 0);
  await until(() => one.kernel.entries.some((entry) => entry.name === 'theirs'), 'the push');
  assert.ok(!(await absent(one.vfs, dir, 'theirs')));
});

test('keys put below our directory through S3 are found', { timeout }, async () => {
  const dir = (await one.vfs.names.mkdir(MOUNT, ROOT_INO, 'bucket', 0o755)).attr.ino;
  const path = { root: dir, components: ['p', 'q'], directory: false };
  const s3 = { version: 0, etag: 'e', headers: {}, tags: [], checksums: {}, checksumType: '' as const, parts: [] };
  const writer = one.vfs.objects.beginObject(MOUNT);
  await writer.write(Buffer.from('x'));
  assert.ok(await absent(one.vfs, dir, 'p'));
  await one.vfs.objects.putObject(MOUNT, writer, { path, precondition: {}, s3, xattrs: new Map() });
  const parent = await one.vfs.names.lookup(MOUNT, dir, 'p');
  assert.ok(!(await absent(one.vfs, parent.attr.ino, 'q')));
});

test('a name that overtakes the reply of mkdir keeps the directory from counting as negative', () => {
  const negative = new NegativeDentries();
  const birth = negative.begin();
  negative.add(7, 'early');
  negative.made(birth, 7);
  assert.equal(negative.lacks(7, 'anything'), false);
  const other = negative.begin();
  negative.add(7, 'elsewhere');
  negative.made(other, 8);
  assert.equal(negative.lacks(8, 'anything'), true);
});

test('missed pushes end all knowledge, also of a directory being made', () => {
  const negative = new NegativeDentries();
  negative.made(negative.begin(), 7);
  const birth = negative.begin();
  negative.forgetAll();
  negative.made(birth, 8);
  assert.equal(negative.lacks(7, 'x'), false);
  assert.equal(negative.lacks(8, 'x'), false);
});

test('memory is bounded: a very large directory is looked up as usual', () => {
  const negative = new NegativeDentries();
  negative.made(negative.begin(), 7);
  for (let i = 0; i < 50_001; i++) negative.add(7, `name ${i}`);
  assert.equal(negative.lacks(7, 'never'), false);
  for (let dir = 10; dir < 10 + 5000; dir++) negative.made(negative.begin(), dir);
  assert.equal(negative.lacks(10, 'x'), false, 'the oldest went');
  assert.equal(negative.lacks(5009, 'x'), true);
});
