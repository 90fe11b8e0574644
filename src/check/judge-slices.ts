/**
 * Records, tables and objects joined by slice: what is named and missing, what is there and unnamed, and counts that disagree.
 * A record may move while the walk passes (a clone, a completed upload): slices that did are in `shared` (lease `scan`), and
 * nothing is called unnamed that is there.
 */

import { writeI64 } from '../base/integers.ts';
import { BLOCK_BYTES, SLICE_RECORD_BYTES } from '../base/slice-record.ts';
import { objectBytesOf } from '../chunk/block-format.ts';
import { type Block, blockBytesAt, blockCount, blockName } from '../chunk/block-name.ts';
import { sealBytesOf } from '../chunk/codec/inline-seal.ts';
import type { MendStep, Meta } from '../meta/meta.ts';
import type { Suspicion } from './findings.ts';
import { joinByKey, type Row } from './spool.ts';
import { SLICE_FACT, type VolumeWalk } from './volume-walk.ts';

/** Chunks named in one repair's conditions at most; beyond it the volume must be quiet. */
const CONDITIONS_MAX = 2_000;

export interface SliceContext {
  meta: Meta;
  walk: VolumeWalk;
  /** Nobody changed anything while the walk went on. */
  quiet: boolean;
  /** Slices that got a record elsewhere while the walk went on. */
  shared: ReadonlySet<number>;
  /** Server milliseconds when the walk began. */
  beganMs: number;
  /** Whether the object is there with the right length, asked now. */
  blockStands(block: Block): Promise<boolean>;
  /** Whether the slice waits in a client's journal (write-back), asked now. */
  isPending(id: number): Promise<boolean>;
  /** Whether the packer's queue, read after the walk, names the inline slice: what got its first record during the walk is there. */
  isQueued(id: number): Promise<boolean>;
  /** Called for each block that records need and that is there. */
  onBlock?: (block: Block, places: readonly SlicePlace[]) => Promise<void>;
  /** Called for each slice without a record: its objects, and when the youngest was stored. */
  onOrphan(slice: OrphanSlice): Promise<void>;
  /** Called for each pack with what of it is named. */
  onPack?: (pack: NamedPack) => Promise<void>;
}

export interface NamedPack {
  id: number;
  sizeBytes: number;
  liveBytes: number;
  places: SlicePlace[];
}

/** Where a record is, and which bytes of its slice it shows. */
export interface SlicePlace {
  ino: number;
  chunkIndex: number;
  off: number;
  len: number;
}

export interface OrphanSlice {
  id: number;
  blocks: Block[];
  objectBytes: number;
  youngestMs: number;
}

export async function* judgeSlices(context: SliceContext): AsyncGenerator<Suspicion> {
  const { walk } = context;
  const { records, sliceFacts, objects } = walk;
  for (const { key: id, rows } of joinByKey({ records, sliceFacts, objects })) {
    const fact = (kind: number): Row | undefined => rows.sliceFacts.find((row) => row[1] === kind);
    const places = rows.records.map(placeOf);
    const stored = rows.records.filter((row) => row[1] === 0);
    const inline = rows.records.filter((row) => row[1] === 1);
    if (rows.records.length === 0) {
      yield* unnamed(context, id, rows.sliceFacts, rows.objects);
      continue;
    }
    if (stored.length > 0) {
      const size = stored[0]![2]!;
      yield* missingBlocks(context, id, size, rows.objects, stored.map(placeOf));
      const pack = fact(SLICE_FACT.pack);
      if (pack !== undefined) {
        await context.onPack?.({ id, sizeBytes: pack[3]!, liveBytes: pack[2]!, places });
        yield* packCount(context, id, pack, stored);
      } else yield* sharedCount(context, id, fact(SLICE_FACT.shared)?.[2], rows.records);
      const garbage = fact(SLICE_FACT.garbage);
      if (garbage !== undefined) yield* doomed(context, id, garbage, places);
    }
    if (inline.length > 0) {
      yield* missingInline(context, id, inline, fact(SLICE_FACT.inline));
      if (stored.length === 0) yield* sharedCount(context, id, fact(SLICE_FACT.shared)?.[2], rows.records);
      yield* queue(
        context,
        id,
        inline,
        rows.sliceFacts.filter((row) => row[1] === SLICE_FACT.queued),
      );
    }
  }
  yield* chunkIndexes(context);
}

function placeOf(row: Row): SlicePlace {
  return { ino: row[3]!, chunkIndex: row[4]!, off: row[6]!, len: row[7]! };
}

/** Blocks that some record needs: what a slice holds elsewhere may be gone. */
function neededBlocks(size: number, places: readonly SlicePlace[]): Set<number> {
  const needed = new Set<number>();
  const last = blockCount(size) - 1;
  for (const { off, len } of places) {
    const to = Math.min(last, Math.floor((off + len - 1) / BLOCK_BYTES));
    for (let index = Math.floor(off / BLOCK_BYTES); index <= to; index++) needed.add(index);
  }
  return needed;
}

async function* missingBlocks(
  context: SliceContext,
  id: number,
  size: number,
  objects: readonly Row[],
  places: readonly SlicePlace[],
): AsyncGenerator<Suspicion> {
  const found = new Map(objects.map((row) => [row[1]!, row]));
  for (const index of neededBlocks(size, places)) {
    const block = { sliceId: id, index, blockBytes: blockBytesAt(size, index) };
    const object = found.get(index);
    const right = objectBytesOf(context.meta.session.format, block.blockBytes);
    const users = places.filter(({ off, len }) => off < (index + 1) * BLOCK_BYTES && off + len > index * BLOCK_BYTES);
    if (object !== undefined && object[2] === block.blockBytes && (right === undefined || object[3] === right)) {
      await context.onBlock?.(block, users);
      continue;
    }
    // Not stored yet? Asked first: it stops waiting when it is in the store.
    if (await context.isPending(id)) continue;
    // Stored, or no longer named, since it was listed?
    if (await context.blockStands(block)) await context.onBlock?.(block, users);
    else
      yield* lostBlock(
        context.meta,
        block,
        users,
        'missing-block',
        object === undefined ? 'is missing' : `has ${object[3]} bytes instead of ${right}`,
      );
  }
}

/** One finding for each file that needs the block. */
export async function* lostBlock(
  meta: Meta,
  block: Block,
  users: readonly SlicePlace[],
  kind: 'missing-block' | 'damaged-block',
  complaint: string,
): AsyncGenerator<Suspicion> {
  const told = new Set<string>();
  for (const { ino, chunkIndex } of users) {
    const key = `${ino}:${chunkIndex}`;
    if (told.has(key)) continue;
    told.add(key);
    const { map } = await meta.data.readMap(ino, chunkIndex, 1, 0).catch(() => ({ map: undefined }));
    const named = map?.chunks.get(chunkIndex)?.some((record) => record.id === block.sliceId) ?? false;
    if (!named) continue;
    const name = blockName(block.sliceId, block.index, block.blockBytes);
    yield {
      kind,
      what: `the block ${name} of inode ${ino} ${complaint}`,
      ino,
      why: 'its bytes are lost: put the object back from a copy, or give them up with --zero-lost',
      lost: { ino, chunkIndex, block },
    };
  }
}

/** A slice that no record names. */
async function* unnamed(
  context: SliceContext,
  id: number,
  facts: readonly Row[],
  objects: readonly Row[],
): AsyncGenerator<Suspicion> {
  const has = (kind: number): Row | undefined => facts.find((row) => row[1] === kind);
  const expected = has(SLICE_FACT.garbage) !== undefined || has(SLICE_FACT.uploading) !== undefined;
  if (objects.length > 0 && !expected && !context.shared.has(id)) {
    await context.onOrphan({
      id,
      blocks: objects.map((row) => ({ sliceId: id, index: row[1]!, blockBytes: row[2]! })),
      objectBytes: objects.reduce((sum, row) => sum + row[3]!, 0),
      youngestMs: Math.max(...objects.map((row) => row[4]!)),
    });
  }
  // Where a record came later than the walk, `shared` or the packer's queue tells; all else was seen when it is there.
  if (!context.shared.has(id) && idMs(id) < context.beganMs) yield* unreferenced(context, id, has);
  for (const queued of facts.filter((row) => row[1] === SLICE_FACT.queued)) yield* queue(context, id, [], [queued]);
}

/** Bytes and counts of a slice that has no record and gets none. */
async function* unreferenced(
  context: SliceContext,
  id: number,
  has: (kind: number) => Row | undefined,
): AsyncGenerator<Suspicion> {
  const { scan } = context.meta;
  const suspicions: (Suspicion & { mend: MendStep[] })[] = [];
  const inline = has(SLICE_FACT.inline);
  if (inline !== undefined && !(await context.isQueued(id))) {
    suspicions.push({
      kind: 'orphan-inline',
      what: `the bytes of inline slice ${id} (${inline[2]}) belong to no file`,
      mend: [
        ['has-key', `b${id}`],
        ['delete', `b${id}`],
        ['add-to-field', 'n', 'inline', -inline[2]!],
      ],
    });
  }
  const pack = has(SLICE_FACT.pack);
  if (pack !== undefined && has(SLICE_FACT.uploading) === undefined) {
    suspicions.push({
      kind: 'pack-count',
      what: `pack ${id} counts ${pack[2]} live bytes, and no record names it`,
      mend: [
        ['field-is', 'pk', String(id), packedPair(pack[2]!, pack[3]!)],
        ['delete-field', 'pk', String(id)],
        ['remove-member', 'pkdead', String(id)],
        ['add-member', 'gc', `${id}:${pack[3]}`, Date.now()],
      ],
    });
  }
  const shared = has(SLICE_FACT.shared);
  if (shared !== undefined) {
    suspicions.push({
      kind: 'reference-count',
      what: `slice ${id} counts ${shared[2]! + 1} records and has none`,
      mend: [
        ['field-is', 'ref', String(id), String(shared[2])],
        ['delete-field', 'ref', String(id)],
      ],
    });
  }
  for (const suspicion of suspicions) if (await scan.apply([suspicion.mend[0]!])) yield suspicion;
}

/** Slice ids carry the time at which they were given out (docs/FORMAT.md, `slice`). */
function idMs(id: number): number {
  return Math.floor(id / 4096);
}

async function* packCount(
  context: SliceContext,
  id: number,
  pack: Row,
  records: readonly Row[],
): AsyncGenerator<Suspicion> {
  const live = records.reduce((sum, row) => sum + row[7]!, 0);
  if (live === pack[2]) return;
  yield* countSuspicion(context, {
    kind: 'pack-count',
    what: `pack ${id} counts ${pack[2]} live bytes, and its records show ${live}`,
    records,
    id,
    steps: [
      ['field-is', 'pk', String(id), packedPair(pack[2]!, pack[3]!)],
      ['set-field', 'pk', String(id), packedPair(live, pack[3]!)],
      ['add-member', 'pkdead', String(id), Math.max(0, pack[3]! - live)],
    ],
  });
}

async function* sharedCount(
  context: SliceContext,
  id: number,
  counted: number | undefined,
  records: readonly Row[],
): AsyncGenerator<Suspicion> {
  const extra = records.length - 1;
  if ((counted ?? 0) === extra) return;
  yield* countSuspicion(context, {
    kind: 'reference-count',
    what: `slice ${id} counts ${(counted ?? 0) + 1} records and has ${records.length}`,
    records,
    id,
    steps: [
      ['field-is', 'ref', String(id), counted === undefined ? '' : String(counted)],
      extra === 0 ? ['delete-field', 'ref', String(id)] : ['set-field', 'ref', String(id), extra],
    ],
  });
}

/** A count is wrong when all chunks with records of the slice are as they were when it was read, or nobody writes. */
async function* countSuspicion(
  context: SliceContext,
  found: {
    kind: 'pack-count' | 'reference-count';
    what: string;
    records: readonly Row[];
    id: number;
    steps: MendStep[];
  },
): AsyncGenerator<Suspicion> {
  const { kind, what, records, id, steps } = found;
  const { scan } = context.meta;
  if (context.quiet) {
    if (await scan.apply([steps[0]!])) yield { kind, what, mend: steps };
    return;
  }
  if (context.shared.has(id)) return;
  const keys = [...new Set(records.map((row) => `s${row[3]}:${row[4]}`))];
  if (keys.length > CONDITIONS_MAX) return;
  const values = await scan.values(keys);
  let count = 0;
  let bytes = 0;
  for (const value of values) {
    for (let at = 0; value !== undefined && at < value.length; at += SLICE_RECORD_BYTES) {
      if (Number(value.readBigUInt64LE(at + 4)) !== id) continue;
      count += 1;
      bytes += value.readUInt32LE(at + 20);
    }
  }
  const same = count === records.length && bytes === records.reduce((sum, row) => sum + row[7]!, 0);
  if (!same) return;
  const conditions = keys.map((key, i): MendStep => ['is', key, values[i] ?? '']);
  // A record elsewhere has changed the count, or is told by `shared`.
  if (await scan.apply([...conditions, steps[0]!])) yield { kind, what, mend: [...conditions, ...steps] };
}

/** A slice that waits for deletion although a record names it: the worst there is, for its bytes go when their time comes. */
async function* doomed(
  context: SliceContext,
  id: number,
  garbage: Row,
  places: readonly SlicePlace[],
): AsyncGenerator<Suspicion> {
  const member = `${id}:${garbage[2]}`;
  for (const { ino, chunkIndex } of places) {
    const key = `s${ino}:${chunkIndex}`;
    const [value] = await context.meta.scan.values([key]);
    if (value === undefined || !namesSlice(value, id)) continue;
    const check: MendStep[] = [
      ['is', key, value],
      ['has-member', 'gc', member],
    ];
    if (!(await context.meta.scan.apply(check))) continue;
    yield {
      kind: 'doomed-slice',
      what: `slice ${id} of inode ${ino} waits for deletion, and a record names it`,
      ino,
      mend: [...check, ['remove-member', 'gc', member]],
    };
    return;
  }
}

function namesSlice(records: Buffer, id: number): boolean {
  for (let at = 0; at < records.length; at += SLICE_RECORD_BYTES) {
    if (Number(records.readBigUInt64LE(at + 4)) === id) return true;
  }
  return false;
}

async function* missingInline(
  context: SliceContext,
  id: number,
  records: readonly Row[],
  found: Row | undefined,
): AsyncGenerator<Suspicion> {
  const size = records[0]![2]!;
  if (found?.[2] === size) return;
  for (const row of records) {
    const key = `s${row[3]}:${row[4]}`;
    const [[value], [kept = 0]] = await Promise.all([
      context.meta.scan.values([key]),
      context.meta.scan.lengths([`b${id}`]),
    ]);
    const bytes = Math.max(0, kept - sealBytesOf(context.meta.session.format));
    if (value === undefined || !namesSlice(value, id) || bytes === size) continue;
    // The packer may have moved it between the two looks.
    if (!(await context.meta.scan.apply([['is', key, value]]))) continue;
    yield {
      kind: 'missing-inline',
      what: `the bytes of inline slice ${id} of inode ${row[3]} are ${bytes === 0 ? 'missing' : `${bytes}, not ${size}`}`,
      ino: row[3]!,
      why: 'its bytes are lost: load a dump that has them, or give them up with --zero-lost',
      lost: { ino: row[3]!, chunkIndex: row[4]!, inlineId: id },
    };
  }
}

/** The packer's queue names exactly the inline records. */
async function* queue(
  context: SliceContext,
  id: number,
  records: readonly Row[],
  queued: readonly Row[],
): AsyncGenerator<Suspicion> {
  const key = (ino: number, chunk: number, size: number): string => `${ino}:${chunk}:${size}`;
  const wanted = new Map(records.map((row) => [key(row[3]!, row[4]!, row[2]!), [row[3]!, row[4]!, row[2]!] as const]));
  const found = new Map(queued.map((row) => [key(row[2]!, row[3]!, row[4]!), [row[2]!, row[3]!, row[4]!] as const]));
  for (const [text, [ino, chunk, size]] of [...wanted, ...found]) {
    if (wanted.has(text) === found.has(text)) continue;
    const member = queueMember(id, ino, chunk, size);
    const [value] = await context.meta.scan.values([`s${ino}:${chunk}`]);
    const named = value !== undefined && namesSlice(value, id);
    if (named !== wanted.has(text)) continue;
    const check: MendStep[] = [
      ['is', `s${ino}:${chunk}`, value ?? ''],
      [named ? 'lacks-member' : 'has-member', 'inq', member],
    ];
    if (!(await context.meta.scan.apply(check))) continue;
    yield {
      kind: 'pack-queue',
      what: named
        ? `inline slice ${id} of inode ${ino} does not wait for the packer`
        : `inline slice ${id} waits for the packer, and inode ${ino} does not name it`,
      mend: [...check, named ? ['add-member', 'inq', member, Date.now()] : ['remove-member', 'inq', member]],
    };
  }
}

function queueMember(id: number, ino: number, chunk: number, size: number): Buffer {
  const out = Buffer.allocUnsafe(24);
  writeI64(out, 0, id);
  writeI64(out, 8, ino);
  out.writeUInt32LE(chunk, 16);
  out.writeUInt32LE(size, 20);
  return out;
}

function packedPair(first: number, second: number): Buffer {
  const out = Buffer.allocUnsafe(16);
  writeI64(out, 0, first);
  writeI64(out, 8, second);
  return out;
}

/** `k<ino>` names exactly the chunks >= 1 that have records. */
async function* chunkIndexes(context: SliceContext): AsyncGenerator<Suspicion> {
  const { scan } = context.meta;
  for (const { key: ino, rows } of joinByKey({ chunks: context.walk.chunks })) {
    const sources = new Map<number, number>();
    for (const [, chunk = 0, source = 0] of rows.chunks) sources.set(chunk, (sources.get(chunk) ?? 0) | (1 << source));
    for (const [chunk, seen] of sources) {
      if (chunk === 0 ? seen === 1 : seen === 3) continue;
      const named = seen === 1;
      const check: MendStep[] = [
        [named ? 'has-key' : 'lacks-key', `s${ino}:${chunk}`],
        [named ? 'lacks-member' : 'has-member', `k${ino}`, String(chunk)],
      ];
      if (!(await scan.apply(check))) continue;
      yield {
        kind: 'chunk-index',
        what: named
          ? `chunk ${chunk} of inode ${ino} is not in its index`
          : `the index of inode ${ino} names chunk ${chunk}, which has no records`,
        mend: [
          ...check,
          named ? ['add-member', `k${ino}`, String(chunk), chunk] : ['remove-member', `k${ino}`, String(chunk)],
        ],
      };
    }
  }
}
