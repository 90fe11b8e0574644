import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { before, test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { ALICE } from '../support/callers.ts';
import { testGateway } from '../support/gateway.ts';
import { refusalCode } from '../support/refusal.ts';
import { watchReaders } from '../support/watched-objects.ts';

const options = { timeout: 60_000 };
const Bucket = 'bucket';
const PART = 5 * 1024 * 1024;
let readers: ReturnType<typeof watchReaders>;
let client: S3Client;
/** Sends no checksums of its own accord. */
let plain: S3Client;
before(async () => {
  const gateway = await testGateway();
  readers = watchReaders(gateway.faults);
  await gateway.addBucket(Bucket);
  client = gateway.alice;
  plain = gateway.client(ALICE, { requestChecksumCalculation: 'WHEN_REQUIRED' });
});

const one = randomBytes(PART);
const two = randomBytes(PART + 17);
const three = randomBytes(99);
const md5 = (data: Buffer): Buffer => createHash('md5').update(data).digest();
const joined = (parts: Buffer[]): string =>
  `"${createHash('md5')
    .update(Buffer.concat(parts.map(md5)))
    .digest('hex')}-${parts.length}"`;

async function start(on: S3Client, Key: string, more: object = {}): Promise<string> {
  const made = await on.send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }));
  return made.UploadId!;
}

async function part(on: S3Client, Key: string, UploadId: string, PartNumber: number, Body: Buffer, more: object = {}) {
  const sent = await on.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...more }));
  return { ...sent, PartNumber };
}

function complete(on: S3Client, Key: string, UploadId: string, Parts: CompletedPart[], more: object = {}) {
  return on.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...more }));
}

test('parts join to the object; its parts can be read one by one', options, async () => {
  const Key = 'a key/with ü.bin';
  const id = await start(plain, Key, { ContentType: 'text/x-parts', Metadata: { m: 'x' }, Tagging: 't=1' });
  const parts = [
    await part(plain, Key, id, 2, one),
    await part(plain, Key, id, 5, randomBytes(10)),
    await part(plain, Key, id, 7, three),
  ];
  // A part that is sent again replaces the earlier one; part 9 stays out of the object.
  parts[1] = await part(plain, Key, id, 5, two);
  await part(plain, Key, id, 9, three);
  const done = await complete(
    plain,
    Key,
    id,
    parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag: ETag! })),
  );
  assert.equal(done.ETag, joined([one, two, three]));
  assert.equal(done.Key, Key);
  assert.match(done.Location!, /^http:\/\/127\.0\.0\.1:\d+\/bucket\/a%20key\/with%20%C3%BC\.bin$/);

  const whole = await plain.send(new GetObjectCommand({ Bucket, Key }));
  assert.deepEqual(Buffer.from(await whole.Body!.transformToByteArray()), Buffer.concat([one, two, three]));
  assert.equal(whole.ETag, done.ETag);
  assert.equal(whole.ContentType, 'text/x-parts');
  assert.deepEqual(whole.Metadata, { m: 'x' });
  assert.equal(whole.TagCount, 1);
  assert.equal(whole.PartsCount, undefined);

  const second = await plain.send(new GetObjectCommand({ Bucket, Key, PartNumber: 2 }));
  assert.equal(second.PartsCount, 3);
  assert.equal(second.ContentRange, `bytes ${PART}-${PART + two.length - 1}/${PART + two.length + 99}`);
  assert.deepEqual(Buffer.from(await second.Body!.transformToByteArray()), two);
  const head = await plain.send(new HeadObjectCommand({ Bucket, Key, PartNumber: 3 }));
  assert.equal(head.ContentLength, 99);
  assert.equal(head.PartsCount, 3);
  assert.equal(
    await refusalCode(plain.send(new GetObjectCommand({ Bucket, Key, PartNumber: 4 }))),
    'InvalidPartNumber 416',
  );
  const both = plain.send(new GetObjectCommand({ Bucket, Key, PartNumber: 1, Range: 'bytes=0-1' }));
  assert.equal(await refusalCode(both), 'InvalidRequest 400');

  const again = await complete(
    plain,
    Key,
    id,
    parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag: ETag! })),
  );
  assert.equal(again.ETag, done.ETag);
});

test('Complete refuses wrong order, unknown parts, wrong tags, small parts and an empty list', options, async () => {
  const Key = 'refused';
  const id = await start(plain, Key);
  const a = await part(plain, Key, id, 1, three);
  const b = await part(plain, Key, id, 2, three);
  const A = { PartNumber: 1, ETag: a.ETag! };
  const B = { PartNumber: 2, ETag: b.ETag! };
  assert.equal(await refusalCode(complete(plain, Key, id, [B, A])), 'InvalidPartOrder 400');
  assert.equal(await refusalCode(complete(plain, Key, id, [A, A])), 'InvalidPartOrder 400', 'S15');
  assert.equal(await refusalCode(complete(plain, Key, id, [A, { ...A, ETag: '"0"' }])), 'InvalidPartOrder 400');
  for (const PartNumber of [0, -1, 10_001]) {
    assert.equal(await refusalCode(complete(plain, Key, id, [{ ...A, PartNumber }])), 'InvalidArgument 400');
  }
  assert.equal(await refusalCode(complete(plain, Key, id, [A, { ...B, PartNumber: 3 }])), 'InvalidPart 400');
  assert.equal(await refusalCode(complete(plain, Key, id, [{ ...A, ETag: '"0"' }])), 'InvalidPart 400');
  assert.equal(await refusalCode(complete(plain, Key, id, [A, B])), 'EntityTooSmall 400');
  assert.equal(await refusalCode(complete(plain, Key, id, [])), 'MalformedXML 400');
  assert.equal(await refusalCode(complete(plain, Key, 'nonsense', [A])), 'NoSuchUpload 404');
  assert.equal(await refusalCode(complete(plain, 'other', id, [A])), 'NoSuchUpload 404');
  assert.equal(await refusalCode(complete(plain, Key, id, [A], { MpuObjectSize: 1 })), 'InvalidRequest 400');
  assert.equal((await complete(plain, Key, id, [A], { MpuObjectSize: 99 })).ETag, joined([three]));
});

test('Complete obeys If-Match and If-None-Match', options, async () => {
  const Key = 'conditional';
  const id = await start(plain, Key);
  const Parts = [{ PartNumber: 1, ETag: (await part(plain, Key, id, 1, three)).ETag! }];
  assert.equal(await refusalCode(complete(plain, Key, id, Parts, { IfMatch: '*' })), 'NoSuchKey 404');
  await plain.send(new PutObjectCommand({ Bucket, Key, Body: 'there' }));
  assert.equal(await refusalCode(complete(plain, Key, id, Parts, { IfNoneMatch: '*' })), 'PreconditionFailed 412');
  assert.equal((await complete(plain, Key, id, Parts, { IfMatch: '*' })).ETag, joined([three]));
});

test('part numbers are 1 to 10000', options, async () => {
  const id = await start(plain, 'numbers');
  await part(plain, 'numbers', id, 10_000, three);
  assert.equal(await refusalCode(part(plain, 'numbers', id, 10_001, three)), 'InvalidArgument 400');
  assert.equal(await refusalCode(part(plain, 'numbers', id, 0, three)), 'InvalidArgument 400');
});

test('an aborted upload is gone', options, async () => {
  const id = await start(plain, 'aborted');
  const abort = (): Promise<{ $metadata: { httpStatusCode?: number } }> =>
    plain.send(new AbortMultipartUploadCommand({ Bucket, Key: 'aborted', UploadId: id }));
  assert.equal((await abort()).$metadata.httpStatusCode, 204);
  assert.equal(await refusalCode(abort()), 'NoSuchUpload 404');
  assert.equal(await refusalCode(part(plain, 'aborted', id, 1, three)), 'NoSuchUpload 404');
});

test('full-object CRCs are joined from the parts', options, async () => {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(Buffer.concat([one, two, three])));
  const id = await start(client, 'full', { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' });
  const more = { ChecksumAlgorithm: 'CRC32' };
  const parts = [
    await part(client, 'full', id, 1, one, more),
    await part(client, 'full', id, 2, two, more),
    await part(client, 'full', id, 3, three, more),
  ];
  const Parts = parts.map(({ PartNumber, ETag, ChecksumCRC32 }) => ({
    PartNumber,
    ETag: ETag!,
    ChecksumCRC32: ChecksumCRC32!,
  }));
  const wrong = complete(client, 'full', id, Parts, { ChecksumCRC32: 'AAAAAA==' });
  assert.equal(await refusalCode(wrong), 'BadDigest 400');
  const wrongType = complete(client, 'full', id, Parts, { ChecksumType: 'COMPOSITE' });
  assert.equal(await refusalCode(wrongType), 'InvalidRequest 400');
  const wrongPart = complete(client, 'full', id, [{ ...Parts[0]!, ChecksumCRC32: 'AAAAAA==' }]);
  assert.equal(await refusalCode(wrongPart), 'InvalidPart 400');
  const done = await complete(client, 'full', id, Parts, {
    ChecksumCRC32: value.toString('base64'),
    ChecksumType: 'FULL_OBJECT',
  });
  assert.equal(done.ChecksumCRC32, value.toString('base64'));
  assert.equal(done.ChecksumType, 'FULL_OBJECT');
  const again = await complete(client, 'full', id, Parts);
  assert.equal(again.ChecksumCRC32, done.ChecksumCRC32);
  // The SDK verifies the whole object's checksum, and a part's when a part is read.
  const whole = await client.send(new GetObjectCommand({ Bucket, Key: 'full' }));
  assert.equal(whole.ChecksumCRC32, done.ChecksumCRC32);
  assert.equal((await whole.Body!.transformToByteArray()).length, PART + two.length + 99);
  const first = await client.send(new GetObjectCommand({ Bucket, Key: 'full', PartNumber: 3 }));
  assert.equal(first.ChecksumCRC32, parts[2]!.ChecksumCRC32);
  await first.Body!.transformToByteArray();
});

test('composite checksums are hashes of hashes with the count', options, async () => {
  const id = await start(client, 'composite', { ChecksumAlgorithm: 'SHA256' });
  const more = { ChecksumAlgorithm: 'SHA256' };
  const parts = [
    await part(client, 'composite', id, 1, one, more),
    await part(client, 'composite', id, 2, three, more),
  ];
  const sha = (data: Buffer): Buffer => createHash('sha256').update(data).digest();
  const expected = `${sha(Buffer.concat([sha(one), sha(three)])).toString('base64')}-2`;
  const done = await complete(
    client,
    'composite',
    id,
    parts.map(({ PartNumber, ETag, ChecksumSHA256 }) => ({ PartNumber, ETag: ETag!, ChecksumSHA256: ChecksumSHA256! })),
    { ChecksumSHA256: expected },
  );
  assert.equal(done.ChecksumSHA256, expected);
  assert.equal(done.ChecksumType, 'COMPOSITE');
  const attributes = await client.send(
    new GetObjectAttributesCommand({
      Bucket,
      Key: 'composite',
      ObjectAttributes: ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'],
      MaxParts: 1,
    }),
  );
  assert.equal(attributes.ETag, done.ETag!.replaceAll('"', ''));
  assert.equal(attributes.ObjectSize, PART + 99);
  assert.equal(attributes.StorageClass, 'STANDARD');
  assert.deepEqual(attributes.Checksum, { ChecksumSHA256: expected, ChecksumType: 'COMPOSITE' });
  assert.equal(attributes.ObjectParts!.TotalPartsCount, 2);
  assert.equal(attributes.ObjectParts!.IsTruncated, true);
  assert.equal(attributes.ObjectParts!.NextPartNumberMarker, '1');
  assert.deepEqual(attributes.ObjectParts!.Parts, [
    { PartNumber: 1, Size: PART, ChecksumSHA256: sha(one).toString('base64') },
  ]);
});

test('checksum algorithm and type must fit', options, async () => {
  const tried = (more: object): Promise<string> => refusalCode(start(client, 'types', more));
  assert.equal(await tried({ ChecksumAlgorithm: 'SHA256', ChecksumType: 'FULL_OBJECT' }), 'InvalidRequest 400');
  assert.equal(await tried({ ChecksumAlgorithm: 'CRC64NVME', ChecksumType: 'COMPOSITE' }), 'InvalidRequest 400');
  const made = await client.send(
    new CreateMultipartUploadCommand({ Bucket, Key: 'types', ChecksumAlgorithm: 'CRC64NVME' }),
  );
  assert.equal(made.ChecksumAlgorithm, 'CRC64NVME');
  assert.equal(made.ChecksumType, 'FULL_OBJECT');
  const other = part(client, 'types', made.UploadId!, 1, three, { ChecksumAlgorithm: 'SHA1' });
  assert.equal(await refusalCode(other), 'InvalidRequest 400');
});

test("the SDK's managed upload works as it is", options, async () => {
  const data = Buffer.concat([one, two]);
  const upload = new Upload({ client, params: { Bucket, Key: 'managed', Body: data }, partSize: PART });
  await upload.done();
  const got = await client.send(new GetObjectCommand({ Bucket, Key: 'managed' }));
  assert.deepEqual(md5(Buffer.from(await got.Body!.transformToByteArray())), md5(data));
});

test('parts can be copied, whole or by range', options, async () => {
  for (const on of [plain, client]) {
    const more = on === client ? { ChecksumAlgorithm: 'CRC32C' } : {};
    await on.send(new PutObjectCommand({ Bucket, Key: 'sour ce', Body: two }));
    const id = await start(on, 'target', more);
    const copy = async (PartNumber: number, CopySourceRange?: string) => {
      const given = CopySourceRange === undefined ? {} : { CopySourceRange };
      const CopySource = `${Bucket}/sour%20ce`;
      const sent = await on.send(
        new UploadPartCopyCommand({ Bucket, Key: 'target', UploadId: id, PartNumber, CopySource, ...given }),
      );
      const { ETag, ChecksumCRC32C } = sent.CopyPartResult!;
      return { PartNumber, ETag: ETag!, ...(ChecksumCRC32C === undefined ? {} : { ChecksumCRC32C }) };
    };
    const Parts = [await copy(1), await copy(2, 'bytes=10-19')];
    assert.equal(Parts[0]!.ETag, `"${md5(two).toString('hex')}"`);
    for (const malformed of ['0-2', 'bytes=0', 'bytes=a-b', 'bytes=0-2,3-5', 'bytes=3-2']) {
      assert.equal(await refusalCode(copy(3, malformed)), 'InvalidArgument 400', malformed);
    }
    assert.equal(await refusalCode(copy(3, `bytes=0-${two.length}`)), 'InvalidRange 416');
    await complete(on, 'target', id, Parts);
    const got = await on.send(new GetObjectCommand({ Bucket, Key: 'target' }));
    const expected = Buffer.concat([two, two.subarray(10, 20)]);
    assert.deepEqual(md5(Buffer.from(await got.Body!.transformToByteArray())), md5(expected));
    assert.equal(got.ChecksumCRC32C !== undefined, on === client);
  }
  assert.equal(readers.open, 0);
});

test('parts and uploads are listed in pages', options, async () => {
  const own = await testGateway();
  await own.addBucket(Bucket);
  const on = own.client(ALICE, { requestChecksumCalculation: 'WHEN_REQUIRED' });
  const ids: string[] = [];
  for (const Key of ['a', 'a', 'dir/x', 'dir/y', 'z+ü']) ids.push(await start(on, Key));
  for (const number of [1, 2, 4]) await part(on, 'a', ids[0]!, number, three);
  const page = async (more: object) => on.send(new ListPartsCommand({ Bucket, Key: 'a', UploadId: ids[0]!, ...more }));
  const first = await page({ MaxParts: 2 });
  assert.deepEqual(
    first.Parts!.map(({ PartNumber, Size, ETag }) => [PartNumber, Size, ETag]),
    [
      [1, 99, `"${md5(three).toString('hex')}"`],
      [2, 99, `"${md5(three).toString('hex')}"`],
    ],
  );
  assert.equal(first.IsTruncated, true);
  assert.equal(first.NextPartNumberMarker, '2');
  assert.equal(first.Initiator!.ID, '1001');
  const rest = await page({ PartNumberMarker: '2' });
  assert.deepEqual(
    rest.Parts!.map(({ PartNumber }) => PartNumber),
    [4],
  );
  assert.equal(rest.IsTruncated, false);

  const list = (more: object) => on.send(new ListMultipartUploadsCommand({ Bucket, ...more }));
  const all = await list({});
  assert.deepEqual(
    all.Uploads!.map(({ Key, UploadId }) => [Key, UploadId]),
    [
      ['a', ids[0]],
      ['a', ids[1]],
      ['dir/x', ids[2]],
      ['dir/y', ids[3]],
      ['z+ü', ids[4]],
    ],
  );
  const seen: string[] = [];
  let markers: object = {};
  for (let pages = 0; pages < 10; pages++) {
    const one = await list({ Delimiter: '/', MaxUploads: 1, EncodingType: 'url', ...markers });
    for (const { Key, UploadId } of one.Uploads ?? []) seen.push(`${Key} ${UploadId}`);
    for (const { Prefix } of one.CommonPrefixes ?? []) seen.push(Prefix!);
    if (one.IsTruncated !== true) break;
    markers = { KeyMarker: decodeURIComponent(one.NextKeyMarker!), UploadIdMarker: one.NextUploadIdMarker };
  }
  assert.deepEqual(seen, [`a ${ids[0]}`, `a ${ids[1]}`, 'dir/', `z%2B%C3%BC ${ids[4]}`]);
  assert.deepEqual(
    (await list({ Prefix: 'dir/' })).Uploads!.map(({ Key }) => Key),
    ['dir/x', 'dir/y'],
  );
  assert.deepEqual(
    (await list({ KeyMarker: 'a' })).Uploads!.map(({ Key }) => Key),
    ['dir/x', 'dir/y', 'z+ü'],
  );
});
