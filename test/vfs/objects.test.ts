import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { FsError, isFsError } from '../../src/base/errors.ts';
import { type Ino, ROOT_INO, type S3Record } from '../../src/base/vocabulary.ts';
import { ObjectMissingError } from '../../src/chunk/chunks.ts';
import type { KeyPath, Part, WalkReply } from '../../src/meta/meta.ts';
import { O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../src/vfs/file/open-flags.ts';
import type { Context, ObjectReader, PutOptions } from '../../src/vfs/vfs.ts';
import { MOUNT } from '../support/callers.ts';
import { until } from '../support/until.ts';
import { close, create, readAll, readFile, writeFile } from '../support/vfs-files.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const timeout = 60_000;
const MIB = 1024 * 1024;
const volume = await testVolume({ rootMode: 0o777 });
const session = await joinVfs(volume, { vfs: { notifyWaitMs: 200 } });
const other = await joinVfs(volume);
const { vfs } = session;
const { objects, buckets, uploads } = vfs;
const USER: Context = { uid: 1000, gid: 1000, groups: [1000], pid: 0, check: true };
const bucket: Ino = (await buckets.create(USER, 'bucket')).attr.ino;

beforeEach(() => {
  for (const each of [session, other]) {
    each.trips.clear();
    each.kernel.clear();
  }
});

test('a small put is one metadata trip and a durability wait, and reads back in one trip', { timeout }, async () => {
  await put('small', Buffer.from('tiny'));
  assert.deepEqual(
    [...session.trips],
    [
      ['publish', 1],
      ['reached', 1],
    ],
  );
  assert.equal(volume.objectCount(), 0, 'it costs no object');
  session.trips.clear();
  const walked = await objects.walk(USER, key('small'), { data: true, xattrs: true, follow: true });
  const reader = objects.openObject(USER, walked);
  const bytes = reader.read(0, 100);
  assert.ok(Buffer.isBuffer(bytes), 'a plain value');
  assert.equal(bytes.toString(), 'tiny');
  reader.close();
  assert.deepEqual([...session.trips], [['walk', 1]]);
  assert.equal(walked.attr.uid, 1000);
});

test('an empty object, and one of exactly the inline limit', { timeout }, async () => {
  await put('empty', Buffer.alloc(0));
  assert.equal((await get('empty')).length, 0);
  const limit = Buffer.alloc(65_536, 'l');
  await put('limit', limit);
  assert.equal(volume.objectCount(), 0);
  assert.deepEqual(await get('limit'), limit);
});

test('a large object is stored as it arrives and shows only when it is put', { timeout }, async () => {
  const data = pattern(10 * MIB + 77);
  const writer = objects.beginObject(USER);
  for (let at = 0; at < data.length; at += 300_000) await writer.write(data.subarray(at, at + 300_000));
  assert.equal(writer.sizeBytes, data.length);
  await until(() => volume.objectCount() >= 2, 'blocks to be stored before the end');
  await assert.rejects(walk('large'), (error) => isFsError(error, 'ENOENT'));
  session.trips.clear();
  await objects.putObject(USER, writer, options('large'));
  assert.equal(session.trips.get('publish'), 1);
  assert.equal(session.trips.get('mkHidden'), undefined);
  assert.deepEqual(await get('large'), data);
  assert.equal(hash(Buffer.from(await readFile(vfs, 'bucket/large'), 'latin1')), hash(data));
});

test('many objects of up to one block at once, also more than memory is set aside for', { timeout }, async () => {
  const before = volume.objectCount();
  const sizes = Array.from({ length: 20 }, (_, index) => (index === 0 ? 4 * MIB : 65_537 + index * 1000));
  const writers = sizes.map((size) => {
    const writer = objects.beginObject(USER);
    for (let at = 0; at < size; at += 30_000) void writer.write(pattern(size).subarray(at, at + 30_000));
    return writer;
  });
  await writers.pop()!.abort();
  for (const [index, writer] of writers.entries()) await objects.putObject(USER, writer, options(`many-${index}`));
  assert.equal(volume.objectCount(), before + writers.length, 'each is one block, and the aborted one is none');
  for (const index of writers.keys()) assert.deepEqual(await get(`many-${index}`), pattern(sizes[index]!));
});

test('a range of an object is read without its rest', { timeout }, async () => {
  const data = pattern(9 * MIB);
  await put('ranged', data);
  const reader = objects.openObject(USER, await walk('ranged'));
  const bytes = await reader.read(5 * MIB + 3, 1000);
  assert.deepEqual(bytes, data.subarray(5 * MIB + 3, 5 * MIB + 1003));
  assert.equal((await reader.read(9 * MIB, 10)).length, 0);
  reader.close();
});

test('an aborted object leaves no name and no blocks', { timeout }, async () => {
  const before = volume.objectCount();
  const writer = objects.beginObject(USER);
  await writer.write(pattern(70 * MIB));
  await writer.abort();
  assert.equal(
    volume.objectCount() - before <= 1,
    true,
    'at most the blocks of what was never committed to the writer',
  );
  await assert.rejects(walk('aborted'), (error) => isFsError(error, 'ENOENT'));
});

test('a put whose precondition fails changes nothing and gives its blocks back', { timeout }, async () => {
  await put('guarded', Buffer.from('first'));
  const before = volume.objectCount();
  const writer = objects.beginObject(USER);
  await writer.write(pattern(5 * MIB));
  const guarded = { ...options('guarded'), precondition: { ifNoneMatch: ['*'] } };
  await assert.rejects(objects.putObject(USER, writer, guarded), (error) => isFsError(error, 'ECANCELED'));
  assert.equal((await get('guarded')).toString(), 'first');
  assert.equal(volume.objectCount(), before);
});

test('a put over a file that the mount has open: the handle keeps the old bytes, names show the new ones', {
  timeout,
}, async () => {
  const ino = await writeFile(vfs, 'over', 'old bytes', bucket);
  const { handle } = await vfs.files.open(MOUNT, ino, O_RDONLY, false);
  session.kernel.clear();
  await put('over', Buffer.from('new'));
  assert.ok(session.kernel.entries.some((entry) => entry.parent === bucket && entry.name === 'over'));
  assert.equal((await readAll(vfs, handle)).toString(), 'old bytes');
  assert.equal((await vfs.attributes.getattr(MOUNT, ino, handle)).nlink, 0);
  assert.equal(await readFile(vfs, 'bucket/over'), 'new');
  await vfs.files.release(MOUNT, handle);
});

test('what S3 does the kernel of the same process hears before the call resolves, but not for ever', {
  timeout,
}, async () => {
  await put('deep/er/key', Buffer.from('x'));
  const told = session.kernel.entries.map((entry) => entry.name);
  for (const name of ['key', 'er', 'deep']) assert.ok(told.includes(name), name);
  let open!: () => void;
  session.kernel.gate = new Promise((resolve) => {
    open = resolve;
  });
  await put('deep/er/key', Buffer.from('y'));
  session.kernel.gate = undefined;
  open();
  assert.equal((await get('deep/er/key')).toString(), 'y');
});

test('deleting a key prunes what puts made and leaves what mkdir made', { timeout }, async () => {
  await vfs.names.mkdir(MOUNT, bucket, 'made', 0o777);
  await put('made/implicit/key', Buffer.from('x'));
  session.kernel.clear();
  assert.deepEqual(await objects.removeObject(USER, key('made/implicit/key'), {}), { existed: true });
  assert.deepEqual(session.kernel.entries.map((entry) => entry.name).sort(), ['implicit', 'key']);
  const made = (await vfs.names.lookup(MOUNT, bucket, 'made')).attr.ino;
  await assert.rejects(vfs.names.lookup(MOUNT, made, 'implicit'), (error) => isFsError(error, 'ENOENT'));
  assert.deepEqual(await objects.removeObject(USER, key('made/implicit/key'), {}), { existed: false });
});

test('a get that has begun is not disturbed by writes, puts or removal', { timeout }, async () => {
  const old = pattern(9 * MIB);
  for (const disturb of ['write', 'put', 'remove', 'remove elsewhere'] as const) {
    await put('busy', old);
    const walked = await walk('busy', true);
    const reader = objects.openObject(USER, walked);
    const first = await reader.read(0, MIB);
    if (disturb === 'write') {
      const { handle } = await vfs.files.open(MOUNT, walked.attr.ino, O_WRONLY | O_TRUNC, false);
      await vfs.files.write(MOUNT, handle, 0, Buffer.alloc(10 * MIB, 'n'), false);
      await close(vfs, handle);
    } else if (disturb === 'put') await put('busy', Buffer.alloc(3 * MIB, 'n'));
    else await (disturb === 'remove' ? objects : other.vfs.objects).removeObject(USER, key('busy'), {});
    assert.equal(hash(Buffer.concat([first, await rest(reader, MIB)])), hash(old), disturb);
    reader.close();
  }
});

test('a walk that wants data answers one moment: the map belongs to the attributes', { timeout }, async () => {
  await put('moment', Buffer.from('one moment'));
  const walked = await walk('moment', true);
  await put('moment', Buffer.from('another'));
  const reader = objects.openObject(USER, walked);
  assert.equal((await reader.read(0, 100)).toString(), 'one moment');
  reader.close();
});

test('a multipart upload of three parts joins their slices without moving bytes', { timeout }, async () => {
  const data = [pattern(5 * MIB + 1), pattern(6 * MIB), pattern(100)];
  const upload = await uploads.create(USER, {
    root: bucket,
    key: 'multi',
    owner: 'user',
    s3: record(),
    checksumAlgorithm: '',
    xattrs: new Map(),
  });
  const parts: Part[] = [];
  for (const [index, bytes] of data.entries()) {
    const writer = objects.beginObject(USER);
    await writer.write(bytes);
    parts.push(
      await uploads.putPart(
        USER,
        { uploadId: upload.uploadId, number: index + 1, etag: hash(bytes), checksums: {} },
        writer,
      ),
    );
  }
  const listed = await uploads.listParts(USER, {
    uploadId: upload.uploadId,
    root: bucket,
    key: 'multi',
    afterNumber: 0,
    limit: 10,
  });
  assert.deepEqual(
    listed.parts.map((part) => part.sizeBytes),
    data.map((bytes) => bytes.length),
  );
  const stored = volume.objectCount();
  const reply = await uploads.complete(USER, upload, listed.parts, options('multi'));
  assert.equal(
    reply.attr.size,
    data.reduce((sum, bytes) => sum + bytes.length, 0),
  );
  assert.equal(volume.objectCount(), stored);
  assert.equal(hash(await get('multi')), hash(Buffer.concat(data)));
  await assert.rejects(uploads.get(USER, { uploadId: upload.uploadId, root: bucket, key: 'multi' }), FsError);
});

test('an aborted upload is gone with its parts, and a part for it is refused', { timeout }, async () => {
  const upload = await uploads.create(USER, {
    root: bucket,
    key: 'gone',
    owner: 'user',
    s3: record(),
    checksumAlgorithm: '',
    xattrs: new Map(),
  });
  await uploads.abort(USER, { uploadId: upload.uploadId, root: bucket, key: 'gone' });
  const writer = objects.beginObject(USER);
  await writer.write(Buffer.from('late'));
  await assert.rejects(
    uploads.putPart(USER, { uploadId: upload.uploadId, number: 1, etag: 'e', checksums: {} }, writer),
    FsError,
  );
  assert.equal(session.trips.get('release'), 1, 'the part’s inode is given back');
});

test('copies share slices, small inline ones and large ones, also onto themselves', { timeout }, async () => {
  const large = pattern(6 * MIB);
  await put('source-small', Buffer.from('inline'));
  await put('source-large', large);
  const stored = volume.objectCount();
  for (const [from, to] of [
    ['source-small', 'copy-small'],
    ['source-large', 'copy-large'],
    ['source-large', 'source-large'],
  ] as const) {
    await objects.copyObject(USER, await walk(from, to === 'copy-small'), options(to));
  }
  assert.equal(volume.objectCount(), stored);
  assert.equal((await get('copy-small')).toString(), 'inline');
  await objects.removeObject(USER, key('source-large'), {});
  assert.equal(hash(await get('copy-large')), hash(large));
});

test('a part copied from a range of an object', { timeout }, async () => {
  const data = pattern(8 * MIB);
  await put('range-source', data);
  const upload = await uploads.create(USER, {
    root: bucket,
    key: 'from-range',
    owner: 'user',
    s3: record(),
    checksumAlgorithm: '',
    xattrs: new Map(),
  });
  const source = await walk('range-source');
  const part = await uploads.copyPart(
    USER,
    { uploadId: upload.uploadId, number: 1, etag: 'etag', checksums: {} },
    source,
    { offset: 3 * MIB, length: 5 * MIB },
  );
  await uploads.complete(USER, upload, [part], options('from-range'));
  assert.equal(hash(await get('from-range')), hash(data.subarray(3 * MIB)));
});

test('a file and a directory of one name: the shadowed has an escaped name on the mount', { timeout }, async () => {
  await put('both', Buffer.from('file'));
  await put('both/below', Buffer.from('below'));
  assert.equal((await get('both')).toString(), 'file');
  assert.equal(await readFile(vfs, 'bucket/both'), 'file');
  assert.equal(await readFile(vfs, 'bucket/%~dir:both/below'), 'below');
  const handle = vfs.directories.opendir(MOUNT, bucket);
  const names = (await vfs.directories.readdir(MOUNT, handle, 0, 1000)).map((entry) => entry.name);
  assert.ok(names.includes('both') && names.includes('%~dir:both'));
  vfs.directories.releasedir(MOUNT, handle);
  await assert.rejects(vfs.names.lookup(MOUNT, bucket, '%~file:both'), (error) => isFsError(error, 'ENOENT'));
  session.kernel.clear();
  await objects.removeObject(USER, key('both'), {});
  assert.ok(session.kernel.entries.some((entry) => entry.name === '%~dir:both'));
  assert.equal(await readFile(vfs, 'bucket/both/below'), 'below');
});

test('S3 answers committed bytes; what the mount closes is there', { timeout }, async () => {
  const handle = await create(vfs, 'mounted', O_RDWR, bucket);
  await vfs.files.write(MOUNT, handle, 0, Buffer.from('from the mount'), false);
  assert.equal((await walkAs(ROOT_S3, 'mounted')).attr.size, 0);
  await close(vfs, handle);
  const walked = await walkAs(ROOT_S3, 'mounted');
  const reader = objects.openObject(ROOT_S3, walked);
  assert.equal((await reader.read(0, 100)).toString(), 'from the mount');
  reader.close();
});

test('buckets: a user sees his own, the volume’s name is root’s', { timeout }, async () => {
  await buckets.create(ROOT_S3, 'roots');
  assert.deepEqual(
    (await buckets.list(USER, '', '', 10)).entries.map((entry) => entry.name),
    ['bucket'],
  );
  assert.deepEqual(
    (await buckets.list(ROOT_S3, '', '', 10)).entries.map((entry) => entry.name),
    ['bucket', 'roots'],
  );
  assert.equal((await buckets.find(ROOT_S3, 'test')).attr.ino, ROOT_INO);
  await assert.rejects(buckets.find(USER, 'test'), (error) => isFsError(error, 'EACCES'));
  await assert.rejects(buckets.create(USER, 'test'), (error) => isFsError(error, 'EEXIST'));
  session.kernel.clear();
  await buckets.delete(ROOT_S3, 'roots');
  assert.ok(session.kernel.entries.some((entry) => entry.parent === ROOT_INO && entry.name === 'roots'));
  await assert.rejects(buckets.find(ROOT_S3, 'roots'), (error) => isFsError(error, 'ENOENT'));
});

const ROOT_S3: Context = { uid: 0, gid: 0, groups: [], pid: 0, check: true };

function key(path: string): KeyPath {
  return { root: bucket, components: path.split('/'), directory: false };
}

function record(): S3Record {
  return { version: 0, etag: 'etag', headers: {}, tags: [], checksums: {}, checksumType: '', parts: [] };
}

function options(path: string): PutOptions {
  return { path: key(path), precondition: {}, s3: record(), xattrs: new Map() };
}

async function put(path: string, data: Buffer): Promise<void> {
  const writer = objects.beginObject(USER);
  if (data.length > 0) await writer.write(data);
  await objects.putObject(USER, writer, options(path));
}

function walk(path: string, data = false) {
  return objects.walk(USER, key(path), { data, xattrs: false, follow: true });
}

function walkAs(ctx: Context, path: string) {
  return objects.walk(ctx, key(path), { data: false, xattrs: false, follow: true });
}

async function get(path: string): Promise<Buffer> {
  const reader = objects.openObject(USER, await walk(path, true));
  try {
    return await rest(reader, 0);
  } finally {
    reader.close();
  }
}

async function rest(reader: ObjectReader, offset: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = offset; at < reader.sizeBytes; ) {
    const part = await reader.read(at, MIB);
    if (part.length === 0) throw new ObjectMissingError('the reader ended early');
    parts.push(Buffer.from(part));
    at += part.length;
  }
  return Buffer.concat(parts);
}

/** Bytes that differ from place to place. */
function pattern(length: number): Buffer {
  const data = Buffer.allocUnsafe(length);
  for (let at = 0; at + 4 <= length; at += 4) data.writeUInt32LE((at * 2654435761) >>> 0, at);
  data.fill(1, length - (length % 4));
  return data;
}

function hash(data: Buffer): string {
  return createHash('md5').update(data).digest('hex');
}

test('a copy of a source that changes while it is copied is ESTALE, even when the length stays', {
  timeout,
}, async () => {
  const before = pattern(3 * MIB);
  const after = Buffer.alloc(3 * MIB, 'after');
  await put('changing', before);
  const { attr } = await walk('changing');
  const upload = await uploads.create(USER, {
    root: bucket,
    key: 'joined',
    owner: 'user',
    s3: record(),
    checksumAlgorithm: '',
    xattrs: new Map(),
  });
  const copies: [string, (source: WalkReply) => Promise<unknown>][] = [
    ['copyObject', (source) => objects.copyObject(USER, source, options('copied'))],
    [
      'copyPart',
      (source) =>
        uploads.copyPart(USER, { uploadId: upload.uploadId, number: 1, etag: 'e', checksums: {} }, source, {
          offset: 0,
          length: MIB,
        }),
    ],
  ];
  for (const [name, copy] of copies) {
    const source = await walk('changing');
    const handle = await other.vfs.files.open(MOUNT, attr.ino, O_RDWR, false);
    await other.vfs.files.write(MOUNT, handle.handle, 0, after, false);
    await close(other.vfs, handle.handle);
    await assert.rejects(copy(source), (error) => isFsError(error, 'ESTALE'), name);
  }
  await assert.rejects(walk('copied'), (error) => isFsError(error, 'ENOENT'));
});
