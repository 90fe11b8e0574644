import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockCache } from '../../src/chunk/read/block-cache.ts';

/** A view of a larger buffer, as a pool or a network read gives it. */
function view(length: number, pool = 64 * 1024): Buffer {
  return Buffer.alloc(pool, 7).subarray(100, 100 + length);
}

test('a small slice keeps nothing but itself in memory', () => {
  const cache = new BlockCache(1 << 20);
  for (const length of [1, 100, 2048, 2049, 5000]) {
    cache.offer(length, 0, [view(length)]);
    cache.set(length + 10_000, 0, view(length));
    for (const id of [length, length + 10_000]) {
      const found = cache.peek(id, 0)!;
      assert.deepEqual(found, Buffer.alloc(length, 7));
      assert.ok(found.buffer.byteLength <= Math.max(length, Buffer.poolSize), `${length} bytes of ${id}`);
      assert.deepEqual(cache.get(id, 0), found);
    }
  }
});

test('what an entry costs is counted: its bytes, what they pin, and the objects around them', () => {
  const cache = new BlockCache(1 << 24);
  for (let id = 1; id <= 100; id++) cache.offer(id, 0, [view(100)]);
  assert.ok(cache.bytes >= 100 * (100 + 256) && cache.bytes < 100 * 1024, `${cache.bytes} bytes for 100 slices of 100`);
  cache.clear();
  const block = Buffer.alloc(40_000);
  cache.offer(1, 0, [block.subarray(0, 20_000), Buffer.alloc(30_000)]);
  assert.ok(cache.bytes >= 50_000 && cache.bytes < 60_000, 'half of a buffer is copied out of it');
});

test('parts of a large block are joined for the first reader, and counted anew', () => {
  const cache = new BlockCache(1 << 24);
  const parts = [Buffer.alloc(20_000, 1), Buffer.alloc(30_000, 2)];
  cache.offer(1, 3, parts, 9);
  assert.deepEqual(cache.get(1, 3), Buffer.concat(parts));
  assert.equal(cache.get(1, 3), cache.get(1, 3), 'joined once');
  cache.forget(9);
  assert.equal(cache.bytes, 0);
});

test('what is cached of an inode goes with it, and nothing else', () => {
  const cache = new BlockCache(1 << 24);
  for (let id = 1; id <= 60; id++) cache.offer(id, 0, [view(100)], (id % 3) + 1);
  cache.delete(30, 0);
  cache.set(33, 0, view(50), 2);
  cache.forget(1);
  for (let id = 1; id <= 60; id++) {
    const gone = id === 30 || (id % 3 === 0 && id !== 33);
    assert.equal(cache.peek(id, 0) === undefined, gone, `slice ${id}`);
  }
  for (const owner of [2, 3, 4]) cache.forget(owner);
  assert.equal(cache.bytes, 0);
});

test('an evicted entry leaves the chain of its inode', () => {
  const cache = new BlockCache(50 * 420);
  for (let id = 1; id <= 500; id++) cache.offer(id, 0, [view(100)], (id % 7) + 1);
  assert.ok(cache.bytes <= cache.bytesMax && cache.peek(500, 0) !== undefined && cache.peek(1, 0) === undefined);
  for (let owner = 1; owner <= 7; owner++) cache.forget(owner);
  assert.equal(cache.bytes, 0);
});
