import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { isFsError, SessionLostError } from '../../src/base/errors.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { O_APPEND, O_RDONLY, O_RDWR, O_WRONLY } from '../../src/vfs/file/open-flags.ts';
import type { Vfs } from '../../src/vfs/vfs.ts';
import { MOUNT } from '../support/callers.ts';
import { until } from '../support/until.ts';
import { close, create, readAll, readFile, writeFile } from '../support/vfs-files.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const timeout = 60_000;
const volume = await testVolume();
const one = await joinVfs(volume);
const two = await joinVfs(volume);

beforeEach(() => {
  for (const session of [one, two]) {
    session.trips.clear();
    session.kernel.clear();
  }
});

/** Opens a file by name for a session. */
async function open(vfs: Vfs, name: string, flags: number) {
  const { attr } = await vfs.names.lookup(MOUNT, ROOT_INO, name);
  return (await vfs.files.open(MOUNT, attr.ino, flags, false)).handle;
}

test('what one session closes the other reads, and its kernel hears what to drop', { timeout }, async () => {
  const ino = await writeFile(one.vfs, 'shared', 'first');
  const handle = await open(two.vfs, 'shared', O_RDONLY);
  assert.equal((await readAll(two.vfs, handle)).toString(), 'first');
  one.kernel.clear();
  two.kernel.clear();
  const writer = await open(one.vfs, 'shared', O_WRONLY);
  await one.vfs.files.write(MOUNT, writer, 0, Buffer.from('SECOND'), false);
  await close(one.vfs, writer);
  await until(() => two.kernel.inodes.some((call) => call.ino === ino && call.offset === 0), 'the push');
  assert.equal((await readAll(two.vfs, handle)).toString(), 'SECOND');
  assert.equal((await two.vfs.attributes.getattr(MOUNT, ino)).size, 6);
  await two.vfs.files.release(MOUNT, handle);
  assert.deepEqual(one.kernel.inodes, [], 'the writing mount is told nothing');
});

test('a change of attributes alone does not cost the other kernel its pages', { timeout }, async () => {
  const ino = await writeFile(one.vfs, 'chmodded', 'x');
  await two.vfs.names.lookup(MOUNT, ROOT_INO, 'chmodded');
  two.kernel.clear();
  await one.vfs.attributes.setattr(MOUNT, ino, { mode: 0o600 });
  await until(() => two.kernel.inodes.some((call) => call.ino === ino), 'the push');
  assert.deepEqual(
    two.kernel.inodes.filter((call) => call.ino === ino),
    [{ ino, offset: -1 }],
  );
  assert.equal((await two.vfs.attributes.getattr(MOUNT, ino)).mode & 0o777, 0o600);
});

test('new, renamed and removed names reach the other kernel', { timeout }, async () => {
  await writeFile(one.vfs, 'n1', '');
  await one.vfs.names.rename(MOUNT, {
    parent: ROOT_INO,
    name: 'n1',
    newParent: ROOT_INO,
    newName: 'n2',
    mode: 'replace',
  });
  await one.vfs.names.unlink(MOUNT, ROOT_INO, 'n2');
  const told = () => two.kernel.entries.map((entry) => entry.name);
  await until(() => told().filter((name) => name === 'n2').length === 2, 'entry pushes');
  assert.deepEqual([...new Set(told())].sort(), ['n1', 'n2']);
  assert.deepEqual(one.kernel.entries, []);
});

test('appends of two sessions are all there, whole and in each session’s order', { timeout }, async () => {
  await writeFile(one.vfs, 'appended', '');
  const lines = 60;
  const append = async (vfs: Vfs, mark: string): Promise<void> => {
    const handle = await open(vfs, 'appended', O_WRONLY | O_APPEND);
    for (let i = 0; i < lines; i++) {
      await vfs.files.write(MOUNT, handle, 0, Buffer.from(`${mark}${String(i).padStart(4, '0')}\n`), false);
      if (i % 3 === 0) await vfs.files.flush(MOUNT, handle);
    }
    await close(vfs, handle);
  };
  await Promise.all([append(one.vfs, 'a'), append(two.vfs, 'b')]);
  const found = (await readFile(one.vfs, 'appended')).split('\n').slice(0, -1);
  assert.equal(found.length, 2 * lines);
  for (const mark of ['a', 'b']) {
    const own = found.filter((line) => line[0] === mark);
    assert.deepEqual(own, [...own].sort());
    assert.equal(own.length, lines);
  }
});

test('an append that was not placed where the kernel thought makes it drop its pages', { timeout }, async () => {
  await writeFile(one.vfs, 'misplaced', '12345');
  const handle = await open(one.vfs, 'misplaced', O_WRONLY | O_APPEND);
  const other = await open(two.vfs, 'misplaced', O_WRONLY | O_APPEND);
  await two.vfs.files.write(MOUNT, other, 5, Buffer.from('other'), false);
  await close(two.vfs, other);
  one.kernel.clear();
  await one.vfs.files.write(MOUNT, handle, 5, Buffer.from('mine'), false);
  await close(one.vfs, handle);
  const { ino } = handle;
  await until(
    () => one.kernel.inodes.some((call) => call.ino === ino && call.offset === 0),
    'the own kernel to be told',
  );
  assert.equal(await readFile(two.vfs, 'misplaced'), '12345othermine');
});

test('a file that another session unlinks lives on for who has it open, and goes with the last handle', {
  timeout,
}, async () => {
  const big = Buffer.alloc(200_000, 'b');
  const ino = await writeFile(one.vfs, 'doomed', big);
  const reader = await open(two.vfs, 'doomed', O_RDWR);
  await one.vfs.names.unlink(MOUNT, ROOT_INO, 'doomed');
  await until(() => (two.trips.get('sustain') ?? 0) > 0, 'the other session to claim the inode');
  await assert.rejects(two.vfs.names.lookup(MOUNT, ROOT_INO, 'doomed'), (error) => isFsError(error, 'ENOENT'));
  assert.deepEqual(await readAll(two.vfs, reader), big);
  await two.vfs.files.write(MOUNT, reader, 0, Buffer.from('still'), false);
  await two.vfs.files.fsync(MOUNT, reader);
  const attr = await two.vfs.attributes.getattr(MOUNT, ino, reader);
  assert.deepEqual([attr.nlink, attr.size], [0, big.length]);
  await two.vfs.files.release(MOUNT, reader);
  assert.equal(two.trips.get('release'), 1);
});

test('an unlinked file that is open here is kept here, with what was not flushed', { timeout }, async () => {
  const handle = await create(one.vfs, 'own-doomed');
  await one.vfs.files.write(MOUNT, handle, 0, Buffer.from('unflushed'), false);
  await one.vfs.names.unlink(MOUNT, ROOT_INO, 'own-doomed');
  await one.vfs.files.flush(MOUNT, handle);
  assert.equal((await readAll(one.vfs, handle)).toString(), 'unflushed');
  await one.vfs.files.release(MOUNT, handle);
  assert.equal(one.trips.get('release'), 1);
  assert.deepEqual(one.trips.get('sustain'), 1);
});

test('a file that a rename replaces is kept for who has it open', { timeout }, async () => {
  await writeFile(one.vfs, 'replacing', 'new');
  await writeFile(one.vfs, 'replaced', 'old');
  const here = await open(one.vfs, 'replaced', O_RDONLY);
  const there = await open(two.vfs, 'replaced', O_RDONLY);
  one.trips.clear();
  two.trips.clear();
  await one.vfs.names.rename(MOUNT, {
    parent: ROOT_INO,
    name: 'replacing',
    newParent: ROOT_INO,
    newName: 'replaced',
    mode: 'replace',
  });
  await until(() => (two.trips.get('sustain') ?? 0) > 0, 'the other session to claim the inode');
  assert.equal(one.trips.get('sustain'), 1);
  for (const [session, handle] of [
    [one, here],
    [two, there],
  ] as const) {
    assert.equal((await readAll(session.vfs, handle)).toString(), 'old');
    await session.vfs.files.release(MOUNT, handle);
    assert.equal(session.trips.get('release'), 1);
  }
  assert.equal(await readFile(two.vfs, 'replaced'), 'new');
});

test('V3 an inode that lost its name a moment ago is opened all the same, and is ESTALE when it is gone', {
  timeout,
}, async () => {
  const ino = await writeFile(one.vfs, 'stale', 'x');
  await two.vfs.names.lookup(MOUNT, ROOT_INO, 'stale');
  two.kernel.clear();
  await one.vfs.names.unlink(MOUNT, ROOT_INO, 'stale');
  await until(() => two.kernel.inodes.some((call) => call.ino === ino), 'the push');
  const { handle } = await two.vfs.files.open(MOUNT, ino, O_RDONLY, false);
  assert.equal((await two.vfs.files.read(MOUNT, handle, 0, 10)).toString(), 'x');
  await close(two.vfs, handle);
  await assert.rejects(
    async () => await two.vfs.files.open(MOUNT, 2 ** 40, O_RDONLY, false),
    (error) => isFsError(error, 'ESTALE'),
  );
});

test('a directory listed while another session changes it shows what is there', { timeout }, async () => {
  const dir = await one.vfs.names.mkdir(MOUNT, ROOT_INO, 'listed', 0o755);
  for (const name of ['a', 'b', 'c']) await writeFile(one.vfs, name, name, dir.attr.ino);
  await until(() => two.kernel.entries.some((entry) => entry.name === 'c'), 'the pushes of the creates');
  two.kernel.clear();
  const handle = two.vfs.directories.opendir(MOUNT, dir.attr.ino);
  const first = await two.vfs.directories.readdir(MOUNT, handle, 0, 1);
  await one.vfs.names.unlink(MOUNT, dir.attr.ino, 'b');
  await until(() => two.kernel.entries.some((entry) => entry.name === 'b'), 'the push');
  const rest = await two.vfs.directories.readdir(MOUNT, handle, first[0]!.cookie, 10);
  assert.deepEqual(
    rest.map((entry) => entry.name),
    ['c'],
  );
  two.vfs.directories.releasedir(MOUNT, handle);
});

test('pages are kept over a close while pushes come, not after they were missed', { timeout }, async () => {
  const third = await joinVfs(volume);
  const ino = await writeFile(third.vfs, 'kept', 'x');
  const again = await third.vfs.files.open(MOUNT, ino, O_RDONLY, false);
  assert.equal(again.keepCache, true);
  await third.vfs.files.release(MOUNT, again.handle);
  await volume.redis.kill();
  await until(() => third.vfs.validity().attrSec === 0, 'the channel to be seen broken');
  assert.ok(third.kernel.expired > 0);
});

test('a fenced session fails every call and writes nothing', { timeout }, async () => {
  // The server died with the test before; it comes back empty, so every session is lost.
  await volume.redis.start();
  let heard = 0;
  one.vfs.events.on('fenced', () => {
    heard += 1;
  });
  await until(async () => {
    try {
      await one.vfs.names.mkdir(MOUNT, ROOT_INO, 'fenced', 0o755);
      return false;
    } catch (error) {
      return error instanceof SessionLostError;
    }
  }, 'the session to be fenced');
  assert.equal(heard, 1);
  assert.throws(() => one.vfs.attributes.getattr(MOUNT, ROOT_INO), SessionLostError);
  assert.equal(one.vfs.validity().entrySec, 0);
});
