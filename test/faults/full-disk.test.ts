import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { shell } from '../../conformance/cross-frontend/running-up.ts';
import { withVolume } from './served-volume.ts';

const MIB = 1024 * 1024;

test('D5: a full disk is an error at both doors; what was there stays, and work goes on when there is room', {
  timeout: 170_000,
}, async (t) => {
  if (process.getuid?.() !== 0) return t.skip('mounting a small tmpfs needs root');
  const root = await mkdtemp(join(tmpdir(), 'janusfs-full-'));
  const small = join(root, 'small');
  await mkdir(small);
  await shell(`mount -t tmpfs -o size=40m janusfs-test ${small}`);
  try {
    await withVolume({ root, storeUrl: () => `file://${join(small, 'store')}` }, async ({ bucket, s3 }) => {
      const kept = Buffer.alloc(8 * MIB, 'k');
      await writeFile(join(bucket, 'kept'), kept);
      await writeFile(join(small, 'filler'), Buffer.alloc(28 * MIB));

      const tooMuch = Buffer.alloc(30 * MIB, 'x');
      await assert.rejects(writeFile(join(bucket, 'too-much'), tooMuch), (error: NodeJS.ErrnoException) =>
        ['ENOSPC', 'EIO'].includes(error.code!),
      );
      await assert.rejects(
        s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'too-much-s3', Body: tooMuch })),
        (error: { $metadata: { httpStatusCode: number } }) => error.$metadata.httpStatusCode >= 500,
      );
      await assert.rejects(s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'too-much-s3' })), { name: 'NoSuchKey' });
      assert.ok((await readFile(join(bucket, 'kept'))).equals(kept));

      await unlink(join(small, 'filler'));
      await rm(join(bucket, 'too-much'), { force: true });
      await writeFile(join(bucket, 'again'), kept);
      assert.ok((await readFile(join(bucket, 'again'))).equals(kept));
      await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'again-s3', Body: kept }));
    });
  } finally {
    await shell(`umount -l ${small}`);
    await rm(root, { recursive: true, force: true });
  }
});
