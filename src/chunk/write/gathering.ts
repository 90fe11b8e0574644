import { FsError } from '../../base/errors.ts';
import { BLOCK_BYTES } from '../../base/slice-record.ts';
import { type MapSource, ObjectMissingError } from '../chunks.ts';
import type { BlockCache } from '../read/block-cache.ts';
import type { BlockReader } from '../read/block-reader.ts';
import type { Segment } from '../read/overlay.ts';

/** An inline slice that a map names is gone from the metadata store. */
class InlineGoneError extends Error {}

/** Tells whether a read failed because bytes moved after its slice map was read: reading the map again helps. */
export function isOvertaken(error: unknown): boolean {
  return error instanceof InlineGoneError || error instanceof ObjectMissingError;
}

interface InlinePiece {
  id: number;
  /** Offset inside the inline slice. */
  start: number;
  /** Offset in the output. */
  at: number;
  length: number;
}

/** Collects the pieces of one read. Allocates only when there is more than one piece, and waits only for what is not cached. */
export class Gathering {
  readonly #blocks: BlockReader;
  readonly #cache: BlockCache;
  readonly #length: number;
  #whole: Buffer | Promise<Buffer> | undefined;
  #out: Buffer | undefined;
  /** Everything before it is filled in or will be. */
  #filledTo = 0;
  #waits: Promise<void>[] | undefined;
  #inline: InlinePiece[] | undefined;

  constructor(blocks: BlockReader, cache: BlockCache, length: number) {
    this.#blocks = blocks;
    this.#cache = cache;
    this.#length = length;
  }

  /** Adds `length` bytes from `start` of a segment's slice at `at` of the output; pieces come in order. */
  add(segment: Segment, start: number, at: number, length: number): void {
    if (segment.inline) {
      const bytes = this.#cache.get(segment.id, 0);
      if (bytes === undefined || bytes.length < start + length) {
        this.#inline ??= [];
        this.#inline.push({ id: segment.id, start, at, length });
        this.#advance(at, length);
      } else this.#put(length === bytes.length ? bytes : bytes.subarray(start, start + length), at, length);
      return;
    }
    for (let done = 0; done < length; ) {
      const inBlock = (start + done) % BLOCK_BYTES;
      const part = Math.min(length - done, BLOCK_BYTES - inBlock);
      this.#put(this.#blocks.readBlock(segment.id, segment.size, start + done, part), at + done, part);
      done += part;
    }
  }

  finish(source: MapSource): Buffer | Promise<Buffer> {
    if (this.#whole !== undefined) return this.#whole;
    const out = this.#output();
    if (this.#filledTo < this.#length) out.fill(0, this.#filledTo);
    if (this.#inline === undefined && this.#waits === undefined) return out;
    const waits = this.#waits ?? [];
    if (this.#inline !== undefined) waits.push(this.#readInline(source, this.#inline, out));
    return Promise.all(waits).then(() => out);
  }

  #put(bytes: Buffer | Promise<Buffer>, at: number, length: number): void {
    if (length === this.#length) {
      this.#whole = bytes;
      return;
    }
    const out = this.#advance(at, length);
    if (Buffer.isBuffer(bytes)) bytes.copy(out, at);
    else {
      this.#waits ??= [];
      this.#waits.push(bytes.then((block) => void block.copy(out, at)));
    }
  }

  /** Zeros the hole before `at`. */
  #advance(at: number, length: number): Buffer {
    const out = this.#output();
    if (at > this.#filledTo) out.fill(0, this.#filledTo, at);
    this.#filledTo = at + length;
    return out;
  }

  #output(): Buffer {
    this.#out ??= Buffer.allocUnsafe(this.#length);
    return this.#out;
  }

  async #readInline(source: MapSource, wanted: InlinePiece[], out: Buffer): Promise<void> {
    const ids = [...new Set(wanted.map((piece) => piece.id))];
    const found = await source.readInline(ids);
    const byId = new Map<number, Buffer>();
    for (let i = 0; i < ids.length; i++) {
      const bytes = found[i];
      if (bytes === undefined) throw new InlineGoneError(`inline slice ${ids[i]} is gone`);
      byId.set(ids[i]!, bytes);
      this.#cache.set(ids[i]!, 0, bytes);
    }
    for (const piece of wanted) {
      const end = piece.start + piece.length;
      const copied = byId.get(piece.id)!.copy(out, piece.at, piece.start, end);
      if (copied !== piece.length) {
        throw new FsError('EIO', 'read', `inline slice ${piece.id} is shorter than its record says (${end} bytes)`);
      }
    }
  }
}
