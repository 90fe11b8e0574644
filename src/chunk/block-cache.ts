import { LruCache } from '../base/lru.ts';

/** What a cached entry costs beside its bytes: map entry, Buffer, array. */
const ENTRY_OVERHEAD_BYTES = 256;
/** A block that we wrote is kept only if it is at most this share of the cache. */
const OFFER_SHARE = 16;

/**
 * Whole blocks (and inline slices, which are block 0 of their slice) in memory, bounded by bytes, least recently used
 * go first. Cached buffers are shared with readers: nobody may change them.
 */
export class BlockCache {
  readonly #entries: LruCache<number | string, Buffer | readonly Buffer[]>;
  hits = 0;
  misses = 0;

  constructor(cacheBytes: number) {
    this.#entries = new LruCache(cacheBytes);
  }

  get bytes(): number {
    return this.#entries.weight;
  }

  get bytesMax(): number {
    return this.#entries.weightMax;
  }

  /** Answers the block's bytes and counts a hit or a miss. */
  get(sliceId: number, blockIndex: number): Buffer | undefined {
    const key = cacheKey(sliceId, blockIndex);
    const found = this.#entries.get(key);
    if (found === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    return Buffer.isBuffer(found) ? found : this.#join(key, found);
  }

  /** Answers the block's bytes without counting or making it more recent. */
  peek(sliceId: number, blockIndex: number): Buffer | undefined {
    const found = this.#entries.peek(cacheKey(sliceId, blockIndex));
    if (found === undefined || Buffer.isBuffer(found)) return found;
    return Buffer.concat(found);
  }

  /** Tells whether the block is there and keeps it from being the next to go. */
  touch(sliceId: number, blockIndex: number): boolean {
    return this.#entries.get(cacheKey(sliceId, blockIndex)) !== undefined;
  }

  set(sliceId: number, blockIndex: number, block: Buffer): void {
    this.#entries.set(cacheKey(sliceId, blockIndex), block, block.length + ENTRY_OVERHEAD_BYTES);
  }

  /**
   * Takes a block that was just written, as the parts it was written from; they are joined only if somebody reads it.
   * Large blocks go into a small cache not at all: one streamed file would throw out everything else.
   */
  offer(sliceId: number, blockIndex: number, parts: readonly Buffer[]): void {
    let bytes = ENTRY_OVERHEAD_BYTES;
    // A part may be the used front of a larger buffer, all of which stays in memory.
    for (const part of parts) bytes += part.byteOffset === 0 ? part.buffer.byteLength : part.length;
    if (bytes * OFFER_SHARE > this.#entries.weightMax) return;
    this.#entries.set(cacheKey(sliceId, blockIndex), parts.length === 1 ? parts[0]! : parts, bytes);
  }

  delete(sliceId: number, blockIndex: number): void {
    this.#entries.delete(cacheKey(sliceId, blockIndex));
  }

  clear(): void {
    this.#entries.clear();
  }

  #join(key: number | string, parts: readonly Buffer[]): Buffer {
    const block = Buffer.concat(parts);
    this.#entries.set(key, block, block.length + ENTRY_OVERHEAD_BYTES);
    return block;
  }
}

/** Block 0 is by far the most frequent (small files, packs, inline slices): its key needs no string. */
function cacheKey(sliceId: number, blockIndex: number): number | string {
  return blockIndex === 0 ? sliceId : `${sliceId}_${blockIndex}`;
}
