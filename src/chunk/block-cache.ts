import { LruCache } from '../base/lru.ts';

/** What a cached entry costs beside its bytes, as measured: two map entries, the Buffer, its ArrayBuffer and its storage. */
const ENTRY_OVERHEAD_BYTES = 768;
/** A block that we wrote is kept only if it is at most this share of the cache. */
const OFFER_SHARE = 16;
/** Bytes that lie in a larger piece of memory than this many times their own length are copied out of it. */
const PINNED_MAX = 1.25;

type Key = number | string;

interface Cached {
  data: Buffer | readonly Buffer[];
  /** The inode whose inline bytes these are: they go with it. 0 when they belong to no one inode. */
  ino: number;
}

/**
 * Whole blocks (and inline slices, which are block 0 of their slice) in memory, bounded by bytes, least recently used
 * go first. What is counted is what is held: small buffers are often views of a pool or of a whole reply, which one of
 * them keeps alive. Cached buffers are shared with readers: nobody may change them.
 */
export class BlockCache {
  readonly #entries: LruCache<Key, Cached>;
  /** Inline slices by inode: nearly always one. */
  #ofInode = new Map<number, Key | Key[]>();
  hits = 0;
  misses = 0;

  constructor(cacheBytes: number) {
    this.#entries = new LruCache(cacheBytes, (key, cached) => this.#unlink(key, cached));
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
    if (!Buffer.isBuffer(found.data)) this.#join(key, found);
    return found.data as Buffer;
  }

  /** Answers the block's bytes without counting or making it more recent. */
  peek(sliceId: number, blockIndex: number): Buffer | undefined {
    const data = this.#entries.peek(cacheKey(sliceId, blockIndex))?.data;
    if (data === undefined || Buffer.isBuffer(data)) return data;
    return Buffer.concat(data);
  }

  /** Tells whether the block is there and keeps it from being the next to go. */
  touch(sliceId: number, blockIndex: number): boolean {
    return this.#entries.get(cacheKey(sliceId, blockIndex)) !== undefined;
  }

  set(sliceId: number, blockIndex: number, block: Buffer, ino = 0): void {
    this.#store(cacheKey(sliceId, blockIndex), exact(block), block.length, ino);
  }

  /**
   * Takes a block that was just written, as the parts it was written from; they are joined only if somebody reads it.
   * Large blocks go into a small cache not at all: one streamed file would throw out everything else.
   * @param ino the inode that inline bytes belong to
   */
  offer(sliceId: number, blockIndex: number, parts: readonly Buffer[], ino = 0): void {
    let bytes = 0;
    for (const part of parts) bytes += part.length;
    if ((bytes + ENTRY_OVERHEAD_BYTES) * OFFER_SHARE > this.#entries.weightMax) return;
    const data = parts.length === 1 ? exact(parts[0]!) : parts.map(exact);
    this.#store(cacheKey(sliceId, blockIndex), data, bytes, ino);
  }

  delete(sliceId: number, blockIndex: number): void {
    const key = cacheKey(sliceId, blockIndex);
    const found = this.#entries.peek(key);
    if (found === undefined) return;
    this.#unlink(key, found);
    this.#entries.delete(key);
  }

  /** The inode is gone: nobody will read its inline bytes again. */
  dropInode(ino: number): void {
    const keys = this.#ofInode.get(ino);
    if (keys === undefined) return;
    this.#ofInode.delete(ino);
    for (const key of Array.isArray(keys) ? keys : [keys]) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#ofInode.clear();
  }

  #store(key: Key, data: Buffer | readonly Buffer[], bytes: number, ino: number): void {
    const before = this.#entries.peek(key);
    if (before !== undefined) this.#unlink(key, before);
    // Before the entry: storing it may evict it at once.
    if (ino !== 0) {
      const others = this.#ofInode.get(ino);
      if (others === undefined) this.#ofInode.set(ino, key);
      else if (Array.isArray(others)) others.push(key);
      else this.#ofInode.set(ino, [others, key]);
    }
    const cached = { data, ino };
    this.#entries.set(key, cached, bytes + ENTRY_OVERHEAD_BYTES);
    if (this.#entries.peek(key) === undefined) this.#unlink(key, cached);
  }

  #unlink(key: Key, { ino }: Cached): void {
    if (ino === 0) return;
    const keys = this.#ofInode.get(ino);
    if (!Array.isArray(keys)) {
      if (keys === key) this.#ofInode.delete(ino);
      return;
    }
    const at = keys.indexOf(key);
    if (at >= 0) keys.splice(at, 1);
    if (keys.length === 0) this.#ofInode.delete(ino);
  }

  #join(key: Key, cached: Cached): void {
    cached.data = Buffer.concat(cached.data as readonly Buffer[]);
    this.#entries.set(key, cached, cached.data.length + ENTRY_OVERHEAD_BYTES);
  }
}

/** The bytes in memory of their own. */
function exact(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength <= bytes.length * PINNED_MAX) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}

/** Block 0 is by far the most frequent (small files, packs, inline slices): its key needs no string. */
function cacheKey(sliceId: number, blockIndex: number): Key {
  return blockIndex === 0 ? sliceId : `${sliceId}_${blockIndex}`;
}
