/** The object operations over all layers: what S3 and the mount's side of the same volume see of each other. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { before, test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { MOUNT } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { refusalCode } from '../support/refusal.ts';
import { lookupPath, patchFile, readFile, writeFile } from '../support/vfs-files.ts';

const options = { timeout: 60_000 };
const Bucket = 'alices';
let gateway: TestGateway;
before(async () => {
  gateway = await testGateway();
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
}, options);

const md5 = (data: Buffer): string => createHash('md5').update(data).digest('hex');
const put = (Key: string, Body: string | Buffer, more: object = {}, client: S3Client = gateway.alice) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));

async function get(Key: string, more: object = {}, client: S3Client = gateway.alice): Promise<Buffer> {
  const answer = await client.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from(await answer.Body!.transformToByteArray());
}

const head = (Key: string) => gateway.alice.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));

test('what S3 puts is a file of the user, and what the mount writes is an object', options, async () => {
  await put('dir/put.txt', 'from S3', { ContentType: 'text/plain', Metadata: { color: 'blue' } });
  const { attr } = await lookupPath(gateway.vfs, `${Bucket}/dir/put.txt`);
  assert.deepEqual([attr.uid, attr.gid, attr.size], [1001, 1001, 7]);
  assert.equal((await readFile(gateway.vfs, `${Bucket}/dir/put.txt`)).toString(), 'from S3');
  assert.equal((await gateway.vfs.attributes.getxattr(MOUNT, attr.ino, 'user.color')).toString(), 'blue');
  assert.equal((await gateway.vfs.attributes.getxattr(MOUNT, attr.ino, 'user.mime_type')).toString(), 'text/plain');

  const written = await writeFile(gateway.vfs, 'mount.txt', 'from the mount', Bucket);
  assert.equal((await get('mount.txt')).toString(), 'from the mount');
  await gateway.vfs.attributes.setxattr(MOUNT, written, 'user.mime_type', Buffer.from('text/x-mount'), 0);
  await gateway.vfs.attributes.setxattr(MOUNT, written, 'user.shape', Buffer.from('round'), 0);
  const seen = await head('mount.txt');
  assert.equal(seen.ContentType, 'text/x-mount');
  assert.deepEqual(seen.Metadata, { shape: 'round' });
  assert.match(seen.ETag!, /^"[0-9a-f]{32}-1"$/);
});

test('a write through the mount changes the ETag, takes the checksum away, and decides If-Match', options, async () => {
  const { ETag } = await put('changed', 'one two');
  assert.equal((await head('changed')).ChecksumCRC32 === undefined, false);
  await patchFile(gateway.vfs, `${Bucket}/changed`, 0, 'ONE');
  const seen = await head('changed');
  assert.notEqual(seen.ETag, ETag);
  assert.equal(seen.ChecksumCRC32, undefined);
  assert.equal((await get('changed')).toString(), 'ONE two');
  const Tagging = { TagSet: [{ Key: 'k', Value: 'v' }] };
  await gateway.alice.send(new PutObjectTaggingCommand({ Bucket, Key: 'changed', Tagging }));
  const tagged = await head('changed');
  assert.deepEqual([tagged.ETag, tagged.TagCount, tagged.ChecksumCRC32], [seen.ETag, 1, undefined]);
  await writeFile(gateway.vfs, 'tagged', 'by the mount', Bucket);
  const before = await head('tagged');
  await gateway.root.send(new PutObjectTaggingCommand({ Bucket, Key: 'tagged', Tagging }));
  const after = await head('tagged');
  assert.deepEqual([after.ETag, after.TagCount], [before.ETag, 1]);
  assert.equal(await refusalCode(put('changed', 'x', { IfMatch: ETag })), 'PreconditionFailed 412');
  await put('changed', 'three', { IfMatch: seen.ETag });
  assert.equal((await get('changed')).toString(), 'three');
});

test('objects of every size come back byte for byte', options, async () => {
  for (const size of [0, 1, 4096, 65_537, 1_048_576, 1_048_577, 9_437_184, 70_000_003]) {
    const data = randomBytes(size);
    const { ETag } = await put('sized', data);
    assert.equal(ETag, `"${md5(data)}"`);
    const got = await get('sized');
    assert.equal(got.length, size);
    assert.equal(md5(got), md5(data), `${size} bytes`);
    if (size > 100) {
      const part = await get('sized', { Range: `bytes=${size - 77}-${size - 3}` });
      assert.deepEqual(part, data.subarray(size - 77, size - 2));
    }
  }
});

test('only one of many conditional creations succeeds', options, async () => {
  const tries = Array.from({ length: 10 }, (_, index) => put('race', `writer ${index}`, { IfNoneMatch: '*' }));
  const settled = await Promise.allSettled(tries);
  const winners = settled.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
  assert.equal(winners.length, 1);
  assert.equal((await get('race')).toString(), `writer ${winners[0]}`);
});

test('a and a/b live together, and odd components are names', options, async () => {
  const keys = ['a', 'a/b', 'x//y', '/lead', './dot', '../up', 'q/../r', 'trail//', 'ü € 𝄞', 'n\nl', 'p+q%2F r'];
  for (const key of keys) await put(key, key.endsWith('/') ? '' : `at ${key}`);
  for (const key of keys) {
    assert.equal((await get(key)).toString('utf8'), key.endsWith('/') ? '' : `at ${key}`, JSON.stringify(key));
  }
  for (const key of keys) await gateway.alice.send(new DeleteObjectCommand({ Bucket, Key: key }));
  for (const key of keys) assert.equal(await refusalCode(get(key)), 'NoSuchKey 404', JSON.stringify(key));
});

test('a file that claims an absurd time is listed and answered', options, async () => {
  const farFuture = await writeFile(gateway.vfs, 'far-future', 'x', Bucket);
  await gateway.vfs.attributes.setattr(MOUNT, farFuture, { mtime: { sec: 9_999_999_999_999, nsec: 0 } });
  const page = await gateway.alice.send(new ListObjectsV2Command({ Bucket, Prefix: 'far-future' }));
  assert.equal(page.Contents?.[0]?.LastModified?.toISOString(), '9999-12-31T23:59:59.000Z');
  const { LastModified } = await head('far-future');
  assert.equal(LastModified?.toISOString(), '9999-12-31T23:59:59.000Z');
  const unchanged = { Bucket, Key: 'far-future', IfModifiedSince: LastModified };
  assert.equal(await refusalCode(gateway.alice.send(new GetObjectCommand(unchanged))), 'Unknown 304');
});

test('deleting takes implicit parents away and leaves made ones', options, async () => {
  await put('im/pli/cit', 'x');
  assert.equal(await refusalCode(get('im/')), 'NoSuchKey 404');
  await gateway.alice.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'im/pli/cit' }] } }));
  await assert.rejects(lookupPath(gateway.vfs, `${Bucket}/im`), { code: 'ENOENT' });

  const { ino } = (await lookupPath(gateway.vfs, Bucket)).attr;
  await gateway.vfs.names.mkdir(MOUNT, ino, 'made', 0o777);
  assert.equal((await get('made/')).length, 0);
  assert.equal((await head('made/')).ContentType, 'application/x-directory');
  await gateway.root.send(new PutObjectCommand({ Bucket, Key: 'made/x', Body: 'x' }));
  assert.equal(await refusalCode(get('made/')), 'NoSuchKey 404');
  await gateway.root.send(new DeleteObjectCommand({ Bucket, Key: 'made/x' }));
  assert.equal((await get('made/')).length, 0);

  await put('marker/', '', { Metadata: { kept: 'yes' } });
  await put('marker/x', 'x');
  assert.deepEqual((await head('marker/')).Metadata, { kept: 'yes' });
});

test('symbolic links are followed inside the volume; special and dangling files are no objects', options, async () => {
  const { ino } = (await lookupPath(gateway.vfs, Bucket)).attr;
  await put('real', 'the target');
  await gateway.vfs.names.symlink(MOUNT, ino, 'link', Buffer.from('real'));
  await gateway.vfs.names.symlink(MOUNT, ino, 'dangling', Buffer.from('nowhere'));
  await gateway.vfs.names.symlink(MOUNT, ino, 'loop', Buffer.from('loop'));
  await gateway.vfs.names.mknod(MOUNT, ino, 'fifo', 0o010644, 0);
  assert.equal((await get('link')).toString(), 'the target');
  for (const key of ['dangling', 'loop', 'fifo', 'link/x']) {
    assert.equal(await refusalCode(get(key)), 'NoSuchKey 404', key);
  }
});

test("another user gets nothing of a private bucket's", options, async () => {
  await put('private', 'secret');
  const { ino } = (await lookupPath(gateway.vfs, Bucket)).attr;
  await gateway.vfs.attributes.setattr(MOUNT, ino, { mode: 0o755 });
  const file = (await lookupPath(gateway.vfs, `${Bucket}/private`)).attr;
  await gateway.vfs.attributes.setattr(MOUNT, file.ino, { mode: 0o644 });
  const { bob } = gateway;
  assert.equal((await get('private', {}, bob)).toString(), 'secret');
  assert.equal(await refusalCode(put('private', 'mine now', {}, bob)), 'AccessDenied 403');
  assert.equal(await refusalCode(bob.send(new DeleteObjectCommand({ Bucket, Key: 'private' }))), 'AccessDenied 403');
  const Tagging = { TagSet: [{ Key: 'a', Value: 'b' }] };
  const tag = bob.send(new PutObjectTaggingCommand({ Bucket, Key: 'private', Tagging }));
  assert.equal(await refusalCode(tag), 'AccessDenied 403');
  const made = await gateway.alice.send(new CreateMultipartUploadCommand({ Bucket, Key: 'private' }));
  const abort = (client: S3Client) =>
    client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'private', UploadId: made.UploadId! }));
  assert.equal(await refusalCode(abort(bob)), 'AccessDenied 403');
  await gateway.vfs.attributes.setattr(MOUNT, file.ino, { mode: 0o600 });
  assert.equal(await refusalCode(get('private', {}, bob)), 'AccessDenied 403');
  await gateway.vfs.attributes.setattr(MOUNT, ino, { mode: 0o700 });
  assert.equal(await refusalCode(get('private', {}, bob)), 'AccessDenied 403');
  await abort(gateway.alice);
});

test('copies share bytes and are told apart from what the mount writes later', options, async () => {
  for (const [key, data] of [
    ['small', Buffer.from('small one')],
    ['large', randomBytes(6_000_000)],
  ] as const) {
    const made = await put(key, data, { Tagging: 'k=v', ContentType: 'a/b' });
    const CopySource = `${Bucket}/${key}`;
    const copied = await gateway.alice.send(new CopyObjectCommand({ Bucket, Key: `${key}-copy`, CopySource }));
    assert.equal(copied.CopyObjectResult!.ETag, made.ETag);
    await patchFile(gateway.vfs, `${Bucket}/${key}`, 0, 'CHANGED');
    assert.equal(md5(await get(`${key}-copy`)), md5(data));
    const seen = await head(`${key}-copy`);
    assert.equal(seen.ETag, made.ETag);
    assert.equal(seen.ContentType, 'a/b');
    assert.ok(seen.ChecksumCRC32 !== undefined);
    const tags = await gateway.alice.send(new GetObjectTaggingCommand({ Bucket, Key: `${key}-copy` }));
    assert.deepEqual(tags.TagSet, [{ Key: 'k', Value: 'v' }]);
    const changed = await gateway.alice.send(new CopyObjectCommand({ Bucket, Key: `${key}-2`, CopySource }));
    assert.notEqual(changed.CopyObjectResult!.ETag, made.ETag);
    assert.equal((await head(`${key}-2`)).ETag, changed.CopyObjectResult!.ETag);
    assert.equal((await get(`${key}-2`)).toString('latin1', 0, 7), 'CHANGED');
  }
  await put('self', 'x');
  const itself = { Bucket, Key: 'self', CopySource: `${Bucket}/self`, MetadataDirective: 'REPLACE' as const };
  await gateway.alice.send(new CopyObjectCommand({ ...itself, Metadata: { now: 'here' } }));
  assert.deepEqual((await head('self')).Metadata, { now: 'here' });
  assert.equal((await get('self')).toString(), 'x');
});

test('a multipart upload becomes one file; its parts stay readable until the mount writes', options, async () => {
  const Key = 'multi/part';
  const parts = [randomBytes(5 * 1024 * 1024), randomBytes(5 * 1024 * 1024 + 3), randomBytes(11)];
  await put('source', parts[1]!);
  const made = await gateway.alice.send(
    new CreateMultipartUploadCommand({
      Bucket,
      Key,
      Metadata: { m: 'p' },
      ContentType: 'x/y',
      ChecksumAlgorithm: 'CRC32',
      ChecksumType: 'FULL_OBJECT',
    }),
  );
  const UploadId = made.UploadId!;
  const listed = await gateway.alice.send(new ListMultipartUploadsCommand({ Bucket, Prefix: 'multi/' }));
  assert.deepEqual(
    listed.Uploads!.map((one) => [one.Key, one.UploadId]),
    [[Key, UploadId]],
  );
  assert.equal(await refusalCode(get(Key)), 'NoSuchKey 404');
  const Parts: { PartNumber: number; ETag: string }[] = [];
  for (const [index, Body] of parts.entries()) {
    const id = { Bucket, Key, UploadId, PartNumber: index + 1 };
    const ETag =
      index === 1
        ? (await gateway.alice.send(new UploadPartCopyCommand({ ...id, CopySource: `${Bucket}/source` })))
            .CopyPartResult!.ETag!
        : (await gateway.alice.send(new UploadPartCommand({ ...id, Body, ChecksumAlgorithm: 'CRC32' }))).ETag!;
    Parts.push({ PartNumber: index + 1, ETag });
  }
  const complete = () =>
    gateway.alice.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
  const done = await Promise.all([complete(), complete()]);
  assert.equal(done[0].ETag, done[1].ETag);
  assert.equal((await complete()).ETag, done[0].ETag);
  const whole = Buffer.concat(parts);
  assert.equal(md5(await get(Key)), md5(whole));
  assert.equal(md5(Buffer.from(await readFile(gateway.vfs, `${Bucket}/${Key}`), 'latin1')), md5(whole));
  assert.equal(md5(await get(Key, { PartNumber: 2 })), md5(parts[1]!));
  const seen = await head(Key);
  assert.deepEqual([seen.ContentType, seen.Metadata, seen.ETag], ['x/y', { m: 'p' }, done[0].ETag]);
  const rest = await gateway.alice.send(new ListMultipartUploadsCommand({ Bucket }));
  assert.equal(rest.Uploads, undefined);
  await patchFile(gateway.vfs, `${Bucket}/${Key}`, 0, 'x');
  assert.equal(await refusalCode(get(Key, { PartNumber: 2 })), 'InvalidPartNumber 416');
  assert.notEqual((await head(Key)).ETag, done[0].ETag);
});

test('a download goes on with its own bytes when the key is replaced or removed', options, async () => {
  const data = randomBytes(24 * 1024 * 1024);
  await put('long', data);
  const answer = await gateway.alice.send(new GetObjectCommand({ Bucket, Key: 'long' }));
  await put('long', 'replaced');
  await gateway.alice.send(new DeleteObjectCommand({ Bucket, Key: 'long' }));
  assert.equal(md5(Buffer.from(await answer.Body!.transformToByteArray())), md5(data));
  assert.equal(await refusalCode(get('long')), 'NoSuchKey 404');
});

test('GET, HEAD and LIST agree on what is there', options, async () => {
  const { ino } = (await lookupPath(gateway.vfs, Bucket)).attr;
  await gateway.vfs.names.mkdir(MOUNT, ino, 'agree', 0o777);
  await put('agree2/x', 'x');
  const page = await gateway.alice.send(new ListObjectsV2Command({ Bucket }));
  assert.ok(page.Contents!.length > 10);
  for (const { Key, ETag, Size } of page.Contents!) {
    if (Key === 'private') continue;
    const seen = await gateway.root.send(new HeadObjectCommand({ Bucket, Key: Key! }));
    assert.deepEqual([seen.ETag, seen.ContentLength], [ETag, Size], Key);
  }
});
