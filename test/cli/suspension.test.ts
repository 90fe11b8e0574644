import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import { s3Client, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { afterwards } from '../support/clean-up.ts';
import { mountsAt, readyFields, serving } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const POLLS_MAX = 600;
const LEASE_MS = 2_000;

test('D13: up that slept past its lease goes on, open files included', {
  timeout: 240_000,
}, async (t) => {
  const root = temporaryDirectory(t, 'su');
  const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
  const keys = { JANUSFS_ACCESS_KEY: 'root-key', JANUSFS_SECRET_KEY: 'root-secret' };
  const args = ['up', '--data', data, '--mount', mount, '--listen', '127.0.0.1:0', '--lease', `${LEASE_MS}ms`];
  const started = await serving(t, args, keys);
  mkdirSync(join(mount, 'bucket'));
  await writeFile(join(mount, 'bucket', 'before'), 'before\n');
  const file = await open(join(mount, 'bucket', 'open'), 'w+');
  await file.write('written before, ');

  started.child.kill('SIGSTOP');
  // Nothing may be started meanwhile: the open file would be flushed on the way, and wait.
  await new Promise((resolve) => setTimeout(resolve, 2 * LEASE_MS));
  started.child.kill('SIGCONT');

  await file.write('and after');
  await file.sync();
  assert.equal(await readFile(join(mount, 'bucket', 'open'), 'utf8'), 'written before, and after');
  await until(async () => started.stderr.join('').includes('silent past the lease'), 'it does not say that it slept');
  assert.doesNotMatch(started.stderr.join(''), /fenced/);
  assert.deepEqual(mountsAt(mount), [mount]);
  assert.equal(await readFile(join(mount, 'bucket', 'before'), 'utf8'), 'before\n');
  await writeFile(join(mount, 'bucket', 'after'), 'after\n');
  const s3 = s3Client(readyFields(started.ready).endpoint!, 'root-key', 'root-secret');
  afterwards(t, () => s3.destroy());
  assert.deepEqual(
    (await s3.send(new ListBucketsCommand({}))).Buckets?.map(({ Name }) => Name),
    ['bucket'],
  );
  await file.close();
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
