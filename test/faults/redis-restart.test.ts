import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { shell } from '../../conformance/cross-frontend/running-up.ts';
import { withVolume } from './served-volume.ts';

const RESTARTS = 3;

test('D2: while Redis restarts, calls wait and go on: no error, nothing twice', { timeout: 170_000 }, async () => {
  await withVolume({ appendOnly: true }, async ({ redis, bucket, s3 }) => {
    let running = true;
    let lines = 0;
    let puts = 0;
    const appender = (async () => {
      while (running) {
        await shell(`echo line ${lines} >> ${join(bucket, 'log')} && mkdir ${join(bucket, `d${lines}`)}`);
        lines++;
      }
    })();
    const putter = (async () => {
      while (running) {
        await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: `p/${puts}`, Body: `put ${puts}`, IfNoneMatch: '*' }));
        puts++;
      }
    })();
    const settled = Promise.all([appender, putter]);
    settled.catch(() => {}); // Awaited below; a failure meanwhile must not end the process.
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

    const log = (await readFile(join(bucket, 'log'), 'utf8')).trimEnd().split('\n');
    assert.deepEqual(
      log,
      Array.from({ length: lines }, (_, i) => `line ${i}`),
    );
    const directories = (await readdir(bucket)).filter((name) => /^d\d+$/.test(name));
    assert.equal(directories.length, lines);
    const list = await s3.send(new ListObjectsV2Command({ Bucket: 'bkt', Prefix: 'p/' }));
    assert.equal(list.KeyCount, Math.min(puts, 1000));
    assert.ok(lines > 10 && puts > 10, `${lines} lines, ${puts} puts`);
  });
});
