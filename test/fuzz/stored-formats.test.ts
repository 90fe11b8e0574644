/** What comes from Redis or the store may be anything: it is refused by name or read rightly, in bounded time, and never crashes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFsError, UserError } from '../../src/base/errors.ts';
import { unpackSliceRecords } from '../../src/base/slice-record.ts';
import { encodeTrailer, openObject } from '../../src/chunk/block-format.ts';
import { FrameCodec, verifyFramed } from '../../src/chunk/codec/framed-block.ts';
import { DamagedBlockError } from '../../src/chunk/object/store-error.ts';
import { buildPack, checkPackEntry, readPackDirectory } from '../../src/chunk/pack-format.ts';
import { DumpEncoder, decodeDump } from '../../src/dump/dump-format.ts';
import { decodeAttr, decodeMember } from '../../src/meta/codec/codec.ts';

const RUNS = { numRuns: 300 };

/** Sound bytes with some of them changed, cut or doubled. */
function mangled(sound: Buffer): fc.Arbitrary<Buffer> {
  const change = fc.record({ at: fc.nat(Math.max(0, sound.length - 1)), byte: fc.integer({ min: 0, max: 255 }) });
  return fc.oneof(
    fc.array(change, { minLength: 1, maxLength: 8 }).map((changes) => {
      const wrong = Buffer.from(sound);
      for (const { at, byte } of changes) wrong[at] = byte;
      return wrong;
    }),
    fc.nat(sound.length).map((length) => sound.subarray(0, length)),
    fc.nat(sound.length).map((at) => Buffer.concat([sound, sound.subarray(at)])),
    fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  );
}

/** Runs it; an error must be one of those that are meant. */
async function refusesOnly(run: () => unknown, isMeant: (error: unknown) => boolean): Promise<void> {
  try {
    await run();
  } catch (error) {
    assert.ok(isMeant(error), `${error} at ${(error as Error).stack}`);
  }
}

const isDamage = (error: unknown): boolean => error instanceof DamagedBlockError;

test('blocks with checksums', async () => {
  const block = { sliceId: 5, index: 0, blockBytes: 70_000 };
  const data = randomBytes(block.blockBytes);
  const sound = Buffer.concat([data, encodeTrailer(block, [data])]);
  await fc.assert(
    fc.asyncProperty(mangled(sound), async (wrong) => {
      await refusesOnly(() => {
        const read = openObject(block, wrong);
        // What is not refused is what was stored: a change may have put the byte there that was there.
        assert.ok(read.equals(data));
      }, isDamage);
    }),
    RUNS,
  );
});

test('framed blocks', async () => {
  const block = { sliceId: 5, index: 0, blockBytes: 70_000 };
  const data = Buffer.concat([Buffer.alloc(40_000, 'text '), randomBytes(30_000)]);
  for (const compress of ['zstd', 'lz4'] as const) {
    const codec = new FrameCodec({ compress }, undefined);
    const sound = Buffer.concat(await codec.encode(block, [data]));
    await fc.assert(
      fc.asyncProperty(mangled(sound), async (wrong) => {
        await refusesOnly(async () => assert.ok((await codec.decode(block, wrong)).equals(data)), isDamage);
        await refusesOnly(() => verifyFramed(block, wrong), isDamage);
        const range = { offset: 35_000, length: 10_000 };
        await refusesOnly(async () => {
          const span = codec.spanOf(block, wrong, range);
          await codec.decodeRange(block, wrong, range, wrong.subarray(span.offset, span.offset + span.length));
        }, isDamage);
      }),
      RUNS,
    );
  }
});

test('directories of packs', async () => {
  const slices = Array.from({ length: 20 }, (_, i) => ({
    id: i + 1,
    ino: i + 10,
    chunkIndex: 0,
    bytes: Buffer.alloc(50, i),
  }));
  const sound = Buffer.concat(buildPack(slices).parts);
  await fc.assert(
    fc.asyncProperty(mangled(sound), async (wrong) => {
      await refusesOnly(
        () => {
          for (const entry of readPackDirectory(wrong)) checkPackEntry(wrong, entry);
        },
        (error) => error instanceof Error && !(error instanceof TypeError) && !(error instanceof assert.AssertionError),
      );
    }),
    RUNS,
  );
});

test('attributes, entries and slice records', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const value = Buffer.from(bytes);
      const isMeant = (error: unknown): boolean => isFsError(error) || error instanceof RangeError;
      await refusesOnly(() => decodeAttr(1, value), isMeant);
      await refusesOnly(() => decodeMember(value), isMeant);
      await refusesOnly(() => unpackSliceRecords(value), isMeant);
    }),
    { numRuns: 2_000 },
  );
});

test('dumps', async () => {
  const encoder = new DumpEncoder();
  const format = { formatVersion: 2, name: 'volume', uuid: 'u', store: 'memory:' };
  const header = encoder.header({ dumpVersion: 1, format, beganMs: 1, version: '1' });
  await fc.assert(
    fc.asyncProperty(mangled(header), fc.integer({ min: 1, max: 64 }), async (wrong, pieceBytes) => {
      async function* pieces(): AsyncGenerator<Buffer> {
        for (let at = 0; at < wrong.length; at += pieceBytes) yield wrong.subarray(at, at + pieceBytes);
      }
      await refusesOnly(
        async () => {
          for await (const _ of decodeDump(pieces()));
        },
        (error) => error instanceof UserError,
      );
    }),
    RUNS,
  );
});
