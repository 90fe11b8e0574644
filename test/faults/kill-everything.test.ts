import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { type RunningUp, shell, startUp } from '../../conformance/cross-frontend/running-up.ts';

const ROUNDS = 3;

/** Contents are derived from names, so that any file can be checked whoever wrote it. */
function contentOf(name: string, sizeBytes: number): Buffer {
  const seed = createHash('sha256').update(name).digest();
  return Buffer.alloc(sizeBytes, seed);
}

const sizeOf = (name: string): number => (name.endsWith('L') ? 5_000_000 : 3000);

// Writes files until it is killed; a name goes to the log (outside the mount) after close(2) returned.
const WRITER = `
import hashlib, os, sys
mount, log, prefix = sys.argv[1:4]
out = open(log, 'a', buffering=1)
i = 0
while True:
    name = '%s%d%s' % (prefix, i, 'L' if i % 25 == 24 else 'S')
    seed = hashlib.sha256(name.encode()).digest()
    size = 5000000 if name.endswith('L') else 3000
    data = (seed * (size // 32 + 1))[:size]
    with open(os.path.join(mount, 'bkt', name), 'wb') as f:
        f.write(data)
    out.write(name + '\\n')
    i += 1
`;

test('D1: kill -9 of everything at any moment loses nothing that was closed or answered', {
  timeout: 170_000,
}, async () => {
  let up: RunningUp | undefined;
  let root: string | undefined;
  try {
    const acknowledged = new Set<string>();
    const writers: Promise<unknown>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      up = await startUp(root === undefined ? {} : { root });
      root = up.root;
      if (round === 0) await up.s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
      await check(up, acknowledged);
      const log = up.scratch(`log${round}`);
      const writer = spawn('python3', ['-c', WRITER, up.mount, log, `m${round}-`], { stdio: 'ignore' });
      const exited = new Promise((resolve) => writer.once('exit', resolve));
      const puts = putUntilKilled(up, `s${round}-`, acknowledged);
      await until(() => existsSync(log) && readFileSync(log, 'utf8').split('\n').length > 40 + round * 17);
      await up.kill();
      writer.kill('SIGKILL');
      await puts;
      writers.push(exited);
      for (const name of readFileSync(log, 'utf8').split('\n').slice(0, -1)) acknowledged.add(name);
    }
    up = await startUp({ root: root! });
    await Promise.all(writers); // The new mount has freed what hung in the old one.
    await check(up, acknowledged);
    assert.ok(acknowledged.size > 100, `only ${acknowledged.size} files were acknowledged`);
  } finally {
    await up?.end();
    if (root !== undefined) rmSync(root, { recursive: true, force: true });
  }
});

/** Everything acknowledged is there byte for byte; everything listed can be read whole. */
async function check(up: RunningUp, acknowledged: Set<string>): Promise<void> {
  const names = new Set(await readdir(up.at('bkt')));
  for (const name of acknowledged) assert.ok(names.has(name), `${name} was acknowledged and is gone`);
  for (const name of names) {
    const bytes = await readFile(up.at('bkt', name));
    if (acknowledged.has(name)) assert.ok(bytes.equals(contentOf(name, sizeOf(name))), `${name} differs`);
    else
      assert.ok(
        contentOf(name, sizeOf(name)).subarray(0, bytes.length).equals(bytes),
        `${name} has bytes nobody wrote`,
      );
  }
  let token: string | undefined;
  const keys: string[] = [];
  do {
    const page = await up.s3.send(
      new ListObjectsV2Command({ Bucket: 'bkt', ...(token === undefined ? {} : { ContinuationToken: token }) }),
    );
    for (const item of page.Contents ?? []) {
      keys.push(item.Key!);
      const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: item.Key! }));
      assert.equal((await reply.Body!.transformToByteArray()).length, item.Size);
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  assert.deepEqual(new Set(keys), names);
}

async function putUntilKilled(up: RunningUp, prefix: string, acknowledged: Set<string>): Promise<void> {
  for (let i = 0; ; i++) {
    const Key = `${prefix}${i}${i % 10 === 9 ? 'L' : 'S'}`;
    try {
      await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key, Body: contentOf(Key, sizeOf(Key)) }));
    } catch {
      return; // The kill: this PUT was not answered.
    }
    acknowledged.add(Key);
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 3000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(condition(), 'the writer made no progress');
}

test('D1: a mount left by kill -9 is taken over and the data directory is usable again', {
  timeout: 170_000,
}, async () => {
  let up = await startUp();
  try {
    await shell(`mkdir ${up.at('dir')} && echo kept > ${up.at('dir', 'f')}`);
    await up.kill();
    up = await startUp({ root: up.root });
    assert.equal(await readFile(up.at('dir', 'f'), 'utf8'), 'kept\n');
  } finally {
    await up.end();
  }
});
