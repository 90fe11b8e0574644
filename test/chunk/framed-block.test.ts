import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { silentLogger } from '../../src/base/log.ts';
import type { VolumeFormat } from '../../src/base/vocabulary.ts';
import { FRAME_BYTES } from '../../src/chunk/block-format.ts';
import { blockName } from '../../src/chunk/block-name.ts';
import { newDataKey, unwrapKey, wrapKey } from '../../src/chunk/codec/data-key.ts';
import { codecOf, FrameCodec, verifyFramed } from '../../src/chunk/codec/framed-block.ts';
import { inlineSeal } from '../../src/chunk/codec/inline-seal.ts';
import { MemoryStore } from '../../src/chunk/object/memory-store.ts';
import { DamagedBlockError } from '../../src/chunk/object/store-error.ts';
import { BlockFetcher } from '../../src/chunk/read/block-fetcher.ts';

const LIMIT = { timeout: 60_000 };
const WRAPPED = { kind: 'command', wrapped: '' } as const;
const KINDS: Pick<VolumeFormat, 'compress' | 'encryption'>[] = [
  { compress: 'zstd' },
  { compress: 'lz4' },
  { encryption: WRAPPED },
  { compress: 'zstd', encryption: WRAPPED },
  { compress: 'lz4', encryption: WRAPPED },
];
const key = newDataKey();
const text = (bytes: number): Buffer => Buffer.alloc(bytes, 'some text that repeats itself, as text does; ');
const blockOf = (bytes: number) => ({ sliceId: 2 ** 41 + 7, index: 1, blockBytes: bytes });

test('any block comes back whole and in any range, in each codec, in parts of any size', LIMIT, async () => {
  for (const kind of KINDS) {
    const codec = new FrameCodec(kind, key);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200_000 }),
        fc.boolean(),
        fc.nat(),
        fc.nat(),
        async (n, random, a, b) => {
          const data = random ? randomBytes(n) : text(n);
          const block = blockOf(n);
          const object = Buffer.concat(await codec.encode(block, [data.subarray(0, n >> 1), data.subarray(n >> 1)]));
          verifyFramed(block, object);
          assert.ok((await codec.decode(block, object)).equals(data));
          const range = { offset: a % n, length: 1 + (b % (n - (a % n))) };
          const span = codec.spanOf(block, object, range);
          const part = await codec.decodeRange(
            block,
            object,
            range,
            object.subarray(span.offset, span.offset + span.length),
          );
          assert.ok(part.equals(data.subarray(range.offset, range.offset + range.length)));
        },
      ),
      { numRuns: 30 },
    );
  }
});

test('text gets smaller, noise hardly larger, and nothing of it can be read where it is encrypted', LIMIT, async () => {
  for (const kind of KINDS) {
    const codec = new FrameCodec(kind, key);
    const sizeOf = async (data: Buffer): Promise<number> =>
      Buffer.concat(await codec.encode(blockOf(data.length), [data])).length;
    if (kind.compress !== undefined) assert.ok((await sizeOf(text(1_000_000))) < 50_000);
    assert.ok((await sizeOf(randomBytes(1_000_000))) < 1_000_000 + 31 * 24 + 100);
    if (kind.encryption === undefined) continue;
    const stored = Buffer.concat(await codec.encode(blockOf(50_000), [text(50_000)]));
    assert.ok(!stored.includes('text that'));
    const again = Buffer.concat(await codec.encode(blockOf(50_000), [text(50_000)]));
    assert.ok(!again.subarray(60).equals(stored.subarray(60)), 'each block has a key of its own');
  }
});

test(
  'any changed bit is found without the key; blocks and frames cannot be exchanged; another key opens nothing',
  LIMIT,
  async () => {
    for (const kind of KINDS) {
      const codec = new FrameCodec(kind, key);
      const data = Buffer.concat([text(FRAME_BYTES), randomBytes(FRAME_BYTES)]);
      const block = blockOf(data.length);
      const object = Buffer.concat(await codec.encode(block, [data]));
      await fc.assert(
        fc.property(fc.nat(object.length - 1), fc.nat(7), (at, bit) => {
          const wrong = Buffer.from(object);
          wrong[at]! ^= 1 << bit;
          assert.throws(() => verifyFramed(block, wrong), DamagedBlockError);
        }),
        { numRuns: 200 },
      );
      assert.throws(() => verifyFramed(block, object.subarray(0, -1)), DamagedBlockError);
      assert.throws(() => verifyFramed({ ...block, sliceId: 9 }, object), /holds another block/);
      assert.throws(() => verifyFramed(block, Buffer.alloc(0)), DamagedBlockError);
      if (kind.encryption === undefined) continue;
      await assert.rejects(new FrameCodec(kind, newDataKey()).decode(block, object), /of another key/);
      await assert.rejects(new FrameCodec(kind, undefined).decode(block, object), /its key was not given/);
    }
    await assert.rejects(
      new FrameCodec({ compress: 'lz4' }, undefined).decode(
        blockOf(10),
        Buffer.concat(await new FrameCodec({ compress: 'zstd' }, undefined).encode(blockOf(10), [text(10)])),
      ),
      /its codec 1 is not the volume's, 2/,
    );
  },
);

test(
  'a fetcher reads whole blocks and ranges of them, and a damaged one is an error with its name',
  LIMIT,
  async () => {
    const store = new MemoryStore();
    const format = { formatVersion: 3, compress: 'zstd', encryption: WRAPPED } as unknown as VolumeFormat;
    const fetcher = new BlockFetcher(
      store,
      { retryMs: 1_000, downloadParallel: 4, ...codecOf(format, key) },
      silentLogger,
    );
    const data = Buffer.concat([text(300_000), randomBytes(300_000)]);
    const block = blockOf(data.length);
    const name = blockName(block.sliceId, block.index, block.blockBytes);
    const parts = await codecOf(format, key).codec!.encode(block, [data]);
    await store.put(name, parts);
    await fetcher.verify(block);
    assert.ok((await fetcher.whole(block)).equals(data));
    for (let i = 0; i < 3; i++) {
      assert.ok(
        (await fetcher.range(block, { offset: 290_000, length: 20_000 })).equals(data.subarray(290_000, 310_000)),
      );
    }
    const wrong = Buffer.concat(parts);
    wrong[wrong.length - 5]! ^= 1;
    await store.put(name, [wrong]);
    await assert.rejects(fetcher.whole(block), /are not what was stored/);
    await assert.rejects(fetcher.range(block, { offset: 590_000, length: 5_000 }), /are not what was stored/);
    assert.ok(
      (await fetcher.range(block, { offset: 0, length: 10 })).equals(data.subarray(0, 10)),
      'a sound frame is read',
    );
  },
);

test('a data key opens with its passphrase only, and inline bytes with their data key only', LIMIT, async () => {
  const source = (passphrase: string) => ({ kind: 'passphrase', passphrase: Buffer.from(passphrase) }) as const;
  const wrapped = await wrapKey(key, source('right'));
  assert.ok((await unwrapKey(wrapped, source('right'))).equals(key));
  await assert.rejects(unwrapKey(wrapped, source('wrong')), /^UserError: the passphrase is wrong$/);
  const run = async (mode: string, bytes: Buffer): Promise<Buffer> =>
    mode === 'wrap' ? Buffer.from(bytes.toString('hex')) : Buffer.from(bytes.toString(), 'hex');
  const byCommand = await wrapKey(key, { kind: 'command', run });
  assert.ok((await unwrapKey(byCommand, { kind: 'command', run })).equals(key));
  await assert.rejects(unwrapKey(byCommand, source('right')), /give --key-command/);
  await assert.rejects(unwrapKey(byCommand, { kind: 'command', run: async () => Buffer.alloc(3) }), /3 bytes instead/);
  const seal = inlineSeal(key);
  const sealed = seal.seal(Buffer.from('small file'));
  assert.equal(seal.open(sealed).toString(), 'small file');
  assert.ok(!sealed.includes('small'));
  assert.throws(() => inlineSeal(newDataKey()).open(sealed), /damaged, or of another key/);
  assert.throws(() => seal.open(sealed.subarray(1)), /damaged/);
  assert.throws(() => seal.open(Buffer.alloc(3)), /damaged/);
});
