import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  ACCESS_KEY,
  runMain,
  SECRET_KEY,
  type Started,
  s3Client,
  shell,
  startMain,
  stopChild,
} from '../../conformance/cross-door/doors.ts';
import { type RedisServer, redisServer } from '../support/redis-server.ts';

const MIB = 1024 * 1024;

test('D5: a full disk is an error at both doors; what was there stays, and work goes on when there is room', {
  timeout: 170_000,
}, async (t) => {
  if (process.getuid?.() !== 0) return t.skip('mounting a small tmpfs needs root');
  const root = await mkdtemp(join(tmpdir(), 'janusfs-full-'));
  const small = join(root, 'small');
  let redis: RedisServer | undefined;
  let served: Started | undefined;
  let s3: ReturnType<typeof s3Client> | undefined;
  await mkdir(small);
  await shell(`mount -t tmpfs -o size=40m janusfs-test ${small}`);
  try {
    redis = await redisServer();
    const url = `redis+unix://${redis.socket}?volume=full`;
    await runMain(['format', url, '--store', `file://${join(small, 'store')}`], {
      JANUSFS_ACCESS_KEY: ACCESS_KEY,
      JANUSFS_SECRET_KEY: SECRET_KEY,
    });
    const mount = join(root, 'mnt');
    await mkdir(mount);
    served = await startMain(['serve', url, mount, '--listen', '127.0.0.1:0']);
    s3 = s3Client(/http:\/\/\S+/.exec(served.ready)![0], ACCESS_KEY, SECRET_KEY);
    const client = s3;
    await client.send(new CreateBucketCommand({ Bucket: 'bkt' }));
    const kept = Buffer.alloc(8 * MIB, 'k');
    await writeFile(join(mount, 'bkt', 'kept'), kept);
    await writeFile(join(small, 'filler'), Buffer.alloc(28 * MIB));

    await assert.rejects(
      writeFile(join(mount, 'bkt', 'too-much'), Buffer.alloc(30 * MIB, 'x')),
      (error: NodeJS.ErrnoException) => ['ENOSPC', 'EIO'].includes(error.code!),
    );
    await assert.rejects(
      client.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'too-much-s3', Body: Buffer.alloc(30 * MIB, 'x') })),
      (error: { $metadata: { httpStatusCode: number } }) => error.$metadata.httpStatusCode >= 500,
    );
    await assert.rejects(client.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'too-much-s3' })), {
      name: 'NoSuchKey',
    });
    assert.ok((await readFile(join(mount, 'bkt', 'kept'))).equals(kept));

    await unlink(join(small, 'filler'));
    await unlink(join(mount, 'bkt', 'too-much')).catch((error: NodeJS.ErrnoException) =>
      assert.equal(error.code, 'ENOENT'),
    );
    await writeFile(join(mount, 'bkt', 'again'), kept);
    assert.ok((await readFile(join(mount, 'bkt', 'again'))).equals(kept));
    await client.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'again-s3', Body: kept }));
  } finally {
    s3?.destroy();
    if (served !== undefined) await stopChild(served.child);
    await redis?.stop();
    await shell(`umount -l ${small}`);
    await rm(root, { recursive: true, force: true });
  }
});
