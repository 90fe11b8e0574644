import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { before, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import {
  type Attr,
  FLAG_LINKS,
  FLAG_XATTR,
  type Ino,
  ROOT_INO,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../../src/base/vocabulary.ts';
import { timestampOf } from '../../src/meta/redis/server-clock.ts';
import { caller, KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let m: Member;

before(async () => {
  volume = await testVolume();
  m = await volume.join();
}, LIMIT);

/** A fresh directory below the root. */
let dirCount = 0;
async function freshDir(mode = 0o755, uid = 0, gid = 0): Promise<Ino> {
  dirCount += 1;
  const { entry } = await mkdir(ROOT_INO, `dir${dirCount}`, mode, uid, gid);
  return entry.attr.ino;
}

function mkdir(parent: Ino, name: string, mode = 0o755, uid = 0, gid = 0) {
  return m.ns.mknod({ parent, name, mode: S_IFDIR | mode, uid, gid, rdev: 0, caller: KERNEL });
}

function create(parent: Ino, name: string, mode = 0o644, uid = 0, gid = 0) {
  return m.ns.mknod({ parent, name, mode: S_IFREG | mode, uid, gid, rdev: 0, caller: KERNEL });
}

function lookup(parent: Ino, name: string) {
  return m.ns.lookup(parent, name, 'primary', KERNEL);
}

async function fails(code: string, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(isFsError(error), `${error}`);
    assert.equal(error.code, code, error.message);
    return true;
  });
}

async function names(ino: Ino): Promise<string[]> {
  return (await m.ns.readdir(ino, '', 1000)).entries.map((entry) => entry.name);
}

function later(a: Attr, b: Attr, field: 'mtime' | 'ctime'): boolean {
  return (
    a[`${field}Sec`] > b[`${field}Sec`] ||
    (a[`${field}Sec`] === b[`${field}Sec`] && a[`${field}Nsec`] > b[`${field}Nsec`])
  );
}

test('the root is a directory owned by root', LIMIT, async () => {
  const root = await m.ns.getattr(ROOT_INO);
  assert.equal(root.mode & S_IFMT, S_IFDIR);
  assert.equal(root.parent, ROOT_INO);
  assert.equal(root.uid, 0);
  assert.ok(root.nlink >= 2);
});

test('a made file is found with what it was made with', LIMIT, async () => {
  const dir = await freshDir();
  const before = await m.ns.getattr(dir);
  const made = await create(dir, 'a', 0o640, 7, 8);
  const found = await lookup(dir, 'a');
  assert.deepEqual(found, made.entry);
  const { attr } = found;
  assert.equal(attr.mode, S_IFREG | 0o640);
  assert.deepEqual([attr.uid, attr.gid, attr.nlink, attr.size, attr.parent], [7, 8, 1, 0, dir]);
  assert.deepEqual(await m.ns.getattr(attr.ino), attr);
  assert.ok(Math.abs(attr.btimeSec - timestampOf(m.engine.clock.nowUs()).sec) < 60);
  assert.ok(later(made.parentAttr, before, 'mtime') && later(made.parentAttr, before, 'ctime'));
  assert.deepEqual(await m.ns.getattr(dir), made.parentAttr);
});

test('fifos and devices keep their type and number', LIMIT, async () => {
  const dir = await freshDir();
  const fifo = await m.ns.mknod({
    parent: dir,
    name: 'f',
    mode: constants.S_IFIFO | 0o600,
    uid: 0,
    gid: 0,
    rdev: 0,
    caller: KERNEL,
  });
  assert.equal(fifo.entry.attr.mode, constants.S_IFIFO | 0o600);
  const rdev = 0xfff1_0203;
  const device = await m.ns.mknod({
    parent: dir,
    name: 'c',
    mode: constants.S_IFCHR | 0o600,
    uid: 0,
    gid: 0,
    rdev,
    caller: KERNEL,
  });
  assert.equal(device.entry.attr.rdev, rdev);
});

test('making needs a free name in a directory that is there', LIMIT, async () => {
  const dir = await freshDir();
  const file = (await create(dir, 'a')).entry.attr.ino;
  await fails('EEXIST', create(dir, 'a'));
  await fails('EEXIST', mkdir(dir, 'a'));
  await fails('ENOTDIR', create(file, 'x'));
  await fails('ENOENT', create(999_999, 'x'));
  await fails('ENAMETOOLONG', create(dir, 'x'.repeat(256)));
  await create(dir, 'x'.repeat(255));
  await fails('ENAMETOOLONG', lookup(dir, 'x'.repeat(256)));
  await fails('EINVAL', create(dir, 'a/b'));
  await fails('ENOENT', lookup(dir, 'nothing'));
  await fails('ENOTDIR', lookup(file, 'x'));
  await fails('ENOENT', lookup(999_999, 'x'));
});

test('names are bytes', LIMIT, async () => {
  const dir = await freshDir();
  const all = ['\xff\xfe', 'a b', "'", '"', '%2F', '+', '\n', '\x01', '.', '..', '', 'a0', 'a', 'a.', '{}', '*'];
  for (const name of all) await create(dir, name);
  for (const name of all) assert.equal((await lookup(dir, name)).name, name);
  assert.deepEqual((await names(dir)).sort(), [...all].sort());
});

test('set-group-id directories give their group away, and the bit to directories', LIMIT, async () => {
  const dir = await freshDir(0o2775, 0, 42);
  assert.equal((await create(dir, 'f', 0o644, 5, 6)).entry.attr.gid, 42);
  const sub = (await mkdir(dir, 'd', 0o755, 5, 6)).entry.attr;
  assert.equal(sub.gid, 42);
  assert.equal(sub.mode, S_IFDIR | 0o2755);
});

test('symbolic links', LIMIT, async () => {
  const parent = await freshDir();
  const made = await m.ns.symlink({
    parent,
    name: 's',
    uid: 1,
    gid: 2,
    caller: KERNEL,
    target: Buffer.from('to/\xff', 'latin1'),
  });
  assert.equal(made.entry.attr.mode, S_IFLNK | 0o777);
  assert.equal(made.entry.attr.size, 4);
  assert.equal((await m.ns.readlink(made.entry.attr.ino)).toString('latin1'), 'to/\xff');
  const long = Buffer.alloc(4096, 'x');
  await fails('ENAMETOOLONG', m.ns.symlink({ parent, name: 'l', uid: 1, gid: 2, caller: KERNEL, target: long }));
  await m.ns.symlink({ parent, name: 'l', uid: 1, gid: 2, caller: KERNEL, target: long.subarray(1) });
  await fails('EINVAL', m.ns.readlink(parent));
});

test('mkdir counts in the link counts, rmdir takes it back', LIMIT, async () => {
  const dir = await freshDir();
  const sub = await mkdir(dir, 'sub');
  assert.equal(sub.entry.attr.nlink, 2);
  assert.equal(sub.parentAttr.nlink, 3);
  await fails('EISDIR', m.ns.unlink(dir, 'sub', 'primary', KERNEL));
  await create(sub.entry.attr.ino, 'f');
  await fails('ENOTEMPTY', m.ns.rmdir(dir, 'sub', 'primary', KERNEL));
  await m.ns.unlink(sub.entry.attr.ino, 'f', 'primary', KERNEL);
  const gone = await m.ns.rmdir(dir, 'sub', 'primary', KERNEL);
  assert.equal(gone.attr.nlink, 0);
  assert.equal(gone.parentAttr.nlink, 2);
  await fails('ENOENT', lookup(dir, 'sub'));
  await fails('ENOENT', m.ns.rmdir(dir, 'sub', 'primary', KERNEL));
  await fails('ENOENT', create(sub.entry.attr.ino, 'in a removed directory'));
  await fails('ENOENT', mkdir(sub.entry.attr.ino, 'in a removed directory'));
  await create(dir, 'f');
  await fails('ENOTDIR', m.ns.rmdir(dir, 'f', 'primary', KERNEL));
});

test('hard links share an inode and count', LIMIT, async () => {
  const [one, two] = [await freshDir(), await freshDir()];
  const { attr } = (await create(one, 'a')).entry;
  const linked = await m.ns.link(attr.ino, two, 'b', KERNEL);
  assert.equal(linked.entry.attr.nlink, 2);
  assert.ok(linked.entry.attr.flags & FLAG_LINKS);
  assert.ok(later(linked.entry.attr, attr, 'ctime'));
  assert.equal((await lookup(two, 'b')).attr.ino, attr.ino);
  await fails('EEXIST', m.ns.link(attr.ino, two, 'b', KERNEL));
  await fails('EPERM', m.ns.link(one, two, 'd', KERNEL));
  await fails('ENOENT', m.ns.link(999_999, two, 'd', KERNEL));
  const first = await m.ns.unlink(one, 'a', 'primary', KERNEL);
  assert.equal(first.attr.nlink, 1);
  assert.equal(first.attr.parent, two, 'the parent is one that still has a name of it');
  const last = await m.ns.unlink(two, 'b', 'primary', KERNEL);
  assert.equal(last.attr.nlink, 0);
  await fails('ENOENT', m.ns.link(attr.ino, two, 'again', KERNEL));
});

test('a link count has a limit', LIMIT, async () => {
  const dir = await freshDir();
  const { ino } = (await create(dir, 'a')).entry.attr;
  const key = m.engine.key(`i${ino}`);
  const packed = Buffer.from((await m.engine.command('GET', [key])) as Buffer);
  packed.writeUInt32LE(65_000, 12);
  await m.engine.command('SET', [key, packed]);
  await fails('EMLINK', m.ns.link(ino, dir, 'b', KERNEL));
});

test('a hidden file gets its first name by link', LIMIT, async () => {
  const dir = await freshDir();
  const hidden = await m.ns.mkHidden(S_IFREG | 0o600, 3, 4);
  assert.deepEqual([hidden.nlink, hidden.uid, hidden.gid, hidden.parent], [0, 3, 4, 0]);
  const linked = await m.ns.link(hidden.ino, dir, 'named', KERNEL);
  assert.deepEqual([linked.entry.attr.nlink, linked.entry.attr.parent], [1, dir]);
  assert.equal(await m.engine.command('EXISTS', [m.engine.key(`os${hidden.ino}`)]), 0);
  await fails('EINVAL', m.ns.mkHidden(constants.S_IFIFO, 0, 0));
});

test('setattr: chmod, chown and their set-id rules', LIMIT, async () => {
  const dir = await freshDir();
  const { attr } = (await create(dir, 'a', 0o6755, 5, 5)).entry;
  const chmod = await m.ns.setattr(attr.ino, { mode: 0o7755 }, KERNEL);
  assert.equal(chmod.mode, S_IFREG | 0o7755);
  assert.ok(later(chmod, attr, 'ctime') && !later(chmod, attr, 'mtime'));
  const chown = await m.ns.setattr(attr.ino, { uid: 9 }, KERNEL);
  assert.deepEqual([chown.uid, chown.gid, chown.mode], [9, 5, S_IFREG | 0o1755]);
  await m.ns.setattr(attr.ino, { mode: 0o6745 }, KERNEL);
  assert.equal((await m.ns.setattr(attr.ino, { killPriv: true }, KERNEL)).mode, S_IFREG | 0o2745);
  const sub = (await mkdir(dir, 'd', 0o6755)).entry.attr;
  assert.equal((await m.ns.setattr(sub.ino, { gid: 9 }, KERNEL)).mode, S_IFDIR | 0o6755);
  const before = await m.ns.getattr(attr.ino);
  assert.ok(later(await m.ns.setattr(attr.ino, {}, KERNEL), before, 'ctime'), 'chown(-1, -1) moves ctime');
  await fails('ENOENT', m.ns.setattr(999_999, { mode: 0 }, KERNEL));
});

test('setattr: times are exact, negative and far ones too', LIMIT, async () => {
  const dir = await freshDir();
  const { ino } = (await create(dir, 'a')).entry.attr;
  for (const sec of [-1, -(2 ** 40), 0, 2 ** 33, 2 ** 40, 1_700_000_000]) {
    const attr = await m.ns.setattr(
      ino,
      { atime: { sec, nsec: 999_999_999 }, mtime: { sec: sec - 7, nsec: 1 } },
      KERNEL,
    );
    assert.deepEqual([attr.atimeSec, attr.atimeNsec, attr.mtimeSec, attr.mtimeNsec], [sec, 999_999_999, sec - 7, 1]);
  }
  const now = await m.ns.setattr(ino, { mtime: 'now' }, KERNEL);
  assert.deepEqual([now.mtimeSec, now.mtimeNsec], [now.ctimeSec, now.ctimeNsec]);
  assert.equal(now.atimeSec, 1_700_000_000);
});

test('setattr: size', LIMIT, async () => {
  const dir = await freshDir();
  const { attr } = (await create(dir, 'a', 0o4755)).entry;
  const grown = await m.ns.setattr(attr.ino, { size: 5_000_000_000 }, KERNEL);
  assert.equal(grown.size, 5_000_000_000);
  assert.ok(grown.version > attr.version);
  assert.ok(later(grown, attr, 'mtime'));
  const same = await m.ns.setattr(attr.ino, { size: 5_000_000_000, killPriv: true }, KERNEL);
  assert.equal(same.version, grown.version, 'the content is what it was');
  assert.ok(later(same, grown, 'mtime'), 'truncate to the same size moves mtime');
  assert.equal(same.mode, S_IFREG | 0o755);
  await fails('EFBIG', m.ns.setattr(attr.ino, { size: 2 ** 50 + 1 }, KERNEL));
  assert.equal((await m.ns.setattr(attr.ino, { size: 2 ** 50 }, KERNEL)).size, 2 ** 50);
  assert.equal((await m.ns.setattr(attr.ino, { size: 0 }, KERNEL)).size, 0);
  await fails('EISDIR', m.ns.setattr(dir, { size: 0 }, KERNEL));
  await fails('EINVAL', m.ns.setattr(attr.ino, { size: -1 }, KERNEL));
});

test('readdir pages in byte order with attributes, stable under change', LIMIT, async () => {
  const dir = await freshDir();
  const made = Array.from({ length: 25 }, (_, i) => `f${String(i).padStart(2, '0')}`);
  for (const name of made) await create(dir, name);
  const seen: string[] = [];
  let cursor = '';
  for (let page = 0; page < 10; page += 1) {
    const { entries, end } = await m.ns.readdir(dir, cursor, 10);
    for (const entry of entries) {
      assert.deepEqual(entry.attr, (await lookup(dir, entry.name)).attr);
      seen.push(entry.name);
    }
    if (end) break;
    cursor = entries.at(-1)!.cursor;
    if (page === 0) {
      // What has been read goes or is replaced by another inode, what has not been read stays.
      await m.ns.unlink(dir, 'f03', 'primary', KERNEL);
      await create(dir, 'new');
      await rename(dir, 'new', dir, 'f09');
    }
  }
  assert.deepEqual(seen, made);
  assert.deepEqual(await m.ns.readdir(dir, 'zzz', 10), { entries: [], end: true });
  await fails('ENOENT', m.ns.readdir(999_999, '', 10));
  await fails('ENOTDIR', m.ns.readdir((await lookup(dir, 'f00')).attr.ino, '', 10));
});

function rename(
  parent: Ino,
  name: string,
  newParent: Ino,
  newName: string,
  mode: 'replace' | 'noreplace' | 'exchange' = 'replace',
) {
  const kinds = { kind: 'primary', newKind: 'primary', caller: KERNEL } as const;
  return m.ns.rename({ parent, name, newParent, newName, mode, ...kinds });
}

test('rename moves a name and changes both directories', LIMIT, async () => {
  const [one, two] = [await freshDir(), await freshDir()];
  const { attr } = (await create(one, 'a')).entry;
  const moved = await rename(one, 'a', two, 'b');
  assert.equal(moved.attr.ino, attr.ino);
  assert.equal(moved.attr.parent, two);
  assert.equal(moved.replaced, undefined);
  assert.ok(later(moved.attr, attr, 'ctime'));
  await fails('ENOENT', lookup(one, 'a'));
  assert.equal((await lookup(two, 'b')).attr.ino, attr.ino);
  await fails('ENOENT', rename(one, 'a', two, 'c'));
  await fails('ENOENT', rename(two, 'b', 999_999, 'c'));
  await fails('ENOTDIR', rename(two, 'b', attr.ino, 'c'));
});

test('rename over a file takes its place; the file that was there lives on while it is open', LIMIT, async () => {
  const dir = await freshDir();
  const [a, b] = [(await create(dir, 'a')).entry.attr, (await create(dir, 'b')).entry.attr];
  const { replaced } = await rename(dir, 'a', dir, 'b');
  assert.deepEqual([replaced?.ino, replaced?.nlink], [b.ino, 0]);
  assert.deepEqual(await names(dir), ['b']);
  assert.equal((await lookup(dir, 'b')).attr.ino, a.ino);
  assert.notEqual(await m.engine.command('ZSCORE', [m.engine.key('del'), b.ino]), null);
  assert.equal((await m.ns.getattr(b.ino)).nlink, 0);
});

test('rename of directories: counts, emptiness, types, own descendants', LIMIT, async () => {
  const [one, two] = [await freshDir(), await freshDir()];
  const sub = (await mkdir(one, 'd')).entry.attr.ino;
  const deep = (await mkdir(sub, 'deep')).entry.attr.ino;
  await fails('EINVAL', rename(one, 'd', sub, 'x'));
  await fails('EINVAL', rename(one, 'd', deep, 'x'));
  await fails('ENOTEMPTY', rename(sub, 'deep', one, 'd'));
  await create(two, 'file');
  await fails('ENOTDIR', rename(one, 'd', two, 'file'));
  await fails('EISDIR', rename(two, 'file', one, 'd'));
  const moved = await rename(one, 'd', two, 'd');
  assert.deepEqual([moved.parentAttr.nlink, moved.newParentAttr.nlink, moved.attr.parent], [2, 3, two]);
  await mkdir(one, 'empty');
  const replaced = await rename(two, 'd', one, 'empty');
  assert.deepEqual([replaced.parentAttr.nlink, replaced.newParentAttr.nlink, replaced.replaced?.nlink], [2, 3, 0]);
  assert.equal((await m.ns.getattr(deep)).parent, sub);
});

test('rename onto itself or another name of the same inode does nothing', LIMIT, async () => {
  const dir = await freshDir();
  const { ino } = (await create(dir, 'a')).entry.attr;
  await m.ns.link(ino, dir, 'b', KERNEL);
  const before = await m.ns.getattr(ino);
  await rename(dir, 'a', dir, 'a');
  await rename(dir, 'a', dir, 'b');
  assert.deepEqual(await names(dir), ['a', 'b']);
  assert.deepEqual(await m.ns.getattr(ino), before);
});

test('rename without replacing', LIMIT, async () => {
  const dir = await freshDir();
  await create(dir, 'a');
  await create(dir, 'b');
  await fails('EEXIST', rename(dir, 'a', dir, 'b', 'noreplace'));
  await rename(dir, 'a', dir, 'c', 'noreplace');
  assert.deepEqual(await names(dir), ['b', 'c']);
});

test('exchange swaps a file and a directory with their counts', LIMIT, async () => {
  const [one, two] = [await freshDir(), await freshDir()];
  const file = (await create(one, 'f')).entry.attr.ino;
  const sub = (await mkdir(two, 'd')).entry.attr.ino;
  await fails('ENOENT', rename(one, 'f', two, 'nothing', 'exchange'));
  const swapped = await rename(one, 'f', two, 'd', 'exchange');
  assert.deepEqual([swapped.parentAttr.nlink, swapped.newParentAttr.nlink], [3, 2]);
  assert.equal(swapped.replaced?.ino, sub);
  assert.deepEqual([swapped.attr.parent, swapped.replaced?.parent], [two, one]);
  assert.equal((await lookup(one, 'f')).attr.ino, sub);
  assert.equal((await lookup(two, 'd')).attr.ino, file);
  const inner = (await mkdir(sub, 'inner')).entry.attr.ino;
  await create(inner, 'x');
  await fails('EINVAL', rename(one, 'f', inner, 'x', 'exchange'));
  await fails('EINVAL', rename(inner, 'x', one, 'f', 'exchange'));
});

test('extended attributes', LIMIT, async () => {
  const dir = await freshDir();
  const { attr } = (await create(dir, 'a')).entry;
  const { ino } = attr;
  await fails('ENODATA', m.ns.getxattr(ino, 'user.x'));
  await fails('ENODATA', m.ns.setxattr(ino, 'user.x', Buffer.from('1'), 'replace'));
  const set = await m.ns.setxattr(ino, 'user.x', Buffer.from([0, 255]), 'create');
  assert.ok(set.flags & FLAG_XATTR);
  assert.ok(later(set, attr, 'ctime'));
  await fails('EEXIST', m.ns.setxattr(ino, 'user.x', Buffer.from('1'), 'create'));
  assert.deepEqual(await m.ns.getxattr(ino, 'user.x'), Buffer.from([0, 255]));
  await m.ns.setxattr(ino, 'security.y', Buffer.alloc(0), 'set');
  assert.deepEqual(await m.ns.listxattr(ino), ['security.y', 'user.x']);
  assert.equal((await m.ns.getxattr(ino, 'security.y')).length, 0);
  await fails('E2BIG', m.ns.setxattr(ino, 'user.x', Buffer.alloc(65_537), 'set'));
  await m.ns.setxattr(ino, 'user.x', Buffer.alloc(65_536), 'set');
  await fails('ERANGE', m.ns.setxattr(ino, `user.${'x'.repeat(256)}`, Buffer.alloc(1), 'set'));
  await m.ns.removexattr(ino, 'user.x');
  await fails('ENODATA', m.ns.removexattr(ino, 'user.x'));
  assert.equal((await m.ns.removexattr(ino, 'security.y')).flags & FLAG_XATTR, 0);
  await fails('ENOENT', m.ns.setxattr(999_999, 'user.x', Buffer.alloc(1), 'set'));
});

test('names of extended attributes are bounded together', LIMIT, async () => {
  const dir = await freshDir();
  const { ino } = (await create(dir, 'a')).entry.attr;
  for (let i = 0; i < 256; i += 1) {
    await m.ns.setxattr(ino, `user.${String(i).padStart(250, '0')}`, Buffer.from('v'), 'set');
  }
  await fails('ENOSPC', m.ns.setxattr(ino, 'user.more', Buffer.from('v'), 'set'));
});

test('permission of callers whose kernel has not decided', LIMIT, async () => {
  const dir = await freshDir(0o750, 10, 20);
  await create(dir, 'f', 0o640, 10, 20);
  const [owner, member, other] = [caller(10, 10), caller(11, 11, [20]), caller(12, 12)];
  const lookupAs = (as: typeof owner) => m.ns.lookup(dir, 'f', 'primary', as);
  await lookupAs(owner);
  await lookupAs(member);
  await fails('EACCES', lookupAs(other));
  const make = (as: typeof owner, name: string) =>
    m.ns.mknod({ parent: dir, name, mode: S_IFREG | 0o2755, uid: as.uid, gid: as.gid, rdev: 0, caller: as });
  await make(owner, 'made');
  await fails('EACCES', make(member, 'x'));
  await fails('EEXIST', make(member, 'f'));
  await fails('EACCES', m.ns.unlink(dir, 'f', 'primary', member));
  const file = (await lookupAs(owner)).attr.ino;
  await fails('EPERM', m.ns.setattr(file, { mode: 0o777 }, member));
  await fails('EPERM', m.ns.setattr(file, { uid: 11 }, member));
  await fails('EPERM', m.ns.setattr(file, { uid: 11 }, owner));
  await fails('EPERM', m.ns.setattr(file, { mtime: { sec: 1, nsec: 0 } }, member));
  await fails('EACCES', m.ns.setattr(file, { mtime: 'now' }, member));
  await fails('EACCES', m.ns.setattr(file, { size: 1 }, member));
  await m.ns.setattr(file, { gid: 10 }, owner);
  await fails('EPERM', m.ns.setattr(file, { gid: 99 }, owner));
  const kinds = { kind: 'primary', newKind: 'primary', mode: 'replace' } as const;
  await fails(
    'EACCES',
    m.ns.rename({ parent: dir, name: 'f', newParent: dir, newName: 'g', ...kinds, caller: member }),
  );
});

test('a sticky directory protects entries from all but their owners', LIMIT, async () => {
  const dir = await freshDir(0o1777, 1, 1);
  await create(dir, 'f', 0o666, 10, 10);
  await mkdir(dir, 'd', 0o777, 10, 10);
  await create(dir, 'mine', 0o666, 11, 11);
  const other = caller(11);
  const kinds = { kind: 'primary', newKind: 'primary', mode: 'replace' } as const;
  await fails('EPERM', m.ns.unlink(dir, 'f', 'primary', other));
  await fails('EPERM', m.ns.rmdir(dir, 'd', 'primary', other));
  await fails('EPERM', m.ns.rename({ parent: dir, name: 'f', newParent: dir, newName: 'g', ...kinds, caller: other }));
  await fails(
    'EPERM',
    m.ns.rename({ parent: dir, name: 'mine', newParent: dir, newName: 'f', ...kinds, caller: other }),
  );
  await m.ns.unlink(dir, 'f', 'primary', caller(10));
  await m.ns.rmdir(dir, 'd', 'primary', caller(1));
});

test('what failed has changed nothing', LIMIT, async () => {
  const dir = await freshDir();
  await mkdir(dir, 'd');
  await create((await lookup(dir, 'd')).attr.ino, 'x');
  await create(dir, 'f');
  const before = [await m.ns.getattr(dir), await m.ns.readdir(dir, '', 100)];
  await fails('EEXIST', create(dir, 'f'));
  await fails('ENOTEMPTY', m.ns.rmdir(dir, 'd', 'primary', KERNEL));
  await fails('ENOTDIR', m.ns.rmdir(dir, 'f', 'primary', KERNEL));
  await fails('EISDIR', rename(dir, 'f', dir, 'd'));
  await fails('EISDIR', m.ns.unlink(dir, 'd', 'primary', KERNEL));
  assert.deepEqual([await m.ns.getattr(dir), await m.ns.readdir(dir, '', 100)], before);
});
