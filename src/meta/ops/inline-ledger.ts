/**
 * What one session knows of the bytes that are inline, i.e. in the metadata and not in a pack yet: how full the volume's
 * budget is, and which slices it committed itself, oldest first. The packer of the machine that wrote still has those
 * bytes in its cache. The queue is bounded: Redis has it too (`inq`), and what does not fit is found there by its age.
 */

import { CHUNK_BYTES } from '../../base/slice-record.ts';
import type { InlineSlice, Piece } from '../../base/slices.ts';
import type { Ino } from '../../base/vocabulary.ts';
import type { VolumeEvents } from '../../base/volume-events.ts';

const SLICES_MAX = 100_000;

type SliceKey = Pick<InlineSlice, 'id' | 'ino' | 'chunkIndex'>;

export class InlineLedger {
  readonly budgetBytes: number;
  readonly #events: VolumeEvents;
  readonly #slices = new Map<string, InlineSlice>();
  #fill = 0;

  /** @param budgetBytes that all inline slices of the volume may hold together. */
  constructor(budgetBytes: number, events: VolumeEvents) {
    this.budgetBytes = budgetBytes;
    this.#events = events;
  }

  /** Share of the budget in use, 0..1, as the last reply told. */
  get fill(): number {
    return this.#fill;
  }

  get size(): number {
    return this.#slices.size;
  }

  /** The volume's inline bytes, as a reply tells them. */
  noteTotal(bytes: number): void {
    this.#fill = Math.min(1, Math.max(0, bytes / this.budgetBytes));
  }

  /**
   * This session stored inline pieces, which got `ids` in their order. `base`: where an appended run was placed; a piece
   * that crosses a chunk there is queued under both chunks.
   */
  noteStored(ino: Ino, pieces: readonly Piece[], ids: readonly number[], base: number): void {
    if (ids.length === 0) return;
    let next = 0;
    let bytes = 0;
    for (const piece of pieces) {
      if (!('inline' in piece)) continue;
      const id = ids[next++]!;
      const sizeBytes = piece.inline.length;
      bytes += sizeBytes;
      const from = piece.chunkIndex * CHUNK_BYTES + piece.pos + base;
      const last = Math.floor((from + sizeBytes - 1) / CHUNK_BYTES);
      for (let chunkIndex = Math.floor(from / CHUNK_BYTES); chunkIndex <= last; chunkIndex++) {
        this.#add({ id, ino, chunkIndex, sizeBytes });
      }
    }
    this.#events.emit('inlineStored', bytes);
  }

  oldest(limit: number): InlineSlice[] {
    const found: InlineSlice[] = [];
    for (const slice of this.#slices.values()) {
      if (found.length === limit) break;
      found.push(slice);
    }
    return found;
  }

  remove(slice: SliceKey): void {
    this.#slices.delete(keyOf(slice));
  }

  #add(slice: InlineSlice): void {
    if (this.#slices.size < SLICES_MAX) this.#slices.set(keyOf(slice), slice);
  }
}

function keyOf(slice: SliceKey): string {
  return `${slice.id}:${slice.ino}:${slice.chunkIndex}`;
}
