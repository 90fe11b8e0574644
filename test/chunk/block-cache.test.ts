import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockCache } from '../../src/chunk/block-cache.ts';

test('a small view of a large piece of memory is copied out of it', () => {
  const cache = new BlockCache(1024 * 1024);
  const reply = Buffer.alloc(64 * 1024, 'r');
  cache.set(1, 0, reply.subarray(100, 200));
  cache.offer(2, 0, [reply.subarray(300, 400)], 7);
  for (const id of [1, 2]) {
    const cached = cache.get(id, 0)!;
    assert.equal(cached.buffer.byteLength, 100);
    assert.ok(cached.equals(Buffer.alloc(100, 'r')));
  }
  cache.set(3, 0, reply);
  assert.equal(cache.get(3, 0)!.buffer, reply.buffer, 'what is all there is kept as it is');
});

test('inline bytes go with their inode, and nothing is left of what was evicted', () => {
  const cache = new BlockCache(100_000);
  for (let id = 1; id <= 1_000; id++) cache.offer(id, 0, [Buffer.alloc(50)], id % 10);
  for (let ino = 0; ino < 10; ino++) cache.dropInode(ino);
  const left = cache.bytes;
  for (let id = 1; id <= 1_000; id++) if (id % 10 === 0) cache.delete(id, 0);
  assert.equal(cache.bytes, 0, `${left} bytes of entries of no inode`);
});
