import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { BLOCK_BYTES, CHUNK_BYTES, type SliceRecord } from '../../src/base/slice-record.ts';
import type { ChunkOptions, ChunkStore, FileReader } from '../../src/chunk/chunks.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { FakeVolume, MemoryStore, pattern, testChunkStore } from './fake-volume.ts';

const INO = 5;

interface Bench {
  store: FaultyStore;
  memory: MemoryStore;
  chunks: ChunkStore;
  volume: FakeVolume;
  reader: FileReader;
}

function bench(options: Partial<ChunkOptions> = {}): Bench {
  const memory = new MemoryStore();
  const store = new FaultyStore(memory, NO_FAULTS);
  const chunks = testChunkStore(store, options);
  const volume = new FakeVolume(memory);
  return { store, memory, chunks, volume, reader: chunks.reader(INO, volume) };
}

/** Stores a slice as another machine would (not in this one's cache) and puts a record for it. */
async function storeSlice(b: Bench, id: number, data: Buffer, chunkIndex: number, pos: number): Promise<void> {
  const other = testChunkStore(b.memory);
  await other.putSlice(id, [data]);
  addRecord(b.volume, chunkIndex, { pos, id, size: data.length, off: 0, len: data.length, inline: false });
}

function addInline(b: Bench, id: number, data: Buffer, pos: number): void {
  b.volume.inline.set(id, data);
  addRecord(b.volume, 0, { pos, id, size: data.length, off: 0, len: data.length, inline: true });
}

function addRecord(volume: FakeVolume, chunkIndex: number, record: SliceRecord): void {
  const file = volume.file(INO);
  const records = file.chunks.get(chunkIndex) ?? [];
  records.push(record);
  file.chunks.set(chunkIndex, records);
  file.sizeBytes = Math.max(file.sizeBytes, chunkIndex * CHUNK_BYTES + record.pos + record.len);
  file.version++;
}

test('reads slices, inline bytes and holes, cut at the end of the file', { timeout: 60_000 }, async () => {
  const b = bench();
  await storeSlice(b, 1, pattern(1000, 1), 0, 0);
  addInline(b, 2, pattern(100, 2), 500);
  await storeSlice(b, 3, pattern(1000, 3), 0, 5000);
  b.volume.file(INO).sizeBytes = 7000;
  const expected = b.volume.contents(INO);
  assert.ok((await b.reader.read(0, 10_000)).equals(expected));
  assert.ok((await b.reader.read(550, 5000)).equals(expected.subarray(550, 5550)));
  assert.equal((await b.reader.read(7000, 10)).length, 0);
  assert.equal((await b.reader.read(90_000, 10)).length, 0);
  assert.equal(b.volume.mapReads, 1, 'the map is read once');
  assert.equal(b.volume.inlineReads, 1, 'inline bytes are fetched once');
});

test('what is cached comes as a plain value, a view of the block where one is enough', {
  timeout: 60_000,
}, async () => {
  const b = bench();
  await storeSlice(b, 1, pattern(1000, 1), 0, 0);
  addInline(b, 2, pattern(100, 2), 1000);
  await b.reader.read(0, 1100);
  const both = b.reader.read(900, 200);
  assert.ok(Buffer.isBuffer(both));
  const one = b.reader.read(10, 20);
  const again = b.reader.read(10, 20);
  assert.ok(Buffer.isBuffer(one) && Buffer.isBuffer(again) && one.buffer === again.buffer);
});

test('reads across the end of a chunk', { timeout: 60_000 }, async () => {
  const b = bench();
  await storeSlice(b, 1, pattern(2000, 1), 0, CHUNK_BYTES - 2000);
  await storeSlice(b, 2, pattern(2000, 2), 1, 0);
  const found = await b.reader.read(CHUNK_BYTES - 100, 200);
  assert.ok(found.equals(Buffer.concat([pattern(2000, 1).subarray(1900), pattern(2000, 2).subarray(0, 100)])));
});

test('an inline slice that the packer has moved is found where it is now', { timeout: 60_000 }, async () => {
  const b = bench();
  addInline(b, 2, pattern(100, 2), 0);
  addInline(b, 3, pattern(100, 3), 100);
  await b.reader.read(0, 0);
  await b.reader.read(0, 50);
  // Moved without a new version, as a swap does; slice 3 is in nobody's cache.
  const other = testChunkStore(b.memory);
  await other.putSlice(9, [Buffer.concat([pattern(100, 2), pattern(100, 3)])]);
  b.volume.inline.clear();
  b.volume.file(INO).chunks.set(0, [
    { pos: 0, id: 9, size: 200, off: 0, len: 100, inline: false },
    { pos: 100, id: 9, size: 200, off: 100, len: 100, inline: false },
  ]);
  assert.ok((await b.reader.read(100, 100)).equals(pattern(100, 3)));
  assert.equal(b.volume.mapReads, 2);
});

test('a block that compaction has replaced is found through a new map', { timeout: 60_000 }, async () => {
  const b = bench();
  await storeSlice(b, 1, pattern(1000, 1), 0, 0);
  await b.reader.read(0, 0);
  b.memory.objects.clear();
  b.volume.file(INO).chunks.clear();
  await storeSlice(b, 2, pattern(1000, 1), 0, 0);
  assert.ok((await b.reader.read(0, 1000)).equals(pattern(1000, 1)));
});

test('bytes that are nowhere are EIO after a bounded number of maps', { timeout: 60_000 }, async () => {
  const b = bench();
  await storeSlice(b, 1, pattern(1000, 1), 0, 0);
  b.memory.objects.clear();
  await assert.rejects(
    async () => b.reader.read(0, 1000),
    (error: unknown) => isFsError(error, 'EIO') && /not in the store/.test(error.message),
  );
  assert.ok(b.volume.mapReads <= 10, `${b.volume.mapReads} maps were read`);
  const gone = bench();
  addInline(gone, 2, pattern(100, 2), 0);
  gone.volume.inline.clear();
  await assert.rejects(
    async () => gone.reader.read(0, 100),
    (error: unknown) => isFsError(error, 'EIO') && /is gone/.test(error.message),
  );
});

test('an inline slice shorter than its record is EIO, never foreign memory', { timeout: 60_000 }, async () => {
  const b = bench();
  addRecord(b.volume, 0, { pos: 0, id: 2, size: 100, off: 0, len: 100, inline: true });
  b.volume.inline.set(2, pattern(60, 2));
  for (let i = 0; i < 2; i++) {
    await assert.rejects(
      async () => b.reader.read(0, 100),
      (error: unknown) => isFsError(error, 'EIO'),
    );
  }
});

test('invalidation by version drops older maps only; offered maps are used', { timeout: 60_000 }, async () => {
  const b = bench();
  addInline(b, 2, pattern(100, 2), 0);
  await b.reader.read(0, 100);
  b.reader.invalidate(b.volume.file(INO).version);
  await b.reader.read(0, 100);
  assert.equal(b.volume.mapReads, 1, 'a change that the map knows already drops nothing');
  addInline(b, 3, pattern(100, 3), 0);
  b.reader.invalidate(b.volume.file(INO).version);
  assert.ok((await b.reader.read(0, 100)).equals(pattern(100, 3)));
  assert.equal(b.volume.mapReads, 2);
  b.reader.invalidate();
  const file = b.volume.file(INO);
  b.reader.offer({ version: file.version, sizeBytes: 100, chunks: file.chunks, inline: b.volume.inline });
  assert.ok(Buffer.isBuffer(b.reader.read(0, 100)));
  b.reader.offer({ version: file.version - 1, sizeBytes: 3, chunks: new Map(), inline: new Map() });
  assert.equal((await b.reader.read(0, 100)).length, 100, 'an older map does not replace a newer one');
  assert.equal(b.volume.mapReads, 2);
});

test('a map that was overtaken on its way serves its read but is not kept', { timeout: 60_000 }, async () => {
  const b = bench();
  addInline(b, 2, pattern(100, 2), 0);
  b.volume.afterReadMap = () => {
    b.volume.afterReadMap = undefined;
    addInline(b, 3, pattern(100, 3), 0);
    b.reader.invalidate(b.volume.file(INO).version);
  };
  assert.equal((await b.reader.read(0, 100)).length, 100);
  assert.ok((await b.reader.read(0, 100)).equals(pattern(100, 3)));
  for (let i = 0; i < 20; i++) {
    // Even if everything changes all the time.
    b.volume.afterReadMap = () => b.reader.invalidate();
    assert.ok((await b.reader.read(0, 100)).equals(pattern(100, 3)));
  }
});

test('own commits bring the map forward without reading it again', { timeout: 60_000 }, async () => {
  const b = bench();
  const writer = b.chunks.writer(INO, b.volume.sink());
  await writer.write(0, pattern(100, 1), false);
  await writer.flush();
  assert.ok((await b.reader.read(0, 100)).equals(pattern(100, 1)));
  const reads = b.volume.mapReads;
  for (let i = 2; i < 6; i++) {
    await writer.write(i * 10, pattern(50, i), false);
    await writer.append(pattern(10, i), false);
    await writer.flush();
    assert.ok((await b.reader.read(0, 1000)).equals(b.volume.contents(INO)), `after commit ${i}`);
  }
  assert.equal(b.volume.mapReads, reads);
  b.volume.file(INO).version++; // Somebody else changed it too.
  await writer.write(0, pattern(50, 9), false);
  await writer.flush();
  assert.ok((await b.reader.read(0, 1000)).equals(b.volume.contents(INO)));
  assert.equal(b.volume.mapReads, reads + 1);
  await writer.close();
});

test('a sequential reader finds the next blocks fetched already; a random one causes no such fetches', {
  timeout: 60_000,
}, async () => {
  const b = bench();
  const data = pattern(6 * BLOCK_BYTES, 1);
  await storeSlice(b, 1, data, 0, 0);
  const step = 256 * 1024;
  for (let at = 0; at < data.length; at += step) {
    assert.ok((await b.reader.read(at, step)).equals(data.subarray(at, at + step)), `at ${at}`);
    // Lets fetches under way end: the reader is slower than the store.
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(b.store.counts.get <= 8, `${b.store.counts.get} requests for 6 blocks`);
  assert.ok(b.chunks.stats().hits > 12, 'most reads found their block');

  const random = bench();
  await storeSlice(random, 1, data, 0, 0);
  for (const block of [5, 2, 4, 0, 3, 1]) await random.reader.read(block * BLOCK_BYTES + 1_500_000, 4096);
  assert.equal(random.store.counts.get, 12, 'one ranged request for each, and one for its checksums');
  assert.equal(random.chunks.stats().cacheBytes, 0);
});

test('without a cache everything still reads right', { timeout: 60_000 }, async () => {
  const b = bench({ cacheBytes: 0 });
  const data = pattern(2 * BLOCK_BYTES + 77, 1);
  await storeSlice(b, 1, data, 0, 0);
  addInline(b, 2, pattern(100, 2), 1000);
  const expected = b.volume.contents(INO);
  assert.ok((await b.reader.read(0, data.length)).equals(expected));
  for (let at = 0; at < data.length; at += 1_000_000) {
    assert.ok((await b.reader.read(at, 1_000_000)).equals(expected.subarray(at, at + 1_000_000)));
  }
});
