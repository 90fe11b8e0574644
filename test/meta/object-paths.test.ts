import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { before, test } from 'node:test';
import { derivedEtag } from '../../src/base/derived-etag.ts';
import { isFsError } from '../../src/base/errors.ts';
import {
  type ByteString,
  type Caller,
  FLAG_IMPLICIT,
  FLAG_MARKER,
  type Ino,
  type Invalidation,
  ROOT_INO,
  S_IFLNK,
} from '../../src/base/vocabulary.ts';
import type { KeyPath, Precondition, PublishRequest } from '../../src/meta/meta.ts';
import { caller, KERNEL } from '../support/callers.ts';
import type { TestVolume } from '../support/volume.ts';
import {
  type ContentMember,
  contentMember,
  contentVolume,
  makeDir,
  makeFile,
  readFile,
  type Store,
  s3Record,
  writeInline,
} from './content-fixture.ts';
import { checkVolume } from './volume-check.ts';

const LIMIT = { timeout: 60_000 };
const ADMIN = caller(0);
const store: Store = new Map();
let volume: TestVolume;
let m: ContentMember;
let bucketCount = 0;

before(async () => {
  ({ volume, m } = await contentVolume());
}, LIMIT);

async function freshBucket(mode = 0o755, who: Caller = ADMIN): Promise<Ino> {
  bucketCount += 1;
  return (await m.buckets.create(`bucket${bucketCount}`, who, mode)).entry.attr.ino;
}

function pathOf(root: Ino, key: ByteString): KeyPath {
  const components = key.split('/');
  const directory = components.at(-1) === '';
  return { root, components: directory ? components.slice(0, -1) : components, directory };
}

function put(root: Ino, key: string, text: string, more: Partial<PublishRequest> = {}) {
  const inline = Buffer.from(text);
  return m.objects.publish({
    path: pathOf(root, key),
    caller: ADMIN,
    precondition: {},
    content: {
      kind: 'pieces',
      pieces: text === '' ? [] : [{ chunkIndex: 0, pos: 0, inline }],
      sizeBytes: inline.length,
    },
    fileMode: 0o644,
    dirMode: 0o755,
    s3: s3Record(`etag-${text}`),
    xattrs: new Map(),
    ...more,
  });
}

function walk(root: Ino, key: string, who: Caller = ADMIN) {
  const path = pathOf(root, key);
  return m.objects.walk({ path, caller: who, follow: true, dataBytesMax: 65_536, xattrs: true });
}

function remove(root: Ino, key: string, precondition: Precondition = {}, who: Caller = ADMIN) {
  return m.objects.remove({ path: pathOf(root, key), caller: who, precondition });
}

async function keys(root: Ino, delimiter = '', who: Caller = ADMIN): Promise<string[]> {
  const page = await m.objects.list({ root, prefix: '', after: '', delimiter, limit: 1000, caller: who });
  assert.equal(page.truncated, false);
  return page.items.map((item) => (item.kind === 'key' ? item.key : item.prefix));
}

async function text(root: Ino, key: string): Promise<string> {
  return (await readFile(m, store, (await walk(root, key)).attr.ino)).toString();
}

async function fails(code: string, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(isFsError(error), `${error}`);
    assert.equal(error.code, code, error.message);
    return true;
  });
}

function symlink(parent: Ino, name: string, target: string) {
  return m.ns.symlink({ parent, name, uid: 0, gid: 0, caller: KERNEL, target: Buffer.from(target) });
}

/** Round trips of the script calls that `task` makes. */
async function roundTrips(task: () => Promise<unknown>): Promise<number> {
  const { connection } = m.engine;
  const call = connection.call.bind(connection);
  let count = 0;
  connection.call = (name, args) => {
    if (name === 'EVALSHA' || name === 'EVAL') count += 1;
    return call(name, args);
  };
  try {
    await task();
  } finally {
    Reflect.deleteProperty(connection, 'call');
  }
  return count;
}

test('a published object comes back with record, attributes and data in one walk', LIMIT, async () => {
  const root = await freshBucket();
  const s3 = s3Record('abc', {
    headers: { 'cache-control': 'no-cache \xe9' },
    tags: [['k', 'v \xfc']],
    checksums: { CRC32: 'AAAA' },
    checksumType: 'COMPOSITE',
    parts: [{ number: 3, sizeBytes: 5, checksums: { SHA1: 'x' } }],
  });
  const xattrs = new Map([['user.mime_type', Buffer.from('text/plain')]]);
  const published = await put(root, 'a/b/c', 'hello', { s3, xattrs });
  const walked = await walk(root, 'a/b/c');
  assert.equal(walked.name, 'c');
  assert.equal(walked.parent, published.parent);
  assert.deepEqual(walked.attr, published.attr);
  assert.deepEqual(walked.s3, { ...s3, version: walked.attr.version });
  assert.deepEqual(walked.xattrs, xattrs);
  assert.equal(Buffer.concat([...walked.map!.inline.values()]).toString(), 'hello');
  assert.deepEqual(await m.objects.getS3(walked.attr.ino), walked.s3);
  assert.deepEqual(published.made, [
    { parent: root, name: 'a' },
    { parent: (await m.ns.lookup(root, 'a', 'dir', KERNEL)).attr.ino, name: 'b' },
  ]);
  const bare = await m.objects.walk({
    path: pathOf(root, 'a/b/c'),
    caller: ADMIN,
    follow: true,
    dataBytesMax: 4,
    xattrs: false,
  });
  assert.equal(bare.map, undefined);
  assert.equal(bare.xattrs.size, 0);
  await fails('ENOENT', walk(root, 'a/b'));
  await fails('ENOENT', walk(root, 'a/b/c/'));
  await fails('ENOENT', walk(root, 'a/x/c'));
  await checkVolume(m.engine);
});

test(
  'a replaced file hands on mode, owner and ACL, keeps its bytes for who has it open, and loses its name',
  LIMIT,
  async () => {
    const root = await freshBucket();
    const old = await makeFile(m, 'k', root, 0o4640);
    await m.ns.setattr(old.ino, { uid: 5, gid: 6 }, KERNEL);
    await m.ns.setattr(old.ino, { mode: 0o4640 }, KERNEL);
    await m.ns.setxattr(old.ino, 'user.old', Buffer.from('1'), 'set');
    await m.ns.setxattr(old.ino, 'trusted.kept', Buffer.from('2'), 'set');
    await m.engine.command('SET', [m.engine.key(`a${old.ino}`), 'acl']);
    const packed = (await m.engine.command('GET', [m.engine.key(`i${old.ino}`)])) as Buffer;
    packed.writeUInt32LE(packed.readUInt32LE(28) | 2, 28);
    await m.engine.command('SET', [m.engine.key(`i${old.ino}`), packed]);
    await writeInline(m, old.ino, 0, Buffer.from('old bytes'));
    await m.ns.sustain([old.ino]);
    const xattrs = new Map([['user.new', Buffer.from('3')]]);
    const { attr, replaced } = await put(root, 'k', 'new', { xattrs });
    assert.equal(attr.mode & 0o7777, 0o640, 'set-id bits do not survive new content');
    assert.deepEqual([attr.uid, attr.gid], [5, 6]);
    assert.deepEqual((await m.ns.listxattr(attr.ino)).sort(), ['trusted.kept', 'user.new']);
    assert.equal((await m.engine.command('GET', [m.engine.key(`a${attr.ino}`)]))?.toString(), 'acl');
    assert.equal(replaced?.ino, old.ino);
    assert.equal(replaced?.nlink, 0);
    await m.ns.sustain([old.ino]);
    await m.upkeep.reap(1000);
    assert.equal((await readFile(m, store, old.ino)).toString(), 'old bytes');
    await m.ns.release(old.ino);
    await m.upkeep.reap(1000);
    await fails('ENOENT', m.data.readMap(old.ino, 0, 1, 0));
    await checkVolume(m.engine);
  },
);

test('a name of a hard-linked file that is replaced leaves the others', LIMIT, async () => {
  const root = await freshBucket();
  const old = await makeFile(m, 'one', root);
  await writeInline(m, old.ino, 0, Buffer.from('shared'));
  await m.ns.link(old.ino, root, 'two', KERNEL);
  const { replaced } = await put(root, 'one', 'mine');
  assert.equal(replaced?.nlink, 1);
  assert.equal(await text(root, 'two'), 'shared');
  assert.equal(await text(root, 'one'), 'mine');
});

test('preconditions are decided against the object as it is', LIMIT, async () => {
  const root = await freshBucket();
  await fails('ENOENT', put(root, 'k', 'x', { precondition: { ifMatch: ['*'] } }));
  await put(root, 'k', 'one', { precondition: { ifNoneMatch: ['*'] } });
  await fails('ECANCELED', put(root, 'k', 'two', { precondition: { ifNoneMatch: ['*'] } }));
  await fails('ECANCELED', put(root, 'k', 'two', { precondition: { ifMatch: ['other'] } }));
  await put(root, 'k', 'two', { precondition: { ifMatch: ['other', 'etag-one'] } });
  const { attr } = await walk(root, 'k');
  const written = await writeInline(m, attr.ino, 0, Buffer.from('TWO'));
  await fails('ECANCELED', put(root, 'k', 'three', { precondition: { ifMatch: ['etag-two'] } }));
  const derived = derivedEtag(attr.ino, written.attr.version);
  await fails('ECANCELED', put(root, 'k', 'three', { precondition: { ifNoneMatch: [derived] } }));
  await put(root, 'k', 'three', { precondition: { ifMatch: [derived] } });
  await fails('ECANCELED', remove(root, 'k', { ifMatchSize: 4 }));
  await fails('ECANCELED', remove(root, 'k', { ifMatchMtimeSec: 5 }));
  const now = await walk(root, 'k');
  const gone = await remove(root, 'k', { ifMatchSize: 5, ifMatchMtimeSec: now.attr.mtimeSec, ifMatch: ['etag-three'] });
  assert.equal(gone.removed?.attr.ino, now.attr.ino);
  await fails('ENOENT', remove(root, 'k', { ifMatch: ['*'] }));
  assert.equal((await remove(root, 'k')).removed, undefined);
});

test('of many conditional creations exactly one succeeds', LIMIT, async () => {
  const root = await freshBucket();
  const tries = Array.from({ length: 20 }, (_, i) => put(root, 'k', `${i}`, { precondition: { ifNoneMatch: ['*'] } }));
  const results = await Promise.allSettled(tries);
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
});

test('a file and a directory share a name; the primary keeps the plain one', LIMIT, async () => {
  const root = await freshBucket();
  assert.equal((await put(root, 'a', 'file')).shadowed, false);
  await put(root, 'a/b', 'below');
  assert.equal((await m.ns.lookup(root, 'a', 'dir', KERNEL)).shadowed, true);
  await put(root, 'x/y', 'below');
  assert.equal((await put(root, 'x', 'file')).shadowed, true);
  assert.deepEqual(await keys(root), ['a', 'a/b', 'x', 'x/y']);
  assert.equal(await text(root, 'a'), 'file');
  assert.equal(await text(root, 'a/b'), 'below');
  await put(root, 'x', 'again');
  assert.equal((await m.ns.lookup(root, 'x', 'file', KERNEL)).shadowed, true);
  await remove(root, 'a');
  assert.equal((await m.ns.lookup(root, 'a', 'primary', KERNEL)).shadowed, false);
  assert.deepEqual(await keys(root), ['a/b', 'x', 'x/y']);
  await checkVolume(m.engine);
});

test('removing a key prunes implicit parents up to the bucket and leaves what mkdir made', LIMIT, async () => {
  const root = await freshBucket();
  const { attr } = await makeDir(m, 'made', root).then((a) => ({ attr: a }));
  await put(root, 'made/x/y/z', '1');
  await put(root, 'p/q/r', '1');
  const { pruned } = await remove(root, 'p/q/r');
  assert.deepEqual(
    pruned.map(({ name }) => name),
    ['q', 'p'],
  );
  await remove(root, 'made/x/y/z');
  assert.deepEqual(await keys(root), ['made/']);
  assert.deepEqual((await m.ns.readdir(attr.ino, '', 10)).entries, []);
  await checkVolume(m.engine);
});

test('`dir/` makes an explicit directory; removing it while it has entries makes it implicit', LIMIT, async () => {
  const root = await freshBucket();
  const { attr } = await put(root, 'd/', '', { xattrs: new Map([['user.a', Buffer.from('1')]]) });
  assert.equal(attr.flags & FLAG_MARKER, FLAG_MARKER);
  await put(root, 'd/f', '1');
  assert.deepEqual(await keys(root), ['d/', 'd/f']);
  assert.deepEqual(await keys(root, '/'), ['d/']);
  assert.equal((await walk(root, 'd/')).s3?.etag, 'etag-');
  await remove(root, 'd/');
  assert.deepEqual(await keys(root), ['d/f']);
  const { attr: left } = await walk(root, 'd/');
  assert.equal(left.flags & (FLAG_IMPLICIT | FLAG_MARKER), FLAG_IMPLICIT);
  await remove(root, 'd/f');
  assert.deepEqual(await keys(root, '/'), []);
  await put(root, 'e/f', '1');
  await put(root, 'e/', '');
  await remove(root, 'e/f');
  assert.deepEqual(await keys(root), ['e/'], 'PUT `dir/` makes an implicit directory explicit');
  await fails('EISDIR', put(root, 'e/', 'bytes'));
});

test('implicit directories that the mount has emptied are not listed', LIMIT, async () => {
  const root = await freshBucket();
  await put(root, 'a/b/c', '1');
  const dir = (await walk(root, 'a/b/')).attr.ino;
  await m.ns.unlink(dir, 'c', 'primary', KERNEL);
  assert.deepEqual(await keys(root), []);
  assert.deepEqual(await keys(root, '/'), []);
  await m.buckets.delete(`bucket${bucketCount}`, ADMIN);
  while ((await m.upkeep.reap(100)).more);
  await checkVolume(m.engine);
});

test('symbolic links inside the volume are followed; others are no objects', LIMIT, async () => {
  const root = await freshBucket();
  await put(root, 'real/file', 'target');
  await put(root, 'both', 'file');
  await put(root, 'both/x', 'dir');
  await symlink(root, 'in', 'real/../real/./file');
  await symlink(root, 'dirlink', 'real');
  await symlink(root, 'young', '%~dir:both/x');
  await symlink(root, 'chain', 'dirlink/file');
  await symlink(root, 'dangling', 'nothing');
  await symlink(root, 'absolute', '/etc/passwd');
  await symlink(root, 'out', '../../../etc/passwd');
  await symlink(root, 'loop', 'loop2');
  await symlink(root, 'loop2', 'loop');
  await m.ns.mknod({
    parent: root,
    name: 'fifo',
    mode: constants.S_IFIFO | 0o644,
    uid: 0,
    gid: 0,
    rdev: 0,
    caller: KERNEL,
  });
  assert.deepEqual(await keys(root), ['both', 'both/x', 'chain', 'in', 'real/file', 'young']);
  for (const key of ['in', 'chain', 'dirlink/file']) assert.equal(await text(root, key), 'target');
  assert.equal(await text(root, 'young'), 'dir');
  const listed = await m.objects.list({ root, prefix: 'in', after: '', delimiter: '', limit: 1, caller: ADMIN });
  const item = listed.items[0]!;
  assert.equal(item.kind === 'key' && item.attr.size, 6);
  assert.equal(item.kind === 'key' && item.s3?.etag, 'etag-target');
  for (const key of ['dangling', 'absolute', 'out', 'dirlink', 'fifo/x']) await fails('ENOENT', walk(root, key));
  await fails('ELOOP', walk(root, 'loop'));
  const bare = await m.objects.walk({
    path: pathOf(root, 'in'),
    caller: ADMIN,
    follow: false,
    dataBytesMax: 0,
    xattrs: false,
  });
  assert.equal(bare.attr.mode & S_IFLNK, S_IFLNK);
  assert.equal((await remove(root, 'dangling')).removed, undefined);
  assert.equal((await remove(root, 'fifo')).removed, undefined);
  await put(root, 'dirlink/new', 'through');
  assert.equal(await text(root, 'real/new'), 'through');
  await remove(root, 'dirlink/new');
  assert.notEqual((await remove(root, 'in')).removed, undefined);
  assert.equal(await text(root, 'real/file'), 'target');
  await fails('ENOTEMPTY', m.buckets.delete(`bucket${bucketCount}`, ADMIN));
});

test('permission bits decide for a checked caller', LIMIT, async () => {
  const alice = caller(1001, 1001, [50]);
  const bob = caller(1002);
  const root = await freshBucket(0o755, alice);
  await put(root, 'open/k', 'a', { caller: alice });
  await put(root, 'shut/k', 'a', { caller: alice, dirMode: 0o700, fileMode: 0o600 });
  assert.equal((await walk(root, 'open/k', bob)).attr.uid, 1001);
  await fails('EACCES', walk(root, 'shut/k', bob));
  await fails('EACCES', put(root, 'mine', 'x', { caller: bob }));
  await fails('EACCES', put(root, 'open/k', 'x', { caller: bob }));
  await fails('EACCES', remove(root, 'open/k', {}, bob));
  await fails('EACCES', keys(root, '', bob));
  assert.deepEqual(await keys(root, '/', bob), ['open/', 'shut/']);
  const listed = await m.objects.list({ root, prefix: 'open/', after: '', delimiter: '', limit: 9, caller: bob });
  assert.equal(listed.items.length, 1);
  await m.ns.setattr((await walk(root, 'open/k')).attr.ino, { mode: 0o200 }, KERNEL);
  await fails('EACCES', walk(root, 'open/k', bob));
  await fails('EACCES', m.buckets.delete(`bucket${bucketCount}`, bob));
  assert.equal(await text(root, 'shut/k'), 'a');
});

test('who may write the directory but not the file puts a file of their own there', LIMIT, async () => {
  const alice = caller(1001);
  const bob = caller(1002);
  const root = await freshBucket(0o777, alice);
  await put(root, 'k', 'hers', { caller: alice });
  const { attr } = await put(root, 'k', 'his', { caller: bob });
  assert.equal(attr.uid, 1002);
  await m.ns.setattr(root, { mode: 0o1777 }, KERNEL);
  await fails('EACCES', put(root, 'k', 'hers again', { caller: caller(1003) }));
});

test('large content comes as a hidden inode', LIMIT, async () => {
  const root = await freshBucket();
  const hidden = await m.ns.mkHidden(0o100600, 7, 7);
  await writeInline(m, hidden.ino, 0, Buffer.from('hidden'));
  const content = { kind: 'inode', ino: hidden.ino } as const;
  const { attr } = await put(root, 'k', '', { content, s3: s3Record('h') });
  assert.equal(attr.ino, hidden.ino);
  assert.deepEqual([attr.nlink, attr.uid, attr.mode & 0o777, attr.size], [1, 0, 0o644, 6]);
  assert.equal((await walk(root, 'k')).s3?.version, attr.version);
  await fails('ESTALE', put(root, 'k2', '', { content }));
  await m.ns.release(hidden.ino);
  await m.upkeep.reap(100);
  assert.equal(await text(root, 'k'), 'hidden');
  await checkVolume(m.engine);
});

test('tags and headers change without content; a file of the mount gets a record of no version', LIMIT, async () => {
  const root = await freshBucket();
  const file = await makeFile(m, 'k', root);
  assert.equal(await m.objects.getS3(file.ino), undefined);
  const attr = await m.objects.setS3(file.ino, { tags: [['a', 'b']] }, KERNEL);
  assert.equal(attr.version, file.version);
  const record = await m.objects.getS3(file.ino);
  assert.deepEqual(record?.tags, [['a', 'b']]);
  assert.equal(record?.etag, '');
  assert.notEqual(record?.version, attr.version);
  await m.objects.setS3(file.ino, { tags: [], headers: { expires: 'x' } }, KERNEL);
  assert.deepEqual((await m.objects.getS3(file.ino))?.tags, []);
  assert.deepEqual((await m.objects.getS3(file.ino))?.headers, { expires: 'x' });
  const denied = m.objects.setS3(file.ino, { tags: [] }, caller(77));
  await assert.rejects(denied, (error) => isFsError(error, 'EACCES'));
});

test('names too long and keys that no root holds are refused', LIMIT, async () => {
  const root = await freshBucket();
  await fails('ENAMETOOLONG', put(root, 'x'.repeat(256), '1'));
  await put(root, 'x'.repeat(255), '1');
  await fails('EINVAL', put(root, 'a\0b', '1'));
  await fails('ENOENT', put(2 ** 40, 'k', '1'));
  await fails(
    'ENOENT',
    m.objects.list({ root: 2 ** 40, prefix: '', after: '', delimiter: '', limit: 1, caller: ADMIN }),
  );
});

test('other sessions hear which entries and inodes are stale', LIMIT, async () => {
  const other = await contentMember(volume);
  const heard: Invalidation[] = [];
  let settle: (() => void) | undefined;
  const done = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const root = await freshBucket();
  other.events.on('invalidated', (batch) => {
    heard.push(...batch);
    if (heard.some((item) => item.kind === 'entry' && item.name === 'end')) settle?.();
  });
  const first = await put(root, 'a/k', '1');
  const second = await put(root, 'a/k', '2');
  await put(root, 'end', '');
  await done;
  const has = (kind: string, check: (item: Invalidation) => boolean) =>
    assert.ok(
      heard.some((item) => item.kind === kind && check(item)),
      `${kind} in ${JSON.stringify(heard)}`,
    );
  has('entry', (item) => item.kind === 'entry' && item.parent === root && item.name === 'a');
  has('entry', (item) => item.kind === 'entry' && item.parent === first.parent && item.name === 'k');
  has('inode', (item) => item.kind === 'inode' && item.ino === root);
  has('unlinked', (item) => item.kind === 'unlinked' && item.ino === first.attr.ino);
  assert.notEqual(second.attr.ino, first.attr.ino);
  await other.close();
});

test('every operation on a path is one round trip', LIMIT, async () => {
  const root = await freshBucket();
  await put(root, 'warm/up', '1');
  await walk(root, 'warm/up');
  await keys(root);
  const one = async (what: string, task: () => Promise<unknown>) => assert.equal(await roundTrips(task), 1, what);
  await one('publish', () => put(root, 'a/b/c/d', 'content'));
  await one('publish over', () => put(root, 'a/b/c/d', 'again'));
  const { attr } = await walk(root, 'a/b/c/d');
  await one('walk', () => walk(root, 'a/b/c/d'));
  await one('list', () => keys(root));
  await one('list by delimiter', () => keys(root, '/'));
  await one('commit', () => writeInline(m, attr.ino, 0, Buffer.from('x')));
  await one('readMap', () => m.data.readMap(attr.ino, 0, 1, 1000));
  await one('remove', () => remove(root, 'a/b/c/d'));
});

test('the root of the volume is a place for keys as well', LIMIT, async () => {
  await put(ROOT_INO, 'top.txt', 'top');
  assert.equal((await walk(ROOT_INO, 'top.txt')).parent, ROOT_INO);
  assert.ok((await keys(ROOT_INO, '/')).includes('top.txt'));
  await remove(ROOT_INO, 'top.txt');
});
