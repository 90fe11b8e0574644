import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  ACCESS_KEY,
  runMain,
  SECRET_KEY,
  type Started,
  s3Client,
  startMain,
  stopChild,
} from '../../conformance/cross-frontend/running-up.ts';
import { type RedisServer, redisServer } from '../support/redis-server.ts';

const LEASE_MS = 2_000;
const AWAY_MS = 3 * LEASE_MS;

test('D13: Redis away for longer than the lease: clients wait and go on, open files and buffered bytes included', {
  timeout: 170_000,
}, async () => {
  const root = await mkdtemp(join(tmpdir(), 'janusfs-away-'));
  const started: Started[] = [];
  let redis: RedisServer | undefined;
  try {
    redis = await redisServer();
    const url = `redis+unix://${redis.socket}?volume=away`;
    const keys = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };
    await runMain(['format', url, '--store', `file://${join(root, 'store')}`], keys);
    const [one, two] = [join(root, 'one'), join(root, 'two')];
    for (const mount of [one, two]) {
      await mkdir(mount);
      started.push(await startMain(['serve', url, mount, '--listen', '127.0.0.1:0', '--lease', `${LEASE_MS}ms`]));
    }
    const s3 = s3Client(/http:\/\/\S+/.exec(started[1]!.ready)![0], ACCESS_KEY, SECRET_KEY);
    await mkdir(join(one, 'bkt'));
    const [first, second] = [await open(join(one, 'bkt', 'first'), 'w+'), await open(join(two, 'bkt', 'second'), 'w+')];
    await first.write('before ');
    await second.write(Buffer.alloc(300_000, 's'));

    redis.pause();
    const waiting = [
      first.write('and ').then(() => first.sync()),
      second.sync(),
      s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'put', Body: 'put while Redis was away' })),
    ];
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
    redis.resume();
    await Promise.all(waiting);
    await first.write('after');
    await first.close();
    await second.close();

    assert.equal(await readFile(join(two, 'bkt', 'first'), 'utf8'), 'before and after');
    assert.equal((await readFile(join(one, 'bkt', 'second'))).length, 300_000);
    const reply = await s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'put' }));
    assert.equal(await reply.Body!.transformToString(), 'put while Redis was away');
    // Nobody called anybody lost, now or when the clean-up of sessions came by.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    for (const { stderr } of started) assert.doesNotMatch(stderr.join(''), /fenced/);
    s3.destroy();
  } finally {
    redis?.resume();
    for (const { child } of started) await stopChild(child).catch(() => {});
    await redis?.stop();
    await rm(root, { recursive: true, force: true });
  }
});
