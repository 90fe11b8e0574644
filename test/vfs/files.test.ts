import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { ROOT_INO, S_IFMT, S_IFREG } from '../../src/base/vocabulary.ts';
import {
  O_APPEND,
  O_CREAT,
  O_DSYNC,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../../src/vfs/file/open-flags.ts';
import { MOUNT } from '../support/callers.ts';
import { close, create, readAll, readFile, writeFile } from '../support/vfs-files.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const timeout = 60_000;
const session = await joinVfs(await testVolume());
const { vfs } = session;

beforeEach(() => session.trips.clear());

test('create, write 4 KiB and close are two round trips', { timeout }, async () => {
  const handle = await create(vfs, 'two-trips');
  assert.equal(vfs.files.write(MOUNT, handle, 0, Buffer.alloc(4096, 7), false), undefined);
  await vfs.files.flush(MOUNT, handle);
  assert.equal(vfs.files.release(MOUNT, handle) instanceof Promise, true);
  assert.deepEqual(
    [...session.trips],
    [
      ['mknod', 1],
      ['commit', 1],
    ],
  );
});

test('open from the attribute cache costs no trip, the map is on its way, and a warm read is a plain value', {
  timeout,
}, async () => {
  const ino = await writeFile(vfs, 'warm', 'hello');
  await vfs.names.lookup(MOUNT, ROOT_INO, 'warm');
  session.trips.clear();
  const opened = vfs.files.open(MOUNT, ino, O_RDONLY, false);
  assert.ok(!(opened instanceof Promise));
  assert.deepEqual([...session.trips], [['readMap', 1]]);
  assert.equal((await vfs.files.read(MOUNT, opened.handle, 0, 100)).toString(), 'hello');
  const again = vfs.files.read(MOUNT, opened.handle, 1, 3);
  assert.ok(Buffer.isBuffer(again));
  assert.equal(again.toString(), 'ell');
  const attr = vfs.attributes.getattr(MOUNT, ino);
  assert.ok(!(attr instanceof Promise));
  assert.equal(attr.size, 5);
  assert.deepEqual([...session.trips], [['readMap', 1]]);
  await close(vfs, opened.handle);
  const reopened = vfs.files.open(MOUNT, ino, O_RDONLY, false);
  assert.ok(!(reopened instanceof Promise));
  assert.ok(Buffer.isBuffer(vfs.files.read(MOUNT, reopened.handle, 0, 5)), 'the slice map outlives the close');
  assert.deepEqual([...session.trips], [['readMap', 1]]);
  await close(vfs, reopened.handle);
});

test('unflushed bytes are read, and size and mtime of getattr show them', { timeout }, async () => {
  const ino = await writeFile(vfs, 'pending', 'aaaaaaaaaa');
  const { handle } = await vfs.files.open(MOUNT, ino, O_RDWR, false);
  const before = await vfs.attributes.getattr(MOUNT, ino);
  await vfs.files.write(MOUNT, handle, 5, Buffer.from('BB'), false);
  await vfs.files.write(MOUNT, handle, 15, Buffer.from('CC'), false);
  assert.equal((await readAll(vfs, handle)).toString('latin1'), 'aaaaaBBaaa\0\0\0\0\0CC');
  const shown = await vfs.attributes.getattr(MOUNT, ino);
  assert.equal(shown.size, 17);
  assert.ok(BigInt(shown.mtimeSec) * 10n ** 9n + BigInt(shown.mtimeNsec) >= BigInt(before.mtimeSec) * 10n ** 9n);
  assert.equal((await vfs.names.lookup(MOUNT, ROOT_INO, 'pending')).attr.size, 17);
  const dir = vfs.directories.opendir(MOUNT, ROOT_INO);
  const entries = await vfs.directories.readdir(MOUNT, dir, 0, 1000);
  assert.equal(entries.find((entry) => entry.name === 'pending')?.attr.size, 17);
  vfs.directories.releasedir(MOUNT, dir);
  await close(vfs, handle);
  assert.equal((await vfs.attributes.getattr(MOUNT, ino)).size, 17);
  assert.equal(await readFile(vfs, 'pending'), 'aaaaaBBaaa\0\0\0\0\0CC');
});

test('explicit times hold against a commit of earlier writes, and later writes move them on', { timeout }, async () => {
  const handle = await create(vfs, 'times');
  await vfs.files.write(MOUNT, handle, 0, Buffer.from('x'), false);
  const set = await vfs.attributes.setattr(MOUNT, handle.ino, { mtime: { sec: 1_000_000, nsec: 5 } });
  assert.deepEqual([set.mtimeSec, set.mtimeNsec, set.size], [1_000_000, 5, 1]);
  await vfs.files.flush(MOUNT, handle);
  assert.equal((await session.meta.names.getattr(handle.ino)).mtimeSec, 1_000_000);
  await vfs.files.write(MOUNT, handle, 1, Buffer.from('y'), false);
  assert.ok((await vfs.attributes.getattr(MOUNT, handle.ino)).mtimeSec > 1_000_000);
  await vfs.files.flush(MOUNT, handle);
  assert.ok((await session.meta.names.getattr(handle.ino)).mtimeSec > 1_000_000);
  await vfs.attributes.setattr(MOUNT, handle.ino, { mtime: { sec: -5, nsec: 1 } });
  await close(vfs, handle);
  assert.equal((await session.meta.names.getattr(handle.ino)).mtimeSec, -5);
});

test('what a truncation cut off reads as zeros when the file grows again', { timeout }, async () => {
  const handle = await create(vfs, 'truncate');
  await vfs.files.write(MOUNT, handle, 0, Buffer.alloc(100_000, 1), false);
  await vfs.attributes.setattr(MOUNT, handle.ino, { size: 10 });
  await vfs.attributes.setattr(MOUNT, handle.ino, { size: 50_000 });
  const bytes = await readAll(vfs, handle);
  assert.equal(bytes.length, 50_000);
  assert.ok(bytes.subarray(0, 10).every((byte) => byte === 1));
  assert.ok(bytes.subarray(10).every((byte) => byte === 0));
  await close(vfs, handle);
});

test('O_TRUNC empties the file in open, and a write during a truncation comes after it', { timeout }, async () => {
  const ino = await writeFile(vfs, 'emptied', 'old content');
  const { handle } = await vfs.files.open(MOUNT, ino, O_RDWR | O_TRUNC, false);
  assert.equal((await vfs.attributes.getattr(MOUNT, ino)).size, 0);
  await vfs.files.write(MOUNT, handle, 0, Buffer.from('1234'), false);
  const truncated = vfs.attributes.setattr(MOUNT, ino, { size: 0 });
  const written = vfs.files.write(MOUNT, handle, 0, Buffer.from('new'), false);
  await Promise.all([truncated, written]);
  assert.equal((await readAll(vfs, handle)).toString(), 'new');
  await close(vfs, handle);
  assert.equal(await readFile(vfs, 'emptied'), 'new');
});

test('create finds a file that came into being meanwhile, unless O_EXCL', { timeout }, async () => {
  await writeFile(vfs, 'race', 'there');
  await assert.rejects(create(vfs, 'race', O_RDWR | O_CREAT | O_EXCL), (error) => isFsError(error, 'EEXIST'));
  const handle = await create(vfs, 'race', O_RDWR | O_CREAT);
  assert.equal((await readAll(vfs, handle)).toString(), 'there');
  await close(vfs, handle);
  const other = { ...MOUNT, uid: 4711, gid: 4711 };
  await assert.rejects(vfs.files.create(other, ROOT_INO, 'race', 0o644, O_WRONLY | O_CREAT), (error) =>
    isFsError(error, 'EACCES'),
  );
});

test('an O_TMPFILE is gone with its handle unless it is linked', { timeout }, async () => {
  const first = await vfs.files.tmpfile(MOUNT, ROOT_INO, 0o600, O_RDWR);
  assert.deepEqual([first.attr.nlink, first.attr.mode & S_IFMT], [0, S_IFREG]);
  await vfs.files.write(MOUNT, first.handle, 0, Buffer.from('secret'), false);
  await vfs.files.release(MOUNT, first.handle);
  const second = await vfs.files.tmpfile(MOUNT, ROOT_INO, 0o600, O_RDWR);
  await vfs.files.write(MOUNT, second.handle, 0, Buffer.from('kept'), false);
  const entry = await vfs.names.link(MOUNT, second.attr.ino, ROOT_INO, 'linked');
  assert.deepEqual([entry.attr.nlink, entry.attr.size], [1, 4]);
  await close(vfs, second.handle);
  assert.equal(await readFile(vfs, 'linked'), 'kept');
});

test('appends go to the end as it is at the commit', { timeout }, async () => {
  const ino = await writeFile(vfs, 'log', 'one\n');
  const { handle } = await vfs.files.open(MOUNT, ino, O_WRONLY | O_APPEND, false);
  await vfs.files.write(MOUNT, handle, 0, Buffer.from('two\n'), false);
  await vfs.files.write(MOUNT, handle, 0, Buffer.from('three\n'), false);
  assert.equal((await vfs.attributes.getattr(MOUNT, ino)).size, 14);
  await close(vfs, handle);
  assert.equal(await readFile(vfs, 'log'), 'one\ntwo\nthree\n');
});

test('fallocate, holes and lseek', { timeout }, async () => {
  const handle = await create(vfs, 'holes');
  await vfs.files.write(MOUNT, handle, 0, Buffer.alloc(8192, 1), false);
  await vfs.files.fallocate(MOUNT, handle, 0, 0, 20_000);
  assert.equal((await vfs.attributes.getattr(MOUNT, handle.ino)).size, 20_000);
  await vfs.files.fallocate(MOUNT, handle, 3, 4096, 4096);
  assert.ok((await vfs.files.read(MOUNT, handle, 4096, 4096)).every((byte) => byte === 0));
  assert.ok((await vfs.files.read(MOUNT, handle, 0, 4096)).every((byte) => byte === 1));
  assert.equal(await vfs.files.lseek(MOUNT, handle, 0, 'hole'), 4096);
  await assert.rejects(vfs.files.lseek(MOUNT, handle, 20_000, 'data'), (error) => isFsError(error, 'ENXIO'));
  await assert.rejects(vfs.files.fallocate(MOUNT, handle, 8, 0, 4096), (error) => isFsError(error, 'EOPNOTSUPP'));
  await assert.rejects(vfs.files.fallocate(MOUNT, handle, 0, 0, 0), (error) => isFsError(error, 'EINVAL'));
  await assert.rejects(vfs.files.fallocate(MOUNT, handle, 0, 2 ** 50, 1), (error) => isFsError(error, 'EFBIG'));
  await close(vfs, handle);
});

test('copy_file_range shares what was just written and refuses overlapping ranges', { timeout }, async () => {
  const source = await create(vfs, 'copy-source');
  const target = await create(vfs, 'copy-target');
  await vfs.files.write(MOUNT, source, 0, Buffer.from('0123456789'), false);
  await vfs.files.write(MOUNT, target, 0, Buffer.from('xxxxxxxxxx'), false);
  assert.equal((await readAll(vfs, target)).toString(), 'xxxxxxxxxx');
  assert.equal(await vfs.files.copyFileRange(MOUNT, source, 2, target, 4, 3), 3);
  assert.equal((await readAll(vfs, target)).toString(), 'xxxx234xxx');
  assert.equal(await vfs.files.copyFileRange(MOUNT, source, 8, target, 0, 100), 2);
  await assert.rejects(vfs.files.copyFileRange(MOUNT, source, 0, source, 3, 5), (error) => isFsError(error, 'EINVAL'));
  assert.equal(await vfs.files.copyFileRange(MOUNT, source, 0, target, 0, Number.MAX_SAFE_INTEGER), 10, 'to the end');
  await close(vfs, source);
  await close(vfs, target);
});

test('D7: O_DSYNC writes and fsync wait for durability', { timeout }, async () => {
  const handle = await create(vfs, 'sync', O_RDWR | O_CREAT | O_DSYNC);
  session.trips.clear();
  await vfs.files.write(MOUNT, handle, 0, Buffer.from('now'), false);
  assert.equal(session.trips.get('reached'), 1);
  assert.equal((await session.meta.names.getattr(handle.ino)).size, 3);
  await vfs.files.fsync(MOUNT, handle);
  assert.equal(session.trips.get('reached'), 2);
  await close(vfs, handle);
});

test('extended attributes: namespaces, limits, and no trip for files that have none', { timeout }, async () => {
  const ino = await writeFile(vfs, 'xattrs', '');
  session.trips.clear();
  await assert.rejects(vfs.attributes.getxattr(MOUNT, ino, 'security.capability'), (error) =>
    isFsError(error, 'ENODATA'),
  );
  assert.deepEqual(await vfs.attributes.listxattr(MOUNT, ino), []);
  assert.equal(session.trips.size, 0);
  await vfs.attributes.setxattr(MOUNT, ino, 'user.a', Buffer.from('1'), 1);
  await vfs.attributes.setxattr(MOUNT, ino, 'trusted.b', Buffer.from('2'), 0);
  assert.deepEqual((await vfs.attributes.listxattr(MOUNT, ino)).sort(), ['trusted.b', 'user.a']);
  assert.deepEqual(await vfs.attributes.listxattr({ ...MOUNT, uid: 5 }, ino), ['user.a']);
  assert.equal((await vfs.attributes.getxattr(MOUNT, ino, 'user.a')).toString(), '1');
  for (const [name, code] of [
    ['system.posix_acl_access', 'EOPNOTSUPP'],
    ['nonsense', 'EOPNOTSUPP'],
    [`user.${'n'.repeat(251)}`, 'ERANGE'],
  ] as const) {
    await assert.rejects(
      vfs.attributes.setxattr(MOUNT, ino, name, Buffer.from(''), 0),
      (error) => isFsError(error, code),
      name,
    );
  }
  await assert.rejects(vfs.attributes.setxattr(MOUNT, ino, 'user.a', Buffer.alloc(65_537), 0), (error) =>
    isFsError(error, 'E2BIG'),
  );
  await assert.rejects(vfs.attributes.setxattr(MOUNT, ino, 'user.a', Buffer.from('2'), 1), (error) =>
    isFsError(error, 'EEXIST'),
  );
  await vfs.attributes.removexattr(MOUNT, ino, 'user.a');
  await assert.rejects(vfs.attributes.getxattr(MOUNT, ino, 'user.a'), (error) => isFsError(error, 'ENODATA'));
});

test('handles that were released or never were are EBADF', { timeout }, async () => {
  const handle = await create(vfs, 'badf');
  await close(vfs, handle);
  assert.throws(
    () => vfs.files.read(MOUNT, handle, 0, 1),
    (error) => isFsError(error, 'EBADF'),
  );
  assert.throws(
    () => vfs.files.write(MOUNT, { id: 1, ino: 1, flags: 2 }, 0, Buffer.from(''), false),
    (error) => isFsError(error, 'EBADF'),
  );
});

test('names: rename, exchange, symlinks, directories and what errors they give', { timeout }, async () => {
  const dir = await vfs.names.mkdir(MOUNT, ROOT_INO, 'names', 0o755);
  const at = dir.attr.ino;
  await writeFile(vfs, 'a', 'A', at);
  await writeFile(vfs, 'b', 'B', at);
  await vfs.names.rename(MOUNT, { parent: at, name: 'a', newParent: at, newName: 'b', mode: 'exchange' });
  assert.equal(await readFile(vfs, 'names/a'), 'B');
  await vfs.names.rename(MOUNT, { parent: at, name: 'a', newParent: at, newName: 'b', mode: 'replace' });
  assert.equal(await readFile(vfs, 'names/b'), 'B');
  await assert.rejects(vfs.names.lookup(MOUNT, at, 'a'), (error) => isFsError(error, 'ENOENT'));
  await vfs.names.symlink(MOUNT, at, 'link', Buffer.from('b'));
  const link = await vfs.names.lookup(MOUNT, at, 'link');
  assert.equal((await vfs.names.readlink(MOUNT, link.attr.ino)).toString(), 'b');
  await assert.rejects(vfs.names.mkdir(MOUNT, at, '%~bad', 0o755), (error) => isFsError(error, 'EINVAL'));
  await assert.rejects(vfs.names.rmdir(MOUNT, ROOT_INO, 'names'), (error) => isFsError(error, 'ENOTEMPTY'));
  for (const name of ['b', 'link']) await vfs.names.unlink(MOUNT, at, name);
  await vfs.names.rmdir(MOUNT, ROOT_INO, 'names');
  assert.equal((await vfs.names.lookup(MOUNT, ROOT_INO, '.')).attr.ino, ROOT_INO);
});
