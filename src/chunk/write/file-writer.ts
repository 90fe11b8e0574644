/**
 * The write pipeline of one inode.
 *
 *     write --copy--> open slices --freeze--> frozen slices --uploaded or small enough to go inline--> one commit
 *                        |                                                    (in order of creation, several slices
 *                        +-- a full 4 MiB block uploads at once                in one commit, one commit at a time)
 *
 * Invariants:
 * - Commits go in order of creation and only with every byte of the slices before them: a crash, a full disk or a lost
 *   upload leaves a prefix of what was written, and the size never covers bytes that are not stored.
 * - A later write is merged into an open slice only if no newer slice hides the written range.
 * - Pending bytes stay in memory until their commit is answered, so that this mount's reads can be overlaid with them.
 * - Failed uploads keep their bytes and are tried again at the next flush. A refused commit, or memory pressure while
 *   the store is away, loses everything pending at once; the error is thrown by every flush that waits for it, else by
 *   the next one, and writes are refused until then.
 */

import { setMaxListeners } from 'node:events';
import { FsError } from '../../base/errors.ts';
import { BLOCK_BYTES, CHUNK_BYTES, FILE_BYTES_MAX } from '../../base/slice-record.ts';
import type { CommitReply, Piece } from '../../base/slices.ts';
import type { CommitSink, FileWriter } from '../chunks.ts';
import { toFsError } from '../retry.ts';
import type { BlockUploader } from './block-uploader.ts';
import { appendStart, type Batch, collectBatch, fileStart } from './commit-batch.ts';
import { PendingSlice } from './pending-slice.ts';
import type { WriteBudget } from './write-budget.ts';

/** Newest slices looked at for a merge. */
const MERGE_DEPTH = 16;
/** Open slices of one file; random writes freeze when there are more. */
const OPEN_SLICES_MAX = 32;
/** Slices not yet committed of one file; writers wait beyond it. */
const PENDING_SLICES_MAX = 512;

/** Unit of pendingBytes: that in which files take room. */
const ROUND_BYTES = 4096;

const DONE: Promise<void> = Promise.resolve();

/** What a writer needs from its store. */
export interface WriterHost {
  readonly uploader: BlockUploader;
  readonly budget: WriteBudget;
  /** The writer has pending bytes from now on; once until markClean. */
  markDirty(writer: SliceFileWriter): void;
  markClean(writer: SliceFileWriter): void;
  /** A commit was answered; called before the pieces stop being pending. */
  committed(ino: number, pieces: readonly Piece[], append: boolean, result: CommitReply): void;
  /** Number of the newest read of the inode that is under way, undefined when none is. */
  newestRead(ino: number): number | undefined;
  /** Number of the oldest read of the inode that is under way, Infinity when none is. */
  oldestRead(ino: number): number;
  closed(writer: SliceFileWriter): void;
}

interface Waiter {
  seq: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

export class SliceFileWriter implements FileWriter {
  readonly ino: number;
  readonly #sink: CommitSink;
  readonly #host: WriterHost;
  /** Everything not committed, in order of creation. */
  #slices: PendingSlice[] = [];
  /** Committed bytes that reads begun before the commit may still miss, each with the newest such read. */
  #justCommitted: { slice: PendingSlice; start: number; read: number }[] = [];
  #seq = 0;
  #openCount = 0;
  /** Frozen bytes as the budget knows them: 0 while an upload has failed, for then they do not come back. */
  #frozenBytes = 0;
  #waiters: Waiter[] = [];
  /** First slice of the commit under way, Infinity when there is none. */
  #commitSeq = Number.POSITIVE_INFINITY;
  #failed = false;
  #retrying: Promise<void> | undefined;
  #roomWaiters: (() => void)[] = [];
  #lost: FsError | undefined;
  /** Committed size of the file as last heard, -1 when never. */
  #knownSize = -1;
  #lastWriteMs = 0;
  #lastWriteUs = 0;
  #dirty = false;
  #closed = false;
  #abort: AbortController | undefined;

  constructor(ino: number, sink: CommitSink, host: WriterHost) {
    this.ino = ino;
    this.#sink = sink;
    this.#host = host;
  }

  get hasPending(): boolean {
    return this.#slices.length > 0 || (this.#justCommitted.length > 0 && this.#dropCommitted() > 0);
  }

  get pendingBytes(): number {
    let bytes = 0;
    for (const { pos, end } of this.#slices) {
      bytes += (Math.ceil(end / ROUND_BYTES) - Math.floor(pos / ROUND_BYTES)) * ROUND_BYTES;
    }
    return bytes;
  }

  get lastWriteUs(): number {
    return this.#slices.length === 0 ? 0 : this.#lastWriteUs;
  }

  /** True while pending bytes are kept only for a retry. */
  get failed(): boolean {
    return this.#failed;
  }

  write(offset: number, data: Buffer, killPriv: boolean): Promise<void> | undefined {
    const refused = this.#refusal(offset + data.length);
    if (refused !== undefined) return Promise.reject(refused);
    const nowMs = Date.now();
    this.#lastWriteUs = this.#sink.nowUs();
    let at = offset;
    for (let from = 0; from < data.length; ) {
      const chunkIndex = Math.floor(at / CHUNK_BYTES);
      const pos = at - chunkIndex * CHUNK_BYTES;
      const to = Math.min(data.length, from + CHUNK_BYTES - pos);
      const slice = this.#sliceFor(chunkIndex, pos, to - from);
      this.#fill(slice, pos - slice.pos, data, from, to, killPriv, nowMs);
      at += to - from;
      from = to;
    }
    return this.#backPressure();
  }

  append(data: Buffer, killPriv: boolean): Promise<void> | undefined {
    const refused = this.#refusal(data.length);
    if (refused !== undefined) return Promise.reject(refused);
    const nowMs = Date.now();
    this.#lastWriteUs = this.#sink.nowUs();
    for (let from = 0; from < data.length; ) {
      const last = this.#slices[this.#slices.length - 1];
      // One call's bytes stay together: a run that has no room for them all ends here.
      const fits = last?.append === true && !last.frozen && last.length + data.length - from <= CHUNK_BYTES;
      const slice = fits ? last : this.#open(true, 0, 0);
      const to = Math.min(data.length, from + CHUNK_BYTES - slice.length);
      this.#fill(slice, slice.length, data, from, to, killPriv, nowMs);
      from = to;
    }
    return this.#backPressure();
  }

  flush(): Promise<void> {
    if (this.#lost !== undefined) {
      const error = this.#lost;
      this.#lost = undefined;
      return Promise.reject(error);
    }
    if (this.#slices.length === 0 && this.#commitSeq === Number.POSITIVE_INFINITY) return DONE;
    this.#freezeThrough(this.#slices.length);
    if (this.#failed) this.#retry();
    const flushed = new Promise<void>((resolve, reject) => {
      this.#waiters.push({ seq: this.#seq, resolve, reject });
    });
    this.#pump();
    return flushed;
  }

  overlayPending(offset: number, out: Buffer): void {
    if (this.#justCommitted.length > 0) {
      this.#dropCommitted();
      for (const { slice, start } of this.#justCommitted) slice.copyOverlap(offset - start, out);
    }
    let size = this.#knownSize;
    for (const slice of this.#slices) {
      const start = slice.append ? appendStart(slice, size, this.#knownSize) : fileStart(slice);
      if (start < 0) continue;
      slice.copyOverlap(offset - start, out);
      if (start + slice.length > size) size = start + slice.length;
    }
  }

  pendingEnd(committedSize: number): number {
    this.#knownSize = committedSize;
    let size = committedSize;
    for (const slice of this.#slices) {
      if (!slice.append) size = Math.max(size, fileStart(slice) + slice.length);
      // The commit of a run that was sent may have landed already: its bytes must not be counted twice.
      else if (slice.sentAtSize >= 0) size = Math.max(size, slice.sentAtSize + slice.length);
      else size += slice.length;
    }
    return size;
  }

  discard(): void {
    this.#lost = undefined;
    this.#dropAll();
    this.#resolveWaiters();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.flush();
    } finally {
      this.#closed = true;
      this.#dropAll();
      this.#resolveWaiters();
      this.#justCommitted = [];
      this.#host.closed(this);
    }
  }

  /** Freezes what has been idle for `idleMs`, or grows for twice that long already; tries failed uploads again. */
  freezeIdle(nowMs: number, idleMs: number): void {
    const oldest = this.#slices[0];
    if (oldest === undefined) return;
    if (nowMs - this.#lastWriteMs < idleMs && nowMs - oldest.firstWriteMs < 2 * idleMs) return;
    if (this.#failed) this.#retry();
    this.freeze();
  }

  /** Sends everything pending on its way. */
  freeze(): void {
    this.#freezeThrough(this.#slices.length);
    this.#pump();
  }

  /** Gives up the bytes of failed uploads because others need the memory. The next flush throws the uploads' error. */
  giveUp(): void {
    const failure = this.#slices.find((slice) => slice.failure !== undefined)?.failure;
    this.#lose(toFsError('write', failure ?? new Error('the object store does not take data')));
  }

  #refusal(end: number): FsError | undefined {
    if (this.#lost !== undefined) return this.#lost;
    if (this.#closed) return new FsError('EBADF', 'write', 'the file is closed');
    return end > FILE_BYTES_MAX ? new FsError('EFBIG', 'write') : undefined;
  }

  /** An open slice that the range continues or overwrites, else a new one. */
  #sliceFor(chunkIndex: number, pos: number, length: number): PendingSlice {
    const slices = this.#slices;
    const oldest = Math.max(0, slices.length - MERGE_DEPTH);
    for (let i = slices.length - 1; i >= oldest; i--) {
      const slice = slices[i]!;
      if (slice.append) break; // Nobody knows yet where its bytes will be.
      if (slice.chunkIndex !== chunkIndex) continue;
      const at = pos - slice.pos;
      if (!slice.frozen && at >= slice.immutableBytes && at <= slice.length) return slice;
      if (pos < slice.end && pos + length > slice.pos) break;
    }
    return this.#open(false, chunkIndex, pos);
  }

  #open(append: boolean, chunkIndex: number, pos: number): PendingSlice {
    const slice = new PendingSlice(++this.#seq, append, chunkIndex, pos);
    this.#slices.push(slice);
    this.#openCount++;
    if (!this.#dirty) {
      this.#dirty = true;
      this.#host.markDirty(this);
    }
    return slice;
  }

  #fill(
    slice: PendingSlice,
    at: number,
    data: Buffer,
    from: number,
    to: number,
    killPriv: boolean,
    nowMs: number,
  ): void {
    const taken = slice.write(at, data, from, to);
    if (taken > 0) this.#host.budget.take(taken);
    if (slice.firstWriteMs === 0) slice.firstWriteMs = nowMs;
    slice.lastWriteUs = this.#lastWriteUs;
    this.#lastWriteMs = nowMs;
    if (killPriv) slice.killPriv = true;
    if (slice.length >= BLOCK_BYTES) this.#startBlocks(slice);
    if (slice.end === CHUNK_BYTES) {
      this.#freezeThrough(this.#slices.indexOf(slice) + 1);
      this.#pump();
    }
  }

  /** After a write: freezes when there are too many slices, and answers what the writer must wait for. */
  #backPressure(): Promise<void> | undefined {
    if (this.#openCount > OPEN_SLICES_MAX) this.freeze();
    const room = this.#host.budget.room();
    if (this.#failed) return this.#retry().then(() => room);
    if (this.#slices.length <= PENDING_SLICES_MAX) return room;
    this.freeze();
    const fewer = new Promise<void>((resolve) => {
      this.#roomWaiters.push(resolve);
    });
    return room === undefined ? fewer : Promise.all([room, fewer]).then(() => {});
  }

  #freezeThrough(count: number): void {
    if (this.#openCount === 0) return;
    const inlineMax = this.#sink.inlineBytesMax();
    for (let i = 0; i < count; i++) {
      const slice = this.#slices[i]!;
      if (slice.frozen) continue;
      slice.frozen = true;
      this.#openCount--;
      if (slice.blocksStarted > 0 || slice.length > inlineMax) this.#startBlocks(slice);
    }
    this.#countFrozen();
  }

  /** Uploads every block that cannot change any more. */
  #startBlocks(slice: PendingSlice): void {
    const ready = slice.frozen ? slice.blockCount : Math.floor(slice.length / BLOCK_BYTES);
    while (slice.blocksStarted < ready) void this.#upload(slice, slice.blocksStarted++);
  }

  /** Never rejects: a failure is kept with the slice. */
  async #upload(slice: PendingSlice, blockIndex: number): Promise<void> {
    const signal = this.#uploadSignal();
    const parts = slice.blockParts(blockIndex);
    const blockBytes = Math.min(BLOCK_BYTES, slice.length - blockIndex * BLOCK_BYTES);
    try {
      slice.id ??= this.#sink.reserveSliceId();
      slice.sliceId = await slice.id;
      if (slice.dropped) return;
      await this.#host.uploader.putBlock(slice.sliceId, blockIndex, blockBytes, parts, signal);
    } catch (error) {
      if (slice.dropped) return;
      if (slice.sliceId === 0) slice.id = undefined;
      slice.failedBlocks.push(blockIndex);
      this.#uploadFailed(slice, toFsError('write', error));
      return;
    }
    if (slice.dropped) return;
    slice.blocksStored++;
    if (slice.failedBlocks.length === 0) slice.failure = undefined;
    if (this.#failed && !this.#slices.some((other) => other.failure !== undefined)) {
      this.#failed = false;
      this.#countFrozen();
    }
    this.#pump();
  }

  /** Aborted when everything pending is dropped. */
  #uploadSignal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      setMaxListeners(0, this.#abort.signal); // Every block in flight listens to it.
    }
    return this.#abort.signal;
  }

  #uploadFailed(slice: PendingSlice, error: FsError): void {
    slice.failure = error;
    this.#failed = true;
    this.#countFrozen();
    const doomed = this.#waiters.filter((waiter) => waiter.seq >= slice.seq);
    this.#waiters = this.#waiters.filter((waiter) => waiter.seq < slice.seq);
    for (const waiter of doomed) waiter.reject(error);
    this.#releaseRoomWaiters();
    this.#host.budget.recheck();
  }

  /** Uploads failed blocks again; resolves (never rejects) when these and those tried before have an answer. */
  #retry(): Promise<void> {
    const uploads: Promise<void>[] = this.#retrying === undefined ? [] : [this.#retrying];
    for (const slice of this.#slices) {
      if (slice.failedBlocks.length === 0) continue;
      const blocks = slice.failedBlocks;
      slice.failedBlocks = [];
      for (const blockIndex of blocks) uploads.push(this.#upload(slice, blockIndex));
    }
    const retrying: Promise<void> = Promise.all(uploads).then(() => {
      if (this.#retrying === retrying) this.#retrying = undefined;
    });
    this.#retrying = retrying;
    return retrying;
  }

  /** Commits what is ready, if no commit is under way. */
  #pump(): void {
    if (this.#commitSeq !== Number.POSITIVE_INFINITY) return;
    const head = this.#slices[0];
    if (head === undefined) return;
    const batch = collectBatch(this.#slices, this.#sink);
    if (batch !== undefined) void this.#commit(batch);
    // Frozen but too large for inline space as it is now: it becomes blocks.
    else if (head.frozen) this.#startBlocks(head);
  }

  async #commit(batch: Batch): Promise<void> {
    this.#commitSeq = batch.slices[0]!.seq;
    let lastWriteUs = 0;
    let killPriv = false;
    for (const slice of batch.slices) {
      if (slice.lastWriteUs > lastWriteUs) lastWriteUs = slice.lastWriteUs;
      if (slice.killPriv) killPriv = true;
      if (slice.append) slice.sentAtSize = this.#knownSize;
    }
    let result: CommitReply;
    try {
      result = await this.#sink.commit(this.ino, batch.pieces, { append: batch.append, lastWriteUs, killPriv });
    } catch (error) {
      this.#commitSeq = Number.POSITIVE_INFINITY;
      // Not sent again: nobody knows whether it was executed, and a slice must not be recorded twice.
      if (!batch.slices[0]!.dropped) this.#lose(toFsError('write', error));
      else this.#resolveWaiters();
      return;
    }
    this.#commitSeq = Number.POSITIVE_INFINITY;
    this.#host.committed(this.ino, batch.pieces, batch.append, result);
    this.#knownSize = result.sizeBytes;
    if (!batch.slices[0]!.dropped) this.#retire(batch, result);
    this.#resolveWaiters();
    this.#pump();
  }

  /** Takes committed slices off the list. */
  #retire(batch: Batch, result: CommitReply): void {
    const read = this.#host.newestRead(this.ino);
    let freed = 0;
    for (const slice of batch.slices) {
      freed += slice.capacityBytes;
      if (read !== undefined) {
        this.#justCommitted.push({ slice, start: batch.append ? result.offset : fileStart(slice), read });
      }
    }
    this.#slices.splice(0, batch.slices.length);
    this.#releaseBytes(freed);
    if (this.#slices.length <= PENDING_SLICES_MAX / 2) this.#releaseRoomWaiters();
    if (this.#slices.length === 0) this.#markClean();
  }

  /** Forgets committed bytes that every read under way has seen in the slice map; answers how many are left. */
  #dropCommitted(): number {
    const oldest = this.#host.oldestRead(this.ino);
    let count = 0;
    while (count < this.#justCommitted.length && this.#justCommitted[count]!.read < oldest) count++;
    if (count > 0) this.#justCommitted.splice(0, count);
    return this.#justCommitted.length;
  }

  /** Everything pending is gone because of `error`; every flush under way hears it, or else the next. */
  #lose(error: FsError): void {
    const heard = this.#waiters.reduce((seq, waiter) => Math.max(seq, waiter.seq), -1);
    const newest = this.#slices[this.#slices.length - 1]?.seq ?? -1;
    if (newest > heard) this.#lost = error;
    this.#dropAll();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }

  #dropAll(): void {
    this.#abort?.abort(new Error('the file was closed or removed, or its data was lost'));
    this.#abort = undefined;
    let freed = 0;
    for (const slice of this.#slices) {
      slice.dropped = true;
      freed += slice.capacityBytes;
    }
    this.#slices = [];
    this.#openCount = 0;
    this.#failed = false;
    this.#releaseBytes(freed);
    this.#releaseRoomWaiters();
    this.#markClean();
  }

  #resolveWaiters(): void {
    const oldest = Math.min(this.#commitSeq, this.#slices[0]?.seq ?? Number.POSITIVE_INFINITY);
    while (this.#waiters.length > 0 && this.#waiters[0]!.seq < oldest) this.#waiters.shift()!.resolve();
  }

  #releaseRoomWaiters(): void {
    if (this.#roomWaiters.length === 0) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resume of waiters) resume();
  }

  #releaseBytes(bytes: number): void {
    this.#countFrozen();
    if (bytes > 0) this.#host.budget.release(bytes);
  }

  /** Tells the budget which of our bytes will come back by themselves. */
  #countFrozen(): void {
    let frozen = 0;
    if (!this.#failed) {
      for (const slice of this.#slices) if (slice.frozen) frozen += slice.capacityBytes;
    }
    if (frozen !== this.#frozenBytes) this.#host.budget.freeze(frozen - this.#frozenBytes);
    this.#frozenBytes = frozen;
  }

  #markClean(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    this.#host.markClean(this);
  }
}
