/**
 * The read pipeline of one inode: slice map (cached by content version) -> visible segments -> blocks.
 *
 * A map stays right for reading as long as its version is current, although the packer and compaction move bytes under
 * it: what an old map names stays in the store for a grace period, and a reader that finds an inline slice gone or a
 * block missing reads the map again and retries, a bounded number of times.
 */
import type { Logger } from '../../base/log.ts';
import { BLOCK_BYTES, CHUNK_BYTES, type SliceRecord } from '../../base/slice-record.ts';
import type { CommitReply, FileMap, Piece } from '../../base/slices.ts';
import { type FileReader, type MapSource, ObjectMissingError } from '../chunks.ts';
import { toFsError } from '../retry.ts';
import { Gathering, isOvertaken } from '../write/gathering.ts';
import type { BlockCache } from './block-cache.ts';
import type { BlockReader } from './block-reader.ts';
import { firstSegmentAfter, overlayRecord, type Segment, visibleSegments } from './overlay.ts';
import { Readahead } from './readahead.ts';

/** Times a read starts over because the map it used was overtaken. */
const ATTEMPTS_MAX = 6;
/** Chunks asked for in one map read. */
const MAP_CHUNKS = 4;
/** Chunk maps kept per file (64 GiB of file); beyond it the map starts afresh. */
const CHUNKS_CACHED_MAX = 1_024;
const EMPTY = Buffer.alloc(0);

/** What is known of a file at one version: chunks that were read, as visible segments. */
interface MapView {
  version: number;
  sizeBytes: number;
  readonly chunks: Map<number, Segment[]>;
}

export interface ReaderHost {
  readonly log: Logger;
  readonly blocks: BlockReader;
  readonly cache: BlockCache;
  readonly readaheadBytesMax: number;
  closed(reader: MapFileReader): void;
}

export class MapFileReader implements FileReader {
  readonly ino: number;
  readonly #source: MapSource;
  readonly #host: ReaderHost;
  readonly #readahead: Readahead;
  #view: MapView | undefined;
  /** Maps older than this are not cached. */
  #versionMin = 0;
  /** Counts invalidations that named no version: a map asked for before one is not cached after it. */
  #generation = 0;
  /** Reads under way, by number, oldest first. */
  readonly #underWay = new Set<number>();
  #readCount = 0;

  constructor(ino: number, source: MapSource, host: ReaderHost) {
    this.ino = ino;
    this.#source = source;
    this.#host = host;
    // Blocks fetched ahead wait in the cache: without room there they would be fetched twice.
    const room = Math.floor(host.cache.bytesMax / 4);
    this.#readahead = new Readahead(room < BLOCK_BYTES ? 0 : Math.min(host.readaheadBytesMax, room));
  }

  /** Number of the newest read under way, undefined when none is. */
  get newestRead(): number | undefined {
    return this.#underWay.size === 0 ? undefined : this.#readCount;
  }

  /** Number of the oldest read under way, Infinity when none is. */
  get oldestRead(): number {
    for (const read of this.#underWay) return read;
    return Number.POSITIVE_INFINITY;
  }

  read(offset: number, length: number): Buffer | Promise<Buffer> {
    const view = this.#view;
    if (view !== undefined) {
      const wanted = Math.min(length, view.sizeBytes - offset);
      if (wanted <= 0) return EMPTY;
      if (covers(view, offset, wanted)) {
        const found = this.#assemble(view, offset, wanted);
        this.#readAhead(offset, wanted);
        return Buffer.isBuffer(found) ? found : this.#track(this.#orRetry(found, offset, length));
      }
    }
    return this.#track(this.#readWithMap(offset, length, 0));
  }

  invalidate(version?: number): void {
    if (version === undefined) this.#generation++;
    else {
      if (version > this.#versionMin) this.#versionMin = version;
      if (this.#view !== undefined && this.#view.version >= version) return;
    }
    this.#view = undefined;
  }

  offer(map: FileMap): void {
    this.#adopt(map, undefined);
  }

  close(): void {
    this.#view = undefined;
    this.#host.closed(this);
  }

  /** Our own commit: if nothing else changed the file, the map is brought forward without reading it again. */
  applyCommit(pieces: readonly Piece[], append: boolean, result: CommitReply): void {
    const view = this.#view;
    const records = view?.version === result.version - 1 ? placedRecords(pieces, append, result) : undefined;
    if (view === undefined || records === undefined) {
      this.invalidate(result.version);
      return;
    }
    for (const { chunkIndex, record } of records) {
      const segments = view.chunks.get(chunkIndex);
      // A chunk that is not known will be read when somebody needs it.
      if (segments !== undefined) overlayRecord(segments, record);
    }
    view.version = result.version;
    view.sizeBytes = result.sizeBytes;
    this.#versionMin = Math.max(this.#versionMin, result.version);
  }

  #track(read: Promise<Buffer>): Promise<Buffer> {
    const number = ++this.#readCount;
    this.#underWay.add(number);
    // Counts as under way until whoever waits has overlaid pending bytes, which happens before the next turn.
    const done = (): void => {
      setImmediate(() => this.#underWay.delete(number));
    };
    read.then(done, done);
    return read;
  }

  async #orRetry(found: Promise<Buffer>, offset: number, length: number): Promise<Buffer> {
    try {
      return await found;
    } catch (error) {
      if (!isOvertaken(error)) throw error;
      this.#view = undefined;
      return this.#readWithMap(offset, length, 1);
    }
  }

  async #readWithMap(offset: number, length: number, attempted: number): Promise<Buffer> {
    let cause: unknown;
    for (let attempt = attempted; attempt < ATTEMPTS_MAX; attempt++) {
      let view = this.#view;
      if (view === undefined || !covers(view, offset, length)) view = await this.#loadMap(offset, length);
      const wanted = Math.min(length, view.sizeBytes - offset);
      if (wanted <= 0) return EMPTY;
      try {
        const bytes = await this.#assemble(view, offset, wanted);
        this.#readAhead(offset, wanted);
        return bytes;
      } catch (error) {
        if (!isOvertaken(error)) throw error;
        cause = error;
        if (this.#view === view) this.#view = undefined;
      }
    }
    if (cause instanceof ObjectMissingError)
      this.#host.log.error({ ino: this.ino, block: cause.key }, 'a block is missing');
    throw toFsError('read', cause);
  }

  /** Reads the map of the chunks of a range, and of a few chunks more. A map that is overtaken already is not cached. */
  async #loadMap(offset: number, length: number): Promise<MapView> {
    const first = Math.floor(offset / CHUNK_BYTES);
    const last = Math.floor((offset + Math.max(1, length) - 1) / CHUNK_BYTES);
    const range = { first, count: Math.max(MAP_CHUNKS, last - first + 1) };
    const generation = this.#generation;
    const map = await this.#source.readMap(this.ino, range.first, range.count);
    const adopted = generation === this.#generation ? this.#adopt(map, range) : undefined;
    return adopted ?? extendView(newView(map), map, range);
  }

  /** Caches a map unless a newer one is known; `range` says which chunks it is complete for. */
  #adopt(map: FileMap, range: ChunkRange | undefined): MapView | undefined {
    for (const [id, bytes] of map.inline) this.#host.cache.set(id, 0, bytes, this.ino);
    if (map.version < this.#versionMin) return undefined;
    let view = this.#view;
    if (view === undefined || view.version !== map.version || view.chunks.size > CHUNKS_CACHED_MAX) {
      view = newView(map);
      this.#view = view;
    }
    this.#versionMin = map.version;
    return extendView(view, map, range);
  }

  /** Puts a range together that the view covers: part of one cached block when that is all, else a new buffer. */
  #assemble(view: MapView, offset: number, length: number): Buffer | Promise<Buffer> {
    const gathering = new Gathering(this.#host.blocks, this.#host.cache, length);
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const chunkIndex = Math.floor(at / CHUNK_BYTES);
      const chunkStart = chunkIndex * CHUNK_BYTES;
      const stop = Math.min(end, chunkStart + CHUNK_BYTES);
      const segments = view.chunks.get(chunkIndex)!;
      for (let i = firstSegmentAfter(segments, at - chunkStart); i < segments.length; i++) {
        const segment = segments[i]!;
        if (chunkStart + segment.pos >= stop) break;
        const from = Math.max(at, chunkStart + segment.pos);
        const to = Math.min(stop, chunkStart + segment.pos + segment.len);
        gathering.add(segment, segment.off + from - chunkStart - segment.pos, from - offset, to - from);
      }
      at = stop;
    }
    return gathering.finish(this.#source);
  }

  #readAhead(offset: number, length: number): void {
    const range = this.#readahead.note(offset, length);
    if (range === undefined) return;
    const view = this.#view;
    if (view === undefined) return;
    const to = Math.min(range.to, view.sizeBytes);
    let at = range.from;
    while (at < to) {
      const chunkIndex = Math.floor(at / CHUNK_BYTES);
      const segments = view.chunks.get(chunkIndex);
      if (segments === undefined) {
        // The reader that gets there hears what goes wrong with the map.
        this.#loadMap(at, 1).catch(() => {});
        break;
      }
      const next = this.#prefetchAt(segments, at - chunkIndex * CHUNK_BYTES);
      if (next < 0) break;
      at = chunkIndex * CHUNK_BYTES + next;
    }
    this.#readahead.advance(range.stream, at);
  }

  /** Starts the fetch of the block under `pos`; answers where the next one begins, -1 when the store is busy. */
  #prefetchAt(segments: readonly Segment[], pos: number): number {
    const segment = segments[firstSegmentAfter(segments, pos)];
    if (segment === undefined) return CHUNK_BYTES;
    const at = Math.max(pos, segment.pos);
    const segmentEnd = segment.pos + segment.len;
    if (segment.inline) return segmentEnd;
    const inSlice = segment.off + at - segment.pos;
    const blockIndex = Math.floor(inSlice / BLOCK_BYTES);
    if (!this.#host.blocks.prefetch(segment.id, segment.size, blockIndex)) return -1;
    return Math.min(segmentEnd, at + (blockIndex + 1) * BLOCK_BYTES - inSlice);
  }
}

interface ChunkRange {
  first: number;
  count: number;
}

function newView(map: FileMap): MapView {
  return { version: map.version, sizeBytes: map.sizeBytes, chunks: new Map() };
}

/** Adds a map's chunks to a view of the same version; chunks of the range that the map lacks have no records. */
function extendView(view: MapView, map: FileMap, range: ChunkRange | undefined): MapView {
  view.sizeBytes = map.sizeBytes;
  for (const [chunkIndex, records] of map.chunks) view.chunks.set(chunkIndex, visibleSegments(records));
  if (range !== undefined) {
    for (let index = range.first; index < range.first + range.count; index++) {
      if (!view.chunks.has(index)) view.chunks.set(index, []);
    }
  }
  return view;
}

/** Tells whether the view knows every chunk of the range, as far as the file reaches. */
function covers(view: MapView, offset: number, length: number): boolean {
  const end = Math.min(offset + length, view.sizeBytes);
  for (let index = Math.floor(offset / CHUNK_BYTES); index * CHUNK_BYTES < end; index++) {
    if (!view.chunks.has(index)) return false;
  }
  return true;
}

/** Records as the metadata now holds them; undefined when that cannot be told (a run that was cut at a chunk's end). */
function placedRecords(
  pieces: readonly Piece[],
  append: boolean,
  result: CommitReply,
): { chunkIndex: number; record: SliceRecord }[] | undefined {
  const placed: { chunkIndex: number; record: SliceRecord }[] = [];
  let inlineCount = 0;
  for (const piece of pieces) {
    let record: SliceRecord;
    if ('inline' in piece) {
      const id = result.inlineIds[inlineCount++];
      if (id === undefined) return undefined;
      const bytes = piece.inline.length;
      record = { pos: piece.pos, id, size: bytes, off: 0, len: bytes, inline: true };
    } else record = piece.record;
    let chunkIndex = piece.chunkIndex;
    if (append) {
      const offset = result.offset + record.pos;
      chunkIndex = Math.floor(offset / CHUNK_BYTES);
      record = { ...record, pos: offset - chunkIndex * CHUNK_BYTES };
      if (record.pos + record.len > CHUNK_BYTES) return undefined;
    }
    placed.push({ chunkIndex, record });
  }
  return placed;
}
