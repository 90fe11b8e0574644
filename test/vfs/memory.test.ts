import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ROOT_INO } from '../../src/meta/types.ts';
import { ROOT, type Session, testVolume, writeFile } from './two-sessions.ts';

const timeout = 120_000;
let one: Session;
let two: Session;

before(async () => {
  const volume = await testVolume();
  one = await volume.join();
  two = await volume.join();
});

test('F5: what is cached of a removed or replaced file goes with it', { timeout }, async () => {
  const empty = one.chunks.stats().cacheBytes;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 200; i++) await writeFile(one.vfs, `f${i}`, Buffer.alloc(100, i));
    assert.ok(one.chunks.stats().cacheBytes - empty >= 200 * 100, 'what was just written is at hand');
    for (let i = 0; i < 200; i++) {
      if (i % 2 === 0) await one.vfs.unlink(ROOT, ROOT_INO, `f${i}`);
      else await one.vfs.rename(ROOT, ROOT_INO, `f${i}`, ROOT_INO, 'last', 'replace');
    }
    await one.vfs.unlink(ROOT, ROOT_INO, 'last');
    assert.equal(one.chunks.stats().cacheBytes, empty, `round ${round}`);
  }
});

test('F5: also when another machine removes it', { timeout }, async () => {
  const empty = one.chunks.stats().cacheBytes;
  for (let i = 0; i < 50; i++) await writeFile(one.vfs, `g${i}`, Buffer.alloc(100, i));
  for (let i = 0; i < 50; i++) await two.vfs.unlink(ROOT, ROOT_INO, `g${i}`);
  while (one.chunks.stats().cacheBytes > empty) await new Promise((resolve) => setTimeout(resolve, 10));
});
