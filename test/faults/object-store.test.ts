import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
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
  startMain,
  stopChild,
} from '../../conformance/cross-door/doors.ts';
import { type RedisServer, redisServer } from '../support/redis-server.ts';

const MIB = 1024 * 1024;
const KEYS = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };

interface Served {
  mount: string;
  store: string;
  s3: ReturnType<typeof s3Client>;
}

/** A volume of its own, served with both doors, its bucket made. */
async function withVolume(
  storeUrl: (directory: string) => string,
  body: (served: Served) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'janusfs-store-'));
  let redis: RedisServer | undefined;
  let started: Started | undefined;
  let s3: ReturnType<typeof s3Client> | undefined;
  try {
    redis = await redisServer();
    const url = `redis+unix://${redis.socket}?volume=store`;
    const [store, mount] = [join(root, 'store'), join(root, 'mnt')];
    await runMain(['format', url, '--store', storeUrl(store)], KEYS);
    await mkdir(mount);
    started = await startMain(['serve', url, mount, '--listen', '127.0.0.1:0']);
    s3 = s3Client(/http:\/\/\S+/.exec(started.ready)![0], ACCESS_KEY, SECRET_KEY);
    await s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
    await body({ mount, store, s3 });
  } finally {
    s3?.destroy();
    if (started !== undefined) await stopChild(started.child);
    await redis?.stop();
    await rm(root, { recursive: true, force: true });
  }
}

test('D4: while the store is gone close answers EIO and S3 5xx, small files go on, later writes work', {
  timeout: 400_000,
}, async () => {
  await withVolume(
    (directory) => `file://${directory}`,
    async ({ mount, store, s3 }) => {
      const large = Buffer.alloc(6 * MIB, 'x');
      await rename(store, `${store}.away`);
      await writeFile(store, 'in the way'); // So that the driver cannot make the directory anew.
      const [onMount, onS3] = await Promise.allSettled([
        writeFile(join(mount, 'bkt', 'large'), large),
        s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'large-s3', Body: large })),
      ]);
      assert.equal(onMount.status, 'rejected');
      assert.equal((onMount.reason as NodeJS.ErrnoException).code, 'EIO');
      assert.equal(onS3.status, 'rejected');
      assert.ok((onS3.reason as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode >= 500);
      await writeFile(join(mount, 'bkt', 'small'), 'inline');
      assert.equal(await readFile(join(mount, 'bkt', 'small'), 'utf8'), 'inline');
      await assert.rejects(s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'large-s3' })), { name: 'NoSuchKey' });

      await rm(store);
      await rename(`${store}.away`, store);
      await writeFile(join(mount, 'bkt', 'large again'), large);
      assert.ok((await readFile(join(mount, 'bkt', 'large again'))).equals(large));
      await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'large-s3', Body: large }));
    },
  );
});

test('D4: a store that fails and tears every third request is retried, and no byte is wrong', {
  timeout: 170_000,
}, async () => {
  await withVolume(
    (directory) => `faulty+file://${directory}?putErrorRate=0.2&getErrorRate=0.2&tornRate=0.1&lostReplyRate=0.1`,
    async ({ mount, s3 }) => {
      for (let i = 0; i < 4; i++) {
        const bytes = Buffer.alloc(9 * MIB + i, i + 1);
        await writeFile(join(mount, 'bkt', `f${i}`), bytes);
        await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: `o${i}`, Body: bytes }));
        assert.ok((await readFile(join(mount, 'bkt', `o${i}`))).equals(bytes));
        const reply = await s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: `f${i}` }));
        assert.ok(bytes.equals(await reply.Body!.transformToByteArray()));
      }
    },
  );
});
