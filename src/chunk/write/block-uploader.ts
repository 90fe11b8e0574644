import { failpoints } from '../../base/failpoints.ts';
import { Semaphore } from '../../base/limits.ts';
import { BLOCK_BYTES } from '../../base/slice-record.ts';
import { encodeTrailer } from '../block-format.ts';
import { type Block, blockBytesAt, blockCount, blockName } from '../block-name.ts';
import type { BlockJournal, ObjectStore } from '../chunks.ts';
import type { FrameCodec } from '../codec/framed-block.ts';
import type { BlockCache } from '../read/block-cache.ts';
import { withRetry } from '../retry.ts';

export interface UploadOptions {
  /** How long one request is tried, ms. */
  retryMs: number;
  uploadParallel: number;
  /** Blocks carry checksums (format version 2 and later). */
  checked: boolean;
  /** Blocks are compressed or encrypted (format version 3). */
  codec?: FrameCodec | undefined;
  /** Takes blocks that somebody waits for (write-back). */
  journal?: BlockJournal | undefined;
}

/** Puts blocks with their checksums into the store: bounded in parallel, retried, and into the cache when they are there. */
export class BlockUploader {
  readonly #store: ObjectStore;
  readonly #cache: BlockCache;
  readonly #options: UploadOptions;
  readonly #slots: Semaphore;
  readonly #inFlight = new Set<Promise<void>>();
  uploads = 0;

  constructor(store: ObjectStore, cache: BlockCache, options: UploadOptions) {
    this.#store = store;
    this.#cache = cache;
    this.#options = options;
    this.#slots = new Semaphore(options.uploadParallel);
  }

  /**
   * Stores one block; it is durable when this resolves. The parts must not change any more.
   * @throws FsError EIO/ENOSPC/EDQUOT/EROFS after the retry limits; the signal's reason when aborted.
   */
  putBlock(
    sliceId: number,
    blockIndex: number,
    blockBytes: number,
    parts: readonly Buffer[],
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#tracked(this.#put(sliceId, blockIndex, blockBytes, parts, this.#options.journal, signal));
  }

  #tracked(put: Promise<void>): Promise<void> {
    const done = (): boolean => this.#inFlight.delete(put);
    this.#inFlight.add(put);
    put.then(done, done);
    return put;
  }

  /** Stores a whole slice, its blocks in parallel, as putBlock does. @throws as putBlock, after every block has settled. */
  writeSlice(sliceId: number, parts: readonly Buffer[]): Promise<void> {
    return this.#putAll(sliceId, parts, this.#options.journal);
  }

  /** The same, past any journal. */
  putSlice(sliceId: number, parts: readonly Buffer[]): Promise<void> {
    return this.#putAll(sliceId, parts, undefined);
  }

  async #putAll(sliceId: number, parts: readonly Buffer[], journal: BlockJournal | undefined): Promise<void> {
    const sliceBytes = parts.reduce((sum, part) => sum + part.length, 0);
    const cursor = new PartCursor(parts);
    const puts: Promise<void>[] = [];
    for (let index = 0; index < blockCount(sliceBytes); index++) {
      const blockBytes = blockBytesAt(sliceBytes, index);
      puts.push(this.#tracked(this.#put(sliceId, index, blockBytes, cursor.take(blockBytes), journal, undefined)));
    }
    const failed = (await Promise.allSettled(puts)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Resolves when no upload is in flight. */
  async drained(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled([...this.#inFlight]);
  }

  async #put(
    sliceId: number,
    blockIndex: number,
    blockBytes: number,
    parts: readonly Buffer[],
    journal: BlockJournal | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.#slots.acquire();
    try {
      signal?.throwIfAborted();
      const key = blockName(sliceId, blockIndex, blockBytes);
      const object = await this.#encode({ sliceId, index: blockIndex, blockBytes }, parts);
      failpoints?.pass('put block');
      if (!(await journal?.put(key, sliceId, object))) {
        await withRetry('put', this.#options, signal, (attempt) =>
          this.#store.put(key, object, attempt.signal, attempt.progress),
        );
      }
      failpoints?.pass('stored block');
    } finally {
      this.#slots.release();
    }
    this.uploads++;
    this.#cache.offer(sliceId, blockIndex, parts);
  }

  #encode(block: Block, parts: readonly Buffer[]): readonly Buffer[] | Promise<readonly Buffer[]> {
    const { codec, checked } = this.#options;
    if (codec !== undefined) return codec.encode(block, parts);
    return checked ? [...parts, encodeTrailer(block, parts)] : parts;
  }
}

/** Cuts a list of buffers into runs of given lengths without copying. */
class PartCursor {
  readonly #parts: readonly Buffer[];
  #index = 0;
  #used = 0;

  constructor(parts: readonly Buffer[]) {
    this.#parts = parts;
  }

  take(bytes: number): Buffer[] {
    const taken: Buffer[] = [];
    let wanted = Math.min(bytes, BLOCK_BYTES);
    while (wanted > 0) {
      const part = this.#parts[this.#index]!;
      const end = Math.min(part.length, this.#used + wanted);
      if (end > this.#used) taken.push(this.#used === 0 && end === part.length ? part : part.subarray(this.#used, end));
      wanted -= end - this.#used;
      this.#used = end;
      if (end === part.length) {
        this.#index++;
        this.#used = 0;
      }
    }
    return taken;
  }
}
