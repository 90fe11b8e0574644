import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { BLOCK_BYTES } from '../../src/base/slice-record.ts';
import { blockName } from '../../src/chunk/block-name.ts';
import { type ByteRange, ObjectMissingError } from '../../src/chunk/chunks.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { MemoryStore } from '../../src/chunk/object/memory-store.ts';
import { BlockCache } from '../../src/chunk/read/block-cache.ts';
import { BlockReader } from '../../src/chunk/read/block-reader.ts';
import { pattern } from './fake-volume.ts';

const LIMITS = { retryMs: 2_000 };
const SLICE = 9;

interface Bench {
  memory: MemoryStore;
  store: FaultyStore;
  cache: BlockCache;
  reader: BlockReader;
  ranges: (ByteRange | undefined)[];
  clock: { ms: number };
}

async function bench(sliceBytes: number, cacheBytes = 64 * 1024 * 1024): Promise<Bench & { data: Buffer }> {
  const clock = { ms: 1_000_000 };
  const memory = new MemoryStore();
  const ranges: (ByteRange | undefined)[] = [];
  const get = memory.get.bind(memory);
  memory.get = (key, range, signal) => {
    ranges.push(range);
    return get(key, range, signal);
  };
  const store = new FaultyStore(memory, NO_FAULTS);
  const cache = new BlockCache(cacheBytes);
  const reader = new BlockReader(store, cache, LIMITS, 4, () => clock.ms);
  const data = pattern(sliceBytes, 1);
  for (let at = 0, index = 0; at < sliceBytes; at += BLOCK_BYTES, index++) {
    const block = data.subarray(at, at + BLOCK_BYTES);
    await memory.put(blockName(SLICE, index, block.length), [block]);
  }
  return { memory, store, cache, reader, ranges, clock, data };
}

test('a first small read asks for its range only, the second for the whole block', { timeout: 60_000 }, async () => {
  const { reader, ranges, data } = await bench(BLOCK_BYTES);
  const first = await reader.readBlock(SLICE, data.length, 5_000, 4096);
  assert.ok(first.equals(data.subarray(5_000, 9_096)));
  assert.deepEqual(ranges, [{ offset: 5_000, length: 4096 }]);
  const second = await reader.readBlock(SLICE, data.length, 2_000_000, 4096);
  assert.ok(second.equals(data.subarray(2_000_000, 2_004_096)));
  assert.deepEqual(ranges.slice(1), [undefined]);
  const third = reader.readBlock(SLICE, data.length, 1_000, 10);
  assert.ok(Buffer.isBuffer(third), 'what is cached comes without a promise');
  assert.ok(third.equals(data.subarray(1_000, 1_010)));
});

test('misses more than a second apart stay ranged requests', { timeout: 60_000 }, async () => {
  const { reader, ranges, clock, data } = await bench(BLOCK_BYTES);
  for (let i = 0; i < 4; i++) {
    await reader.readBlock(SLICE, data.length, i * 100_000, 4096);
    clock.ms += 1_001;
  }
  assert.ok(ranges.every((range) => range?.length === 4096));
});

test('a thousand small files of one pack cost two requests', { timeout: 60_000 }, async () => {
  const { reader, ranges, data } = await bench(1000 * 4096);
  for (let i = 0; i < 1000; i++) {
    const file = await reader.readBlock(SLICE, data.length, i * 4096, 4096);
    assert.ok(file.equals(data.subarray(i * 4096, (i + 1) * 4096)));
  }
  assert.equal(ranges.length, 2);
});

test('concurrent reads of one block share one request', { timeout: 60_000 }, async () => {
  const { reader, ranges, data } = await bench(BLOCK_BYTES);
  const half = BLOCK_BYTES / 2;
  await Promise.all(Array.from({ length: 20 }, () => reader.readBlock(SLICE, data.length, half, half)));
  assert.equal(ranges.length, 1);
  const other = await bench(BLOCK_BYTES);
  await Promise.all(Array.from({ length: 2 }, () => other.reader.readBlock(SLICE, data.length, 0, 100)));
  assert.ok(other.ranges.length <= 2);
});

test('random reads over more than the cache holds do not fetch whole blocks for ever', {
  timeout: 60_000,
}, async () => {
  const { reader, ranges, data } = await bench(16 * BLOCK_BYTES, 8 * BLOCK_BYTES);
  for (let round = 0; round < 4; round++) {
    for (let index = 0; index < 16; index++) {
      const offset = index * BLOCK_BYTES + round * 8192;
      const bytes = await reader.readBlock(SLICE, data.length, offset, 100);
      assert.ok(bytes.equals(data.subarray(offset, offset + 100)));
    }
  }
  const whole = ranges.filter((range) => range === undefined).length;
  assert.ok(whole <= 16, `${whole} whole blocks were fetched for 64 reads of 100 bytes`);
});

test('a range over several blocks is put together', { timeout: 60_000 }, async () => {
  const { reader, data } = await bench(2 * BLOCK_BYTES + 1000);
  const found = await reader.readSlice(SLICE, data.length, 100, 2 * BLOCK_BYTES + 500);
  assert.ok(found.equals(data.subarray(100, 2 * BLOCK_BYTES + 600)));
});

test('a missing object is not asked for again', { timeout: 60_000 }, async () => {
  const { reader, store } = await bench(100);
  await assert.rejects(async () => reader.readBlock(77, 100, 0, 100), ObjectMissingError);
  assert.equal(store.counts.get, 1);
});

test('a block of the wrong length is tried briefly, then EIO', { timeout: 60_000 }, async () => {
  const { reader, memory, store, cache } = await bench(1000);
  await memory.put(blockName(SLICE, 0, 1000), [pattern(900, 1)]);
  await assert.rejects(
    async () => reader.readBlock(SLICE, 1000, 0, 1000),
    (error: unknown) => isFsError(error, 'EIO') && /900 bytes instead of 1000/.test(error.message),
  );
  assert.equal(store.counts.get, 3);
  assert.equal(cache.peek(SLICE, 0) !== undefined, false, 'a damaged block is not cached');
});

test('errors that pass are tried again', { timeout: 60_000 }, async () => {
  const { reader, store, data } = await bench(1000);
  let failures = 3;
  store.intercept = () => {
    if (failures-- > 0) throw new Error('the network hiccups');
  };
  assert.ok((await reader.readBlock(SLICE, 1000, 0, 1000)).equals(data));
  store.intercept = () => {
    throw new Error('the network is gone');
  };
  await assert.rejects(
    async () => reader.readBlock(55, 1000, 0, 1000),
    (error: unknown) => isFsError(error, 'EIO'),
  );
});

test('fetching ahead gives way to readers and never rejects', { timeout: 60_000 }, async () => {
  const { reader, store, cache, data } = await bench(8 * BLOCK_BYTES);
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  store.intercept = () => gate;
  const answers = Array.from({ length: 8 }, (_, index) => reader.prefetch(SLICE, data.length, index));
  assert.equal(answers[0], true);
  assert.equal(answers[7], false, 'not more than half of the downloads are spent on it');
  open();
  await reader.readBlock(SLICE, data.length, 0, BLOCK_BYTES);
  assert.equal(cache.peek(SLICE, 0) !== undefined, true);
});

test('the cache is bounded by bytes', { timeout: 60_000 }, () => {
  const cache = new BlockCache(10_000);
  for (let id = 1; id <= 20; id++) cache.set(id, 0, Buffer.alloc(1000));
  assert.ok(cache.bytes <= 10_000);
  assert.equal(cache.peek(1, 0) !== undefined, false);
  assert.equal(cache.peek(20, 0) !== undefined, true);
  cache.offer(30, 0, [Buffer.alloc(5000)]);
  assert.equal(cache.peek(30, 0) !== undefined, false, 'a written block that would throw out much is not kept');
  cache.offer(31, 1, [Buffer.from('ab'), Buffer.from('cd')]);
  assert.equal(cache.get(31, 1)?.toString(), 'abcd');
});

test('a block found in the cache while fetching ahead is still there when its reader comes', {
  timeout: 60_000,
}, async () => {
  const { reader, cache, data, ranges } = await bench(6 * BLOCK_BYTES, 3 * (BLOCK_BYTES + 1024));
  for (const index of [1, 2, 3]) await reader.readBlock(SLICE, data.length, index * BLOCK_BYTES, BLOCK_BYTES);
  ranges.length = 0;
  assert.equal(reader.prefetch(SLICE, data.length, 1), true);
  await reader.readBlock(SLICE, data.length, 0, BLOCK_BYTES);
  assert.equal(ranges.length, 1, 'block 0 was read, block 1 was there');
  assert.ok(cache.peek(SLICE, 1) !== undefined, 'reading block 0 pushed out another one');
});
