import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import type { Member } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
const MIB = 2 ** 20;
const Bucket = 'bkt';
let gateway: TestGateway;
let member: Member;

before(async () => {
  gateway = await testGateway({ requestsMax: 4 });
  member = await gateway.volume.join();
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
}, LIMIT);

test(
  'R1: over the limits of the volume S3 answers 403 QuotaExceeded, before the body, and leaves nothing',
  LIMIT,
  async () => {
    const { alice } = gateway;
    const put = (Key: string, bytes: number) =>
      alice.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(bytes) }));
    const refused = { name: 'QuotaExceeded' };
    await put('small', 1000);
    await member.session.setLimits({ maxBytes: 4 * MIB });
    const { UploadId } = await alice.send(new CreateMultipartUploadCommand({ Bucket, Key: 'multi' }));
    // The first look may be a second old.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await put('wakes the look', 1).catch(() => {});
    await assert.rejects(put('large', 5 * MIB), (error: { name: string; $metadata: { httpStatusCode: number } }) => {
      assert.deepEqual([error.name, error.$metadata.httpStatusCode], ['QuotaExceeded', 403]);
      return true;
    });
    const part = { Bucket, Key: 'multi', UploadId, PartNumber: 1, Body: Buffer.alloc(5 * MIB) };
    await assert.rejects(alice.send(new UploadPartCommand(part)), refused);
    await assert.rejects(alice.send(new GetObjectCommand({ Bucket, Key: 'large' })), { name: 'NoSuchKey' });
    const { usedInodes } = await member.session.usage();
    await member.session.setLimits({ maxBytes: 0, maxInodes: usedInodes });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await put('small', 10).catch(() => {});
    await assert.rejects(put('another', 1), refused);
    await assert.rejects(alice.send(new CreateBucketCommand({ Bucket: 'another' })), refused);
    await assert.rejects(
      alice.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/small` })),
      refused,
    );
    await member.session.setLimits({ maxInodes: 0 });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await put('small', 10).catch(() => {});
    await put('another', 1);
  },
);

test('R5: more requests at a time than are handled hear 503 SlowDown with Retry-After', LIMIT, async () => {
  const { alice, faults, url } = gateway;
  let letGo: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let waiting = 0;
  const restore = faults.replace('objects', 'walk', (real) => async (...args) => {
    waiting += 1;
    await gate;
    return await real(...args);
  });
  const gets = Array.from({ length: 4 }, () => alice.send(new GetObjectCommand({ Bucket, Key: 'small' })));
  await until(() => waiting === 4, 'four requests to be under way');
  const answer = await fetch(`${url}/${Bucket}/small`);
  assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1']);
  assert.match(await answer.text(), /<Code>SlowDown<\/Code>/);
  letGo();
  for (const get of await Promise.all(gets)) await get.Body!.transformToByteArray();
  restore();
  assert.equal((await fetch(`${url}/${Bucket}/small`)).status, 403);
});
