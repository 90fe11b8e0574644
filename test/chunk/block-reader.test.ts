import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/log.ts';
import { BLOCK_BYTES } from '../../src/base/slice-record.ts';
import { encodeTrailer } from '../../src/chunk/block-format.ts';
import { blockName } from '../../src/chunk/block-name.ts';
import { type ByteRange, ObjectMissingError } from '../../src/chunk/chunks.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { MemoryStore } from '../../src/chunk/object/memory-store.ts';
import { BlockCache } from '../../src/chunk/read/block-cache.ts';
import { BlockFetcher } from '../../src/chunk/read/block-fetcher.ts';
import { BlockReader } from '../../src/chunk/read/block-reader.ts';
import { BlockUploader } from '../../src/chunk/write/block-uploader.ts';
import { pattern } from './fake-volume.ts';

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
  const fetcher = new BlockFetcher(store, { retryMs: 2_000, downloadParallel: 4, checked: true }, silentLogger);
  const reader = new BlockReader(fetcher, cache, () => clock.ms);
  const data = pattern(sliceBytes, 1);
  for (let at = 0, index = 0; at < sliceBytes; at += BLOCK_BYTES, index++) {
    const block = data.subarray(at, at + BLOCK_BYTES);
    const trailer = encodeTrailer({ sliceId: SLICE, index, blockBytes: block.length }, [block]);
    await memory.put(blockName(SLICE, index, block.length), [block, trailer]);
  }
  return { memory, store, cache, reader, ranges, clock, data };
}

test('a first small read asks for its range only, the second for the whole block', { timeout: 60_000 }, async () => {
  const { reader, ranges, data } = await bench(BLOCK_BYTES);
  const first = await reader.readBlock(SLICE, data.length, 5_000, 4096);
  assert.ok(first.equals(data.subarray(5_000, 9_096)));
  assert.deepEqual(ranges, [
    { offset: 0, length: 32_768 },
    { offset: BLOCK_BYTES, length: 544 },
  ]);
  const second = await reader.readBlock(SLICE, data.length, 2_000_000, 4096);
  assert.ok(second.equals(data.subarray(2_000_000, 2_004_096)));
  assert.deepEqual(ranges.slice(2), [undefined]);
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
  // The checksums once, then the frames around each range.
  assert.deepEqual(
    ranges.map((range) => range?.length),
    [32_768, 544, 32_768, 32_768, 32_768],
  );
});

test('a thousand small files of one pack cost three requests', { timeout: 60_000 }, async () => {
  const { reader, ranges, data } = await bench(1000 * 4096);
  for (let i = 0; i < 1000; i++) {
    const file = await reader.readBlock(SLICE, data.length, i * 4096, 4096);
    assert.ok(file.equals(data.subarray(i * 4096, (i + 1) * 4096)));
  }
  assert.equal(ranges.length, 3, 'a range, its checksums, the whole block');
});

test('concurrent reads of one block share one request', { timeout: 60_000 }, async () => {
  const { reader, ranges, data } = await bench(BLOCK_BYTES);
  const half = BLOCK_BYTES / 2;
  await Promise.all(Array.from({ length: 20 }, () => reader.readBlock(SLICE, data.length, half, half)));
  assert.equal(ranges.length, 1);
  const other = await bench(BLOCK_BYTES);
  await Promise.all(Array.from({ length: 2 }, () => other.reader.readBlock(SLICE, data.length, 0, 100)));
  assert.ok(other.ranges.length <= 3);
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
    (error: unknown) => isFsError(error, 'EIO') && /900 bytes instead of 1036/.test(error.message),
  );
  assert.equal(store.counts.get, 3);
  assert.equal(cache.peek(SLICE, 0) !== undefined, false, 'a damaged block is not cached');
});

test('D6: a flipped bit is read again, then EIO, in the whole block and in ranges', { timeout: 60_000 }, async () => {
  const { reader, memory, store, cache, clock } = await bench(BLOCK_BYTES);
  const object = memory.objects.get(blockName(SLICE, 0, BLOCK_BYTES))!.data;
  const [inFirstFrame, inSecondFrame, inChecksums, inFooter] = [100, 40_000, BLOCK_BYTES + 5, BLOCK_BYTES + 530];
  const isDamaged = (error: unknown): boolean => isFsError(error, 'EIO') && /is damaged/.test(error.message);
  for (const at of [inFirstFrame, inSecondFrame, inChecksums, inFooter]) {
    object[at]! ^= 4;
    const before = store.counts.get;
    await assert.rejects(async () => reader.readBlock(SLICE, BLOCK_BYTES, 0, BLOCK_BYTES), isDamaged);
    assert.equal(store.counts.get - before, 3);
    assert.equal(cache.peek(SLICE, 0), undefined, 'a damaged block is not cached');
    object[at]! ^= 4;
  }
  object[inFirstFrame]! ^= 4;
  clock.ms += 2_000;
  await assert.rejects(async () => reader.readBlock(SLICE, BLOCK_BYTES, 32_000, 1_000), isDamaged);
  clock.ms += 2_000;
  assert.equal((await reader.readBlock(SLICE, BLOCK_BYTES, 32_768, 1_000)).length, 1_000, 'the other frames are sound');
});

test('D6: a wire that lies once is asked again', { timeout: 60_000 }, async () => {
  const { reader, memory, clock, data } = await bench(BLOCK_BYTES);
  const get = memory.get;
  let lies = 0;
  memory.get = async (key, range, signal) => {
    const bytes = Buffer.from(await get(key, range, signal));
    if (lies-- > 0) bytes[bytes.length >> 1]! ^= 1;
    return bytes;
  };
  for (const [offset, length] of [
    [70_000, 10],
    [0, BLOCK_BYTES],
  ] as const) {
    lies = 2;
    clock.ms += 2_000;
    const bytes = await reader.readBlock(SLICE, BLOCK_BYTES, offset, length);
    assert.ok(bytes.equals(data.subarray(offset, offset + length)));
  }
});

test('D6: a sound object of another block is not taken for this one', { timeout: 60_000 }, async () => {
  const { reader, memory } = await bench(2 * BLOCK_BYTES);
  memory.objects.set(blockName(SLICE, 1, BLOCK_BYTES), memory.objects.get(blockName(SLICE, 0, BLOCK_BYTES))!);
  await assert.rejects(
    async () => reader.readBlock(SLICE, 2 * BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES),
    (error: unknown) => isFsError(error, 'EIO') && /holds another block/.test(error.message),
  );
});

test('blocks of format version 1 are read without checksums', { timeout: 60_000 }, async () => {
  const memory = new MemoryStore();
  const options = { retryMs: 0, downloadParallel: 4, uploadParallel: 4, checked: false };
  const cache = new BlockCache(0);
  const data = pattern(200_000, 3);
  await new BlockUploader(memory, cache, options).putSlice(SLICE, [data]);
  assert.ok(memory.objects.get(blockName(SLICE, 0, data.length))!.data.equals(data));
  const reader = new BlockReader(new BlockFetcher(memory, options, silentLogger), cache);
  assert.ok((await reader.readBlock(SLICE, data.length, 0, data.length)).equals(data));
  assert.ok((await reader.readBlock(SLICE, data.length, 70_000, 10)).equals(data.subarray(70_000, 70_010)));
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
  const { reader, cache, data, ranges } = await bench(6 * BLOCK_BYTES, 3 * (BLOCK_BYTES + 2048));
  for (const index of [1, 2, 3]) await reader.readBlock(SLICE, data.length, index * BLOCK_BYTES, BLOCK_BYTES);
  ranges.length = 0;
  assert.equal(reader.prefetch(SLICE, data.length, 1), true);
  await reader.readBlock(SLICE, data.length, 0, BLOCK_BYTES);
  assert.equal(ranges.length, 1, 'block 0 was read, block 1 was there');
  assert.ok(cache.peek(SLICE, 1) !== undefined, 'reading block 0 pushed out another one');
});
