/** The write and read pipelines together against a plain byte array, with a store that fails and commits at odd times. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFsError } from '../../src/base/errors.ts';
import { BLOCK_BYTES, CHUNK_BYTES } from '../../src/base/slice-record.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { FakeVolume, MemoryStore, pattern, testChunkStore } from './fake-volume.ts';

type Step =
  | { kind: 'write'; offset: number; length: number }
  | { kind: 'append'; length: number }
  | { kind: 'flush' }
  | { kind: 'read'; offset: number; length: number }
  | { kind: 'readDuringFlush'; offset: number; length: number; turns: number }
  | { kind: 'flushLater' }
  | { kind: 'failNextPuts'; count: number }
  | { kind: 'turn' };

/** Offsets around what matters: small, block ends, chunk ends. */
const offsets = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: BLOCK_BYTES - 3000, max: BLOCK_BYTES + 3000 }) },
  { weight: 1, arbitrary: fc.integer({ min: CHUNK_BYTES - 3000, max: CHUNK_BYTES + 3000 }) },
);
const lengths = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 9_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 140_000 }) },
);
const steps: fc.Arbitrary<Step>[] = [
  fc.record({ kind: fc.constant('write' as const), offset: offsets, length: lengths }),
  fc.record({ kind: fc.constant('append' as const), length: lengths }),
  fc.record({ kind: fc.constant('flush' as const) }),
  fc.record({ kind: fc.constant('read' as const), offset: offsets, length: lengths }),
  fc.record({
    kind: fc.constant('readDuringFlush' as const),
    offset: offsets,
    length: lengths,
    turns: fc.integer({ min: 0, max: 4 }),
  }),
  fc.record({ kind: fc.constant('flushLater' as const) }),
  fc.record({ kind: fc.constant('turn' as const) }),
];
const failing = fc.record({ kind: fc.constant('failNextPuts' as const), count: fc.integer({ min: 1, max: 8 }) });

/** A growing byte array: what POSIX says the file holds. */
class Model {
  bytes = Buffer.alloc(0);

  write(offset: number, data: Buffer): void {
    if (data.length === 0) return;
    if (offset + data.length > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(offset + data.length - this.bytes.length)]);
    }
    data.copy(this.bytes, offset);
  }
}

async function run(script: Step[], inlineMax: number): Promise<void> {
  const memory = new MemoryStore();
  let failPuts = 0;
  const store = new FaultyStore(memory, NO_FAULTS);
  store.intercept = (operation) => {
    if (operation === 'put' && failPuts > 0) {
      failPuts--;
      throw new Error('the test fails this put');
    }
  };
  const chunks = testChunkStore(store, { retryMs: 50, cacheBytes: 24 * 1024 * 1024 });
  const volume = new FakeVolume(memory);
  volume.inlineMax = inlineMax;
  const ino = 7;
  const writer = chunks.writer(ino, volume.sink());
  const reader = chunks.reader(ino, volume);
  const model = new Model();
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const stored = await reader.read(offset, length);
    const size = writer.pendingEnd(volume.file(ino).sizeBytes);
    const out = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
    stored.copy(out);
    writer.overlayPending(offset, out);
    return out;
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  volume.beforeCommit = turn;
  let mapTurns = 0;
  volume.afterReadMap = async () => {
    for (let i = 0; i < mapTurns; i++) await turn();
  };
  const later: Promise<void>[] = [];
  const ignoreEio = (error: unknown): void => {
    if (!isFsError(error, 'EIO')) throw error;
  };
  let seed = 1;
  for (const step of script) {
    if (step.kind === 'write') {
      const data = pattern(step.length, seed++);
      model.write(step.offset, data);
      const wait = writer.write(step.offset, data, false);
      data.fill(0xee); // The caller may reuse its buffer at once.
      await wait;
    } else if (step.kind === 'append') {
      const data = pattern(step.length, seed++);
      model.write(model.bytes.length, data);
      await writer.append(data, false);
      data.fill(0xee);
    } else if (step.kind === 'flush') {
      try {
        await writer.flush();
        assert.ok(volume.contents(ino).equals(model.bytes), 'after a flush the committed file is what was written');
        assert.equal(writer.lastWriteUs, 0, 'after a flush nothing is unflushed');
      } catch (error) {
        if (!isFsError(error, 'EIO')) throw error;
        assert.ok(writer.hasPending, 'a failed flush keeps its bytes for the next');
      }
    } else if (step.kind === 'read') {
      const expected = model.bytes.subarray(step.offset, step.offset + step.length);
      assert.ok((await read(step.offset, step.length)).equals(expected), `read ${step.offset}+${step.length}`);
    } else if (step.kind === 'readDuringFlush') {
      // The map is read before the commit lands, the bytes are put together after it.
      mapTurns = step.turns;
      const expected = model.bytes.subarray(step.offset, step.offset + step.length);
      const [found] = await Promise.all([read(step.offset, step.length), writer.flush().catch(ignoreEio)]);
      mapTurns = 0;
      assert.ok(found.equals(expected), `read ${step.offset}+${step.length} during a flush`);
    } else if (step.kind === 'flushLater') later.push(writer.flush().catch(ignoreEio));
    else if (step.kind === 'failNextPuts') failPuts = step.count;
    else await turn();
    assert.equal(writer.pendingEnd(volume.file(ino).sizeBytes), model.bytes.length, 'the size shown');
  }
  failPuts = 0;
  await Promise.all(later);
  await writer.flush();
  assert.ok(volume.contents(ino).equals(model.bytes), 'in the end the committed file is what was written');
  assert.ok((await read(0, model.bytes.length)).equals(model.bytes), 'a reader sees all of it');
  reader.invalidate();
  assert.ok((await read(0, model.bytes.length)).equals(model.bytes), 'also with a fresh map');
  await writer.close();
  reader.close();
  assert.equal(chunks.stats().bufferBytes, 0, 'every buffer was given back');
  await chunks.close();
}

test('random writes, appends, reads and flushes give what a byte array gives', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...steps), { maxLength: 40 }), fc.constantFrom(0, 4096, 65_536), run),
    { numRuns: 40 },
  );
});

test('the same with uploads that fail: nothing is lost and flush tells', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...steps, failing), { maxLength: 40 }), fc.constantFrom(0, 4096), run),
    { numRuns: 40 },
  );
});
