/**
 * An inode that is open in this process: one writer and one reader, shared by every handle.
 *
 *     read    reader (stored bytes) -> overlay of what the writer has not committed
 *     write   writer -> blocks -> commit: one script -> attributes to the cache, map of the reader dropped
 *
 * Truncation, range operations and explicit times take the lock: they flush first, and writes wait until they are done.
 */

import type { CommitReply, FileMap, Piece } from '../../base/slices.ts';
import { type Attr, allocatedBytes, FLAG_SPARSE, type Ino } from '../../base/vocabulary.ts';
import type { ChunkStore, CommitSink, FileReader, FileWriter } from '../../chunk/chunks.ts';
import { timestampOf } from '../../meta/redis/server-clock.ts';
import { KernelPages } from '../cache/kernel-pages.ts';
import type { DataPath } from './data-path.ts';
import { InodeLock } from './inode-lock.ts';
import { timesAfterWrite, withoutSetId } from './pending-times.ts';

/** Chunks whose map an open fetches ahead; a reader's first question is about as many. */
const EARLY_CHUNKS = 4;
const EMPTY = Buffer.alloc(0);

/** What an open file tells the rest of the virtual file system. */
export interface OpenFileEvents {
  /** What the mount's kernel believes about the inode's attributes is no longer so. Resolves when it has been told. */
  attributesStale(ino: Ino): Promise<void> | undefined;
  /** Nor about its content. */
  pagesStale(ino: Ino): void;
}

export class OpenFile {
  readonly ino: Ino;
  /** Handles and S3 readers that use it. */
  users = 0;
  /** No name leads here any more (or none ever did): the last user releases the inode. */
  nameless = false;
  /** It was freed before this session could keep it. */
  gone = false;
  /** Runs while the metadata is being told that this session keeps a nameless inode. */
  sustaining: Promise<void> | undefined;
  readonly lock = new InodeLock();
  /** What the kernel may hold of the content. */
  readonly pages = new KernelPages();
  readonly #chunks: ChunkStore;
  readonly #data: DataPath;
  readonly #events: OpenFileEvents;
  #writer: FileWriter | undefined;
  #reader: FileReader | undefined;
  #unflushed = false;
  #flushing: Promise<void> | undefined;
  #flushTurn = 0;
  #early: Promise<FileMap> | undefined;
  #hasMap = false;
  /** What was shown of the pending writes; undefined when nobody asked. */
  #shown: Attr | undefined;
  /** The kernel is being told that what was shown does not hold. */
  #telling: Promise<void> | undefined;
  /** A pending write takes set-id bits away. */
  #dropsSetId = false;
  #appends: { offset: number; length: number }[] = [];

  constructor(ino: Ino, chunks: ChunkStore, data: DataPath, events: OpenFileEvents) {
    this.ino = ino;
    this.#chunks = chunks;
    this.#data = data;
    this.#events = events;
  }

  get hasPending(): boolean {
    return this.#writer?.hasPending === true;
  }

  /** A reader with a slice map that still counts: worth keeping for the next open. */
  get isWarm(): boolean {
    return this.#hasMap;
  }

  /** Starts reading the slice map, so that the first READ finds it on its way. */
  prefetch(): void {
    if (this.#hasMap || this.#early !== undefined || !this.#data.attrs.healthy) return;
    const early = this.#data.readMap(this.ino, 0, EARLY_CHUNKS);
    // A failure is the READ's to report, if one comes.
    early.catch(() => {
      if (this.#early === early) this.#early = undefined;
    });
    this.#early = early;
  }

  /** Stored bytes with unflushed ones over them, clamped to the file's size. */
  read(offset: number, length: number): Buffer | Promise<Buffer> {
    const writer = this.#writer;
    if (writer === undefined) return this.#readStored(offset, length);
    if (writer.hasPending) {
      const size = this.#data.attrs.get(this.ino)?.size;
      // Nothing is stored there: no need for a slice map.
      if (size !== undefined && size <= offset) return this.#merge(writer, EMPTY, size, offset, length);
    }
    const stored = this.#readStored(offset, length);
    if (stored instanceof Promise) return this.#mergeLater(writer, stored, offset, length);
    if (!writer.hasPending) return stored;
    const size = this.#data.attrs.get(this.ino)?.size;
    if (size === undefined) return this.#mergeLater(writer, stored, offset, length);
    return this.#merge(writer, stored, size, offset, length);
  }

  /** Takes the bytes (copied before it returns). `append` moves them to the end of file; `offset` is then the kernel's guess. */
  write(offset: number, data: Buffer, append: boolean, killPriv: boolean): Promise<void> | undefined {
    if (this.lock.held) return this.#writeAfterLock(offset, Buffer.from(data), append, killPriv);
    this.#unflushed = true;
    this.#writer ??= this.#chunks.writer(this.ino, this.#sink());
    if (!append) return this.#writer.write(offset, data, killPriv);
    this.#noteAppend(this.#writer, offset, data.length);
    return this.#writer.append(data, killPriv);
  }

  /** Everything written so far is stored and committed. @throws the first error since the last flush, once. */
  flush(): Promise<void> | undefined {
    if (this.#writer === undefined) return undefined;
    if (!this.#unflushed) return this.#flushing;
    this.#unflushed = false;
    const flushing = this.#flushNow(this.#writer);
    this.#flushing = flushing;
    return flushing;
  }

  /** Runs a task that must not mix with writes, after a flush. */
  exclusive<T>(task: () => Promise<T>): Promise<T> {
    return this.lock.run(async () => {
      await this.flush();
      return await task();
    });
  }

  /** The attributes as this process must show them: with what is written but not committed. */
  shown(attr: Attr): Attr {
    const writer = this.#writer;
    if (writer?.hasPending !== true || writer.lastWriteUs === 0) return attr;
    const shown = { ...attr, size: writer.pendingEnd(attr.size), ...timesAfterWrite(attr, writer.lastWriteUs) };
    if (this.#dropsSetId) shown.mode = withoutSetId(shown.mode);
    // At most what is written more, and exactly the size where that leaves no hole.
    const roomBytes = allocatedBytes(attr) + writer.pendingBytes;
    if (roomBytes < allocatedBytes(shown)) {
      shown.flags |= FLAG_SPARSE;
      shown.sparseBytes = roomBytes;
    }
    this.#shown = shown;
    return shown;
  }

  /**
   * A write that takes set-id bits away is pending: they are not shown from now on.
   * @returns true when the mount's kernel may still hold them.
   */
  dropsSetId(): boolean {
    if (this.#dropsSetId) return false;
    const mode = this.#data.attrs.get(this.ino)?.mode;
    if (mode !== undefined && withoutSetId(mode) === mode) return false;
    this.#dropsSetId = true;
    return true;
  }

  /** The content changed otherwise than through the writer. */
  contentChanged(version?: number): void {
    this.#hasMap = false;
    this.#early = undefined;
    this.#reader?.invalidate(version);
  }

  /** Gives up unflushed writes. */
  discard(): void {
    this.#unflushed = false;
    this.#appends = [];
    this.#writer?.discard();
  }

  /** What was written is given up, as whoever flushed hears: the kernel's pages and attributes tell of it still. */
  #lost(): void {
    this.#appends = [];
    this.#shown = undefined;
    this.#dropsSetId = false;
    this.#events.pagesStale(this.ino);
  }

  /** Closes the writer. The reader stays for the next open. */
  async closeWriter(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close();
  }

  get hasWriter(): boolean {
    return this.#writer !== undefined;
  }

  closeReader(): void {
    this.#hasMap = false;
    this.#early = undefined;
    this.#reader?.close();
    this.#reader = undefined;
  }

  #readStored(offset: number, length: number): Buffer | Promise<Buffer> {
    // While pushes may be missed nothing that was read before is trusted.
    if (!this.#data.attrs.healthy) this.contentChanged();
    this.#reader ??= this.#chunks.reader(this.ino, {
      readMap: (ino, chunkIndex, count) => this.#readMap(ino, chunkIndex, count),
      readInline: (ids) => this.#data.meta.data.readInline(ids),
    });
    return this.#reader.read(offset, length);
  }

  #readMap(ino: Ino, chunkIndex: number, count: number): Promise<FileMap> {
    const early = this.#early;
    this.#early = undefined;
    this.#hasMap = true;
    if (early !== undefined && chunkIndex === 0 && count <= EARLY_CHUNKS) return early;
    return this.#data.readMap(ino, chunkIndex, count);
  }

  #merge(writer: FileWriter, stored: Buffer, committedSize: number, offset: number, length: number): Buffer {
    const end = Math.min(offset + length, writer.pendingEnd(committedSize));
    // The reader's bytes may be the block cache's own: what is laid over them goes into a copy.
    const out = Buffer.allocUnsafe(Math.max(0, end - offset));
    const taken = stored.copy(out);
    out.fill(0, taken);
    writer.overlayPending(offset, out);
    return out;
  }

  /** The writer keeps what was committed during a read pending for it, so a map from before the commit is enough. */
  async #mergeLater(
    writer: FileWriter,
    reading: Buffer | Promise<Buffer>,
    offset: number,
    length: number,
  ): Promise<Buffer> {
    const stored = await reading;
    if (!writer.hasPending) return stored;
    const size = this.#data.attrs.get(this.ino)?.size;
    if (size !== undefined) return this.#merge(writer, stored, size, offset, length);
    const asked = await this.#committedSize();
    // What was committed during that trip is no longer pending for this read: begin again with what is known now.
    return this.#data.attrs.get(this.ino) !== undefined
      ? await this.read(offset, length)
      : this.#merge(writer, stored, asked, offset, length);
  }

  async #committedSize(): Promise<number> {
    const token = this.#data.attrs.token();
    return this.#data.attrs.fill(await this.#data.meta.names.getattr(this.ino), token).size;
  }

  async #flushNow(writer: FileWriter): Promise<void> {
    const turn = ++this.#flushTurn;
    try {
      await writer.flush();
      await this.#telling;
    } catch (error) {
      // Bytes whose upload failed are kept: the next flush tries them again.
      if (writer.hasPending) this.#unflushed = true;
      else this.#lost();
      throw error;
    } finally {
      if (turn === this.#flushTurn) this.#flushing = undefined;
    }
  }

  async #writeAfterLock(offset: number, data: Buffer, append: boolean, killPriv: boolean): Promise<void> {
    await this.lock.idle();
    await this.write(offset, data, append, killPriv);
  }

  #sink(): CommitSink {
    return {
      reserveSliceId: () => this.#data.slices.take(),
      inlineBytesMax: () => this.#data.inlineBytesMax(),
      nowUs: () => this.#data.meta.clock.nowUs(),
      commit: (ino, pieces, options) => this.#commit(ino, pieces, options),
    };
  }

  async #commit(
    ino: Ino,
    pieces: Piece[],
    options: { append: boolean; lastWriteUs: number; killPriv: boolean },
  ): Promise<CommitReply> {
    const { attrs, meta } = this.#data;
    const token = attrs.token();
    const reply = await meta.data.commit({
      ino,
      pieces,
      placement: options.append ? 'append' : 'write',
      mtime: timestampOf(options.lastWriteUs),
      timeShown: this.#shown !== undefined,
      killPriv: options.killPriv,
    });
    const { attr } = reply;
    attrs.changed(attr, token);
    if (options.killPriv) this.#dropsSetId = false;
    // The data layer brings the reader's map forward; a map that is still on its way is older than this commit.
    this.#early = undefined;
    if (options.append) this.#checkPlacement(pieces, reply.offset);
    this.#checkShown(attr);
    return reply;
  }

  #noteAppend(writer: FileWriter, offset: number, length: number): void {
    if (!writer.hasPending) this.#appends = [];
    const last = this.#appends[this.#appends.length - 1];
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else this.#appends.push({ offset, length });
  }

  /** The kernel keeps appended bytes where it thought the end of file was; another machine may have been faster. */
  #checkPlacement(pieces: Piece[], offset: number): void {
    const expected = this.#appends[0]?.offset;
    let bytes = 0;
    for (const piece of pieces) bytes += 'record' in piece ? piece.record.len : piece.inline.length;
    while (bytes > 0 && this.#appends.length > 0) {
      const first = this.#appends[0]!;
      if (first.length > bytes) {
        this.#appends[0] = { offset: first.offset + bytes, length: first.length - bytes };
        break;
      }
      bytes -= first.length;
      this.#appends.shift();
    }
    if (expected !== undefined && expected !== offset) this.#events.pagesStale(this.ino);
  }

  /** Somebody was told attributes before the commit made them final. */
  #checkShown(attr: Attr): void {
    const shown = this.#shown;
    if (shown === undefined) return;
    // More is pending: what was shown tells of that too, and is looked at with its commit.
    if (this.#writer !== undefined && this.#writer.lastWriteUs > 0 && shown.size > attr.size) return;
    this.#shown = undefined;
    const same =
      shown.mtimeSec === attr.mtimeSec &&
      shown.mtimeNsec === attr.mtimeNsec &&
      shown.ctimeSec === attr.ctimeSec &&
      shown.ctimeNsec === attr.ctimeNsec &&
      shown.size === attr.size &&
      allocatedBytes(shown) === allocatedBytes(attr) &&
      shown.mode === attr.mode;
    if (!same) this.#telling = this.#events.attributesStale(this.ino);
  }
}
