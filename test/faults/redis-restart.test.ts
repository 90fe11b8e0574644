import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
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

const RESTARTS = 3;

test('D2: while Redis restarts, calls wait and go on: no error, nothing twice', { timeout: 170_000 }, async () => {
  const root = await mkdtemp(join(tmpdir(), 'janusfs-restart-'));
  let redis: RedisServer | undefined;
  let served: Started | undefined;
  let s3: ReturnType<typeof s3Client> | undefined;
  try {
    redis = await redisServer({ appendOnly: true });
    const url = `redis+unix://${redis.socket}?volume=restart`;
    await runMain(['format', url, '--store', `file://${join(root, 'store')}`], {
      JANUSFS_ACCESS_KEY: ACCESS_KEY,
      JANUSFS_SECRET_KEY: SECRET_KEY,
    });
    const mount = join(root, 'mnt');
    await mkdir(mount);
    served = await startMain(['serve', url, mount, '--listen', '127.0.0.1:0']);
    s3 = s3Client(/http:\/\/\S+/.exec(served.ready)![0], ACCESS_KEY, SECRET_KEY);
    const client = s3;
    await client.send(new CreateBucketCommand({ Bucket: 'bkt' }));

    let running = true;
    let lines = 0;
    let puts = 0;
    const appender = (async () => {
      while (running) {
        await shell(`echo line ${lines} >> ${join(mount, 'bkt', 'log')} && mkdir ${join(mount, 'bkt', `d${lines}`)}`);
        lines++;
      }
    })();
    const putter = (async () => {
      while (running) {
        await client.send(
          new PutObjectCommand({ Bucket: 'bkt', Key: `p/${puts}`, Body: `put ${puts}`, IfNoneMatch: '*' }),
        );
        puts++;
      }
    })();
    const settled = Promise.all([appender, putter]);
    settled.catch(() => {});
    for (let i = 0; i < RESTARTS; i++) {
      const [linesWanted, putsWanted] = [lines + 5, puts + 5];
      const end = Date.now() + 30_000;
      while ((lines < linesWanted || puts < putsWanted) && Date.now() < end)
        await new Promise((resolve) => setTimeout(resolve, 20));
      await redis.kill();
      await redis.start();
    }
    running = false;
    await settled;

    const log = (await readFile(join(mount, 'bkt', 'log'), 'utf8')).trimEnd().split('\n');
    assert.deepEqual(
      log,
      Array.from({ length: lines }, (_, i) => `line ${i}`),
    );
    const directories = (await readdir(join(mount, 'bkt'))).filter((name) => /^d\d+$/.test(name));
    assert.equal(directories.length, lines);
    const list = await client.send(new ListObjectsV2Command({ Bucket: 'bkt', Prefix: 'p/' }));
    assert.equal(list.KeyCount, Math.min(puts, 1000));
    assert.ok(lines > 10 && puts > 10, `${lines} lines, ${puts} puts`);
  } finally {
    s3?.destroy();
    if (served !== undefined) await stopChild(served.child);
    await redis?.stop();
    await rm(root, { recursive: true, force: true });
  }
});
