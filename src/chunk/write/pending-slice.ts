/**
 * One contiguous run of written bytes on its way to a commit, held in blocks of 4 MiB that are made of growing parts:
 *
 *     block 0: [4K][4K][8K][16K] ... [2M]      block 1: [4M]      block 2: [4M......used|free]
 *
 * A part is never moved or grown: written bytes are copied once, and a block's parts go to the store in one writev.
 * Parts double with the slice's length, so that ten thousand open small files cost what they hold.
 */
import { BLOCK_BYTES } from '../../base/slice-record.ts';

const PART_BYTES_MIN = 256;

export class PendingSlice {
  /** Creation order within the writer, which is commit order. */
  readonly seq: number;
  /** An O_APPEND run: chunkIndex and pos are 0 and mean nothing until the commit has placed it. */
  readonly append: boolean;
  readonly chunkIndex: number;
  /** First byte, relative to the chunk's start. */
  readonly pos: number;
  length = 0;
  /** Memory taken by the parts. */
  capacityBytes = 0;
  frozen = false;
  killPriv = false;
  firstWriteMs = 0;
  lastWriteUs = 0;
  /** Append runs: the size of the file when the commit was sent, to show the run where it will most likely be. */
  sentAtSize = -1;
  /** Slice id once the first block needs a name. */
  id: Promise<number> | undefined;
  sliceId = 0;
  blocksStarted = 0;
  blocksStored = 0;
  failedBlocks: number[] = [];
  failure: Error | undefined;
  /** Given up by its writer: whatever is still under way for it does not count any more. */
  dropped = false;
  readonly #blocks: Buffer[][] = [];

  constructor(seq: number, append: boolean, chunkIndex: number, pos: number) {
    this.seq = seq;
    this.append = append;
    this.chunkIndex = chunkIndex;
    this.pos = pos;
  }

  get end(): number {
    return this.pos + this.length;
  }

  /** Blocks before this offset are handed to the store and must not change. */
  get immutableBytes(): number {
    return Math.min(this.length, this.blocksStarted * BLOCK_BYTES);
  }

  get blockCount(): number {
    return Math.ceil(this.length / BLOCK_BYTES);
  }

  /** Every block is in the store. Says nothing before the slice is frozen. */
  get stored(): boolean {
    return this.blocksStarted > 0 && this.blocksStored === this.blockCount;
  }

  /**
   * Copies data[from, to) to offset `at` of the slice; immutableBytes <= at <= length, and the slice is open.
   * @returns bytes of memory newly taken.
   */
  write(at: number, data: Buffer, from: number, to: number): number {
    const before = this.capacityBytes;
    let offset = at;
    for (let source = from; source < to; ) {
      const blockIndex = Math.floor(offset / BLOCK_BYTES);
      const copied = this.#writeBlock(blockIndex, offset - blockIndex * BLOCK_BYTES, data, source, to);
      source += copied;
      offset += copied;
    }
    if (offset > this.length) this.length = offset;
    return this.capacityBytes - before;
  }

  /** One block's bytes as they lie in memory. */
  blockParts(blockIndex: number): Buffer[] {
    const parts = this.#blocks[blockIndex]!;
    let left = Math.min(BLOCK_BYTES, this.length - blockIndex * BLOCK_BYTES);
    const used: Buffer[] = [];
    for (const part of parts) {
      if (left <= 0) break;
      used.push(left >= part.length ? part : part.subarray(0, left));
      left -= part.length;
    }
    return used;
  }

  /** The whole slice (of one block) as one buffer; no copy when it was written at once. */
  bytes(): Buffer {
    const parts = this.blockParts(0);
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, this.length);
  }

  /** Copies what overlaps [start, start + out.length) of the slice's own coordinates into `out`. `start` may be negative. */
  copyOverlap(start: number, out: Buffer): void {
    let at = Math.max(0, start);
    const end = Math.min(this.length, start + out.length);
    while (at < end) {
      const blockIndex = Math.floor(at / BLOCK_BYTES);
      let partStart = blockIndex * BLOCK_BYTES;
      for (const part of this.#blocks[blockIndex]!) {
        const partEnd = Math.min(partStart + part.length, end);
        if (at < partEnd) {
          part.copy(out, at - start, at - partStart, partEnd - partStart);
          at = partEnd;
        }
        partStart += part.length;
      }
    }
  }

  #writeBlock(blockIndex: number, inBlock: number, data: Buffer, from: number, to: number): number {
    const wanted = Math.min(to - from, BLOCK_BYTES - inBlock);
    let parts = this.#blocks[blockIndex];
    if (parts === undefined) {
      parts = [];
      this.#blocks.push(parts);
    }
    let copied = 0;
    let partStart = 0;
    for (const part of parts) {
      const at = inBlock + copied - partStart;
      if (at < part.length) {
        copied += data.copy(part, at, from + copied, Math.min(to, from + wanted));
        if (copied === wanted) return wanted;
      }
      partStart += part.length;
    }
    const part = Buffer.allocUnsafe(this.#partBytes(wanted - copied, BLOCK_BYTES - partStart));
    this.capacityBytes += part.length;
    parts.push(part);
    data.copy(part, 0, from + copied, from + wanted);
    return wanted;
  }

  /** What is needed now; as much again as the slice already holds; never past the block. */
  #partBytes(needed: number, roomInBlock: number): number {
    return Math.min(roomInBlock, Math.max(needed, this.length, this.length === 0 ? 0 : PART_BYTES_MIN));
  }
}
