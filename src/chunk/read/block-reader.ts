/**
 * Reads ranges of blocks through the cache.
 *
 *     whole block cached                          -> a view of it, no promise
 *     whole block on its way                      -> waits for it
 *     large part of the block, or a small block   -> GET of the whole block, cached
 *     small part, first miss                      -> ranged GET, not cached
 *     small part, second miss within a second     -> GET of the whole block, cached (many small files in one pack,
 *                                                    or a reader that jumps about in one place)
 * Promotions to whole blocks are bounded to a share of the cache per second: random reads over much more data than the
 * cache holds must not read 4 MiB for every 4 KiB.
 */
import { SingleFlight } from '../../base/limits.ts';
import { LruCache } from '../../base/lru.ts';
import { BLOCK_BYTES } from '../../base/slice-record.ts';
import { type Block, blockBytesAt, blockName } from '../block-name.ts';
import type { BlockCache } from './block-cache.ts';
import type { BlockFetcher } from './block-fetcher.ts';

const PROMOTE_WITHIN_MS = 1_000;
const MISSES_REMEMBERED = 4_096;
/** A block up to this long is always fetched whole: the request costs more than the bytes. */
const SMALL_BLOCK_BYTES = 128 * 1024;
/** A read of at least this share of a block fetches it whole. */
const WHOLE_SHARE = 4;
/** Promotions per second may fetch this share of the cache, and always four blocks. */
const PROMOTE_SHARE = 4;
const PROMOTE_BLOCKS_MIN = 4;

export class BlockReader {
  readonly #fetcher: BlockFetcher;
  readonly #cache: BlockCache;
  readonly #flights = new SingleFlight<string, Buffer>();
  /** Whole-block fetches in flight, by object key. */
  readonly #whole = new Map<string, Promise<Buffer>>();
  readonly #missedAtMs = new LruCache<string, number>(MISSES_REMEMBERED);
  readonly #now: () => number;
  #promoteWindowMs = 0;
  #promotedBytes = 0;

  /** @param now the clock that tells whether two misses lie within a second; tests bring their own. */
  constructor(fetcher: BlockFetcher, cache: BlockCache, now: () => number = Date.now) {
    this.#fetcher = fetcher;
    this.#cache = cache;
    this.#now = now;
  }

  /**
   * Reads a range that lies in one block of a slice. The answer may be a view of a cached block: do not write into it.
   * @param offset bytes from the slice's start. @throws (rejects) ObjectMissingError; FsError EIO after the retries.
   */
  readBlock(sliceId: number, sliceBytes: number, offset: number, length: number): Buffer | Promise<Buffer> {
    const index = Math.floor(offset / BLOCK_BYTES);
    const start = offset - index * BLOCK_BYTES;
    const cached = this.#cache.get(sliceId, index);
    if (cached !== undefined) return cached.length === length ? cached : cached.subarray(start, start + length);
    const blockBytes = blockBytesAt(sliceBytes, index);
    const key = blockName(sliceId, index, blockBytes);
    const whole = this.#whole.get(key);
    if (whole !== undefined) return whole.then((block) => block.subarray(start, start + length));
    if (length * WHOLE_SHARE >= blockBytes || blockBytes <= SMALL_BLOCK_BYTES || this.#promote(key, blockBytes)) {
      return this.#fetchWhole(key, { sliceId, index, blockBytes }).then((block) =>
        block.subarray(start, start + length),
      );
    }
    return this.#flights.do(`${key} ${start} ${length}`, () =>
      this.#fetcher.range({ sliceId, index, blockBytes }, { offset: start, length }),
    );
  }

  /** Reads any range of a slice; blocks are fetched in parallel. Errors as readBlock. */
  async readSlice(sliceId: number, sliceBytes: number, offset: number, length: number): Promise<Buffer> {
    const parts: (Buffer | Promise<Buffer>)[] = [];
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const blockEnd = (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES;
      const partBytes = Math.min(end, blockEnd) - at;
      parts.push(this.readBlock(sliceId, sliceBytes, at, partBytes));
      at += partBytes;
    }
    const buffers = await Promise.all(parts);
    return buffers.length === 1 ? buffers[0]! : Buffer.concat(buffers, length);
  }

  /**
   * Fetches a whole block ahead of its readers unless it is at hand or on its way.
   * @returns false when the store is busy with reads that somebody waits for: ask again later. Errors are left to the
   *   reader who needs the block.
   */
  prefetch(sliceId: number, sliceBytes: number, blockIndex: number): boolean {
    // A block that is there must stay until its reader comes: what is fetched beside it would push it out.
    if (this.#cache.touch(sliceId, blockIndex)) return true;
    const blockBytes = blockBytesAt(sliceBytes, blockIndex);
    const key = blockName(sliceId, blockIndex, blockBytes);
    if (this.#whole.has(key)) return true;
    if (this.#fetcher.busy) return false;
    this.#fetchWhole(key, { sliceId, index: blockIndex, blockBytes }).catch(() => {});
    return true;
  }

  #fetchWhole(key: string, block: Block): Promise<Buffer> {
    const flying = this.#whole.get(key);
    if (flying !== undefined) return flying;
    const fetched = this.#fetcher.whole(block).then(
      (bytes) => {
        this.#whole.delete(key);
        this.#cache.set(block.sliceId, block.index, bytes);
        return bytes;
      },
      (error) => {
        this.#whole.delete(key);
        throw error;
      },
    );
    this.#whole.set(key, fetched);
    return fetched;
  }

  /** Tells whether this miss is the second within a second and the promotion budget has room. */
  #promote(key: string, blockBytes: number): boolean {
    const nowMs = this.#now();
    const missedAtMs = this.#missedAtMs.get(key);
    this.#missedAtMs.set(key, nowMs);
    if (missedAtMs === undefined || nowMs - missedAtMs > PROMOTE_WITHIN_MS) return false;
    if (blockBytes > this.#cache.bytesMax) return false;
    if (nowMs - this.#promoteWindowMs > PROMOTE_WITHIN_MS) {
      this.#promoteWindowMs = nowMs;
      this.#promotedBytes = 0;
    }
    const room = Math.max(this.#cache.bytesMax / PROMOTE_SHARE, PROMOTE_BLOCKS_MIN * BLOCK_BYTES);
    if (this.#promotedBytes + blockBytes > room) return false;
    this.#promotedBytes += blockBytes;
    return true;
  }
}
