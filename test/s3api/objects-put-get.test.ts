import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { MOUNT } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { refusal, refusalCode } from '../support/refusal.ts';
import { lookupPath, writeFile } from '../support/vfs-files.ts';
import { type WatchedWriter, watchReaders, watchWriters } from '../support/watched-objects.ts';

const options = { timeout: 60_000 };
const Bucket = 'bucket';
let gateway: TestGateway;
let readers: ReturnType<typeof watchReaders>;
let writers: WatchedWriter[];
before(async () => {
  gateway = await testGateway();
  readers = watchReaders(gateway.faults);
  writers = watchWriters(gateway.faults);
  await gateway.addBucket(Bucket);
});

const md5 = (data: Buffer | string): string => createHash('md5').update(data).digest('hex');

async function get(Key: string, more: object = {}): Promise<{ text: string; [field: string]: unknown }> {
  const answer = await gateway.alice.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return { ...answer, text: await answer.Body!.transformToString('latin1') };
}

async function put(Key: string, Body: string | Buffer, more: object = {}): Promise<string> {
  const answer = await gateway.alice.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
  return answer.ETag!;
}

test('a PUT answers the MD5 as ETag and a GET answers the bytes and the checksum', options, async () => {
  const answer = await gateway.alice.send(new PutObjectCommand({ Bucket, Key: 'hello', Body: 'hello' }));
  assert.equal(answer.ETag, `"${md5('hello')}"`);
  assert.equal(answer.ChecksumCRC32, 'NhCmhg==');
  assert.equal(answer.ChecksumType, 'FULL_OBJECT');
  const got = await get('hello');
  assert.equal(got.text, 'hello');
  assert.equal(got.ETag, `"${md5('hello')}"`);
  assert.equal(got.ChecksumCRC32, 'NhCmhg==');
  assert.equal(got.ContentType, 'application/octet-stream');
  assert.equal(got.AcceptRanges, 'bytes');
});

test('a large streamed body comes back the same, and no reader stays open', options, async () => {
  const data = randomBytes(9_000_001);
  const pieces = [data.subarray(0, 100), data.subarray(100, 4_000_000), data.subarray(4_000_000)];
  await gateway.alice.send(
    new PutObjectCommand({ Bucket, Key: 'large', Body: Readable.from(pieces), ContentLength: data.length }),
  );
  const answer = await gateway.alice.send(new GetObjectCommand({ Bucket, Key: 'large' }));
  assert.equal(answer.ContentLength, data.length);
  assert.equal(md5(Buffer.from(await answer.Body!.transformToByteArray())), md5(data));
  assert.equal(readers.open, 0);
});

test('a client that goes away in the middle of a download leaves no reader open', options, async () => {
  await put('left', randomBytes(40_000_000));
  const url = await getSignedUrl(gateway.alice, new GetObjectCommand({ Bucket, Key: 'left' }));
  const sent = httpRequest(url);
  const [answer] = (await once(sent.end(), 'response')) as [IncomingMessage];
  await once(answer, 'data');
  assert.equal(readers.open, 1);
  answer.destroy();
  while (readers.open > 0) await nextTurn();
});

test('stored headers, metadata, tags and Content-Type come back', options, async () => {
  await put('headers', 'x', {
    CacheControl: 'max-age=5',
    ContentDisposition: 'attachment; filename="a b"',
    ContentEncoding: 'gzip',
    ContentLanguage: 'de',
    ContentType: 'text/plain; charset=utf-8',
    Metadata: { one: '1', 'two-two': 'a b', mime_type: 'kept apart', empty: '' },
    Tagging: 'b=2&a=1',
  });
  const head = await gateway.alice.send(new HeadObjectCommand({ Bucket, Key: 'headers' }));
  assert.equal(head.CacheControl, 'max-age=5');
  assert.equal(head.ContentDisposition, 'attachment; filename="a b"');
  assert.equal(head.ContentEncoding, 'gzip');
  assert.equal(head.ContentLanguage, 'de');
  assert.equal(head.ContentType, 'text/plain; charset=utf-8');
  assert.equal(head.ContentLength, 1);
  assert.deepEqual(head.Metadata, { one: '1', 'two-two': 'a b', mime_type: 'kept apart', empty: '' });
  assert.equal(head.TagCount, 2);
  const { ino } = (await lookupPath(gateway.vfs, `${Bucket}/headers`)).attr;
  assert.deepEqual((await gateway.vfs.attributes.listxattr(MOUNT, ino)).sort(), [
    'user.empty',
    'user.mime_type',
    'user.one',
    'user.two-two',
    'user.x-amz-meta-mime_type',
  ]);
  const type = await gateway.vfs.attributes.getxattr(MOUNT, ino, 'user.mime_type');
  assert.equal(type.toString(), 'text/plain; charset=utf-8');
  const { TagSet } = await gateway.alice.send(new GetObjectTaggingCommand({ Bucket, Key: 'headers' }));
  assert.deepEqual(TagSet, [
    { Key: 'a', Value: '1' },
    { Key: 'b', Value: '2' },
  ]);
});

test('Expires is kept as it was sent', options, async () => {
  const url = await getSignedUrl(gateway.alice, new PutObjectCommand({ Bucket, Key: 'expires' }));
  const sent = await fetch(url, { method: 'PUT', body: 'x', headers: { Expires: 'next Tuesday' } });
  assert.equal(sent.status, 200);
  const signed = await getSignedUrl(gateway.alice, new GetObjectCommand({ Bucket, Key: 'expires' }));
  assert.equal((await fetch(signed)).headers.get('expires'), 'next Tuesday');
});

test('aws-chunked is no content encoding of the object', options, async () => {
  for (const [sent, kept] of [
    ['gzip, aws-chunked', 'gzip'],
    ['aws-chunked, deflate', 'deflate'],
    ['aws-chunked', undefined],
  ] as const) {
    await put('encoding', 'x', { ContentEncoding: sent });
    const head = await gateway.alice.send(new HeadObjectCommand({ Bucket, Key: 'encoding' }));
    assert.equal(head.ContentEncoding, kept, `sent ${sent}`);
  }
});

test('xattrs that a header cannot carry are counted, not shown', options, async () => {
  await put('xattrs', 'x');
  const { ino } = (await lookupPath(gateway.vfs, `${Bucket}/xattrs`)).attr;
  for (const [name, value] of [
    ['user.fine', 'ja'],
    ['user.Upper', 'x'],
    ['user.line', 'a\nb'],
    ['user.huge', 'h'.repeat(60_000)],
    ['security.capability', 'x'],
  ] as const) {
    await gateway.vfs.attributes.setxattr(MOUNT, ino, name, Buffer.from(value), 0);
  }
  const head = await gateway.alice.send(new HeadObjectCommand({ Bucket, Key: 'xattrs' }));
  assert.deepEqual(head.Metadata, { fine: 'ja' });
  assert.equal(head.MissingMeta, 3);
});

test('metadata over 2 KiB is refused and nothing is stored', options, async () => {
  await put('meta', 'x', { Metadata: { a: 'v'.repeat(2047) } });
  assert.equal(await refusalCode(put('meta2', 'x', { Metadata: { a: 'v'.repeat(2048) } })), 'MetadataTooLarge 400');
  assert.equal(await refusalCode(get('meta2')), 'NoSuchKey 404');
});

test('what is not implemented is refused clearly', options, async () => {
  assert.equal(await refusalCode(put('x', 'x', { StorageClass: 'GLACIER' })), 'InvalidStorageClass 400');
  assert.equal(await refusalCode(put('x', 'x', { ServerSideEncryption: 'AES256' })), 'NotImplemented 501');
  assert.equal(await refusalCode(put('x', 'x', { ObjectLockLegalHoldStatus: 'ON' })), 'NotImplemented 501');
  assert.equal(await refusalCode(put('x', 'x', { ACL: 'public-read' })), 'NotImplemented 501');
  assert.equal(await refusalCode(put('x', 'x', { GrantRead: 'id=1' })), 'NotImplemented 501');
  assert.equal(await refusalCode(put('x', 'x', { WriteOffsetBytes: 1 })), 'NotImplemented 501');
  await put('x', 'x', { StorageClass: 'STANDARD', ACL: 'private' });
});

test('a wrong checksum or Content-MD5 stores nothing', options, async () => {
  assert.equal(await refusalCode(put('bad', 'x', { ChecksumSHA256: md5('wrong').repeat(2) })), 'InvalidRequest 400');
  assert.equal(await refusalCode(put('bad', 'x', { ChecksumCRC32: 'AAAAAA==' })), 'BadDigest 400');
  const wrong = createHash('md5').update('y').digest('base64');
  assert.equal(await refusalCode(put('bad', 'x', { ContentMD5: wrong })), 'BadDigest 400');
  assert.equal(await refusalCode(get('bad')), 'NoSuchKey 404');
  assert.ok(writers.at(-1)!.aborted, 'the writer must be given up');
});

test('conditional PUTs are decided against what is there when they publish', options, async () => {
  const etag = await put('cond', 'one', { IfNoneMatch: '*' });
  assert.equal(await refusalCode(put('cond', 'two', { IfNoneMatch: '*' })), 'PreconditionFailed 412');
  assert.equal(await refusalCode(put('cond', 'two', { IfMatch: '"0"' })), 'PreconditionFailed 412');
  assert.equal(await refusalCode(put('absent', 'two', { IfMatch: '*' })), 'NoSuchKey 404');
  const second = await put('cond', 'two', { IfMatch: etag });
  const restore = gateway.faults.replace('objects', 'putObject', (real) => async (...args) => {
    await writeFile(gateway.vfs, 'cond', 'mount', Bucket);
    return await real(...args);
  });
  assert.equal(await refusalCode(put('cond', 'three', { IfMatch: second })), 'PreconditionFailed 412');
  restore();
  assert.equal((await get('cond')).text, 'mount');
});

test('the ETag and checksums of bytes that the mount changed are not those of the PUT', options, async () => {
  const etag = await put('mounted', 'one');
  await writeFile(gateway.vfs, 'mounted', 'two!', Bucket);
  const got = await get('mounted');
  assert.equal(got.text, 'two!');
  assert.notEqual(got.ETag, etag);
  assert.match(String(got.ETag), /^"[0-9a-f]{32}-1"$/);
  assert.equal(got.ChecksumCRC32, undefined);
  await writeFile(gateway.vfs, 'fresh', 'abc', Bucket);
  assert.equal((await get('fresh')).ContentType, 'binary/octet-stream');
});

test('ranges: single ones are cut, malformed and multiple ones ignored, others 416', options, async () => {
  await put('range', '0123456789');
  for (const [Range, text, contentRange] of [
    ['bytes=0-3', '0123', 'bytes 0-3/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-4', '6789', 'bytes 6-9/10'],
    ['bytes=-99', '0123456789', 'bytes 0-9/10'],
    ['bytes=5-500', '56789', 'bytes 5-9/10'],
  ]) {
    const got = await get('range', { Range });
    assert.equal(got.text, text, Range);
    assert.equal(got.ContentRange, contentRange);
    assert.equal((got.$metadata as { httpStatusCode: number }).httpStatusCode, 206);
    assert.equal(got.ChecksumCRC32, undefined);
  }
  for (const Range of ['bytes=3-1', 'bytes=a-b', 'chars=0-1', 'bytes=0-1,3-4', 'bytes= -1', 'bytes=0 -1', 'bytes=-']) {
    const got = await get('range', { Range });
    assert.equal(got.text, '0123456789', Range);
    assert.equal((got.$metadata as { httpStatusCode: number }).httpStatusCode, 200);
  }
  assert.equal(await refusalCode(get('range', { Range: 'bytes=10-' })), 'InvalidRange 416');
  assert.equal(await refusalCode(get('range', { Range: 'bytes=-0' })), 'InvalidRange 416');
  await put('empty', '');
  assert.equal(await refusalCode(get('empty', { Range: 'bytes=0-1' })), 'InvalidRange 416');
  assert.equal((await get('empty')).text, '');
});

test('conditional GETs follow the precedence of RFC 9110', options, async () => {
  const etag = await put('read', 'x');
  const past = new Date(Date.now() - 3_600_000);
  const future = new Date(Date.now() + 3_600_000);
  const status = async (more: object): Promise<string> => {
    try {
      await get('read', more);
      return '200';
    } catch (error) {
      return String((error as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode);
    }
  };
  assert.equal(await status({ IfMatch: etag }), '200');
  assert.equal(await status({ IfMatch: '"other"' }), '412');
  assert.equal(await status({ IfMatch: etag, IfUnmodifiedSince: past }), '200');
  assert.equal(await status({ IfUnmodifiedSince: past }), '412');
  assert.equal(await status({ IfNoneMatch: etag }), '304');
  assert.equal(await status({ IfNoneMatch: '*' }), '304');
  assert.equal(await status({ IfNoneMatch: '"other"', IfModifiedSince: future }), '200');
  assert.equal(await status({ IfModifiedSince: future }), '200');
  assert.equal(await status({ IfModifiedSince: past }), '200');
});

test('response-* parameters replace headers, and cannot split the answer', options, async () => {
  await put('override', 'x', { CacheControl: 'max-age=1' });
  const got = await get('override', { ResponseCacheControl: 'no-cache', ResponseContentType: 'foo/bar' });
  assert.equal(got.CacheControl, 'no-cache');
  assert.equal(got.ContentType, 'foo/bar');
  const bad = await refusal(get('override', { ResponseContentType: 'a\r\nX: y' }));
  assert.equal(`${bad.code} ${bad.status}`, 'InvalidArgument 400');
});

test('a presigned PUT ignores the checksum of the empty body in its query', options, async () => {
  const url = await getSignedUrl(gateway.alice, new PutObjectCommand({ Bucket, Key: 'presigned', ACL: 'private' }));
  const sent = await fetch(url, { method: 'PUT', body: 'from a browser' });
  assert.equal(sent.status, 200, await sent.text());
  assert.equal((await get('presigned')).text, 'from a browser');
});

test('a presigned PUT takes metadata and tags from its query', options, async () => {
  const command = new PutObjectCommand({ Bucket, Key: 'hoisted', Metadata: { who: 'me' }, Tagging: 'a=1' });
  const sent = await fetch(await getSignedUrl(gateway.alice, command), { method: 'PUT', body: 'x' });
  assert.equal(sent.status, 200, await sent.text());
  const head = await gateway.alice.send(new HeadObjectCommand({ Bucket, Key: 'hoisted' }));
  assert.deepEqual(head.Metadata, { who: 'me' });
  assert.equal(head.TagCount, 1);
});

test('dir/ makes a directory and takes no bytes', options, async () => {
  await put('dir/', '');
  assert.equal((await get('dir/')).text, '');
  assert.equal(await refusalCode(put('dir2/', 'bytes')), 'InvalidRequest 400');
  assert.equal(await refusalCode(get('dir2/')), 'NoSuchKey 404');
});

test('versions: null is the only one', options, async () => {
  await put('version', 'x');
  assert.equal((await get('version', { VersionId: 'null' })).text, 'x');
  assert.equal(await refusalCode(get('version', { VersionId: 'abc' })), 'NoSuchVersion 404');
  const gone = gateway.alice.send(new DeleteObjectCommand({ Bucket, Key: 'version', VersionId: 'abc' }));
  assert.equal(await refusalCode(gone), 'NoSuchVersion 404');
});

test('deleting answers 204 whether the key was there or not, and obeys If-Match', options, async () => {
  const etag = await put('gone', 'x');
  const remove = (Key: string, more: object = {}): Promise<{ $metadata: { httpStatusCode?: number } }> =>
    gateway.alice.send(new DeleteObjectCommand({ Bucket, Key, ...more }));
  assert.equal(await refusalCode(remove('gone', { IfMatch: '"0"' })), 'PreconditionFailed 412');
  assert.equal((await remove('gone', { IfMatch: etag })).$metadata.httpStatusCode, 204);
  assert.equal((await remove('gone')).$metadata.httpStatusCode, 204);
  assert.equal((await remove('gone', { IfMatch: etag })).$metadata.httpStatusCode, 204);
  assert.equal((await remove(`${'n'.repeat(300)}/x`)).$metadata.httpStatusCode, 204);
});

test('DeleteObjects answers per key, in order, and quietly when asked', options, async () => {
  await put('d1', 'x');
  await put('d ü', 'x');
  const Objects = [{ Key: 'd1' }, { Key: 'd ü' }, { Key: 'never' }, { Key: 'd3', VersionId: 'v' }, { Key: 'd1' }];
  const answer = await gateway.alice.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.deepEqual(
    answer.Deleted!.map(({ Key }) => Key),
    ['d1', 'd ü', 'never', 'd1'],
  );
  assert.deepEqual(
    answer.Errors!.map(({ Key, Code, VersionId }) => [Key, Code, VersionId]),
    [['d3', 'NoSuchVersion', 'v']],
  );
  assert.equal(await refusalCode(get('d ü')), 'NoSuchKey 404');
  const quiet = new DeleteObjectsCommand({
    Bucket,
    Delete: { Objects: [{ Key: 'a', VersionId: 'null' }], Quiet: true },
  });
  assert.equal((await gateway.alice.send(quiet)).Deleted, undefined);
  const many = Array.from({ length: 1001 }, (_, index) => ({ Key: `k${index}` }));
  const tooMany = new DeleteObjectsCommand({ Bucket, Delete: { Objects: many } });
  assert.equal(await refusalCode(gateway.alice.send(tooMany)), 'MalformedXML 400');
});

test('a GET whose object changes before it is read looks again', options, async () => {
  await put('busy', 'old');
  let interruptions = 3;
  const restore = gateway.faults.replace('objects', 'walk', (real) => async (ctx, path, want) => {
    // Without data, as for an object of more than one chunk: the reader asks for its map later.
    const walked = await real(ctx, path, { ...want, data: false });
    if (interruptions-- > 0) await writeFile(gateway.vfs, 'busy', `new ${interruptions}`, Bucket);
    return walked;
  });
  assert.equal((await get('busy')).text, 'new 0');
  assert.ok(interruptions < 0, 'it looked a fourth time');
  restore();
});

test('a client that is gone before the answer leaves no reader open', options, async () => {
  await put('early', randomBytes(3_000_000));
  const url = await getSignedUrl(gateway.alice, new GetObjectCommand({ Bucket, Key: 'early' }));
  const gone = new AbortController();
  let tell: () => void;
  const opened = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const restore = gateway.faults.replace('objects', 'openObject', (real) => (ctx, walked) => {
    gone.abort();
    tell();
    const reader = real(ctx, walked);
    // The first piece comes when the server has heard that the connection is closed.
    const read = reader.read.bind(reader);
    reader.read = (offset, lengthMax) => settled.then(() => read(offset, lengthMax));
    return reader;
  });
  const settled = opened.then(() => new Promise((resolve) => setTimeout(resolve, 200)));
  await assert.rejects(once(httpRequest(url, { signal: gone.signal }).end(), 'response'));
  await settled;
  restore();
  const end = Date.now() + 20_000;
  while (readers.open > 0 && Date.now() < end) await nextTurn();
  assert.equal(readers.open, 0);
});
