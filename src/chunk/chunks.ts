/**
 * The data layer's contract: where bytes are, never what file or name they belong to. It does not know metadata: what
 * it needs from there comes in through MapSource and CommitSink, which src/vfs connects; the words are base/slices.ts.
 *
 * Errors. A driver throws ObjectMissingError or StoreError, which says whether waiting may help. What a caller of FileWriter,
 * FileReader and ChunkStore sees is an FsError after retryMs of trying: EIO, or ENOSPC, EDQUOT, EROFS where the store said
 * so, with the driver's last error as cause. What MapSource and CommitSink throw passes through unchanged.
 */
import type { CommitReply, FileMap, Piece } from '../base/slices.ts';
import type { FrameCodec } from './codec/framed-block.ts';

export interface ByteRange {
  offset: number;
  length: number;
}

/**
 * An object store. Keys are ASCII paths such as chunks/0/1/1234_0_4194304. Every method throws StoreError for what the
 * store refused or did not answer, and the signal's reason when aborted.
 */
export interface ObjectStore {
  /** For messages and `status`: the URL without credentials. */
  readonly url: string;
  /**
   * Whole object, or a range of it; shorter where the object ends. `progress` is called as bytes come, where the driver
   * can tell.
   * @throws ObjectMissingError, StoreError.
   */
  get(key: string, range: ByteRange | undefined, signal?: AbortSignal, progress?: () => void): Promise<Buffer>;
  /**
   * Stores an object durably: it survives a power cut once this resolves. Parts are one object's consecutive bytes. An
   * object of that name is replaced as a whole; after a failure it is the old one, the new one or none, never a part.
   * @throws StoreError; ENOSPC, EDQUOT and EROFS are final.
   */
  put(key: string, data: readonly Buffer[], signal?: AbortSignal, progress?: () => void): Promise<void>;
  /**
   * Deletes many; a missing object counts as deleted. Answers the keys that could not be deleted with the reason.
   * @throws StoreError when nothing is known about any of them.
   */
  deleteMany(keys: readonly string[], signal?: AbortSignal): Promise<{ key: string; error: Error }[]>;
  /** Keys after `after` in byte order under `prefix`, at most `limit`. @throws StoreError. */
  list(
    prefix: string,
    after: string,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ key: string; sizeBytes: number; modifiedMs: number }[]>;
  /** Undefined when missing. @throws StoreError. */
  head(key: string, signal?: AbortSignal): Promise<{ sizeBytes: number } | undefined>;
  /** The disk that objects are on; undefined where there is no such thing. @throws StoreError. */
  diskRoom?(): Promise<DiskRoom>;
  /** Ends connections. Requests under way may fail. */
  close(): Promise<void>;
}

export interface DiskRoom {
  /** What may still be written, bytes. */
  freeBytes: number;
  totalBytes: number;
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
  /** Reads chunks [chunkIndex, chunkIndex + count). @throws FsError ENOENT when the inode is gone, EIO. */
  readMap(ino: number, chunkIndex: number, count: number): Promise<FileMap>;
  /** Bytes of inline slices; undefined where they moved or went: the map is then read again. @throws FsError EIO. */
  readInline(ids: number[]): Promise<(Buffer | undefined)[]>;
}

/** Where a writer commits. Bytes are durable in the store before this is called. */
export interface CommitSink {
  /** @throws FsError EIO. */
  reserveSliceId(): Promise<number>;
  /** Longest slice that may travel inline now (0 = store everything). One commit carries a few times that in all. */
  inlineBytesMax(): number;
  /** The moment a write is made, as the commit will want to hear it: microseconds. */
  nowUs(): number;
  /**
   * One script. `lastWriteUs`: nowUs() at the last write covered.
   * @throws FsError ENOENT (the inode is gone), EFBIG, ENOSPC (Redis is full), EIO (also when nobody knows whether it was
   *   done: it is not sent again).
   */
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
   * @throws FsError (as a rejection) EFBIG beyond 1 PiB, EBADF after close(), and the error that lost earlier bytes
   *   until a flush has reported it. The bytes of a refused write are not taken.
   */
  write(offset: number, data: Buffer, killPriv: boolean): Promise<void> | undefined;
  /** O_APPEND: placed by the commit at the end of file as the metadata then knows it. @throws as write(). */
  append(data: Buffer, killPriv: boolean): Promise<void> | undefined;
  /**
   * Everything written so far is stored and committed, or the first error since the last flush is thrown (once).
   * @throws FsError ENOSPC, EDQUOT, EROFS or EIO of the store, and what the sink's commit throws. Bytes whose upload failed
   *   stay pending and the next flush tries them again; bytes whose commit failed are lost.
   */
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
  /** Flushes and lets go; what cannot be stored is dropped. @throws as flush(). */
  close(): Promise<void>;
}

/** Read pipeline of one inode: slice map cached by version, block cache, single flight, readahead. */
export interface FileReader {
  /**
   * Bytes [offset, offset+length) clamped to the map's file size. A plain value when everything is cached. The buffer may
   * belong to the cache: callers only read it.
   * @throws FsError EIO (a block is missing, short or unreadable for retryMs) and what the source throws: as a rejection.
   */
  read(offset: number, length: number): Buffer | Promise<Buffer>;
  /** Drops the cached map: content changed elsewhere (version is what the change announced, if known). */
  invalidate(version?: number): void;
  /** Feeds a map that came along with another reply. */
  offer(map: FileMap): void;
  /** Lets the map go. Reads under way go on. */
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
  /** Blocks carry checksums, which are checked on every read (format version 2 and later). */
  checked: boolean;
  /** Blocks are compressed or encrypted (format version 3). */
  codec?: FrameCodec | undefined;
  /** Write-back: takes blocks before the store does. Closed with the store. */
  journal?: BlockJournal | undefined;
  /** Where a slice that the store lacks waits to be uploaded: another client's journal. */
  whereIs?: ((sliceId: number) => Promise<string | undefined>) | undefined;
}

/** Where blocks wait that are acknowledged before the store has them (write/journal.ts). */
export interface BlockJournal {
  /**
   * Takes an object that must not change any more; it is durable and everybody may know where it is when this resolves.
   * @returns false when there is no room: the caller stores it. @throws FsError when nobody could be told.
   */
  put(key: string, sliceId: number, object: readonly Buffer[]): Promise<boolean>;
  /** What waits here; undefined when it does not. */
  get(key: string, range: ByteRange | undefined): Promise<Buffer | undefined>;
  close(): Promise<void>;
}

/** The data layer of a process. One budget for all write buffers, one block cache, bounded parallel requests. */
export interface ChunkStore {
  /** A new write pipeline; the caller keeps to one per inode. */
  writer(ino: number, sink: CommitSink): FileWriter;
  /** A new read pipeline; it hears of commits of this process's writers to the same inode. */
  reader(ino: number, source: MapSource): FileReader;
  /** Stores one whole slice that somebody waits for: in the journal where there is one. @throws as putSlice(). */
  writeSlice(id: number, data: readonly Buffer[]): Promise<void>;
  /**
   * Puts one whole slice (<= CHUNK_BYTES) as its blocks; used by the packer and by compaction. Durable when it resolves.
   * @throws FsError ENOSPC, EDQUOT, EROFS, EIO: some blocks may be there.
   */
  putSlice(id: number, data: readonly Buffer[]): Promise<void>;
  /** Reads a range of a slice through cache and single flight. @throws ObjectMissingError, FsError EIO after retries. */
  readSlice(id: number, sliceBytes: number, offset: number, length: number): Promise<Buffer>;
  /** Deletes slices' objects. Answers ids whose objects are gone; the others are logged. @throws FsError EIO. */
  deleteSlices(slices: { id: number; sizeBytes: number }[]): Promise<number[]>;
  /** The inode is gone: what is cached of its inline bytes is dropped. */
  forgetInode(ino: number): void;
  /** Bytes of an inline slice if they are in the cache: the packer of the machine that wrote them need not fetch them. */
  cachedInline(id: number): Buffer | undefined;
  /** The disk of the store, undefined where there is none. @throws FsError EIO. */
  diskRoom(): Promise<DiskRoom | undefined>;
  stats(): { cacheBytes: number; bufferBytes: number; uploads: number; hits: number; misses: number };
  /** Waits for uploads in flight, gives reads under way up (they fail) and closes the store. */
  close(): Promise<void>;
}
