import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, test } from 'node:test';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectTaggingCommand,
  GetObjectAclCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { refusalCode } from '../support/refusal.ts';
import { writeFile } from '../support/vfs-files.ts';

const options = { timeout: 60_000 };
const Bucket = 'bucket';
let gateway: TestGateway;
before(async () => {
  gateway = await testGateway();
  await gateway.addBucket(Bucket);
});

const put = (Key: string, Body: string, more: object = {}) =>
  gateway.alice.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
const copy = (CopySource: string, Key: string, more: object = {}) =>
  gateway.alice.send(new CopyObjectCommand({ Bucket, Key, CopySource, ...more }));
const head = (Key: string) => gateway.alice.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));

test('a copy keeps bytes, ETag, checksum, headers, metadata and tags', options, async () => {
  const made = await put('src', 'hello', {
    ContentType: 'a/b',
    CacheControl: 'c',
    Metadata: { k: 'v' },
    Tagging: 't=1',
  });
  const copied = await copy(`${Bucket}/src`, 'dst');
  assert.equal(copied.CopyObjectResult!.ETag, made.ETag);
  assert.equal(copied.CopyObjectResult!.ChecksumCRC32, 'NhCmhg==');
  assert.ok(copied.CopyObjectResult!.LastModified instanceof Date);
  const got = await head('dst');
  assert.equal(got.ETag, made.ETag);
  assert.equal(got.ChecksumCRC32, 'NhCmhg==');
  assert.equal(got.ContentType, 'a/b');
  assert.equal(got.CacheControl, 'c');
  assert.deepEqual(got.Metadata, { k: 'v' });
  assert.equal(got.TagCount, 1);
});

test('directives replace metadata and tags; REPLACE allows a copy onto itself', options, async () => {
  await put('self', 'x', { Metadata: { a: '1' }, ContentType: 'a/b', Tagging: 't=1' });
  assert.equal(await refusalCode(copy(`${Bucket}/self`, 'self')), 'InvalidRequest 400');
  await copy(`${Bucket}/self`, 'self', { MetadataDirective: 'REPLACE', Metadata: { b: '2' } });
  const replaced = await head('self');
  assert.deepEqual(replaced.Metadata, { b: '2' });
  assert.equal(replaced.ContentType, 'binary/octet-stream');
  assert.equal(replaced.TagCount, 1);
  await copy(`/${Bucket}/self`, 'self', { TaggingDirective: 'REPLACE', Tagging: 'x=1&y=2' });
  assert.equal((await head('self')).TagCount, 2);
  assert.deepEqual((await head('self')).Metadata, { b: '2' });
  assert.equal(await refusalCode(copy(`${Bucket}/self`, 'self', { MetadataDirective: 'MOVE' })), 'InvalidArgument 400');
});

test('the source is decoded once, and a plus sign is a plus sign', options, async () => {
  await put('a+b ü%25/c?d', 'odd');
  await copy(`${Bucket}/${'a+b ü%25/c?d'.split('/').map(encodeURIComponent).join('/')}`, 'from-odd');
  await copy(encodeURIComponent(`/${Bucket}/a+b ü%25/c?d`), 'from-odd-2');
  await copy(`${Bucket}/${encodeURI('a+b ü%25/c').replaceAll('?', '%3F')}%3Fd?versionId=null`, 'from-odd-3');
  for (const Key of ['from-odd', 'from-odd-2', 'from-odd-3']) {
    const got = await gateway.alice.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await got.Body!.transformToString(), 'odd');
  }
  assert.equal(await refusalCode(copy(`${Bucket}/src?versionId=v1`, 'x')), 'NoSuchVersion 404');
  assert.equal(await refusalCode(copy('nonsense', 'x')), 'InvalidArgument 400');
  assert.equal(await refusalCode(copy(`${Bucket}/%zz`, 'x')), 'InvalidArgument 400');
});

test('missing sources say what is missing', options, async () => {
  assert.equal(await refusalCode(copy(`${Bucket}/never`, 'x')), 'NoSuchKey 404');
  assert.equal(await refusalCode(copy('never/src', 'x')), 'NoSuchBucket 404');
  await gateway.alice.send(new CreateBucketCommand({ Bucket: 'other' }));
  assert.equal(await refusalCode(copy('other/src', 'x')), 'NoSuchKey 404');
});

test('conditions on the source and on the target', options, async () => {
  const { ETag } = await put('csrc', 'x');
  const past = new Date(Date.now() - 3_600_000);
  const future = new Date(Date.now() + 3_600_000);
  const tried = (more: object): Promise<string> => refusalCode(copy(`${Bucket}/csrc`, 'cdst', more));
  assert.equal(await tried({ CopySourceIfMatch: '"0"' }), 'PreconditionFailed 412');
  assert.equal(await tried({ CopySourceIfNoneMatch: ETag }), 'PreconditionFailed 412');
  assert.equal(await tried({ CopySourceIfUnmodifiedSince: past }), 'PreconditionFailed 412');
  assert.equal(await tried({ IfMatch: '*' }), 'NoSuchKey 404');
  await copy(`${Bucket}/csrc`, 'cdst', { CopySourceIfMatch: ETag, CopySourceIfUnmodifiedSince: past });
  await copy(`${Bucket}/csrc`, 'cdst', { CopySourceIfModifiedSince: future });
  assert.equal(await tried({ IfNoneMatch: '*' }), 'PreconditionFailed 412');
});

test('a checksum that the source lacks is computed', options, async () => {
  await put('plain', 'hello');
  const copied = await copy(`${Bucket}/plain`, 'sha', { ChecksumAlgorithm: 'SHA256' });
  const expected = createHash('sha256').update('hello').digest('base64');
  assert.equal(copied.CopyObjectResult!.ChecksumSHA256, expected);
  assert.equal((await head('sha')).ChecksumSHA256, expected);
  await writeFile(gateway.vfs, 'mount', 'hello', Bucket);
  const fromMount = await copy(`${Bucket}/mount`, 'from-mount');
  assert.match(fromMount.CopyObjectResult!.ETag!, /^"[0-9a-f]{32}-1"$/);
  assert.equal((await head('from-mount')).ETag, fromMount.CopyObjectResult!.ETag);
});

test('tags are read, replaced and removed; S3 limits hold', options, async () => {
  await put('tags', 'x');
  const id = { Bucket, Key: 'tags' };
  const read = async () => (await gateway.alice.send(new GetObjectTaggingCommand(id))).TagSet;
  const write = (TagSet: { Key: string; Value: string }[]) =>
    gateway.alice.send(new PutObjectTaggingCommand({ ...id, Tagging: { TagSet } }));
  assert.deepEqual(await read(), []);
  await write([
    { Key: 'grün', Value: 'a b' },
    { Key: 'empty', Value: '' },
  ]);
  assert.deepEqual(await read(), [
    { Key: 'empty', Value: '' },
    { Key: 'grün', Value: 'a b' },
  ]);
  const many = Array.from({ length: 11 }, (_, index) => ({ Key: `k${index}`, Value: 'v' }));
  assert.equal(await refusalCode(write(many)), 'InvalidTag 400');
  assert.equal(await refusalCode(write([{ Key: 'k'.repeat(129), Value: '' }])), 'InvalidTag 400');
  assert.equal(await refusalCode(write([{ Key: 'k', Value: 'v'.repeat(257) }])), 'InvalidTag 400');
  assert.equal(await refusalCode(write(many.slice(0, 1).concat(many.slice(0, 1)))), 'InvalidTag 400');
  await write([{ Key: 'ü'.repeat(128), Value: 'ü'.repeat(256) }]);
  const removed = await gateway.alice.send(new DeleteObjectTaggingCommand(id));
  assert.equal(removed.$metadata.httpStatusCode, 204);
  assert.deepEqual(await read(), []);
  const absent = gateway.alice.send(new GetObjectTaggingCommand({ Bucket, Key: 'never' }));
  assert.equal(await refusalCode(absent), 'NoSuchKey 404');
  const etag = (await head('tags')).ETag;
  assert.equal(etag, `"${createHash('md5').update('x').digest('hex')}"`);
});

test('the ACL is the owner’s full control, and nothing else can be set', options, async () => {
  await put('acl', 'x');
  const id = { Bucket, Key: 'acl' };
  const acl = await gateway.alice.send(new GetObjectAclCommand(id));
  assert.equal(acl.Owner!.ID, '1001');
  assert.equal(acl.Owner!.DisplayName, 'alice');
  assert.deepEqual(
    acl.Grants!.map(({ Grantee, Permission }) => [Grantee!.Type, Grantee!.ID, Permission]),
    [['CanonicalUser', '1001', 'FULL_CONTROL']],
  );
  await gateway.alice.send(new PutObjectAclCommand({ ...id, ACL: 'private' }));
  await gateway.alice.send(
    new PutObjectAclCommand({ ...id, AccessControlPolicy: { Grants: acl.Grants!, Owner: acl.Owner! } }),
  );
  const shared = gateway.alice.send(new PutObjectAclCommand({ ...id, ACL: 'public-read' }));
  assert.equal(await refusalCode(shared), 'NotImplemented 501');
  const grant = { Grantee: { Type: 'CanonicalUser' as const, ID: '1' }, Permission: 'READ' as const };
  const policy = { Grants: [grant], Owner: acl.Owner! };
  const granted = gateway.alice.send(new PutObjectAclCommand({ ...id, AccessControlPolicy: policy }));
  assert.equal(await refusalCode(granted), 'NotImplemented 501');
});

test('attributes of a plain object have no parts', options, async () => {
  await put('attributes', 'hello');
  const ask = (ObjectAttributes: string[]) =>
    gateway.alice.send(
      new GetObjectAttributesCommand({ Bucket, Key: 'attributes', ObjectAttributes: ObjectAttributes as 'ETag'[] }),
    );
  const all = await ask(['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize']);
  assert.equal(all.ETag, createHash('md5').update('hello').digest('hex'));
  assert.deepEqual(all.Checksum, { ChecksumCRC32: 'NhCmhg==', ChecksumType: 'FULL_OBJECT' });
  assert.equal(all.ObjectParts, undefined);
  assert.equal(all.ObjectSize, 5);
  assert.ok(all.LastModified instanceof Date);
  assert.equal((await ask(['ObjectSize'])).ETag, undefined);
  assert.equal(await refusalCode(ask(['Nonsense'])), 'InvalidArgument 400');
});
