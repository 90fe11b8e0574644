import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { CHUNK_BYTES, type SliceRecord } from '../../src/base/slice-record.ts';
import type { PackSwap, Piece } from '../../src/base/slices.ts';
import type { Ino } from '../../src/base/vocabulary.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { visibleSegments } from '../../src/chunk/read/overlay.ts';
import { timestampOf } from '../../src/meta/redis/server-clock.ts';
import { KERNEL } from '../support/callers.ts';
import { type ContentMember, contentVolume, makeFile, type Store } from './content-fixture.ts';
import { checkVolume } from './volume-check.ts';

/**
 * Random histories of writes, truncations, clones, compaction, removal and a packer whose steps come in between, against
 * byte arrays. Files are only looked at in a window around the end of their first chunk, so that pieces cross it.
 */
const BASE = CHUNK_BYTES - 40;
const WINDOW = 90;
const FILES = 3;
const LIMIT = { timeout: 180_000 };

let m: ContentMember;
before(async () => {
  ({ m } = await contentVolume());
}, LIMIT);

interface Model {
  ino: Ino;
  name: string;
  /** Content from BASE on; the file's size is BASE + length, or less when `size` says so. */
  bytes: Buffer;
  size: number;
}

interface World {
  files: Model[];
  store: Store;
  /** Stored slices and packs that records may name or have named. */
  known: Set<number>;
  pack: { id: number; bytes: number; swaps: PackSwap[] } | undefined;
  made: number;
}

type Step = (world: World) => Promise<void>;

const file = fc.nat(FILES - 1);
const offset = fc.nat(WINDOW - 20);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((b) => Buffer.from(b));

function grow(model: Model, end: number): void {
  model.size = Math.max(model.size, BASE + end);
}

function put(model: Model, at: number, data: Buffer): void {
  data.copy(model.bytes, at);
  grow(model, at + data.length);
}

/** Cuts a run at chunk ends. */
function pieces(from: number, data: Buffer, make: (chunkIndex: number, pos: number, part: Buffer) => Piece): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  while (at < data.length) {
    const pos = (from + at) % CHUNK_BYTES;
    const length = Math.min(data.length - at, CHUNK_BYTES - pos);
    out.push(make(Math.floor((from + at) / CHUNK_BYTES), pos, data.subarray(at, at + length)));
    at += length;
  }
  return out;
}

function commit(ino: Ino, list: Piece[], placement: 'write' | 'append') {
  return m.data.commit({ ino, pieces: list, placement, mtime: timestampOf(m.engine.clock.nowUs()), killPriv: false });
}

async function storedPiece(world: World, chunkIndex: number, pos: number, part: Buffer): Promise<Piece> {
  const id = await m.data.reserveSlices(1);
  world.store.set(id, part);
  world.known.add(id);
  return { chunkIndex, record: { pos, id, size: part.length, off: 0, len: part.length, inline: false } };
}

const writeStep = fc.record({ f: file, at: offset, data: bytes, stored: fc.boolean() }).map(
  ({ f, at, data, stored }): Step =>
    async (world) => {
      const model = world.files[f]!;
      const list = pieces(BASE + at, data, (chunkIndex, pos, inline) => ({ chunkIndex, pos, inline }));
      const ready = await Promise.all(
        list.map((piece) =>
          stored && 'inline' in piece ? storedPiece(world, piece.chunkIndex, piece.pos, piece.inline) : piece,
        ),
      );
      const { attr } = await commit(model.ino, ready, 'write');
      put(model, at, data);
      assert.equal(attr.size, model.size);
    },
);

const appendStep = fc.record({ f: file, data: bytes, stored: fc.boolean() }).map(
  ({ f, data, stored }): Step =>
    async (world) => {
      const model = world.files[f]!;
      const at = model.size - BASE;
      if (at < 0 || at + data.length > WINDOW) return;
      const piece: Piece = stored ? await storedPiece(world, 0, 0, data) : { chunkIndex: 0, pos: 0, inline: data };
      assert.equal((await commit(model.ino, [piece], 'append')).offset, model.size);
      put(model, at, data);
    },
);

const truncateStep = fc.record({ f: file, at: fc.nat(WINDOW), zero: fc.boolean() }).map(
  ({ f, at, zero }): Step =>
    async (world) => {
      const model = world.files[f]!;
      model.size = zero ? 0 : BASE + at;
      await m.ns.setattr(model.ino, { size: model.size }, KERNEL);
      model.bytes.fill(0, Math.max(model.size - BASE, 0));
    },
);

const zeroStep = fc.record({ f: file, at: offset, length: fc.integer({ min: 1, max: 20 }), keep: fc.boolean() }).map(
  ({ f, at, length, keep }): Step =>
    async (world) => {
      const model = world.files[f]!;
      await m.data.fallocate(model.ino, keep ? 'punch' : 'zero', BASE + at, length, false);
      model.bytes.fill(0, at, at + length);
      if (!keep) grow(model, at + length);
    },
);

const cloneStep = fc.record({ f: file, g: file, at: offset, to: offset, length: fc.integer({ min: 1, max: 20 }) }).map(
  ({ f, g, at, to, length }): Step =>
    async (world) => {
      const source = world.files[f]!;
      const target = world.files[g]!;
      if (f === g && Math.abs(at - to) < length) return;
      const had = Math.max(0, Math.min(length, source.size - BASE - at));
      const data = Buffer.from(source.bytes.subarray(at, at + had));
      const { copied } = await m.data.cloneRange({
        source: source.ino,
        sourceOffset: BASE + at,
        target: target.ino,
        targetOffset: BASE + to,
        length,
      });
      assert.equal(copied, had);
      if (had > 0) put(target, to, data);
    },
);

const compactStep = fc
  .record({ f: file, chunkIndex: fc.nat(1), most: fc.integer({ min: 2, max: 6 }), data: bytes })
  .map(
    ({ f, chunkIndex, most, data }): Step =>
      async (world) => {
        const model = world.files[f]!;
        const { map } = await m.data.readMap(model.ino, chunkIndex, 1, 1 << 20);
        const prefix = map.chunks.get(chunkIndex)!.slice(0, most);
        if (prefix.length === 0) return;
        // A write comes between reading the map and replacing the prefix.
        const piece = { chunkIndex: 0, pos: BASE, inline: data };
        await commit(model.ino, [piece], 'write');
        put(model, 0, data);
        const replacement = await rewritten(world, chunkIndex, prefix, map.inline);
        assert.equal(await m.data.compactChunk(model.ino, chunkIndex, prefix, replacement), true);
      },
  );

/** Records that show the same bytes of one new slice, with holes where there were some. */
async function rewritten(
  world: World,
  chunkIndex: number,
  prefix: readonly SliceRecord[],
  inline: Map<number, Buffer>,
): Promise<SliceRecord[]> {
  const from = Math.min(...prefix.map((record) => record.pos));
  const to = Math.max(...prefix.map((record) => record.pos + record.len));
  const data = visibleSegments(prefix);
  const holes: SliceRecord = { pos: from, id: 0, size: to - from, off: 0, len: to - from, inline: false };
  if (data.length === 0) return [holes];
  const part = paint(prefix, from, to - from, world.store, inline);
  const fresh = (await storedPiece(world, chunkIndex, from, part)) as { record: SliceRecord };
  return [holes, ...data.map(({ pos, len }) => ({ ...fresh.record, pos, off: pos - from, len }))];
}

const removeStep = file.map(
  (f): Step =>
    async (world) => {
      const model = world.files[f]!;
      await m.ns.unlink(ROOT_INO, model.name, 'primary', KERNEL);
      await m.upkeep.reapNow([model.ino]);
      world.files[f] = await freshFile(world);
    },
);

const packReadStep = fc.integer({ min: 1, max: 12 }).map(
  (limit): Step =>
    async (world) => {
      if (world.pack !== undefined) return;
      const slices = await m.upkeep.inlineSlices(limit % 2 === 0 ? 'any' : 'own', 0, limit);
      const found = await m.data.readInline(slices.map((slice) => slice.id));
      const id = await m.upkeep.packBegin();
      let packOffset = 0;
      const swaps: PackSwap[] = [];
      for (const [i, slice] of slices.entries()) {
        assert.equal(found[i]?.length, slice.sizeBytes, 'queued slices have their bytes');
        swaps.push({ ...slice, inlineId: slice.id, packOffset });
        packOffset += slice.sizeBytes;
      }
      world.store.set(id, Buffer.concat(found as Buffer[]));
      world.pack = { id, bytes: packOffset, swaps };
    },
);

const packSwapStep = fc.boolean().map(
  (whole): Step =>
    async (world) => {
      const { pack } = world;
      if (pack === undefined) return;
      if (pack.swaps.length > 0) {
        world.known.add(pack.id);
        await m.upkeep.packSwap(pack.id, pack.bytes, whole ? pack.swaps : pack.swaps.slice(0, 1));
      }
      if (!whole) return;
      await m.upkeep.packEnd(pack.id);
      world.pack = undefined;
    },
);

function paint(
  records: readonly { pos: number; id: number; off: number; len: number; inline: boolean }[],
  from: number,
  length: number,
  store: Store,
  inline: Map<number, Buffer>,
): Buffer {
  const out = Buffer.alloc(length);
  for (const { pos, id, off, len, inline: isInline } of records) {
    const slice = id === 0 ? Buffer.alloc(off + len) : isInline ? inline.get(id) : store.get(id);
    assert.ok(slice !== undefined, `bytes of slice ${id}`);
    const low = Math.max(pos, from);
    const high = Math.min(pos + len, from + length);
    if (low < high) slice.copy(out, low - from, off + low - pos, off + high - pos);
  }
  return out;
}

async function checkFile(model: Model, store: Store): Promise<void> {
  const { map } = await m.data.readMap(model.ino, 0, 2, 1 << 20);
  assert.equal(map.sizeBytes, model.size);
  const first = paint(map.chunks.get(0)!, BASE, CHUNK_BYTES - BASE, store, map.inline);
  const second = paint(map.chunks.get(1)!, 0, WINDOW - first.length, store, map.inline);
  const shown = Buffer.concat([first, second]);
  shown.fill(0, Math.max(0, Math.min(WINDOW, model.size - BASE)));
  assert.deepEqual(shown, model.bytes, `content of ${model.name}`);
}

async function freshFile(world: World): Promise<Model> {
  world.made += 1;
  const name = `f${process.pid}-${fileCount++}`;
  return { ino: (await makeFile(m, name)).ino, name, bytes: Buffer.alloc(WINDOW), size: 0 };
}
let fileCount = 0;

const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: writeStep },
    { weight: 2, arbitrary: appendStep },
    { weight: 2, arbitrary: truncateStep },
    { weight: 2, arbitrary: zeroStep },
    { weight: 3, arbitrary: cloneStep },
    { weight: 1, arbitrary: compactStep },
    { weight: 1, arbitrary: removeStep },
    { weight: 3, arbitrary: packReadStep },
    { weight: 4, arbitrary: packSwapStep },
  ),
  { minLength: 20, maxLength: 100, size: 'max' },
);

test('random histories show the bytes of the model and keep every counter right', LIMIT, async () => {
  const property = fc.asyncProperty(steps, async (history) => {
    const world: World = { files: [], store: new Map(), known: new Set(), pack: undefined, made: 0 };
    for (let i = 0; i < FILES; i++) world.files.push(await freshFile(world));
    for (const step of history) await step(world);
    for (const model of world.files) await checkFile(model, world.store);
    if (world.pack !== undefined) await m.upkeep.packEnd(world.pack.id);
    const used = await checkVolume(m.engine);
    const dead = new Set((await m.upkeep.deadSlices(10_000)).map((slice) => slice.id));
    for (const id of world.known)
      assert.ok(used.has(id) !== dead.has(id), `slice ${id} is in use or waits for deletion`);
    for (const model of world.files) await m.ns.unlink(ROOT_INO, model.name, 'primary', KERNEL);
    await m.upkeep.reapNow(world.files.map((model) => model.ino));
    assert.deepEqual(await checkVolume(m.engine), new Set(), 'nothing is left of removed files');
    await m.upkeep.forgetSlices([...(await m.upkeep.deadSlices(10_000))].map((slice) => slice.id));
  });
  await fc.assert(property, { numRuns: 50, endOnFailure: false });
});
