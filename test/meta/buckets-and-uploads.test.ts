import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { type Ino, ROOT_INO } from '../../src/base/vocabulary.ts';
import type { Upload } from '../../src/meta/meta.ts';
import { deleteBucket, listBuckets } from '../../src/meta/schema/object-schemas.ts';
import type { ResponseOf } from '../../src/meta/schema/script-schema.ts';
import { caller, KERNEL } from '../support/callers.ts';
import { type ContentMember, contentVolume, makeDir, makeFile, s3Record, writeInline } from './content-fixture.ts';
import { checkVolume } from './volume-check.ts';

const LIMIT = { timeout: 60_000 };
const ADMIN = caller(0);
let m: ContentMember;

before(async () => {
  ({ m } = await contentVolume());
}, LIMIT);

async function fails(code: string, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(isFsError(error), `${error}`);
    assert.equal(error.code, code, error.message);
    return true;
  });
}

function newUpload(root: Ino, key: string): Promise<Upload> {
  return m.uploads.create({
    root,
    key,
    owner: 'me',
    s3: s3Record('', { headers: { expires: '\xff' } }),
    checksumAlgorithm: 'CRC32',
    xattrs: new Map([['user.a', Buffer.from([0, 255])]]),
  });
}

async function newPart(uploadId: string, number: number, text: string) {
  const { ino } = await m.ns.mkHidden(0o100600, 0, 0);
  await writeInline(m, ino, 0, Buffer.from(text));
  return m.uploads.putPart(uploadId, {
    number,
    ino,
    sizeBytes: text.length,
    etag: `e${text}`,
    checksums: { CRC32: 'x' },
  });
}

async function bucket(name: string): Promise<Ino> {
  return (await m.buckets.create(name, ADMIN, 0o755)).entry.attr.ino;
}

function publishEmpty(root: Ino, key: string, uploadId?: string) {
  return m.objects.publish({
    path: { root, components: key.split('/'), directory: false },
    caller: ADMIN,
    precondition: {},
    content: { kind: 'pieces', pieces: [], sizeBytes: 0 },
    fileMode: 0o644,
    dirMode: 0o755,
    s3: s3Record('final-2'),
    xattrs: new Map(),
    ...(uploadId === undefined ? {} : { uploadId }),
  });
}

test('buckets are the top-level directories with valid names, in pages', LIMIT, async () => {
  await makeDir(m, 'Not_A_Bucket');
  await makeDir(m, '192.168.0.1');
  await makeDir(m, 'mk-dir');
  await makeFile(m, 'a-file');
  const made = await m.buckets.create('a-file', caller(42), 0o750);
  assert.equal(made.entry.shadowed, true);
  assert.deepEqual([made.entry.attr.uid, made.entry.attr.mode & 0o777], [42, 0o750]);
  await bucket('zz.top');
  const all = await m.buckets.list('', '', 100);
  assert.deepEqual([all.entries.map((entry) => entry.name), all.truncated], [['a-file', 'mk-dir', 'zz.top'], false]);
  const first = await m.buckets.list('', '', 2);
  assert.equal(first.truncated, true);
  const rest = await m.buckets.list('mk-dir', '', 2);
  assert.deepEqual([rest.entries.map((entry) => entry.name), rest.truncated], [['zz.top'], false]);
  assert.deepEqual((await m.buckets.list('', 'mk', 5)).entries.length, 1);
  await fails('EEXIST', m.buckets.create('mk-dir', ADMIN, 0o755));
  for (const name of ['ab', 'Upper', 'a..b', '-ab', 'xn--abc', '1.2.3.4']) {
    await fails('EINVAL', m.buckets.create(name, ADMIN, 0o755));
  }
  await fails('ENOENT', m.buckets.delete('nothing', ADMIN));
  await fails('ENOENT', m.buckets.delete('Not_A_Bucket', ADMIN));
  await checkVolume(m.engine);
});

test('a bucket is deleted when nothing would be listed, with its uploads and their parts', LIMIT, async () => {
  const root = await bucket('doomed');
  await publishEmpty(root, 'a/b/c');
  await fails('ENOTEMPTY', m.buckets.delete('doomed', ADMIN));
  await m.objects.remove({
    path: { root, components: ['a', 'b', 'c'], directory: false },
    caller: ADMIN,
    precondition: {},
  });
  const upload = await newUpload(root, 'big');
  const part = await newPart(upload.uploadId, 1, 'part');
  const { attr } = await m.buckets.delete('doomed', ADMIN);
  assert.equal(attr.nlink, 0);
  while ((await m.upkeep.reap(1)).more);
  await fails('ENOENT', m.ns.getattr(part.ino));
  await fails('ENOENT', m.uploads.get({ uploadId: upload.uploadId, root, key: 'big' }));
  await checkVolume(m.engine);
});

test('a bucket full of empty implicit directories is emptied step by step', LIMIT, async () => {
  const root = await bucket('hollow');
  for (const key of ['a/b/c', 'a/d/e', 'f/g']) {
    const { parent, name } = await publishEmpty(root, key);
    await m.ns.unlink(parent, name, 'primary', KERNEL);
  }
  const states: string[] = [];
  while (states.at(-1) !== 'yes') {
    assert.ok(states.length < 20, states.join());
    const { state } = await m.engine.mutate(deleteBucket, { name: 'hollow', caller: KERNEL, most: 1 });
    states.push(state);
    await checkVolume(m.engine);
  }
  assert.deepEqual(states, ['more', 'more', 'more', 'yes']);
});

test('many top-level directories are listed over several scripts', LIMIT, async () => {
  const names = Array.from({ length: 450 }, (_, i) => `many-${String(i).padStart(4, '0')}`);
  await Promise.all(names.map((name) => makeDir(m, name)));
  const found: string[] = [];
  let low: Buffer = Buffer.from('[many-');
  let scripts = 0;
  for (let state: string = 'go'; state === 'go'; scripts++) {
    const request = { low, prefix: Buffer.from('many-'), limit: 1000, steps: 1 };
    const page: ResponseOf<typeof listBuckets> = await m.engine.read(listBuckets, request);
    found.push(...page.entries.map((entry) => entry.name));
    state = page.state;
    low = page.low;
  }
  assert.deepEqual(found, names);
  assert.equal(scripts, 3);
  const page = await m.buckets.list('many-0099', 'many-', 300);
  assert.deepEqual([page.entries.map((entry) => entry.name), page.truncated], [names.slice(100, 400), true]);
});

test(
  'an upload keeps what Complete needs, its parts in order, and replaces a part of the same number',
  LIMIT,
  async () => {
    const root = await bucket('parts');
    const upload = await newUpload(root, 'k\xff');
    assert.deepEqual(await m.uploads.get({ uploadId: upload.uploadId, root, key: 'k\xff' }), upload);
    await fails('ENOENT', m.uploads.get({ uploadId: upload.uploadId, root, key: 'other' }));
    await fails('ENOENT', m.uploads.get({ uploadId: 'nothing', root, key: 'k\xff' }));
    const late = await newPart(upload.uploadId, 1000, 'late');
    const early = await newPart(upload.uploadId, 2, 'early');
    const again = await newPart(upload.uploadId, 2, 'again');
    const list = await m.uploads.listParts({
      uploadId: upload.uploadId,
      root,
      key: 'k\xff',
      afterNumber: 0,
      limit: 10,
    });
    assert.deepEqual(list, { upload, parts: [again, late], truncated: false });
    const page = await m.uploads.listParts({ uploadId: upload.uploadId, root, key: 'k\xff', afterNumber: 0, limit: 1 });
    assert.deepEqual([page.parts, page.truncated], [[again], true]);
    assert.deepEqual(
      (await m.uploads.listParts({ uploadId: upload.uploadId, root, key: 'k\xff', afterNumber: 2, limit: 1 })).parts,
      [late],
    );
    await m.upkeep.reap(100);
    await fails('ENOENT', m.ns.getattr(early.ino));
    await m.ns.getattr(again.ino);
    const { ino } = await m.ns.mkHidden(0o100600, 0, 0);
    await fails('ENOENT', m.uploads.putPart('nothing', { number: 1, ino, sizeBytes: 0, etag: '', checksums: {} }));
    await m.ns.release(ino);
  },
);

test('parts outlive the session that stored them', LIMIT, async () => {
  const root = await bucket('outlive');
  const upload = await newUpload(root, 'k');
  const part = await newPart(upload.uploadId, 1, 'bytes');
  await m.ns.release(part.ino);
  await m.upkeep.reap(100);
  assert.equal((await m.ns.getattr(part.ino)).size, 5);
});

test('completing removes the upload in the same step and keeps the answer', LIMIT, async () => {
  const root = await bucket('complete');
  const upload = await newUpload(root, 'k');
  const part = await newPart(upload.uploadId, 1, 'bytes');
  assert.equal(await m.uploads.completed(upload.uploadId), undefined);
  const target = await m.ns.mkHidden(0o100600, 0, 0);
  await m.data.cloneRange({ source: part.ino, sourceOffset: 0, target: target.ino, targetOffset: 0, length: 5 });
  await m.objects.publish({
    path: { root, components: ['k'], directory: false },
    caller: ADMIN,
    precondition: {},
    content: { kind: 'inode', ino: target.ino },
    fileMode: 0o644,
    dirMode: 0o755,
    s3: s3Record('final-1'),
    xattrs: new Map(),
    uploadId: upload.uploadId,
  });
  assert.deepEqual(await m.uploads.completed(upload.uploadId), { etag: 'final-1' });
  await fails('ENOENT', m.uploads.get({ uploadId: upload.uploadId, root, key: 'k' }));
  await fails('ESTALE', publishEmpty(root, 'k', upload.uploadId));
  while ((await m.upkeep.reap(100)).more);
  await fails('ENOENT', m.ns.getattr(part.ino));
  const { map } = await m.data.readMap(target.ino, 0, 1, 100);
  assert.equal(Buffer.concat([...map.inline.values()]).toString(), 'bytes');
  await checkVolume(m.engine);
});

test('uploads are listed by key, then by start, and aborted ones are gone', LIMIT, async () => {
  const root = await bucket('listing');
  const made: Upload[] = [];
  for (const key of ['b', 'a', 'a/x', 'a', 'a\x01', 'ab']) made.push(await newUpload(root, key));
  // Two uploads of one key begun in the same millisecond are ordered by their random part.
  const order = made.slice().sort((x, y) => {
    const byKey = Buffer.compare(Buffer.from(x.key, 'latin1'), Buffer.from(y.key, 'latin1'));
    return byKey === 0 ? (x.uploadId < y.uploadId ? -1 : 1) : byKey;
  });
  const ids = (uploads: Upload[]) => uploads.map((upload) => upload.uploadId);
  const all = await m.uploads.list({ root, prefix: '', afterKey: '', afterUploadId: '', limit: 100 });
  assert.deepEqual([ids(all.uploads), all.truncated], [ids(order), false]);
  assert.deepEqual(all.uploads[0], order[0]);
  const first = await m.uploads.list({ root, prefix: '', afterKey: '', afterUploadId: '', limit: 1 });
  assert.equal(first.truncated, true);
  const next = await m.uploads.list({ root, prefix: '', afterKey: 'a', afterUploadId: order[0]!.uploadId, limit: 100 });
  assert.deepEqual(ids(next.uploads), ids(order.slice(1)));
  const behindKey = await m.uploads.list({ root, prefix: '', afterKey: 'a', afterUploadId: '', limit: 100 });
  assert.deepEqual(ids(behindKey.uploads), ids(order.slice(2)));
  const prefixed = await m.uploads.list({ root, prefix: 'a/', afterKey: '', afterUploadId: '', limit: 100 });
  assert.deepEqual(
    prefixed.uploads.map((upload) => upload.key),
    ['a/x'],
  );
  assert.deepEqual(
    (await m.uploads.list({ root, prefix: 'a', afterKey: 'b', afterUploadId: '', limit: 100 })).uploads,
    [],
  );
  const part = await newPart(made[0]!.uploadId, 7, 'x');
  await m.uploads.abort({ uploadId: made[0]!.uploadId, root, key: 'b' });
  await fails('ENOENT', m.uploads.abort({ uploadId: made[0]!.uploadId, root, key: 'b' }));
  await fails('ENOENT', newPart(made[0]!.uploadId, 1, 'y'));
  while ((await m.upkeep.reap(100)).more);
  await fails('ENOENT', m.ns.getattr(part.ino));
  await checkVolume(m.engine);
});

test('many parts are freed step by step', LIMIT, async () => {
  const root = await bucket('many');
  const upload = await newUpload(root, 'k');
  await Promise.all(Array.from({ length: 500 }, (_, i) => newPart(upload.uploadId, i + 1, `p${i}`)));
  const all = await m.uploads.listParts({ uploadId: upload.uploadId, root, key: 'k', afterNumber: 0, limit: 10_000 });
  assert.deepEqual(
    all.parts.map((part) => part.number),
    Array.from({ length: 500 }, (_, i) => i + 1),
  );
  await m.uploads.abort({ uploadId: upload.uploadId, root, key: 'k' });
  let steps = 0;
  while ((await m.upkeep.reap(100)).more) steps += 1;
  assert.ok(steps > 1, 'in several scripts');
  await checkVolume(m.engine);
  assert.equal((await m.ns.getattr(ROOT_INO)).ino, ROOT_INO);
});
