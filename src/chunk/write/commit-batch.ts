import { CHUNK_BYTES, type SliceRecord } from '../../base/slice-record.ts';
import type { Piece } from '../../base/slices.ts';
import type { CommitSink } from '../chunks.ts';
import type { PendingSlice } from './pending-slice.ts';

/** Pieces of one commit: bounds the work of its script. */
const COMMIT_PIECES_MAX = 128;
/** Small writes all over a file go into a few commits: one holds this many times what a slice may. */
export const COMMIT_INLINE_FACTOR = 4;

/** What one commit takes: slices in order of creation, a piece for each. An append run is alone in its commit. */
export interface Batch {
  slices: PendingSlice[];
  pieces: Piece[];
  append: boolean;
}

/**
 * The longest run of slices from the front that one commit can take now: frozen, and stored or small enough to go
 * inline together. Undefined when the first is not ready.
 */
export function collectBatch(slices: readonly PendingSlice[], sink: CommitSink): Batch | undefined {
  let batch: Batch | undefined;
  let inlineMax = -1;
  let inlineRoom = 0;
  for (const slice of slices) {
    if (!slice.frozen || (batch !== undefined && (batch.append || slice.append))) break;
    let piece: Piece;
    if (slice.blocksStarted === 0) {
      if (inlineMax < 0) {
        inlineMax = sink.inlineBytesMax();
        inlineRoom = inlineMax * COMMIT_INLINE_FACTOR;
      }
      if (slice.length > Math.min(inlineMax, inlineRoom)) break;
      inlineRoom -= slice.length;
      piece = { chunkIndex: slice.chunkIndex, pos: slice.pos, inline: slice.bytes() };
    } else if (slice.stored) {
      piece = { chunkIndex: slice.chunkIndex, record: storedRecord(slice) };
    } else break;
    batch ??= { slices: [], pieces: [], append: slice.append };
    batch.slices.push(slice);
    batch.pieces.push(piece);
    if (batch.pieces.length === COMMIT_PIECES_MAX) break;
  }
  return batch;
}

/** First byte of a slice that was not appended, in the file. */
export function fileStart(slice: PendingSlice): number {
  return slice.chunkIndex * CHUNK_BYTES + slice.pos;
}

/** Where an append run is shown until its commit has placed it; -1 when that is not known. */
export function appendStart(slice: PendingSlice, sizeBefore: number, knownSize: number): number {
  if (slice.sentAtSize < 0) return sizeBefore;
  return slice.sentAtSize === knownSize ? sizeBefore : -1;
}

function storedRecord(slice: PendingSlice): SliceRecord {
  return { pos: slice.pos, id: slice.sliceId, size: slice.length, off: 0, len: slice.length, inline: false };
}
