/**
 * Gets blocks and ranges of blocks from the store: bounded in parallel, tried again, and checked. What it answers is what was
 * stored, or an error.
 *
 *     whole block   one GET: bytes and checksums
 *     a range       GET of the whole frames around it, and beside it the block's checksums unless they are known;
 *                   of a framed block (codec/framed-block.ts) first its head, unless it is known
 */
import { setMaxListeners } from 'node:events';
import { Semaphore } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import { LruCache } from '../../base/lru.ts';
import {
  type ByteSpan,
  checkFrames,
  checkTrailer,
  frameSpan,
  objectBytes,
  openObject,
  trailerSpan,
} from '../block-format.ts';
import { type Block, blockName } from '../block-name.ts';
import { type BlockJournal, type ByteRange, ObjectMissingError, type ObjectStore } from '../chunks.ts';
import { type FrameCodec, headSpan, verifyFramed } from '../codec/framed-block.ts';
import { DamagedBlockError, PendingBlockError } from '../object/store-error.ts';
import { withRetry } from '../retry.ts';

/** Checksums, or heads, of blocks that are read in ranges: about half a KiB each, or one. */
const TRAILERS_KEPT = 4_096;

export interface FetchOptions {
  /** How long one request is tried, ms. */
  retryMs: number;
  downloadParallel: number;
  /** Blocks carry checksums (format version 2 and later). */
  checked: boolean;
  /** Blocks are compressed or encrypted (format version 3). */
  codec?: FrameCodec | undefined;
  /** Blocks that are not in the store yet (write-back). */
  journal?: Pick<BlockJournal, 'get'> | undefined;
  /** Where a slice that the store lacks waits to be uploaded: another client's journal. */
  whereIs?: ((sliceId: number) => Promise<string | undefined>) | undefined;
}

export class BlockFetcher {
  readonly #store: ObjectStore;
  readonly #options: FetchOptions;
  readonly #logger: Logger;
  readonly #slots: Semaphore;
  readonly #closed = new AbortController();
  /** Blocks whose readers wait for another client's journal, and of which the log says so. */
  readonly #told = new LruCache<string, true>(1_000);
  readonly #trailers = new LruCache<string, Buffer>(TRAILERS_KEPT);

  constructor(store: ObjectStore, options: FetchOptions, logger: Logger) {
    this.#store = store;
    this.#options = options;
    this.#logger = logger;
    this.#slots = new Semaphore(options.downloadParallel);
    // Every request in flight listens to it; `downloadParallel` bounds them.
    setMaxListeners(0, this.#closed.signal);
  }

  /** Whether the store is busy with reads that somebody waits for, so that nothing should be fetched ahead. */
  get busy(): boolean {
    return this.#slots.waiting > 0 || this.#slots.used * 2 > this.#slots.limit;
  }

  /** @throws ObjectMissingError; FsError EIO when the block is damaged (also when read again) or out of reach for retryMs. */
  whole(block: Block): Promise<Buffer> {
    return this.#tried(block, (signal, progress) => this.#readWhole(block, signal, progress));
  }

  /** Reads a whole block and checks what is stored, for which no key is needed. @throws as whole(). */
  verify(block: Block): Promise<void> {
    return this.#tried(block, async (signal, progress) => {
      if (this.#options.codec === undefined) await this.#readWhole(block, signal, progress);
      else verifyFramed(block, await this.#get(block, undefined, signal, progress));
    });
  }

  /** @throws as whole(). */
  range(block: Block, range: ByteSpan): Promise<Buffer> {
    return this.#tried(block, (signal, progress) => this.#readRange(block, range, signal, progress));
  }

  /** Gives up every request in flight. */
  close(): void {
    this.#closed.abort(new Error('the data layer is closed'));
  }

  async #tried<T>(block: Block, read: (signal: AbortSignal, progress: () => void) => Promise<T>): Promise<T> {
    await this.#slots.acquire();
    try {
      return await withRetry('get', this.#options, this.#closed.signal, (attempt) =>
        read(attempt.signal, attempt.progress),
      );
    } catch (error) {
      this.#report(block, error);
      throw error;
    } finally {
      this.#slots.release();
    }
  }

  async #readWhole(block: Block, signal: AbortSignal, progress: () => void): Promise<Buffer> {
    const object = await this.#get(block, undefined, signal, progress);
    if (this.#options.codec !== undefined) return this.#options.codec.decode(block, object);
    expectLength(block, object, objectBytes(block.blockBytes, this.#options.checked));
    return this.#options.checked ? openObject(block, object) : object;
  }

  async #readRange(block: Block, range: ByteSpan, signal: AbortSignal, progress: () => void): Promise<Buffer> {
    const key = nameOf(block);
    const { codec } = this.#options;
    if (codec !== undefined) return this.#readFrames(block, codec, range, signal, progress);
    if (!this.#options.checked) {
      const bytes = await this.#get(block, range, signal, progress);
      expectLength(block, bytes, range.length);
      return bytes;
    }
    const span = frameSpan(block.blockBytes, range);
    const [frames, trailer] = await Promise.all([
      this.#get(block, span, signal, progress),
      this.#trailers.get(key) ?? this.#readTrailer(block, signal, progress),
    ]);
    expectLength(block, frames, span.length);
    try {
      checkFrames(block, span.offset, frames, trailer);
    } catch (error) {
      // Whichever of the two is wrong: both are read again.
      this.#trailers.delete(key);
      throw error;
    }
    const start = range.offset - span.offset;
    return frames.subarray(start, start + range.length);
  }

  async #readFrames(
    block: Block,
    codec: FrameCodec,
    range: ByteSpan,
    signal: AbortSignal,
    progress: () => void,
  ): Promise<Buffer> {
    const key = nameOf(block);
    const known = this.#trailers.get(key);
    const head = known ?? (await this.#get(block, headSpan(block.blockBytes), signal, progress));
    try {
      const span = codec.spanOf(block, head, range);
      if (known === undefined) this.#trailers.set(key, head);
      return await codec.decodeRange(block, head, range, await this.#get(block, span, signal, progress));
    } catch (error) {
      // Whichever of the two is wrong: both are read again.
      this.#trailers.delete(key);
      throw error;
    }
  }

  /** @throws PendingBlockError, to be tried again, while the block waits in another client's journal. */
  async #get(block: Block, range: ByteRange | undefined, signal: AbortSignal, progress: () => void): Promise<Buffer> {
    const key = nameOf(block);
    const journaled = await this.#options.journal?.get(key, range);
    if (journaled !== undefined) return journaled;
    try {
      return await this.#store.get(key, range, signal, progress);
    } catch (error) {
      if (!(error instanceof ObjectMissingError) || this.#options.whereIs === undefined) throw error;
      const place = await this.#options.whereIs(block.sliceId);
      if (place !== undefined) {
        if (this.#told.get(key) === undefined)
          this.#logger.warn({ block: key, journal: place }, 'a block waits in a journal; so do its readers');
        this.#told.set(key, true);
        throw new PendingBlockError(key, place);
      }
      // It may have come between the two looks.
      return await this.#store.get(key, range, signal, progress);
    }
  }

  async #readTrailer(block: Block, signal: AbortSignal, progress: () => void): Promise<Buffer> {
    const key = nameOf(block);
    const span = trailerSpan(block.blockBytes);
    const trailer = await this.#get(block, span, signal, progress);
    expectLength(block, trailer, span.length);
    checkTrailer(block, trailer);
    this.#trailers.set(key, trailer);
    return trailer;
  }

  /** A program only sees EIO; whoever runs the volume must learn which block it was. */
  #report(block: Block, error: unknown): void {
    const reason = error instanceof Error && error.cause instanceof DamagedBlockError ? error.cause : error;
    if (!(reason instanceof DamagedBlockError)) return;
    this.#logger.error({ block: nameOf(block), reason: reason.what }, 'a block is damaged, read three times');
  }
}

function nameOf(block: Block): string {
  return blockName(block.sliceId, block.index, block.blockBytes);
}

function expectLength(block: Block, bytes: Buffer, expected: number): void {
  if (bytes.length === expected) return;
  throw new DamagedBlockError(nameOf(block), `it answered ${bytes.length} bytes instead of ${expected}`);
}
