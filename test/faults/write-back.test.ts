import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Started, shell, startMain } from '../../conformance/cross-frontend/running-up.ts';
import { afterwards } from '../support/clean-up.ts';
import { janusfs, serving } from '../support/command-line.ts';
import { redisServer } from '../support/redis-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 240_000 };
const BYTES = Buffer.alloc(3_000_000, 'written behind ');

/** A volume whose store takes a while for each request, and a mount of it. */
async function slowVolume(t: TestContext, delayMs: number) {
  const root = temporaryDirectory(t, 'wb');
  const redis = await redisServer();
  afterwards(t, () => redis.stop());
  const url = `redis+unix://${redis.socket}?volume=behind`;
  await janusfs(['format', url, '--store', `faulty+file://${root}/store?delayMs=${delayMs}`]);
  const mounts = { writer: join(root, 'writer'), other: join(root, 'other') };
  for (const path of Object.values(mounts)) mkdirSync(path);
  return { root, url, ...mounts, journal: join(root, 'journal') };
}

async function writeDurably(path: string, bytes: Buffer): Promise<number> {
  const began = performance.now();
  const handle = await open(path, 'w');
  await handle.write(bytes);
  await handle.sync();
  await handle.close();
  return performance.now() - began;
}

async function crash(t: TestContext, started: Started, mount: string): Promise<void> {
  const gone = once(started.child, 'exit');
  started.child.kill('SIGKILL');
  await gone;
  await shell(`umount -l ${mount} 2> /dev/null; true`);
  t.diagnostic('killed');
}

test(
  'W1: fsync returns before a slow store has the bytes; another client waits for them and reads them',
  BOUNDED,
  async (t) => {
    const { url, writer, other, journal } = await slowVolume(t, 1_200);
    await serving(t, ['mount', url, writer, '--writeback', journal]);
    await serving(t, ['mount', url, other]);
    const ms = await writeDurably(join(writer, 'file'), BYTES);
    assert.match((await janusfs(['pending', url])).stdout, new RegExp(`:${journal}  1 slices\\n`));
    assert.ok((await readFile(join(other, 'file'))).equals(BYTES));
    assert.ok((await readFile(join(writer, 'file'))).equals(BYTES));
    t.diagnostic(`fsync took ${Math.round(ms)} ms over a store of 1,200 ms`);
    const second = await janusfs(['mount', url, other, '--writeback', journal]);
    assert.match(second.stderr, /is used by another janusfs; give each its own --writeback directory|mounted/);
  },
);

test(
  'W2: after a crash its bytes are an error elsewhere, never zeros; a start, or recover, brings them',
  BOUNDED,
  async (t) => {
    const { url, writer, other, journal } = await slowVolume(t, 1_200);
    let started = await startMain(['mount', url, writer, '--writeback', journal]);
    await writeDurably(join(writer, 'one'), BYTES);
    await crash(t, started, writer);
    const reader = await serving(t, ['mount', url, other, '--retry-time', '6']);
    await assert.rejects(readFile(join(other, 'one')), { code: 'EIO' });
    assert.ok(reader.stderr.join('').includes('waits in a journal'), 'the log says where the bytes are');
    assert.match((await janusfs(['pending', url])).stdout, /1 slices/);
    const checked = await janusfs(['fsck', url]);
    assert.doesNotMatch(checked.stdout, /missing-block/);
    const recovered = await janusfs(['recover', journal, url]);
    assert.match(recovered.stdout, /^1 blocks, \d+ bytes, are in the store\n$/, recovered.stderr);
    assert.ok((await readFile(join(other, 'one'))).equals(BYTES));
    assert.match((await janusfs(['pending', url])).stdout, /^nothing is pending/);

    started = await startMain(['mount', url, writer, '--writeback', journal]);
    await writeDurably(join(writer, 'two'), BYTES);
    await crash(t, started, writer);
    await serving(t, ['mount', url, writer, '--writeback', journal]);
    assert.ok((await readFile(join(writer, 'two'))).equals(BYTES), 'read from the journal');
  },
);

test('W3: a journal that is gone for good can be given up; bad requests are one line', BOUNDED, async (t) => {
  const { root, url, writer, journal } = await slowVolume(t, 1_200);
  const started = await startMain(['mount', url, writer, '--writeback', journal]);
  await writeDurably(join(writer, 'gone'), BYTES);
  await crash(t, started, writer);
  const place = Object.keys(JSON.parse((await janusfs(['pending', url, '--json'])).stdout) as object)[0]!;
  await shell(`rm -rf ${journal}`);
  for (const [args, wanted] of [
    [['recover', join(root, 'none'), url], /holds no journal of behind/],
    [['recover', '-', url], /give the directory of a journal, or - and --lost PLACE/],
    [['recover', '-', url, '--lost', 'elsewhere:/x'], /nothing waits in 'elsewhere:\/x'/],
  ] as [string[], RegExp][]) {
    const refused = await janusfs(args);
    assert.ok(refused.status === 1 || refused.status === 2);
    assert.match(refused.stderr, wanted);
  }
  assert.match((await janusfs(['recover', '-', url, '--lost', place])).stdout, /^1 slices are given up/);
  assert.match((await janusfs(['fsck', url])).stdout, /missing-block.*\/gone/);
});
