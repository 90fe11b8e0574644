import { failpoints } from '../base/failpoints.ts';
import type { Logger } from '../base/log.ts';
import type { CommitReply, Piece } from '../base/slices.ts';
import { sliceBlockNames } from './block-name.ts';
import type {
  ChunkOptions,
  ChunkStore,
  CommitSink,
  DiskRoom,
  FileReader,
  FileWriter,
  MapSource,
  ObjectStore,
} from './chunks.ts';
import { BlockCache } from './read/block-cache.ts';
import { BlockFetcher } from './read/block-fetcher.ts';
import { BlockReader } from './read/block-reader.ts';
import { MapFileReader, type ReaderHost } from './read/file-reader.ts';
import { toFsError, withRetry } from './retry.ts';
import { BlockUploader } from './write/block-uploader.ts';
import { SliceFileWriter, type WriterHost } from './write/file-writer.ts';
import { WriteBudget } from './write/write-budget.ts';

/** Object names per delete request (S3's limit). */
const DELETE_KEYS_MAX = 1_000;

/** Opens the data layer of a process on an object store, which it owns from now on. */
export function createChunkStore(store: ObjectStore, options: ChunkOptions, log: Logger): ChunkStore {
  return new BlockChunkStore(store, options, log);
}

class BlockChunkStore implements ChunkStore, WriterHost, ReaderHost {
  readonly cache: BlockCache;
  readonly blocks: BlockReader;
  readonly uploader: BlockUploader;
  readonly budget: WriteBudget;
  readonly readaheadBytesMax: number;
  readonly #store: ObjectStore;
  readonly #fetcher: BlockFetcher;
  readonly #options: ChunkOptions;
  readonly log: Logger;
  /** Newest reader of each inode: a writer's commits bring its map forward. */
  readonly #readers = new Map<number, MapFileReader>();
  /** Writers with pending bytes, longest dirty first. */
  readonly #dirty = new Set<SliceFileWriter>();
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(store: ObjectStore, options: ChunkOptions, log: Logger) {
    this.#store = store;
    this.#options = options;
    this.log = log;
    this.readaheadBytesMax = options.readaheadBytesMax;
    this.cache = new BlockCache(options.cacheBytes);
    this.#fetcher = new BlockFetcher(store, options, log);
    this.blocks = new BlockReader(this.#fetcher, this.cache);
    this.uploader = new BlockUploader(store, this.cache, options);
    this.budget = new WriteBudget(options.bufferBytes);
    this.budget.onPressure(() => this.#relieve());
  }

  writer(ino: number, sink: CommitSink): FileWriter {
    return new SliceFileWriter(ino, sink, this);
  }

  reader(ino: number, source: MapSource): FileReader {
    const reader = new MapFileReader(ino, source, this);
    this.#readers.set(ino, reader);
    return reader;
  }

  writeSlice(id: number, data: readonly Buffer[]): Promise<void> {
    return this.uploader.writeSlice(id, data);
  }

  putSlice(id: number, data: readonly Buffer[]): Promise<void> {
    return this.uploader.putSlice(id, data);
  }

  readSlice(id: number, sliceBytes: number, offset: number, length: number): Promise<Buffer> {
    return this.blocks.readSlice(id, sliceBytes, offset, length);
  }

  async deleteSlices(slices: { id: number; sizeBytes: number }[]): Promise<number[]> {
    const kept = new Set<number>();
    const owner = new Map<string, number>();
    for (const slice of slices) {
      for (const key of sliceBlockNames(slice.id, slice.sizeBytes)) owner.set(key, slice.id);
    }
    const keys = [...owner.keys()];
    for (let at = 0; at < keys.length; at += DELETE_KEYS_MAX) {
      const batch = keys.slice(at, at + DELETE_KEYS_MAX);
      failpoints?.pass('delete blocks');
      const failures = await withRetry('delete', this.#options, undefined, ({ signal }) =>
        this.#store.deleteMany(batch, signal),
      );
      for (const { key, error } of failures) {
        kept.add(owner.get(key)!);
        this.log.warn({ key, reason: error.message }, 'an object could not be deleted; it will be tried again');
      }
    }
    failpoints?.pass('deleted blocks');
    const gone = slices.map((slice) => slice.id).filter((id) => !kept.has(id));
    for (const id of gone) this.cache.delete(id, 0);
    return gone;
  }

  forgetInode(ino: number): void {
    this.cache.forget(ino);
  }

  cachedInline(id: number): Buffer | undefined {
    return this.cache.peek(id, 0);
  }

  async diskRoom(): Promise<DiskRoom | undefined> {
    try {
      return await this.#store.diskRoom?.();
    } catch (error) {
      throw toFsError('statfs', error);
    }
  }

  stats(): { cacheBytes: number; bufferBytes: number; uploads: number; hits: number; misses: number } {
    return {
      cacheBytes: this.cache.bytes,
      bufferBytes: this.budget.usedBytes,
      uploads: this.uploader.uploads,
      hits: this.cache.hits,
      misses: this.cache.misses,
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#idleTimer);
    this.#idleTimer = undefined;
    await this.uploader.drained();
    await this.#options.journal?.close();
    this.#fetcher.close();
    this.cache.clear();
    await this.#store.close();
  }

  markDirty(writer: SliceFileWriter): void {
    this.#dirty.add(writer);
    if (this.#idleTimer !== undefined) return;
    const periodMs = Math.max(10, Math.floor(this.#options.idleFlushMs / 2));
    this.#idleTimer = setInterval(() => this.#freezeIdle(), periodMs);
    this.#idleTimer.unref();
  }

  markClean(writer: SliceFileWriter): void {
    this.#dirty.delete(writer);
  }

  committed(ino: number, pieces: readonly Piece[], append: boolean, result: CommitReply): void {
    let inlineCount = 0;
    for (const piece of pieces) {
      if (!('inline' in piece)) continue;
      const id = result.inlineIds[inlineCount++];
      if (id !== undefined) this.cache.offer(id, 0, [piece.inline], ino);
    }
    this.#readers.get(ino)?.applyCommit(pieces, append, result);
  }

  newestRead(ino: number): number | undefined {
    return this.#readers.get(ino)?.newestRead;
  }

  oldestRead(ino: number): number {
    return this.#readers.get(ino)?.oldestRead ?? Number.POSITIVE_INFINITY;
  }

  closed(part: SliceFileWriter | MapFileReader): void {
    if (part instanceof SliceFileWriter) this.#dirty.delete(part);
    else if (this.#readers.get(part.ino) === part) this.#readers.delete(part.ino);
  }

  #freezeIdle(): void {
    if (this.#dirty.size === 0) {
      clearInterval(this.#idleTimer);
      this.#idleTimer = undefined;
      return;
    }
    const nowMs = Date.now();
    for (const writer of this.#dirty) writer.freezeIdle(nowMs, this.#options.idleFlushMs);
  }

  /** Memory is short: freeze the longest dirty files; what only waits for a store that is away goes when that is not enough. */
  #relieve(): void {
    for (const writer of this.#dirty) {
      if (!this.budget.pressed) return;
      writer.freeze();
    }
    for (const writer of this.#dirty) {
      if (!this.budget.pressed) return;
      if (!writer.failed) continue;
      this.log.error({ ino: writer.ino }, 'unstored data is given up: the object store fails and buffers are full');
      writer.giveUp();
    }
  }
}
