import { LruCache } from '../../base/lru.ts';

/** What an entry costs beside its bytes: map entries, the objects of this file. */
const ENTRY_OVERHEAD_BYTES = 320;
/** What a Buffer costs beside its bytes: itself, its ArrayBuffer and the allocation outside the heap. */
const BUFFER_OVERHEAD_BYTES = 400;
/** Up to so many bytes are kept as a string, which costs 16 bytes beside them; a copy for each reader is cheap then. */
const STRING_BYTES_MAX = 2048;
/** Up to so many bytes the parts of a block are joined when they come. */
const JOIN_BYTES_MAX = 16 * 1024;
/** A buffer that keeps more than this share of its bytes in memory beside them is copied. */
const PINNED_SHARE = 8;
/** A block that we wrote is kept only if it is at most this share of the cache. */
const OFFER_SHARE = 16;

/** An entry, in the chain of those of the same inode. */
interface CachedBlock {
  readonly key: number | string;
  /** A string holds bytes as latin1. */
  data: string | Buffer | readonly Buffer[];
  readonly owner: number;
  previous: CachedBlock | undefined;
  next: CachedBlock | undefined;
}

/**
 * Whole blocks (and inline slices, which are block 0 of their slice) in memory, bounded by bytes, least recently used
 * go first. Nothing larger than itself is kept alive by what is cached: a small slice may come as a view of a pool or of
 * a network buffer. Answers may be shared with other readers: nobody may change them.
 *
 * An entry may name the inode whose bytes it holds, so that it goes with the inode; shared slices are fetched again then.
 */
export class BlockCache {
  readonly #entries: LruCache<number | string, CachedBlock>;
  readonly #owners = new Map<number, CachedBlock>();
  hits = 0;
  misses = 0;

  constructor(cacheBytes: number) {
    this.#entries = new LruCache(cacheBytes, (_key, block) => this.#unlink(block));
  }

  get bytes(): number {
    return this.#entries.weight;
  }

  get bytesMax(): number {
    return this.#entries.weightMax;
  }

  /** Answers the block's bytes and counts a hit or a miss. */
  get(sliceId: number, blockIndex: number): Buffer | undefined {
    const found = this.#entries.get(cacheKey(sliceId, blockIndex));
    if (found === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    const { data } = found;
    if (typeof data === 'string') return Buffer.from(data, 'latin1');
    return Buffer.isBuffer(data) ? data : this.#join(found, data);
  }

  /** Answers the block's bytes without counting or making it more recent. */
  peek(sliceId: number, blockIndex: number): Buffer | undefined {
    const data = this.#entries.peek(cacheKey(sliceId, blockIndex))?.data;
    if (data === undefined || Buffer.isBuffer(data)) return data;
    return typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.concat(data);
  }

  /** Tells whether the block is there and keeps it from being the next to go. */
  touch(sliceId: number, blockIndex: number): boolean {
    return this.#entries.get(cacheKey(sliceId, blockIndex)) !== undefined;
  }

  /** @param owner inode whose bytes these are; 0 when there is none, or several. */
  set(sliceId: number, blockIndex: number, block: Buffer, owner = 0): void {
    this.#put(cacheKey(sliceId, blockIndex), kept(block), owner);
  }

  /**
   * Takes a block that was just written, as the parts it was written from; large ones are joined only if somebody reads
   * them. Very large blocks go into a small cache not at all: one streamed file would throw out everything else.
   */
  offer(sliceId: number, blockIndex: number, parts: readonly Buffer[], owner = 0): void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes * OFFER_SHARE > this.#entries.weightMax) return;
    const joined = parts.length === 1 ? parts[0]! : bytes <= JOIN_BYTES_MAX ? Buffer.concat(parts, bytes) : undefined;
    this.#put(cacheKey(sliceId, blockIndex), joined === undefined ? parts.map(owned) : kept(joined), owner);
  }

  delete(sliceId: number, blockIndex: number): void {
    const block = this.#entries.peek(cacheKey(sliceId, blockIndex));
    if (block !== undefined) this.#remove(block);
  }

  /** The inode's content is gone. */
  forget(owner: number): void {
    for (let block = this.#owners.get(owner); block !== undefined; block = block.next) this.#entries.delete(block.key);
    this.#owners.delete(owner);
  }

  clear(): void {
    this.#entries.clear();
    this.#owners.clear();
  }

  #put(key: number | string, data: CachedBlock['data'], owner: number): void {
    const before = this.#entries.peek(key);
    if (before !== undefined) this.#remove(before);
    const weight = weightOf(data);
    if (weight > this.#entries.weightMax) return;
    const next = owner === 0 ? undefined : this.#owners.get(owner);
    const block: CachedBlock = { key, data, owner, previous: undefined, next };
    if (next !== undefined) next.previous = block;
    if (owner !== 0) this.#owners.set(owner, block);
    this.#entries.set(key, block, weight);
  }

  #join(block: CachedBlock, parts: readonly Buffer[]): Buffer {
    const joined = Buffer.concat(parts);
    block.data = joined;
    this.#entries.set(block.key, block, weightOf(joined));
    return joined;
  }

  #remove(block: CachedBlock): void {
    this.#entries.delete(block.key);
    this.#unlink(block);
  }

  #unlink(block: CachedBlock): void {
    if (block.owner === 0) return;
    if (block.next !== undefined) block.next.previous = block.previous;
    if (block.previous !== undefined) block.previous.next = block.next;
    else if (block.next !== undefined) this.#owners.set(block.owner, block.next);
    else this.#owners.delete(block.owner);
  }
}

/** Block 0 is by far the most frequent (small files, packs, inline slices): its key needs no string. */
function cacheKey(sliceId: number, blockIndex: number): number | string {
  return blockIndex === 0 ? sliceId : `${sliceId}_${blockIndex}`;
}

/** Bytes in the form in which they stay. */
function kept(block: Buffer): string | Buffer {
  return block.length <= STRING_BYTES_MAX ? block.toString('latin1') : owned(block);
}

/** The buffer, or a copy of it when it is the smaller part of what it keeps in memory. */
function owned(block: Buffer): Buffer {
  const pinned = block.buffer.byteLength - block.length;
  if (pinned * PINNED_SHARE <= block.length) return block;
  const copy = Buffer.allocUnsafeSlow(block.length);
  block.copy(copy);
  return copy;
}

function weightOf(data: CachedBlock['data']): number {
  if (typeof data === 'string') return ENTRY_OVERHEAD_BYTES + data.length;
  if (Buffer.isBuffer(data)) return ENTRY_OVERHEAD_BYTES + BUFFER_OVERHEAD_BYTES + data.buffer.byteLength;
  let weight = ENTRY_OVERHEAD_BYTES;
  for (const part of data) weight += BUFFER_OVERHEAD_BYTES + part.buffer.byteLength;
  return weight;
}
