import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import { s3Client, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { afterwards } from '../support/clean-up.ts';
import { janusfs, mountsAt, readyFields, serving } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const POLLS_MAX = 600;

test('up that slept past its lease says so and opens both doors again, at the same places', {
  timeout: 240_000,
}, async (t) => {
  const root = temporaryDirectory(t, 'su');
  const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
  const keys = { JANUSFS_ACCESS_KEY: 'root-key', JANUSFS_SECRET_KEY: 'root-secret' };
  const args = ['up', '--data', data, '--mount', mount, '--listen', '127.0.0.1:0', '--lease', '2'];
  const started = await serving(t, args, keys);
  mkdirSync(join(mount, 'bucket'));
  await writeFile(join(mount, 'bucket', 'before'), 'before\n');

  started.child.kill('SIGSTOP');
  await until(async () => {
    const { stdout } = await janusfs(['status', '--data', data, '--json']);
    const { sessions } = JSON.parse(stdout) as { sessions: { expiresMs: number }[] };
    return sessions.every(({ expiresMs }) => expiresMs < Date.now());
  }, 'the lease did not run out');
  started.child.kill('SIGCONT');

  await until(async () => started.stderr.join('').includes('the volume is open again'), 'it did not come back');
  assert.match(started.stderr.join(''), /suspended past the lease and fenced/);
  assert.deepEqual(mountsAt(mount), [mount]);
  assert.equal(await readFile(join(mount, 'bucket', 'before'), 'utf8'), 'before\n');
  await writeFile(join(mount, 'bucket', 'after'), 'after\n');
  const s3 = s3Client(readyFields(started.ready).endpoint!, 'root-key', 'root-secret');
  afterwards(t, () => s3.destroy());
  assert.deepEqual(
    (await s3.send(new ListBucketsCommand({}))).Buckets?.map(({ Name }) => Name),
    ['bucket'],
  );
  assert.equal(await stopChild(started.child), 0);
  assert.deepEqual(mountsAt(mount), []);
});

async function until(condition: () => Promise<boolean>, failure: string): Promise<void> {
  for (let i = 0; i < POLLS_MAX; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(failure);
}
