/**
 * Gets blocks and ranges of blocks from the store: bounded in parallel, tried again, and checked. What it answers is what was
 * stored, or an error.
 *
 *     whole block   one GET: bytes and checksums
 *     a range       GET of the whole frames around it, and beside it the block's checksums unless they are known
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
import type { ObjectStore } from '../chunks.ts';
import { DamagedBlockError } from '../object/store-error.ts';
import { withRetry } from '../retry.ts';

/** Checksums of blocks that are read in ranges: about half a KiB each. */
const TRAILERS_KEPT = 4_096;

export interface FetchOptions {
  /** How long one request is tried, ms. */
  retryMs: number;
  downloadParallel: number;
  /** Blocks carry checksums (format version 2 and later). */
  checked: boolean;
}

export class BlockFetcher {
  readonly #store: ObjectStore;
  readonly #options: FetchOptions;
  readonly #logger: Logger;
  readonly #slots: Semaphore;
  readonly #closed = new AbortController();
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

  /** @throws as whole(). */
  range(block: Block, range: ByteSpan): Promise<Buffer> {
    return this.#tried(block, (signal, progress) => this.#readRange(block, range, signal, progress));
  }

  /** Gives up every request in flight. */
  close(): void {
    this.#closed.abort(new Error('the data layer is closed'));
  }

  async #tried(block: Block, read: (signal: AbortSignal, progress: () => void) => Promise<Buffer>): Promise<Buffer> {
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
    const object = await this.#store.get(nameOf(block), undefined, signal, progress);
    expectLength(block, object, objectBytes(block.blockBytes, this.#options.checked));
    return this.#options.checked ? openObject(block, object) : object;
  }

  async #readRange(block: Block, range: ByteSpan, signal: AbortSignal, progress: () => void): Promise<Buffer> {
    const key = nameOf(block);
    if (!this.#options.checked) {
      const bytes = await this.#store.get(key, range, signal, progress);
      expectLength(block, bytes, range.length);
      return bytes;
    }
    const span = frameSpan(block.blockBytes, range);
    const [frames, trailer] = await Promise.all([
      this.#store.get(key, span, signal, progress),
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

  async #readTrailer(block: Block, signal: AbortSignal, progress: () => void): Promise<Buffer> {
    const key = nameOf(block);
    const span = trailerSpan(block.blockBytes);
    const trailer = await this.#store.get(key, span, signal, progress);
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
