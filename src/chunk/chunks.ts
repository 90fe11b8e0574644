/**
 * The data layer's contract: where bytes are, never what file or name they belong to. It does not know metadata: what
 * it needs from there comes in through MapSource and CommitSink, which src/vfs connects; the words are base/slices.ts.
 */
import type { CommitReply, FileMap, Piece } from '../base/slices.ts';

export interface ByteRange {
  offset: number;
  length: number;
}

/** An object store. Keys are ASCII paths such as chunks/0/1/1234_0_4194304. */
export interface ObjectStore {
  /** For messages and `status`: the URL without credentials. */
  readonly url: string;
  /**
   * Whole object, or a range of it. `progress` is called as bytes come, where the driver can tell.
   * @throws ObjectMissingError; any other error may be retried.
   */
  get(key: string, range: ByteRange | undefined, signal?: AbortSignal, progress?: () => void): Promise<Buffer>;
  /** Stores an object durably: it survives a power cut once this resolves. Parts are one object's consecutive bytes. */
  put(key: string, data: readonly Buffer[], signal?: AbortSignal, progress?: () => void): Promise<void>;
  /** Deletes many; a missing object counts as deleted. Answers the keys that could not be deleted with the reason. */
  deleteMany(keys: readonly string[], signal?: AbortSignal): Promise<{ key: string; error: Error }[]>;
  /** Keys after `after` in byte order under `prefix`, at most `limit`. */
  list(
    prefix: string,
    after: string,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ key: string; sizeBytes: number; modifiedMs: number }[]>;
  /** Undefined when missing. */
  head(key: string, signal?: AbortSignal): Promise<{ sizeBytes: number } | undefined>;
  close(): Promise<void>;
}

/** The named object does not exist. */
export class ObjectMissingError extends Error {
  readonly key: string;
  constructor(key: string) {
    super(`object ${key} is not in the store`);
    this.name = 'ObjectMissingError';
    this.key = key;
  }
}

/** Where a reader learns the slice map. `ino` is opaque here. */
export interface MapSource {
  /** Reads chunks [chunkIndex, chunkIndex + count). */
  readMap(ino: number, chunkIndex: number, count: number): Promise<FileMap>;
  readInline(ids: number[]): Promise<(Buffer | undefined)[]>;
}

/** Where a writer commits. Bytes are durable in the store before this is called. */
export interface CommitSink {
  reserveSliceId(): Promise<number>;
  /** Longest slice that may travel inline now (0 = store everything). One commit carries a few times that in all. */
  inlineBytesMax(): number;
  /** The moment a write is made, as the commit will want to hear it: microseconds. */
  nowUs(): number;
  /** One script. `lastWriteUs`: nowUs() at the last write covered. */
  commit(
    ino: number,
    pieces: Piece[],
    options: { append: boolean; lastWriteUs: number; killPriv: boolean },
  ): Promise<CommitReply>;
}

/**
 * Write pipeline of one open inode (shared by all its handles in this process). Buffers per chunk; a slice freezes when
 * full, on flush, when idle, under memory pressure; full blocks upload at once in parallel; commits go in order.
 */
export interface FileWriter {
  /**
   * Takes `data` (copied before the call returns, so the caller may reuse the buffer at once) at `offset`.
   * Returns a promise only when the memory budget is exhausted or an earlier upload failed: back-pressure.
   */
  write(offset: number, data: Buffer, killPriv: boolean): Promise<void> | undefined;
  /** O_APPEND: placed by the commit at the end of file as the metadata then knows it. */
  append(data: Buffer, killPriv: boolean): Promise<void> | undefined;
  /** Everything written so far is stored and committed, or the first error since the last flush is thrown (once). */
  flush(): Promise<void>;
  /** Copies unflushed bytes that overlap into `out` (file offset of out[0] = offset) over what the reader filled in. */
  overlayPending(offset: number, out: Buffer): void;
  readonly hasPending: boolean;
  /** Bytes of the pending writes, each rounded up to blocks of 4 KiB. */
  readonly pendingBytes: number;
  /** File size as this mount must show it: max(committed size, end of pending writes). */
  pendingEnd(committedSize: number): number;
  /** nowUs() of the sink at the last unflushed write, 0 when none. */
  readonly lastWriteUs: number;
  /** Drops everything pending (file removed, session fenced, truncate to 0 with nothing to keep). */
  discard(): void;
  close(): Promise<void>;
}

/** Read pipeline of one inode: slice map cached by version, block cache, single flight, readahead. */
export interface FileReader {
  /** Bytes [offset, offset+length) clamped to the map's file size. A plain value when everything is cached. */
  read(offset: number, length: number): Buffer | Promise<Buffer>;
  /** Drops the cached map: content changed elsewhere (version is what the change announced, if known). */
  invalidate(version?: number): void;
  /** Feeds a map that came along with another reply. */
  offer(map: FileMap): void;
  close(): void;
}

export interface ChunkOptions {
  /** Bytes of all write buffers and uploads in flight; writers wait beyond it. */
  bufferBytes: number;
  /** Bytes of the memory block cache. */
  cacheBytes: number;
  uploadParallel: number;
  downloadParallel: number;
  /** How long one object request is tried, ms. */
  retryMs: number;
  /** Idle slice freeze, ms. */
  idleFlushMs: number;
  readaheadBytesMax: number;
}

/** The data layer of a process. */
export interface ChunkStore {
  writer(ino: number, sink: CommitSink): FileWriter;
  reader(ino: number, source: MapSource): FileReader;
  /** Puts one whole slice (<= CHUNK_BYTES) as its blocks; used by the packer and by compaction. */
  putSlice(id: number, data: readonly Buffer[]): Promise<void>;
  /** Reads a range of a slice through cache and single flight. @throws ObjectMissingError, FsError EIO after retries. */
  readSlice(id: number, sliceBytes: number, offset: number, length: number): Promise<Buffer>;
  /** Deletes a slice's objects. Answers ids whose objects are gone. */
  deleteSlices(slices: { id: number; sizeBytes: number }[]): Promise<number[]>;
  /** The inode is gone: what is cached of its inline bytes is dropped. */
  forgetInode(ino: number): void;
  /** Bytes of an inline slice if they are in the cache: the packer of the machine that wrote them need not fetch them. */
  cachedInline(id: number): Buffer | undefined;
  stats(): { cacheBytes: number; bufferBytes: number; uploads: number; hits: number; misses: number };
  /** Waits for uploads in flight and closes the store. */
  close(): Promise<void>;
}
