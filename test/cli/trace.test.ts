import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { type RunningUp, startUp } from '../../conformance/cross-frontend/running-up.ts';

const BOUNDED = { timeout: 120_000 };

/** The line of an operation, when it has been written. */
async function traced(up: RunningUp, line: RegExp): Promise<string> {
  for (;;) {
    const found = line.exec(up.stderr)?.[0];
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('JANUSFS_TRACE=1 shows the scripts, bytes and time of each operation of both frontends', BOUNDED, async (t) => {
  const up = await startUp({ env: { JANUSFS_TRACE: '1' } });
  t.after(() => up.end());
  await up.s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
  // The first of its kind finds its script unknown to Redis.
  await mkdir(up.at('bkt', 'first'));
  await mkdir(up.at('bkt', 'second'));
  await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'a b.txt', Body: 'hello' }));
  assert.match(
    await traced(up, /^trace fuse mkdir .* trips=1 .*$/m),
    /^trace fuse mkdir \d+ scripts=mknod trips=1 in=\d\d out=144 us=\d+ status=0$/,
  );
  const put = await traced(up, /^trace s3 PutObject .*$/m);
  assert.match(
    put,
    /^trace s3 PutObject bkt\/a%20b\.txt scripts=\S*publish trips=\d in=\d+ out=\d{3} us=\d+ status=200$/,
  );
  const [scripts, trips] = /scripts=(\S+) trips=(\d+)/.exec(put)!.slice(1);
  assert.equal(scripts!.split(',').length, Number(trips));

  await writeFile(up.at('bkt', 'file'), 'x'.repeat(5000));
  assert.equal((await readFile(up.at('bkt', 'a b.txt'), 'utf8')).length, 5);
  assert.match(await traced(up, /^trace fuse write .*$/m), / scripts= trips=0 in=5080 out=24 us=\d+ status=0$/);
  await assert.rejects(up.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'missing' })), { name: 'NoSuchKey' });
  assert.match(
    await traced(up, /^trace s3 GetObject bkt\/missing .*$/m),
    /scripts=walk(,walk)? trips=[12] in=0 .* status=404$/,
  );
  await assert.rejects(readFile(up.at('bkt', 'none')), { code: 'ENOENT' });
  await traced(up, /^trace fuse lookup .*$/m);
});

test('without JANUSFS_TRACE nothing is traced', BOUNDED, async (t) => {
  const up = await startUp();
  t.after(() => up.end());
  await mkdir(up.at('made'));
  await up.stop();
  assert.doesNotMatch(up.stderr, /trace/);
});
