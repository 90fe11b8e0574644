import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { ACCESS_KEY, SECRET_KEY, s3Client } from '../../conformance/cross-frontend/running-up.ts';
import { S3TestServer, TEST_BUCKET, TEST_KEY, TEST_REGION, TEST_SECRET } from '../chunk/s3-test-server.ts';
import { afterwards } from '../support/clean-up.ts';
import { janusfs, readyFields, serving } from '../support/command-line.ts';
import { redisServer } from '../support/redis-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { RoughProxy, type Weather } from './rough-proxy.ts';

const BOUNDED = { timeout: 150_000 };
const ROUGH_MS = Number(process.env.JANUSFS_TEST_MS ?? 20_000);
const REDIS_PORT_FIRST = 20_000;

/** A volume at both doors, with a proxy of ours before its Redis and one before its store. */
async function behindWeather(t: TestContext, leaseSec: number) {
  const root = temporaryDirectory(t, 'rn');
  const port = REDIS_PORT_FIRST + (process.pid % 20_000);
  const redis = await redisServer({ appendOnly: true, args: ['--port', String(port), '--bind', '127.0.0.1'] });
  afterwards(t, () => redis.stop());
  const store = new S3TestServer();
  await store.start();
  afterwards(t, () => store.stop());
  const toRedis = await RoughProxy.start(port);
  const toStore = await RoughProxy.start(Number(new URL(store.endpoint).port));
  for (const proxy of [toRedis, toStore]) afterwards(t, () => proxy.stop());
  const url = `redis://127.0.0.1:${toRedis.port}/0?volume=rough`;
  const where = `s3://${TEST_BUCKET}/r?endpoint=http://127.0.0.1:${toStore.port}&region=${TEST_REGION}`;
  const env = {
    ...{ AWS_ACCESS_KEY_ID: TEST_KEY, AWS_SECRET_ACCESS_KEY: TEST_SECRET },
    ...{ JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY },
  };
  assert.equal((await janusfs(['format', url, '--store', where], env)).status, 0);
  const mount = join(root, 'mnt');
  mkdirSync(mount);
  const flags = ['--listen', '127.0.0.1:0', '--lease', String(leaseSec), '--log-level', 'warn', '--cache-size', '0'];
  const started = await serving(t, ['serve', url, mount, ...flags], env);
  const s3 = s3Client(readyFields(started.ready).endpoint!, ACCESS_KEY, SECRET_KEY);
  await s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
  const rssMib = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${started.child.pid}/status`, 'latin1'))![1]) / 1024;
  return { bucket: join(mount, 'bkt'), s3, toRedis, toStore, rssMib, stderr: started.stderr };
}

test(
  'D17: through delays, drops, resets and silence on both ways no call fails, nothing is lost and nothing is done twice',
  BOUNDED,
  async (t) => {
    const { bucket, s3, toRedis, toStore, rssMib, stderr } = await behindWeather(t, 60);
    const end = Date.now() + ROUGH_MS;
    const counts = { lines: 0, puts: 0 };
    const append = async (): Promise<void> => {
      const handle = await open(join(bucket, 'log'), 'a');
      while (Date.now() < end) {
        await handle.write(`line ${counts.lines++}\n`);
        await handle.sync();
      }
      await handle.close();
    };
    const put = async (): Promise<void> => {
      while (Date.now() < end) {
        const Key = `object-${counts.puts++}`;
        await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key, Body: Buffer.alloc(200_000, Key) }));
      }
    };
    const weather = async (): Promise<void> => {
      const kinds: Weather[] = ['pass', 'delay', 'drop', 'reset', 'silent'];
      while (Date.now() < end) {
        for (const proxy of [toRedis, toStore]) proxy.set(kinds[Math.floor(Math.random() * kinds.length)]!);
        await sleep(200 + Math.random() * 800);
      }
      for (const proxy of [toRedis, toStore]) proxy.set('pass');
    };
    await Promise.all([append(), put(), weather()]).catch((error: Error) => {
      throw new Error(`${error.message}; the log says:\n${stderr.join('').slice(-3_000)}`);
    });
    const lines = (await readFile(join(bucket, 'log'), 'utf8')).split('\n').slice(0, -1);
    assert.deepEqual(
      lines,
      Array.from({ length: counts.lines }, (_, i) => `line ${i}`),
    );
    for (let i = 0; i < counts.puts; i++) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: `object-${i}` }));
      const bytes = Buffer.from(await Body!.transformToByteArray());
      assert.ok(bytes.equals(Buffer.alloc(200_000, `object-${i}`)), `object-${i}`);
    }
    t.diagnostic(`${counts.lines} lines, ${counts.puts} objects, rss ${Math.round(rssMib())} MiB`);
    assert.ok(counts.lines > 10 && counts.puts > 5, JSON.stringify(counts));
    assert.doesNotMatch(stderr.join(''), /fenced|given up/);
  },
);

test(
  'D17: a partition of either, longer than lease and silence limit, is waited out; what is written meanwhile stays within its budget',
  BOUNDED,
  async (t) => {
    const { bucket, s3, toRedis, toStore, rssMib } = await behindWeather(t, 5);
    const handle = await open(join(bucket, 'file'), 'w+');
    await handle.write('before');
    await handle.sync();
    for (const proxy of [toRedis, toStore]) {
      proxy.set('silent');
      const written = handle.write('x'.repeat(1_000_000)).then(() => handle.sync());
      const put = s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'meanwhile', Body: Buffer.alloc(300_000, 1) }));
      await sleep(35_000);
      assert.ok(rssMib() < 700, `rss ${rssMib()} MiB`);
      proxy.set('pass');
      await Promise.all([written, put]);
    }
    await handle.close();
    assert.equal((await readFile(join(bucket, 'file'), 'utf8')).length, 2_000_006);
  },
);
