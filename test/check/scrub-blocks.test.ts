import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile, rm, writeFile as writeDisk } from 'node:fs/promises';
import { join } from 'node:path';
import { before, beforeEach, test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { forgetGone, readScrub, Scrubber, ScrubJob, setScrub } from '../../src/check/scrub-blocks.ts';
import type { ObjectStore } from '../../src/chunk/chunks.ts';
import { openStore } from '../../src/chunk/object/open-store.ts';
import { writeFile } from '../support/vfs-files.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
const SLICES = 6;

let volume: TestVolume;
let member: Member;
let store: ObjectStore;

before(async () => {
  volume = await testVolume();
  const { vfs } = await joinVfs(volume);
  member = await volume.join();
  store = await openStore(volume.storeUrl, { create: false });
  for (let i = 0; i < SLICES; i++) await writeFile(vfs, `big${i}`, Buffer.alloc(1024 * 1024, i));
}, LIMIT);

beforeEach(() => member.scan.apply([['delete', 'scrub']]));

function blockFiles(): string[] {
  const root = volume.storeUrl.slice('file://'.length);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /_\d+_\d+$/.test(path))
    .sort()
    .map((path) => join(root, path));
}

const forever = (): AbortSignal => new AbortController().signal;

test(
  'C8: a pass reads every block; damage is named in the state until the block is mended or gone',
  LIMIT,
  async () => {
    const scrubber = new Scrubber(member, store, silentLogger);
    const [first, second] = blockFiles() as [string, string];
    const [kept, other] = [await readFile(first), await readFile(second)];
    const damaged = Buffer.from(kept);
    damaged[5000]! ^= 4;
    await writeDisk(first, damaged);
    await writeDisk(second, other.subarray(0, 100));
    await scrubber.run(await readScrub(member), { rate: Number.POSITIVE_INFINITY, signal: forever() });
    const found = await readScrub(member);
    assert.deepEqual([found.blocks, found.bytes, found.cursor], [SLICES, SLICES * 1024 * 1024, '']);
    assert.ok(found.endedMs >= found.beganMs && found.beganMs > 0);
    assert.deepEqual([...found.bad.keys()].map((key) => `${volume.storeUrl.slice(7)}/${key}`).sort(), [first, second]);
    assert.match([...found.bad.values()].join(' '), /bytes 0 to 32767 are not what was stored.*answered \d+ bytes/);

    await writeDisk(first, kept);
    await rm(second);
    await forgetGone(member, store, found);
    await scrubber.run(found, { rate: Number.POSITIVE_INFINITY, signal: forever() });
    const mended = await readScrub(member);
    assert.deepEqual([mended.blocks, mended.bad.size], [SLICES - 1, 0]);
    await writeDisk(second, other);
  },
);

test('C8: a pass goes on where it was stopped, at its rate', LIMIT, async () => {
  const scrubber = new Scrubber(member, store, silentLogger);
  const stop = new AbortController();
  const state = await readScrub(member);
  const stopped = scrubber.run(state, {
    rate: 4 * 1024 * 1024,
    signal: stop.signal,
    onBlock: ({ blocks }) => {
      if (blocks === 3) stop.abort(new Error('stopped'));
    },
  });
  const beganMs = performance.now();
  await assert.rejects(stopped, /stopped/);
  assert.ok(performance.now() - beganMs >= 450, 'two blocks of a MiB at 4 MiB a second take half a second');
  const halfway = await readScrub(member);
  assert.notEqual(halfway.cursor, '');
  await scrubber.run(halfway, { rate: Number.POSITIVE_INFINITY, signal: forever() });
  const done = await readScrub(member);
  // The block at which it was stopped is read again.
  assert.deepEqual([done.cursor, done.blocks, done.beganMs], ['', SLICES + 1, halfway.beganMs]);
});

test('C8: whoever serves the volume scrubs it when there is a plan and it is due', LIMIT, async () => {
  const job = new ScrubJob(member, store, silentLogger);
  await job.round(forever());
  assert.equal((await readScrub(member)).endedMs, 0, 'no plan');
  await setScrub(member, { rate: 2 ** 40, everyMs: 3_600_000 });
  await job.round(forever());
  const { endedMs, blocks } = await readScrub(member);
  assert.equal(blocks, SLICES);
  await job.round(forever());
  assert.equal((await readScrub(member)).endedMs, endedMs, 'not due yet');
  await setScrub(member, undefined);
  assert.deepEqual(await readScrub(member).then(({ rate, everyMs, blocks: kept }) => [rate, everyMs, kept]), [
    0,
    0,
    SLICES,
  ]);
});
