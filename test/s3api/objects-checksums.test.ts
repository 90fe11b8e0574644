import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, createChecksum } from '../../src/base/checksums.ts';
import { ALICE } from '../support/callers.ts';
import { testGateway } from '../support/gateway.ts';
import { refusalCode } from '../support/refusal.ts';

const options = { timeout: 60_000 };
const Bucket = 'bucket';
const PART = Buffer.alloc(5 * 1024 * 1024, 'a part ');
const LAST = Buffer.from('the last part');
let client: S3Client;
before(async () => {
  const gateway = await testGateway();
  await gateway.addBucket(Bucket);
  client = gateway.client(ALICE, { requestChecksumCalculation: 'WHEN_REQUIRED' });
});

const field = (algorithm: ChecksumAlgorithm): string => `Checksum${algorithm}`;
function raw(algorithm: ChecksumAlgorithm, ...pieces: Buffer[]): Buffer {
  const sum = createChecksum(algorithm);
  for (const piece of pieces) sum.update(piece);
  return sum.digest();
}
const value = (algorithm: ChecksumAlgorithm, ...pieces: Buffer[]): string =>
  raw(algorithm, ...pieces).toString('base64');
const shown = (answer: object, algorithm: ChecksumAlgorithm): unknown =>
  (answer as Record<string, unknown>)[field(algorithm)];

/** Sends a request with headers that no SDK makes. */
function withHeaders<Command extends { middlewareStack: { add: (...args: never[]) => void } }>(
  command: Command,
  headers: Record<string, string>,
): Command {
  const add = command.middlewareStack.add as unknown as (middleware: unknown, how: object) => void;
  const middleware = (next: (args: unknown) => unknown) => (args: { request: { headers: object } }) => {
    Object.assign(args.request.headers, headers);
    return next(args);
  };
  add.call(command.middlewareStack, middleware, { step: 'build', priority: 'low' });
  return command;
}

async function start(Key: string, more: object = {}): Promise<string> {
  return (await client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }))).UploadId!;
}

test('E4: every algorithm is verified, stored and shown', options, async () => {
  await client.send(new PutObjectCommand({ Bucket, Key: 'source', Body: LAST }));
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const Key = `put-${algorithm}`;
    const header = `x-amz-checksum-${algorithm.toLowerCase()}`;
    const good = value(algorithm, LAST);
    const put = await client.send(withHeaders(new PutObjectCommand({ Bucket, Key, Body: LAST }), { [header]: good }));
    assert.deepEqual([shown(put, algorithm), put.ChecksumType], [good, 'FULL_OBJECT'], algorithm);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    assert.equal(shown(head, algorithm), good);
    const attributes = await client.send(
      new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes: ['Checksum'] }),
    );
    assert.equal(shown(attributes.Checksum!, algorithm), good);
    const listed = await client.send(new ListObjectsV2Command({ Bucket, Prefix: Key }));
    assert.ok(listed.Contents!.some((one) => one.Key === Key && one.ChecksumAlgorithm!.includes(algorithm)));
    const copied = await client.send(
      new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/source`, ChecksumAlgorithm: algorithm }),
    );
    assert.equal(shown(copied.CopyObjectResult!, algorithm), good);
    const bad = raw(algorithm, LAST);
    bad[0]! ^= 1;
    const sent = (headers: Record<string, string>): Promise<string> =>
      refusalCode(client.send(withHeaders(new PutObjectCommand({ Bucket, Key: 'bad', Body: LAST }), headers)));
    assert.equal(await sent({ [header]: bad.toString('base64') }), 'BadDigest 400', algorithm);
    assert.equal(await sent({ [header]: bad.toString('base64').slice(4) }), 'InvalidRequest 400', algorithm);
    assert.equal(await sent({ [header]: bad.toString('hex') }), 'InvalidRequest 400', algorithm);
    assert.equal(await sent({ [header]: good, 'x-amz-checksum-rot13': 'AAAA' }), 'InvalidRequest 400', algorithm);
    const other = algorithm === 'CRC32' ? 'SHA1' : 'CRC32';
    assert.equal(
      await sent({ [header]: good, [`x-amz-checksum-${other.toLowerCase()}`]: value(other, LAST) }),
      'InvalidRequest 400',
    );
  }
});

test('E4: composites are made of what the client sends with each part and names again', options, async () => {
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    if (algorithm === 'CRC64NVME') continue;
    const Key = `composite-${algorithm}`;
    const UploadId = await start(Key, { ChecksumAlgorithm: algorithm, ChecksumType: 'COMPOSITE' });
    const header = `x-amz-checksum-${algorithm.toLowerCase()}`;
    const upload = (PartNumber: number, Body: Buffer, headers: Record<string, string>) =>
      client.send(withHeaders(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }), headers));
    assert.equal(await refusalCode(upload(1, PART, {})), 'InvalidRequest 400', `${algorithm}: no checksum`);
    const Parts = [];
    for (const [index, Body] of [PART, LAST].entries()) {
      const { ETag } = await upload(index + 1, Body, { [header]: value(algorithm, Body) });
      Parts.push({ PartNumber: index + 1, ETag, [field(algorithm)]: value(algorithm, Body) });
    }
    const listed = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    assert.deepEqual(
      listed.Parts!.map((part) => shown(part, algorithm)),
      [value(algorithm, PART), value(algorithm, LAST)],
    );
    const complete = (parts: object[], headers: Record<string, string> = {}) =>
      client.send(
        withHeaders(
          new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts: parts } }),
          headers,
        ),
      );
    const bare = Parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag }));
    assert.equal(await refusalCode(complete(bare)), 'InvalidRequest 400');
    assert.equal(await refusalCode(complete([Parts[0]!, bare[1]!])), 'InvalidRequest 400');
    assert.equal(await refusalCode(complete(Parts, { [header]: 'AAAA' })), 'InvalidRequest 400');
    assert.equal(await refusalCode(complete(Parts, { 'x-amz-checksum-rot13': 'AAAA' })), 'InvalidRequest 400');
    const whole = `${value(algorithm, Buffer.concat([raw(algorithm, PART), raw(algorithm, LAST)]))}-2`;
    assert.equal(await refusalCode(complete(Parts, { [header]: `${value(algorithm, LAST)}-2` })), 'BadDigest 400');
    const done = await complete(Parts, { [header]: whole });
    assert.deepEqual([shown(done, algorithm), done.ChecksumType], [whole, 'COMPOSITE'], algorithm);
    const type = 'FULL_OBJECT';
    const full = start('full', { ChecksumAlgorithm: algorithm, ChecksumType: type });
    if (!algorithm.startsWith('CRC')) assert.equal(await refusalCode(full), 'InvalidRequest 400');
    await full.catch(() => undefined);
  }
});

test('E5: an object whose client sent no checksum has a CRC64NVME', options, async () => {
  const Key = 'none';
  const put = await client.send(new PutObjectCommand({ Bucket, Key, Body: LAST }));
  assert.deepEqual([put.ChecksumCRC64NVME, put.ChecksumType], [value('CRC64NVME', LAST), 'FULL_OBJECT']);
  const got = await client.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
  assert.equal(got.ChecksumCRC64NVME, value('CRC64NVME', LAST));
  await got.Body!.transformToByteArray();
  const copied = await client.send(new CopyObjectCommand({ Bucket, Key: 'none-copy', CopySource: `${Bucket}/${Key}` }));
  assert.equal(copied.CopyObjectResult!.ChecksumCRC64NVME, value('CRC64NVME', LAST));
});

test('E5: one of parts has that of the whole, copied parts included while their own is known', options, async () => {
  const Key = 'joined';
  await client.send(new PutObjectCommand({ Bucket, Key: 'source', Body: PART }));
  for (const ranged of [false, true]) {
    const UploadId = await start(Key);
    const first = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: PART }));
    assert.equal(first.ChecksumCRC64NVME, value('CRC64NVME', PART));
    const range = ranged ? { CopySourceRange: 'bytes=1-9' } : {};
    const last = await client.send(
      new UploadPartCopyCommand({ Bucket, Key, UploadId, PartNumber: 2, CopySource: `${Bucket}/source`, ...range }),
    );
    const Parts = [first.ETag, last.CopyPartResult!.ETag].map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
    const done = await client.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    );
    const expected = ranged ? [undefined, undefined] : [value('CRC64NVME', PART, PART), 'FULL_OBJECT'];
    assert.deepEqual([done.ChecksumCRC64NVME, done.ChecksumType], expected);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    assert.equal(head.ChecksumCRC64NVME, expected[0]);
  }
});
