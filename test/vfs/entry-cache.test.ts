import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { AttrCache } from '../../src/vfs/cache/attr-cache.ts';
import { EntryCache } from '../../src/vfs/cache/entry-cache.ts';
import { MOUNT } from '../support/callers.ts';
import { sampleAttr } from '../support/sample-attr.ts';
import { until } from '../support/until.ts';
import { writeFile } from '../support/vfs-files.ts';
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

test('a name that was made or looked up here is looked up again without a trip', { timeout }, async () => {
  const ino = await writeFile(one.vfs, 'made', 'x');
  one.trips.clear();
  assert.equal((await one.vfs.names.lookup(MOUNT, ROOT_INO, 'made')).attr.ino, ino);
  assert.deepEqual([...one.trips], []);
  // Pushes of the write may still be on their way to the other session; then it asks again, rightly.
  await until(async () => {
    two.trips.clear();
    assert.equal((await two.vfs.names.lookup(MOUNT, ROOT_INO, 'made')).attr.size, 1);
    return two.trips.size === 0;
  }, 'a lookup without a trip');
});

test('unlink, rename and rmdir of this session are seen at once', { timeout }, async () => {
  const ino = await writeFile(one.vfs, 'old', 'x');
  const other = await writeFile(one.vfs, 'target', 'y');
  await one.vfs.names.rename(MOUNT, {
    parent: ROOT_INO,
    name: 'old',
    newParent: ROOT_INO,
    newName: 'target',
    mode: 'exchange',
  });
  assert.equal((await one.vfs.names.lookup(MOUNT, ROOT_INO, 'old')).attr.ino, other);
  assert.equal((await one.vfs.names.lookup(MOUNT, ROOT_INO, 'target')).attr.ino, ino);
  await one.vfs.names.unlink(MOUNT, ROOT_INO, 'old');
  await assert.rejects(one.vfs.names.lookup(MOUNT, ROOT_INO, 'old'), (error) => isFsError(error, 'ENOENT'));
  await one.vfs.names.mkdir(MOUNT, ROOT_INO, 'dir', 0o755);
  await one.vfs.names.rmdir(MOUNT, ROOT_INO, 'dir');
  await assert.rejects(one.vfs.names.lookup(MOUNT, ROOT_INO, 'dir'), (error) => isFsError(error, 'ENOENT'));
});

test('what another session does to a name is seen when its push is', { timeout }, async () => {
  await writeFile(one.vfs, 'moved', 'x');
  await two.vfs.names.lookup(MOUNT, ROOT_INO, 'moved');
  two.kernel.clear();
  await one.vfs.names.rename(MOUNT, {
    parent: ROOT_INO,
    name: 'moved',
    newParent: ROOT_INO,
    newName: 'elsewhere',
    mode: 'replace',
  });
  await until(() => two.kernel.entries.some((entry) => entry.name === 'moved'), 'the push');
  await assert.rejects(two.vfs.names.lookup(MOUNT, ROOT_INO, 'moved'), (error) => isFsError(error, 'ENOENT'));
});

test('an S3 PUT over a file and its removal change what the name means', { timeout }, async () => {
  const before = await writeFile(one.vfs, 'object', 'x');
  const path = { root: ROOT_INO, components: ['object'], directory: false };
  const s3 = { version: 0, etag: 'e', headers: {}, tags: [], checksums: {}, checksumType: '' as const, parts: [] };
  const writer = one.vfs.objects.beginObject(MOUNT);
  await writer.write(Buffer.from('new'));
  await one.vfs.objects.putObject(MOUNT, writer, { path, precondition: {}, s3, xattrs: new Map() });
  const after = await one.vfs.names.lookup(MOUNT, ROOT_INO, 'object');
  assert.notEqual(after.attr.ino, before);
  assert.equal(after.attr.size, 3);
  await one.vfs.objects.removeObject(MOUNT, path, {});
  await assert.rejects(one.vfs.names.lookup(MOUNT, ROOT_INO, 'object'), (error) => isFsError(error, 'ENOENT'));
});

test('a reply that a change overtook is not kept', () => {
  const attrs = new AttrCache(100);
  const entries = new EntryCache(attrs, 100);
  const attr = sampleAttr({ ino: 5 });
  const entry = { name: 'n', attr, shadowed: false };
  const token = attrs.token();
  attrs.fill(attr, token);
  entries.changed(1, 'n');
  entries.keep(1, entry, token);
  assert.equal(entries.get(1, 'n'), undefined, 'changed here');
  const second = attrs.token();
  attrs.pushedEntry(1, 'n');
  entries.keep(1, entry, second);
  assert.equal(entries.get(1, 'n'), undefined, 'changed elsewhere');
  entries.keep(1, entry, attrs.token());
  assert.equal(entries.get(1, 'n')?.attr.ino, 5);
  attrs.forget(5);
  assert.equal(entries.get(1, 'n'), undefined, 'without attributes there is no answer');
});

test('the shadowed of two entries and replies of unhealthy times are not kept', () => {
  const attrs = new AttrCache(100);
  const entries = new EntryCache(attrs, 100);
  const attr = sampleAttr({ ino: 5 });
  attrs.fill(attr, attrs.token());
  entries.keep(1, { name: 'n', attr, shadowed: true }, attrs.token());
  assert.equal(entries.get(1, 'n'), undefined);
  attrs.setHealthy(false);
  entries.keep(1, { name: 'n', attr, shadowed: false }, attrs.token());
  attrs.setHealthy(true);
  attrs.fill(attr, attrs.token());
  assert.equal(entries.get(1, 'n'), undefined);
});
