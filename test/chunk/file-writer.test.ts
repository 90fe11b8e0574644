import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FsError, isFsError } from '../../src/base/errors.ts';
import { BLOCK_BYTES, CHUNK_BYTES, FILE_BYTES_MAX } from '../../src/base/slice-record.ts';
import type { ChunkOptions, ChunkStore, FileWriter } from '../../src/chunk/chunks.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { StoreError } from '../../src/chunk/object/store-error.ts';
import { FakeVolume, MemoryStore, pattern, testChunkStore } from './fake-volume.ts';

const INO = 5;
const MIB = 1024 * 1024;

interface Bench {
  store: FaultyStore;
  memory: MemoryStore;
  chunks: ChunkStore;
  volume: FakeVolume;
  writer: FileWriter;
}

function bench(options: Partial<ChunkOptions> = {}): Bench {
  const memory = new MemoryStore();
  const store = new FaultyStore(memory, NO_FAULTS);
  const chunks = testChunkStore(store, options);
  const volume = new FakeVolume(memory);
  return { store, memory, chunks, volume, writer: chunks.writer(INO, volume.sink()) };
}

/** A gate that holds whoever awaits it until open() is called. */
function gate(): { wait: () => Promise<void>; open: () => void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait: () => opened, open };
}

/** Lets everything go on that waits for nothing but turns of the event loop, until `done` holds. */
async function until(what: string, done: () => boolean): Promise<void> {
  for (let turns = 0; turns < 100_000; turns++) {
    if (done()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.fail(`never happened: ${what}`);
}

test('a small write and a flush are one commit with inline bytes and no object', { timeout: 60_000 }, async () => {
  const { store, volume, writer, chunks } = bench();
  const before = Date.now() * 1000;
  assert.equal(writer.write(0, pattern(4096, 1), true), undefined);
  assert.ok(writer.hasPending);
  assert.ok(writer.lastWriteUs >= before);
  await writer.flush();
  assert.equal(volume.commits.length, 1);
  assert.equal(volume.commits[0]!.killPriv, true);
  assert.equal(volume.commits[0]!.append, false);
  assert.ok(volume.contents(INO).equals(pattern(4096, 1)));
  assert.deepEqual(store.counts.put, 0);
  assert.equal(writer.hasPending, false);
  assert.equal(writer.lastWriteUs, 0);
  const id = [...volume.inline.keys()][0]!;
  assert.ok(chunks.cachedInline(id)!.equals(pattern(4096, 1)), 'the packer of this machine need not fetch the bytes');
  await writer.flush();
  assert.equal(volume.commits.length, 1, 'a flush of nothing commits nothing');
  await writer.close();
});

test('without inline space a small write becomes a block', { timeout: 60_000 }, async () => {
  const { store, volume, writer } = bench();
  volume.inlineMax = 1000;
  await writer.write(10, pattern(4096, 1), false);
  await writer.flush();
  assert.equal(store.counts.put, 1);
  assert.equal(volume.commits.length, 1);
  assert.equal(volume.file(INO).sizeBytes, 4106);
  await writer.close();
});

test('sequential writes fill one slice whose blocks upload before the flush', { timeout: 60_000 }, async () => {
  const { store, volume, writer } = bench();
  const data = pattern(10 * MIB + 5, 1);
  for (let at = 0; at < data.length; at += MIB) await writer.write(at, data.subarray(at, at + MIB), false);
  await until('two full blocks are uploaded', () => store.counts.put === 2);
  assert.equal(volume.commits.length, 0);
  await writer.flush();
  assert.equal(volume.commits.length, 1);
  assert.equal(volume.commits[0]!.pieces.length, 1);
  assert.ok(volume.contents(INO).equals(data));
  await writer.close();
});

test('a slice that reaches the end of its chunk is committed without a flush', { timeout: 60_000 }, async () => {
  const { volume, writer } = bench({ bufferBytes: 256 * MIB });
  const tail = pattern(3 * MIB, 1);
  await writer.write(CHUNK_BYTES - MIB, tail, false);
  await until('the first chunk is committed', () => volume.commits.length === 1);
  assert.equal(volume.file(INO).sizeBytes, CHUNK_BYTES);
  await writer.flush();
  assert.equal(volume.commits.length, 2);
  assert.ok(
    volume
      .contents(INO)
      .subarray(CHUNK_BYTES - MIB)
      .equals(tail),
  );
  await writer.close();
});

test('overwriting what is still buffered makes no second slice', { timeout: 60_000 }, async () => {
  const { volume, writer } = bench();
  for (let i = 0; i < 100; i++) writer.write((i % 10) * 100, pattern(100, i), false);
  await writer.flush();
  assert.equal(volume.commits.length, 1);
  assert.equal(volume.commits[0]!.pieces.length, 1);
  const expected = Buffer.concat(Array.from({ length: 10 }, (_, i) => pattern(100, 90 + i)));
  assert.ok(volume.contents(INO).equals(expected));
  await writer.close();
});

test('several scattered writes travel in one commit', { timeout: 60_000 }, async () => {
  const { volume, writer } = bench();
  for (let i = 0; i < 10; i++) writer.write(i * 100_000, pattern(1000, i), false);
  await writer.flush();
  assert.equal(volume.commits.length, 1);
  assert.equal(volume.commits[0]!.pieces.length, 10);
  await writer.close();
});

test('thousands of scattered writes stay bounded and all arrive', { timeout: 60_000 }, async () => {
  const { volume, writer, chunks } = bench();
  const held = gate();
  volume.beforeCommit = held.wait;
  let waits = 0;
  const writes: Promise<void>[] = [];
  for (let i = 0; i < 600; i++) {
    const wait = writer.write(i * 8192, pattern(512, i), false);
    if (wait !== undefined) {
      waits++;
      writes.push(wait);
    }
  }
  assert.ok(waits > 0, 'writers wait when hundreds of slices are pending');
  held.open();
  await Promise.all(writes);
  await writer.flush();
  for (let i = 0; i < 600; i++) {
    assert.ok(
      volume
        .contents(INO)
        .subarray(i * 8192, i * 8192 + 512)
        .equals(pattern(512, i)),
      `write ${i}`,
    );
  }
  await writer.close();
  assert.equal(chunks.stats().bufferBytes, 0);
});

test('appends are one run, and those during a commit are the next', { timeout: 60_000 }, async () => {
  const { volume, writer } = bench();
  volume.file(INO).sizeBytes = 100;
  const held = gate();
  volume.beforeCommit = held.wait;
  writer.append(Buffer.from('one'), false);
  writer.append(Buffer.from('two'), false);
  assert.equal(writer.pendingEnd(100), 106);
  const first = writer.flush();
  writer.append(Buffer.from('three'), false);
  writer.append(Buffer.from('four'), false);
  assert.equal(writer.pendingEnd(100), 115);
  assert.equal(writer.pendingEnd(106), 115, 'a run whose commit has landed is not counted twice');
  const second = writer.flush();
  held.open();
  await Promise.all([first, second]);
  assert.equal(volume.commits.length, 2);
  assert.ok(volume.commits.every((commit) => commit.append));
  assert.equal(volume.contents(INO).subarray(100).toString(), 'onetwothreefour');
  await writer.close();
});

test('writes and appends keep their order', { timeout: 60_000 }, async () => {
  const { volume, writer } = bench();
  writer.write(0, Buffer.from('0123456789'), false);
  writer.append(Buffer.from('abc'), false);
  writer.write(8, Buffer.from('XYZ'), false);
  const out = Buffer.alloc(13);
  assert.equal(writer.pendingEnd(0), 13);
  writer.overlayPending(0, out);
  assert.equal(out.toString(), '01234567XYZbc');
  await writer.flush();
  assert.equal(volume.contents(INO).toString(), '01234567XYZbc');
  await writer.close();
});

test('a flush waits for what was written before it and for no more', { timeout: 60_000 }, async () => {
  const { volume, writer } = bench();
  const gates = [gate(), gate()];
  let commits = 0;
  volume.beforeCommit = () => gates[commits++]!.wait();
  writer.write(0, Buffer.from('first'), false);
  const first = writer.flush();
  writer.write(0, Buffer.from('again'), false);
  const second = writer.flush();
  let secondDone = false;
  void second.then(() => {
    secondDone = true;
  });
  gates[0]!.open();
  await first;
  assert.equal(volume.contents(INO).toString(), 'first');
  assert.equal(secondDone, false);
  gates[1]!.open();
  await second;
  assert.equal(volume.contents(INO).toString(), 'again');
  await writer.close();
});

test('a later slice is not committed before an earlier one is stored', { timeout: 60_000 }, async () => {
  const { store, volume, writer } = bench();
  volume.inlineMax = 10_000;
  const held = gate();
  store.intercept = held.wait;
  writer.write(0, pattern(50_000, 1), false);
  writer.write(1_000_000, pattern(100, 2), false);
  const flush = writer.flush();
  await until('the upload has begun', () => store.counts.put === 1);
  assert.equal(volume.commits.length, 0);
  held.open();
  await flush;
  assert.deepEqual(
    volume.commits.map((commit) => commit.pieces.length),
    [2],
  );
  await writer.close();
});

test('a failed upload is told by the flush, kept, and stored by the next', { timeout: 60_000 }, async () => {
  const { store, volume, writer } = bench({ retryMs: 50 });
  volume.inlineMax = 0;
  let broken = true;
  store.intercept = () => {
    if (broken) throw new Error('the store is away');
  };
  writer.write(0, pattern(5 * MIB, 1), false);
  await assert.rejects(
    writer.flush(),
    (error: unknown) => isFsError(error, 'EIO') && /store is away/.test(error.message),
  );
  assert.equal(volume.commits.length, 0);
  assert.equal(volume.file(INO).sizeBytes, 0, 'the size covers nothing that is not stored');
  assert.equal(writer.pendingEnd(0), 5 * MIB);
  const wait = writer.write(5 * MIB, pattern(1000, 2), false);
  assert.ok(wait !== undefined, 'a writer after a failed upload is slowed down to the retry');
  await wait;
  await assert.rejects(writer.flush());
  broken = false;
  await writer.flush();
  assert.ok(volume.contents(INO).equals(Buffer.concat([pattern(5 * MIB, 1), pattern(1000, 2)])));
  await writer.close();
});

test('a full disk reaches the program as ENOSPC', { timeout: 60_000 }, async () => {
  const { store, volume, writer } = bench();
  volume.inlineMax = 0;
  store.intercept = () => {
    throw new StoreError('its disk is full', { retryable: false, code: 'ENOSPC' });
  };
  writer.write(0, pattern(1000, 1), false);
  await assert.rejects(writer.flush(), (error: unknown) => isFsError(error, 'ENOSPC'));
  assert.equal(store.counts.put, 1, 'trying again is of no use');
  await assert.rejects(writer.close(), (error: unknown) => isFsError(error, 'ENOSPC'));
});

test('a refused commit loses what is pending and is thrown once', { timeout: 60_000 }, async () => {
  const { volume, writer, chunks } = bench();
  volume.beforeCommit = () => {
    throw new FsError('EDQUOT', 'commit');
  };
  writer.write(0, pattern(1000, 1), false);
  const flush = writer.flush();
  writer.write(5000, pattern(1000, 2), false); // Not covered by the flush: its writer must hear of the loss too.
  await assert.rejects(flush, (error: unknown) => isFsError(error, 'EDQUOT'));
  const refused = writer.write(9000, pattern(1000, 3), false);
  await assert.rejects(
    async () => refused,
    (error: unknown) => isFsError(error, 'EDQUOT'),
  );
  await assert.rejects(writer.flush(), (error: unknown) => isFsError(error, 'EDQUOT'));
  volume.beforeCommit = undefined;
  await writer.flush();
  assert.equal(volume.file(INO).sizeBytes, 0);
  await writer.write(0, pattern(10, 4), false);
  await writer.flush();
  assert.ok(volume.contents(INO).equals(pattern(10, 4)), 'later writes work');
  await writer.close();
  assert.equal(chunks.stats().bufferBytes, 0);
});

test('beyond the memory budget writers wait until commits give room', { timeout: 60_000 }, async () => {
  const { store, volume, writer, chunks } = bench({ bufferBytes: 16 * MIB });
  const held = gate();
  store.intercept = held.wait;
  const waits: Promise<void>[] = [];
  let written = 0;
  while (waits.length === 0 && written < 100) {
    const wait = writer.write(written * MIB, pattern(MIB, written), false);
    if (wait !== undefined) waits.push(wait);
    written++;
  }
  assert.ok(written > 8 && written <= 24, `${written} MiB were taken with a budget of 16 MiB`);
  let resumed = false;
  void waits[0]!.then(() => {
    resumed = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(resumed, false);
  held.open();
  await waits[0];
  assert.ok(chunks.stats().bufferBytes <= 16 * MIB);
  assert.ok(volume.commits.length > 0, 'pressure commits without a flush');
  await writer.flush();
  await writer.close();
});

test('many writers share the budget: idle ones are committed to let others go on', { timeout: 60_000 }, async () => {
  const { chunks, volume } = bench({ bufferBytes: 8 * MIB });
  const writers = Array.from({ length: 40 }, (_, i) => chunks.writer(100 + i, volume.sink()));
  for (const writer of writers) await writer.write(0, pattern(MIB, 1), false);
  assert.ok(chunks.stats().bufferBytes <= 8 * MIB);
  for (const writer of writers) await writer.close();
  for (let i = 0; i < 40; i++) assert.ok(volume.contents(100 + i).equals(pattern(MIB, 1)), `file ${i}`);
  assert.equal(chunks.stats().bufferBytes, 0);
});

test('a dead store does not hold everybody: failed data is given up and reported', { timeout: 60_000 }, async () => {
  const { store, chunks, volume } = bench({ bufferBytes: 8 * MIB, retryMs: 0 });
  volume.inlineMax = 0;
  store.intercept = () => {
    throw new Error('the store is away');
  };
  const writers = Array.from({ length: 12 }, (_, i) => chunks.writer(100 + i, volume.sink()));
  for (const writer of writers) await writer.write(0, pattern(2 * MIB, 1), false);
  assert.ok(chunks.stats().bufferBytes <= 8 * MIB);
  for (const [i, writer] of writers.entries())
    await assert.rejects(writer.close(), /EIO/, `writer ${i} hears of its loss`);
  assert.equal(chunks.stats().bufferBytes, 0);
});

test('ten thousand small open files cost what they hold', { timeout: 60_000 }, async () => {
  const { chunks, volume } = bench({ bufferBytes: 256 * MIB });
  const writers = Array.from({ length: 10_000 }, (_, i) => chunks.writer(100 + i, volume.sink()));
  for (const writer of writers) writer.write(0, pattern(100, 1), false);
  assert.ok(chunks.stats().bufferBytes <= 2 * MIB, `${chunks.stats().bufferBytes} bytes for 1 MB of data`);
  for (const writer of writers) writer.discard();
  assert.equal(chunks.stats().bufferBytes, 0);
});

test('idle data is committed without a flush', { timeout: 60_000 }, async () => {
  const { volume, writer } = bench({ idleFlushMs: 20 });
  const committed = new Promise<void>((resolve) => {
    volume.beforeCommit = resolve;
  });
  // The idle timer keeps no process alive; this does.
  const alive = setTimeout(() => {}, 50_000);
  writer.write(0, pattern(100, 1), false);
  await committed;
  clearTimeout(alive);
  await writer.flush();
  assert.ok(volume.contents(INO).equals(pattern(100, 1)));
  await writer.close();
});

test('discarding drops what is pending, also under way', { timeout: 60_000 }, async () => {
  const { store, volume, writer, chunks } = bench();
  volume.inlineMax = 0;
  const held = gate();
  store.intercept = held.wait;
  writer.write(0, pattern(5 * MIB, 1), false);
  const flush = writer.flush();
  await until('uploads have begun', () => store.counts.put > 0);
  writer.discard();
  await flush;
  held.open();
  assert.equal(writer.hasPending, false);
  await writer.close();
  await chunks.close();
  assert.equal(volume.commits.length, 0);
  assert.equal(chunks.stats().bufferBytes, 0);
});

test('pending bytes show over what a reader found', { timeout: 60_000 }, async () => {
  const { writer } = bench();
  writer.write(BLOCK_BYTES - 2, Buffer.from('abcd'), false);
  writer.write(BLOCK_BYTES, Buffer.from('X'), false);
  const out = Buffer.alloc(8, '.');
  writer.overlayPending(BLOCK_BYTES - 4, out);
  assert.equal(out.toString(), '..abXd..');
  assert.equal(writer.pendingEnd(7), BLOCK_BYTES + 2);
  assert.equal(writer.pendingEnd(FILE_BYTES_MAX), FILE_BYTES_MAX);
  writer.discard();
  await writer.close();
  await assert.rejects(
    async () => writer.write(0, Buffer.from('x'), false),
    (error: unknown) => isFsError(error, 'EBADF'),
  );
});

test('a file larger than 1 PiB is refused', { timeout: 60_000 }, async () => {
  const { writer } = bench();
  const refused = writer.write(FILE_BYTES_MAX, Buffer.from('x'), false);
  await assert.rejects(
    async () => refused,
    (error: unknown) => isFsError(error, 'EFBIG'),
  );
  await writer.close();
});
