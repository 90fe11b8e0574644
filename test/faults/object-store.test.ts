import assert from 'node:assert/strict';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { withVolume } from './served-volume.ts';

const MIB = 1024 * 1024;

test('D4: while the store is gone close answers EIO and S3 5xx, small files go on, later writes work', {
  timeout: 400_000,
}, async () => {
  await withVolume({}, async ({ bucket, store, s3 }) => {
    const large = Buffer.alloc(6 * MIB, 'x');
    await rename(store, `${store}.away`);
    await writeFile(store, 'in the way'); // So that the driver cannot make the directory anew.
    const [onMount, onS3] = await Promise.allSettled([
      writeFile(join(bucket, 'large'), large),
      s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'large-s3', Body: large })),
    ]);
    assert.equal(onMount.status, 'rejected');
    assert.equal((onMount.reason as NodeJS.ErrnoException).code, 'EIO');
    assert.equal(onS3.status, 'rejected');
    assert.ok((onS3.reason as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode >= 500);
    await writeFile(join(bucket, 'small'), 'inline');
    assert.equal(await readFile(join(bucket, 'small'), 'utf8'), 'inline');
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'large-s3' })), { name: 'NoSuchKey' });

    await rm(store);
    await rename(`${store}.away`, store);
    await writeFile(join(bucket, 'large again'), large);
    assert.ok((await readFile(join(bucket, 'large again'))).equals(large));
    await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'large-s3', Body: large }));
  });
});

test('D4: a store that fails and tears requests is asked again, and no byte is wrong', {
  timeout: 170_000,
}, async () => {
  const faults = 'putErrorRate=0.2&getErrorRate=0.2&tornRate=0.1&lostReplyRate=0.1';
  await withVolume({ storeUrl: (directory) => `faulty+file://${directory}?${faults}` }, async ({ bucket, s3 }) => {
    for (let i = 0; i < 4; i++) {
      const bytes = Buffer.alloc(9 * MIB + i, i + 1);
      await writeFile(join(bucket, `f${i}`), bytes);
      await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: `o${i}`, Body: bytes }));
      assert.ok((await readFile(join(bucket, `o${i}`))).equals(bytes));
      const reply = await s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: `f${i}` }));
      assert.ok(bytes.equals(await reply.Body!.transformToByteArray()));
    }
  });
});
