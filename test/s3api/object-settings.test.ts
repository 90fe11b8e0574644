/** What an object carries besides bytes and metadata: storage class and redirect. And methods that S3 does not have. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { refusalCode } from '../support/refusal.ts';
import { xmlText } from '../support/signed-request.ts';

const options = { timeout: 60_000 };
const Bucket = 'settings';
let gateway: TestGateway;
before(async () => {
  gateway = await testGateway();
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
}, options);

const put = (Key: string, more: object = {}) =>
  gateway.alice.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...more }));
const copy = (Key: string, from: string, more: object = {}) =>
  gateway.alice.send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${from}`, ...more }));

/** The class as every answer shows it; they agree. */
async function shownClass(Key: string): Promise<string> {
  const head = await gateway.alice.send(new HeadObjectCommand({ Bucket, Key }));
  const get = await gateway.alice.send(new GetObjectCommand({ Bucket, Key }));
  await get.Body!.transformToByteArray();
  const list = await gateway.alice.send(new ListObjectsV2Command({ Bucket, Prefix: Key }));
  const attributes = { Bucket, Key, ObjectAttributes: ['StorageClass' as const] };
  const { StorageClass: attribute } = await gateway.alice.send(new GetObjectAttributesCommand(attributes));
  assert.equal(get.StorageClass, head.StorageClass);
  assert.notEqual(head.StorageClass, 'STANDARD');
  assert.deepEqual([list.Contents![0]!.StorageClass, attribute], Array(2).fill(head.StorageClass ?? 'STANDARD'));
  return attribute!;
}

test('S12: storage classes that leave an object readable are kept and answered everywhere', options, async () => {
  const classes: StorageClass[] = [
    'GLACIER_IR',
    'INTELLIGENT_TIERING',
    'ONEZONE_IA',
    'REDUCED_REDUNDANCY',
    'STANDARD',
    'STANDARD_IA',
  ];
  for (const name of classes) {
    await put('put', { StorageClass: name });
    assert.equal(await shownClass('put'), name);
    await copy('copied', 'put');
    assert.equal(await shownClass('copied'), 'STANDARD');
    await copy('put', 'put', { StorageClass: name, MetadataDirective: 'REPLACE' });
    assert.equal(await shownClass('put'), name);
    await copy('classed', 'copied', { StorageClass: name });
    assert.equal(await shownClass('classed'), name);
    const upload = { Bucket, Key: 'parts' };
    const { UploadId } = await gateway.alice.send(new CreateMultipartUploadCommand({ ...upload, StorageClass: name }));
    const { Uploads } = await gateway.alice.send(new ListMultipartUploadsCommand({ Bucket }));
    assert.equal(Uploads![0]!.StorageClass, name);
    const { ETag } = await gateway.alice.send(new UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: 'x' }));
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    await gateway.alice.send(new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload }));
    assert.equal(await shownClass('parts'), name);
  }
  await put('put');
  assert.equal(await shownClass('put'), 'STANDARD');
  for (const name of [
    'GLACIER',
    'DEEP_ARCHIVE',
    'OUTPOSTS',
    'SNOW',
    'EXPRESS_ONEZONE',
    'standard',
    'constructor',
    'COLD',
  ])
    assert.equal(await refusalCode(put('x', { StorageClass: name })), 'InvalidStorageClass 400', name);
});

test('S12: a redirect is a path or a URL, and is answered', options, async () => {
  for (const WebsiteRedirectLocation of ['/a', 'http://example.com/', 'https://example.com/a']) {
    await put('redirect', { WebsiteRedirectLocation });
    const head = await gateway.alice.send(new HeadObjectCommand({ Bucket, Key: 'redirect' }));
    assert.equal(head.WebsiteRedirectLocation, WebsiteRedirectLocation);
  }
  for (const WebsiteRedirectLocation of ['a', 'ftp://x/', 'http:/x', ' constructor']) {
    const wrong = { WebsiteRedirectLocation };
    assert.equal(await refusalCode(put('redirect', wrong)), 'InvalidRedirectLocation 400');
    assert.equal(await refusalCode(copy('other', 'redirect', wrong)), 'InvalidRedirectLocation 400');
    const upload = new CreateMultipartUploadCommand({ Bucket, Key: 'other', ...wrong });
    assert.equal(await refusalCode(gateway.alice.send(upload)), 'InvalidRedirectLocation 400');
  }
});

test('S12: a method that S3 does not have is MethodNotAllowed, signed or not', options, async () => {
  const port = Number(new URL(gateway.url).port);
  for (const method of ['FOO', 'PATCH', 'PROPFIND', 'TRACE', 'SEARCH', 'get', 'constructor']) {
    for (const target of ['/', `/${Bucket}`, `/${Bucket}/k?acl`]) {
      const connection = new RawConnection(port);
      connection.send(`${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
      const reply = await connection.reply();
      assert.deepEqual([reply.status, xmlText(reply.body, 'Code')], [405, 'MethodNotAllowed'], `${method} ${target}`);
      connection.destroy();
    }
  }
  const garbage = new RawConnection(port);
  garbage.send('\x16\x03\x01\x02\x00\r\n\r\n');
  assert.equal((await garbage.reply()).status, 400);
  garbage.destroy();
});
