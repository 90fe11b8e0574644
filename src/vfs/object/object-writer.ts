/**
 * The bytes of a new object on their way, before any inode or name exists for them.
 *
 *     up to the inline limit      held in memory                     published as inline pieces: one script
 *     up to one block             held in memory, then put as it     published as a piece: one script
 *                                 came, without a copy
 *     larger                      through the write pipeline:        published as pieces: one script
 *                                 blocks upload as they arrive
 *     many pieces or long under   pieces committed to a hidden       published as that inode
 *     way                         inode as they come
 *
 * The last form keeps the publishing script small, and what is uploaded for hours has records all the while, so that
 * nobody takes it for an orphan.
 */

import { FsError, isFsError } from '../../base/errors.ts';
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../../base/slice-record.ts';
import type { CommitReply, Piece } from '../../base/slices.ts';
import type { Ino } from '../../base/vocabulary.ts';
import type { CommitSink, FileWriter } from '../../chunk/chunks.ts';
import type { PublishRequest } from '../../meta/meta.ts';
import { timestampOf } from '../../meta/redis/server-clock.ts';
import type { Context, ObjectWriter } from '../vfs.ts';
import type { VfsState } from '../vfs-state.ts';
import { makeHiddenFile } from './hidden-file.ts';

/** Pieces that one publishing script takes: 2 GiB of object in whole chunks. */
const PUBLISH_PIECES_MAX = 32;
/** Stored pieces older than this go to a hidden inode, ms. */
const UNCOMMITTED_MAX_MS = 5 * 60_000;

export type Content = PublishRequest['content'];

export class SliceObjectWriter implements ObjectWriter {
  readonly #state: VfsState;
  readonly #ctx: Context;
  #sizeBytes = 0;
  #held: Buffer[] = [];
  /** A block's worth of memory is taken for #held. */
  #whole = false;
  #writer: FileWriter | undefined;
  #pieces: Piece[] = [];
  #firstPieceMs = 0;
  #hidden: Ino | undefined;
  #ended = false;

  constructor(state: VfsState, ctx: Context) {
    this.#state = state;
    this.#ctx = ctx;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** @throws FsError EFBIG beyond 1 PiB; EIO when the store keeps refusing the bytes. */
  write(data: Buffer): Promise<void> | undefined {
    if (this.#ended) throw new FsError('EBADF', 'write', 'the object is finished');
    const offset = this.#sizeBytes;
    if (offset + data.length > FILE_BYTES_MAX) throw new FsError('EFBIG', 'write');
    this.#sizeBytes += data.length;
    if (this.#writer !== undefined) return this.#writer.write(offset, data, false);
    this.#held.push(data);
    if (this.#sizeBytes <= this.#state.data.inlineBytesMax() || this.#mayHold()) return undefined;
    return this.#spill();
  }

  /** Everything is stored when it resolves; what was written, ready to be published. No write may follow. */
  async finish(): Promise<Content> {
    this.#ended = true;
    if (this.#whole) await this.#putWhole();
    else if (this.#writer === undefined) return this.#inlineContent();
    await this.#writer?.flush();
    await this.#closeWriter();
    if (this.#hidden !== undefined) return { kind: 'inode', ino: this.#hidden };
    return { kind: 'pieces', pieces: this.#pieces, sizeBytes: this.#sizeBytes };
  }

  /** Everything is stored and committed to an inode without a name when it resolves (a part of an upload). */
  async finishHidden(): Promise<Ino> {
    this.#ended = true;
    // Parts never stay inline: their bytes would move twice.
    if (this.#held.length > 0) await this.#putWhole();
    if (this.#writer !== undefined) {
      await this.#writer.flush();
      await this.#closeWriter();
    }
    return await this.#hide();
  }

  /** The content has found its owner: nothing is left to give up. */
  published(): void {
    this.#ended = true;
    this.#hidden = undefined;
    this.#pieces = [];
    this.#drop();
  }

  async abort(): Promise<void> {
    this.#ended = true;
    this.#drop();
    this.#writer?.discard();
    await this.#closeWriter();
    const hidden = this.#hidden;
    const pieces = this.#pieces;
    this.published();
    if (hidden !== undefined) await this.#state.meta.names.release(hidden);
    await this.#deleteBlocks(pieces);
  }

  /**
   * After a publish that failed. Blocks are deleted only where the answer leaves no doubt that no record names them;
   * else they stay for gc to find.
   */
  async abandon(cause: unknown): Promise<void> {
    if (!isFsError(cause) || cause.code === 'EIO' || cause.code === 'ETIMEDOUT') this.#pieces = [];
    try {
      await this.abort();
    } catch (error) {
      this.#state.logger.warn(
        { err: String(error) },
        'giving up an unpublished object failed; gc will find its blocks',
      );
    }
  }

  #inlineContent(): Content {
    const sizeBytes = this.#sizeBytes;
    if (sizeBytes === 0) return { kind: 'pieces', pieces: [], sizeBytes };
    const inline = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
    return { kind: 'pieces', pieces: [{ chunkIndex: 0, pos: 0, inline }], sizeBytes };
  }

  #mayHold(): boolean {
    if (this.#sizeBytes > BLOCK_BYTES) return false;
    if (this.#whole) return true;
    this.#whole = this.#state.wholeObjects.take();
    return this.#whole;
  }

  #drop(): void {
    this.#held = [];
    if (this.#whole) this.#state.wholeObjects.give();
    this.#whole = false;
  }

  /** Stores what is held, at most one block, as a slice of its own. */
  async #putWhole(): Promise<void> {
    const size = this.#sizeBytes;
    const id = await this.#state.data.slices.take();
    // Noted first, so that giving up deletes what a failure leaves.
    this.#pieces.push({ chunkIndex: 0, record: { pos: 0, id, size, off: 0, len: size, inline: false } });
    await this.#state.chunks.writeSlice(id, this.#held);
    this.#drop();
  }

  #spill(): Promise<void> | undefined {
    const writer = this.#state.chunks.writer(this.#state.data.privateIno(), this.#sink());
    this.#writer = writer;
    let offset = 0;
    const waits: Promise<void>[] = [];
    for (const data of this.#held) {
      const wait = writer.write(offset, data, false);
      if (wait !== undefined) waits.push(wait);
      offset += data.length;
    }
    this.#drop();
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {});
  }

  async #closeWriter(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close();
  }

  #sink(): CommitSink {
    return {
      reserveSliceId: () => this.#state.data.slices.take(),
      inlineBytesMax: () => 0,
      nowUs: () => this.#state.meta.clock.nowUs(),
      commit: (_ino, pieces) => this.#take(pieces),
    };
  }

  async #take(pieces: Piece[]): Promise<CommitReply> {
    if (this.#firstPieceMs === 0) this.#firstPieceMs = Date.now();
    for (const piece of pieces) this.#pieces.push(piece);
    const late = Date.now() - this.#firstPieceMs > UNCOMMITTED_MAX_MS;
    if (this.#hidden !== undefined || late || this.#pieces.length > PUBLISH_PIECES_MAX) await this.#hide();
    return { version: 0, sizeBytes: this.#sizeBytes, offset: -1, inlineIds: [] };
  }

  /** Commits what is stored to the hidden inode, making it first if need be. */
  async #hide(): Promise<Ino> {
    const { meta } = this.#state;
    this.#hidden ??= await makeHiddenFile(meta, this.#ctx);
    const ino = this.#hidden;
    const pieces = this.#pieces;
    this.#pieces = [];
    if (pieces.length > 0) {
      const mtime = timestampOf(meta.clock.nowUs());
      await meta.data.commit({ ino, pieces, placement: 'write', mtime, killPriv: false });
    }
    return ino;
  }

  async #deleteBlocks(pieces: Piece[]): Promise<void> {
    const slices: { id: number; sizeBytes: number }[] = [];
    for (const piece of pieces) {
      if ('record' in piece) slices.push({ id: piece.record.id, sizeBytes: piece.record.size });
    }
    if (slices.length > 0) await this.#state.chunks.deleteSlices(slices);
  }
}

/** @throws FsError EBADF for a writer that is not of this volume. */
export function ownWriter(writer: ObjectWriter): SliceObjectWriter {
  if (!(writer instanceof SliceObjectWriter)) throw new FsError('EBADF', 'putObject', 'not a writer of this volume');
  return writer;
}
