/** Buckets and listings over all layers: a real redis-server below, the mount's side of the volume beside. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketTaggingCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketTaggingCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { MOUNT } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { refusalCode } from '../support/refusal.ts';
import { lookupPath, writeFile } from '../support/vfs-files.ts';

const options = { timeout: 60_000 };
let gateway: TestGateway;
before(async () => {
  gateway = await testGateway();
}, options);

const put = (Bucket: string, Key: string, Body = 'x') =>
  gateway.alice.send(new PutObjectCommand({ Bucket, Key, Body }));
const get = (Bucket: string, Key: string) => gateway.alice.send(new GetObjectCommand({ Bucket, Key }));

async function listed(Bucket: string, more: object = {}): Promise<string[]> {
  const items: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await gateway.alice.send(new ListObjectsV2Command({ Bucket, ContinuationToken, ...more }));
    items.push(...(page.Contents ?? []).map(({ Key }) => Key!));
    items.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => `[${Prefix}]`));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return items;
}

test('a bucket is a directory of its maker, and a directory is a bucket of its owner', options, async () => {
  await gateway.alice.send(new CreateBucketCommand({ Bucket: 'made-by-s3' }));
  const { attr } = await lookupPath(gateway.vfs, 'made-by-s3');
  assert.equal(attr.uid, 1001);
  const { attr: made } = await gateway.vfs.names.mkdir(MOUNT, ROOT_INO, 'made-by-mkdir', 0o755);
  await gateway.vfs.attributes.setattr(MOUNT, made.ino, { uid: 1001, gid: 1001 });
  await gateway.vfs.names.mkdir(MOUNT, ROOT_INO, 'Not A Bucket', 0o777);
  const { Buckets } = await gateway.alice.send(new ListBucketsCommand({}));
  assert.deepEqual(
    Buckets!.map(({ Name }) => Name),
    ['made-by-mkdir', 'made-by-s3'],
  );
  for (const name of ['Not A Bucket', 'ab', 'a..b']) {
    if (name !== 'Not A Bucket') await gateway.vfs.names.mkdir(MOUNT, ROOT_INO, name, 0o777);
    await writeFile(gateway.vfs, 'k', 'k', name);
    const { root } = gateway;
    const CopySource = encodeURI(`${name}/k`);
    const requests = [
      () => root.send(new CreateMultipartUploadCommand({ Bucket: name, Key: 'k' })),
      () => get(name, 'k'),
      () => root.send(new CopyObjectCommand({ Bucket: 'made-by-s3', Key: 'copied', CopySource })),
      () => root.send(new ListObjectsV2Command({ Bucket: name })),
      () => root.send(new DeleteBucketCommand({ Bucket: name })),
    ];
    // Asked twice: what has been found once is found faster, but not more.
    for (const request of [...requests, ...requests])
      assert.equal(await refusalCode(request()), 'NoSuchBucket 404', name);
  }
  await put('made-by-mkdir', 'k');
  assert.deepEqual(await listed('made-by-mkdir'), ['k']);
});

test("the volume's name is a bucket for root only", options, async () => {
  await gateway.root.send(new PutObjectCommand({ Bucket: 'test', Key: 'top.txt', Body: 'top' }));
  assert.equal((await lookupPath(gateway.vfs, 'top.txt')).attr.size, 3);
  assert.equal(
    await refusalCode(gateway.alice.send(new HeadBucketCommand({ Bucket: 'test' }))).then((code) => code.slice(-3)),
    '403',
  );
  assert.equal(
    await refusalCode(gateway.alice.send(new CreateBucketCommand({ Bucket: 'test' }))),
    'BucketAlreadyExists 409',
  );
  assert.equal(await refusalCode(gateway.root.send(new DeleteBucketCommand({ Bucket: 'test' }))), 'AccessDenied 403');
});

test('a bucket that the mount renames, removes or closes is so for the next request', options, async () => {
  await gateway.alice.send(new CreateBucketCommand({ Bucket: 'before' }));
  await put('before', 'k', 'bytes');
  await (await get('before', 'k')).Body!.transformToString();
  await gateway.vfs.names.rename(MOUNT, {
    parent: ROOT_INO,
    name: 'before',
    newParent: ROOT_INO,
    newName: 'after',
    mode: 'noreplace',
  });
  assert.equal(await refusalCode(get('before', 'k')), 'NoSuchBucket 404');
  assert.equal(await refusalCode(put('before', 'k')), 'NoSuchBucket 404');
  assert.equal(await (await get('after', 'k')).Body!.transformToString(), 'bytes');
  const { attr } = await lookupPath(gateway.vfs, 'after');
  await gateway.vfs.attributes.setattr(MOUNT, attr.ino, { mode: 0o000 });
  assert.equal(await refusalCode(get('after', 'k')), 'AccessDenied 403');
  await gateway.vfs.attributes.setattr(MOUNT, attr.ino, { mode: 0o700 });
  await get('after', 'k').then(({ Body }) => Body!.transformToString());
  await gateway.vfs.names.unlink(MOUNT, attr.ino, 'k');
  await gateway.vfs.names.rmdir(MOUNT, ROOT_INO, 'after');
  assert.equal(await refusalCode(get('after', 'k')), 'NoSuchBucket 404');
  await gateway.alice.send(new CreateBucketCommand({ Bucket: 'after' }));
  assert.equal(await refusalCode(get('after', 'k')), 'NoSuchKey 404');
});

test('L1: listings are in byte order of keys, with every delimiter, marker and page size', options, async () => {
  const Bucket = 'ordered';
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
  const keys = [
    'a',
    'a-b',
    'a.txt',
    'a/',
    'a/b',
    'a/b/c',
    'a0',
    'é',
    '😀/x',
    'sp ace',
    'x//y',
    'x/./y',
    'x/../y',
    '\u{fffd}',
  ];
  for (const key of keys) await put(Bucket, key, key.endsWith('/') ? '' : 'x');
  const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(await listed(Bucket), sorted);
  assert.deepEqual(await listed(Bucket, { MaxKeys: 1 }), sorted);
  for (const Delimiter of ['', '/', 'b', '/x']) {
    // A page tells its keys before its common prefixes, so only the whole can be compared.
    const whole = (await listed(Bucket, { Delimiter })).toSorted();
    for (const MaxKeys of [1, 2, 3, 7]) {
      assert.deepEqual((await listed(Bucket, { Delimiter, MaxKeys })).toSorted(), whole, `${Delimiter} ${MaxKeys}`);
    }
  }
  assert.deepEqual(
    await listed(Bucket, { MaxKeys: 2, Delimiter: '/' }).then((all) => all.toSorted()),
    ['a', 'a-b', 'a.txt', 'a0', 'sp ace', 'é', '\u{fffd}', '[a/]', '[x/]', '[😀/]'].toSorted(),
  );
  assert.deepEqual(await listed(Bucket, { Prefix: 'x/', Delimiter: '/' }), ['[x/../]', '[x/./]', '[x//]']);
  assert.deepEqual(await listed(Bucket, { Prefix: 'a', Delimiter: 'b' }), ['a', 'a.txt', 'a/', 'a0', '[a-b]', '[a/b]']);
  const marked = await gateway.alice.send(new ListObjectsCommand({ Bucket, Marker: 'a/b', Prefix: 'a' }));
  assert.deepEqual(
    marked.Contents!.map(({ Key }) => Key),
    ['a/b/c', 'a0'],
  );
  const versions = await gateway.alice.send(new ListObjectVersionsCommand({ Bucket }));
  assert.deepEqual(
    versions.Versions!.map(({ Key }) => Key),
    sorted,
  );
});

test('a listing pages through a thousand keys and is not disturbed by deletes behind it', options, async () => {
  const Bucket = 'paged';
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
  const { ino } = (await lookupPath(gateway.vfs, Bucket)).attr;
  const names = Array.from({ length: 1100 }, (_, i) => `k${String(i).padStart(4, '0')}`);
  for (let at = 0; at < names.length; at += 50) {
    await Promise.all(names.slice(at, at + 50).map((name) => gateway.vfs.names.mknod(MOUNT, ino, name, 0o100644, 0)));
  }
  const first = await gateway.alice.send(new ListObjectsV2Command({ Bucket }));
  assert.deepEqual([first.KeyCount, first.IsTruncated], [1000, true]);
  await gateway.alice.send(new DeleteObjectCommand({ Bucket, Key: 'k0999' }));
  const second = await gateway.alice.send(
    new ListObjectsV2Command({ Bucket, ContinuationToken: first.NextContinuationToken }),
  );
  assert.deepEqual([second.KeyCount, second.Contents![0]!.Key, second.IsTruncated], [100, 'k1000', false]);
});

test('a bucket that lists something is not deleted; one with empty implicit directories is', options, async () => {
  const Bucket = 'emptied';
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
  await writeFile(gateway.vfs, 'by-mount', 'x', Bucket);
  assert.equal(await refusalCode(gateway.alice.send(new DeleteBucketCommand({ Bucket }))), 'BucketNotEmpty 409');
  await gateway.alice.send(new DeleteObjectCommand({ Bucket, Key: 'by-mount' }));
  await put(Bucket, 'deep/er/k');
  await gateway.alice.send(new DeleteObjectCommand({ Bucket, Key: 'deep/er/k' }));
  assert.equal(await refusalCode(gateway.bob.send(new DeleteBucketCommand({ Bucket }))), 'AccessDenied 403');
  await gateway.alice.send(new DeleteBucketCommand({ Bucket }));
  assert.equal((await refusalCode(gateway.alice.send(new HeadBucketCommand({ Bucket })))).slice(-3), '404');
});

test('tags of a bucket move with its directory', options, async () => {
  const TagSet = [{ Key: 'project', Value: 'mond – ü' }];
  await gateway.alice.send(new CreateBucketCommand({ Bucket: 'tags-here' }));
  const tagged = { Bucket: 'tags-here', Tagging: { TagSet: [{ Key: 'project', Value: 'mond ü' }] } };
  assert.equal(
    await refusalCode(gateway.alice.send(new PutBucketTaggingCommand({ Bucket: 'tags-here', Tagging: { TagSet } }))),
    'InvalidTag 400',
  );
  await gateway.alice.send(new PutBucketTaggingCommand(tagged));
  await gateway.vfs.names.rename(MOUNT, {
    parent: ROOT_INO,
    name: 'tags-here',
    newParent: ROOT_INO,
    newName: 'tags-there',
    mode: 'noreplace',
  });
  const read = await gateway.alice.send(new GetBucketTaggingCommand({ Bucket: 'tags-there' }));
  assert.deepEqual(read.TagSet, tagged.Tagging.TagSet);
});
