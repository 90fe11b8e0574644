/**
 * Rewrites chunks that many small writes have left with long lists of records, so that reading them stays cheap.
 *
 *     records   [== big ==]  [a][b][c][d] ...      [== big ==]  [ one new slice ]
 *               kept          rewritten
 *
 * Leading large records stay as they are. What the others show is stored as one slice, which takes their place if they
 * are still the chunk's first records; records appended meanwhile stay behind it.
 */
import type { Logger } from '../base/log.ts';
import { LruCache } from '../base/lru.ts';
import type { SliceRecord } from '../base/slice-record.ts';
import type { Ino } from '../base/vocabulary.ts';
import type { ChunkStore } from '../chunk/chunks.ts';
import { type Segment, visibleSegments } from '../chunk/read/overlay.ts';
import type { Meta } from '../meta/meta.ts';
import type { SliceIds } from '../meta/ops/slice-ids.ts';
import type { Job } from './job-loop.ts';

/** With nothing to compact the loop sleeps until it is woken. */
const IDLE_MS = 60_000;
/** A leading record of at least this many bytes is not worth rewriting. */
const LARGE_BYTES = 1024 * 1024;
/** Records compacted at once; the script compares and replaces them. */
const RECORDS_MAX = 2_000;
const QUEUE_MAX = 10_000;
const INLINE_IDS_MAX = 256;
/** Large records are rewritten too when that moves at most so many bytes for each record that goes. */
const BYTES_PER_RECORD_MAX = 64 * 1024;
/** A chunk that was not worth rewriting is looked at again when it has grown by this factor. */
const FUTILE_GROWTH = 1.25;
/** Bytes that one rewrite holds in memory at most. */
const REWRITE_BYTES_MAX = 64 * 1024 * 1024;

/** The bytes of a run of segments, or undefined when one of them has moved. */
type Bytes = Buffer[] | undefined;

export class Compactor implements Job {
  readonly name = 'compact';
  readonly pauseMs = IDLE_MS;
  readonly #meta: Meta;
  readonly #chunks: ChunkStore;
  readonly #slices: SliceIds;
  readonly #logger: Logger;
  readonly #recordsMax: number;
  #queue = new Map<string, { ino: Ino; chunkIndex: number; count: number }>();
  /** Record counts at which a chunk was not worth rewriting. */
  #futile = new LruCache<string, number>(QUEUE_MAX);

  /** @param recordsMax records in a chunk beyond which it is due. */
  constructor(meta: Meta, chunks: ChunkStore, slices: SliceIds, logger: Logger, recordsMax: number) {
    this.#meta = meta;
    this.#chunks = chunks;
    this.#slices = slices;
    this.#logger = logger;
    this.#recordsMax = recordsMax;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Notes how many records chunks have now. Answers whether one is due. */
  note(ino: Ino, counts: readonly { chunkIndex: number; count: number }[]): boolean {
    let due = false;
    for (const { chunkIndex, count } of counts) {
      if (count <= this.#recordsMax || this.#queue.size >= QUEUE_MAX) continue;
      const key = `${ino}:${chunkIndex}`;
      if (count < (this.#futile.get(key) ?? 0) * FUTILE_GROWTH) continue;
      this.#queue.set(key, { ino, chunkIndex, count });
      due = true;
    }
    return due;
  }

  /** Compacts one waiting chunk. Answers whether more wait. */
  async next(): Promise<boolean> {
    const first = this.#queue.entries().next();
    if (first.done) return false;
    const [key, { ino, chunkIndex, count }] = first.value;
    this.#queue.delete(key);
    try {
      if (await this.compact(ino, chunkIndex)) this.#futile.delete(key);
      else this.#futile.set(key, count);
    } catch (error) {
      // It becomes due again with the next write to the chunk.
      this.#logger.warn({ ino, chunkIndex, err: String(error) }, 'compacting a chunk failed');
    }
    return this.#queue.size > 0;
  }

  async round(signal: AbortSignal): Promise<number> {
    while (!signal.aborted && (await this.next()));
    return this.pauseMs;
  }

  /** Answers whether the chunk's records were replaced. */
  async compact(ino: Ino, chunkIndex: number): Promise<boolean> {
    const { map } = await this.#meta.data.readMap(ino, chunkIndex, 1, 0);
    const records = map.chunks.get(chunkIndex) ?? [];
    const plan = planRewrite(records.slice(0, RECORDS_MAX));
    if (plan === undefined) return false;
    const { prefix, kept, segments } = plan;
    const data = await this.#read(segments);
    if (data === undefined) return false;
    const fresh = await this.#store(segments, data);
    const done = await this.#meta.data.compactChunk(ino, chunkIndex, prefix, [...kept, ...fresh]);
    // Nobody has seen the new slice: its blocks may go at once.
    if (!done) await this.#chunks.deleteSlices(freshSlices(fresh));
    return done;
  }

  /** Bytes of the segments in order; zeros have none. */
  async #read(segments: readonly Segment[]): Promise<Bytes> {
    const inline = await this.#readInline(segments);
    if (inline === undefined) return undefined;
    const data: Buffer[] = [];
    for (const segment of segments) {
      if (segment.id === 0) continue;
      if (segment.inline) data.push(inline.get(segment.id)!.subarray(segment.off, segment.off + segment.len));
      else data.push(await this.#chunks.readSlice(segment.id, segment.size, segment.off, segment.len));
    }
    return data;
  }

  async #readInline(segments: readonly Segment[]): Promise<Map<number, Buffer> | undefined> {
    const found = new Map<number, Buffer>();
    const ids = [...new Set(segments.filter((segment) => segment.inline).map((segment) => segment.id))];
    for (let at = 0; at < ids.length; at += INLINE_IDS_MAX) {
      const batch = ids.slice(at, at + INLINE_IDS_MAX);
      const bytes = await this.#meta.data.readInline(batch);
      for (let i = 0; i < batch.length; i++) {
        const one = bytes[i];
        if (one === undefined) return undefined;
        found.set(batch[i]!, one);
      }
    }
    return found;
  }

  /** Stores the bytes as one slice and answers the records that show it where the segments were. */
  async #store(segments: readonly Segment[], data: Buffer[]): Promise<SliceRecord[]> {
    const sizeBytes = data.reduce((sum, bytes) => sum + bytes.length, 0);
    const id = sizeBytes === 0 ? 0 : await this.#slices.take();
    if (id !== 0) await this.#chunks.putSlice(id, data);
    const records: SliceRecord[] = [];
    let off = 0;
    for (const segment of segments) {
      const isZero = segment.id === 0;
      const last = records[records.length - 1];
      const touches = last !== undefined && last.pos + last.len === segment.pos && (last.id === 0) === isZero;
      if (touches) {
        const size = isZero ? last.len + segment.len : sizeBytes;
        records[records.length - 1] = { ...last, size, len: last.len + segment.len };
      } else if (isZero) {
        records.push({ pos: segment.pos, id: 0, size: segment.len, off: 0, len: segment.len, inline: false });
      } else {
        records.push({ pos: segment.pos, id, size: sizeBytes, off, len: segment.len, inline: false });
      }
      if (!isZero) off += segment.len;
    }
    return records;
  }
}

interface Plan {
  prefix: SliceRecord[];
  /** Leading records that stay. */
  kept: readonly SliceRecord[];
  /** What the rest of the prefix shows, in order. */
  segments: readonly Segment[];
}

/**
 * Decides what to rewrite: the small records behind the leading large ones if that leaves at most half of them, else
 * everything if the records are many for the bytes that would be moved. Undefined when neither is worth it.
 */
function planRewrite(prefix: SliceRecord[]): Plan | undefined {
  const keptCount = leadingLarge(prefix);
  for (const count of keptCount > 0 ? [keptCount, 0] : [0]) {
    const small = prefix.slice(count);
    const segments = withZeros(small);
    const bytes = segments.reduce((sum, segment) => sum + (segment.id === 0 ? 0 : segment.len), 0);
    if (bytes > REWRITE_BYTES_MAX || runCount(segments) > small.length / 2) continue;
    if (count === 0 && keptCount > 0 && bytes > small.length * BYTES_PER_RECORD_MAX) continue;
    return { prefix, kept: prefix.slice(0, count), segments };
  }
  return undefined;
}

/** Records it takes to show the segments once their bytes are one slice. */
function runCount(segments: readonly Segment[]): number {
  let count = 0;
  let last: Segment | undefined;
  for (const segment of segments) {
    const touches = last !== undefined && last.pos + last.len === segment.pos && (last.id === 0) === (segment.id === 0);
    if (!touches) count += 1;
    last = segment;
  }
  return count;
}

function leadingLarge(records: readonly SliceRecord[]): number {
  let count = 0;
  while (count < records.length && records[count]!.len >= LARGE_BYTES && !records[count]!.inline) count++;
  return count;
}

/**
 * What the records show, zeros included: a record of zeros may hide bytes of a record that stays. visibleSegments leaves
 * zeros out, so they go in under a number that no slice has.
 */
function withZeros(records: readonly SliceRecord[]): Segment[] {
  const marked = records.map((record) => (record.id === 0 ? { ...record, id: -1 } : record));
  return visibleSegments(marked).map((segment) => (segment.id === -1 ? { ...segment, id: 0 } : segment));
}

function freshSlices(records: readonly SliceRecord[]): { id: number; sizeBytes: number }[] {
  const slices = new Map<number, number>();
  for (const record of records) if (record.id !== 0) slices.set(record.id, record.size);
  return [...slices].map(([id, sizeBytes]) => ({ id, sizeBytes }));
}
