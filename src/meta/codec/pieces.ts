/** Pieces of a commit or publish <-> script arguments and replies (scripts/lib/content/pieces.lua). */
import { FsError } from '../../base/errors.ts';
import { readU64 } from '../../base/integers.ts';
import {
  CHUNK_BYTES,
  SLICE_RECORD_BYTES,
  SLICE_RECORD_FORMAT,
  type SliceRecord,
  unpackSliceRecords,
  writeSliceRecord,
} from '../../base/slice-record.ts';
import type { Piece } from '../../base/slices.ts';
import type { Reply } from '../redis/connection.ts';

/** <I4 chunk, then a slice record. */
export const PIECE_FORMAT = `<I4${SLICE_RECORD_FORMAT.slice(1)}`;
export const PIECE_BYTES = 4 + SLICE_RECORD_BYTES;
/** Lua hands a script's arguments on as one list; this many pieces are far below its limit. */
const PIECES_MAX = 4_000;

/** Packs pieces; the bytes of inline ones travel apart. @throws FsError EINVAL when a piece leaves its chunk, is empty, or there are too many. */
export function packPieces(op: string, pieces: readonly Piece[]): Buffer {
  if (pieces.length > PIECES_MAX) throw new FsError('EINVAL', op, `${pieces.length} pieces; at most ${PIECES_MAX}`);
  const packed = Buffer.allocUnsafe(pieces.length * PIECE_BYTES);
  pieces.forEach((piece, i) => {
    const record = recordOf(piece);
    if (record.len === 0 || record.pos + record.len > CHUNK_BYTES || record.off + record.len > record.size) {
      throw new FsError('EINVAL', op, 'a piece is empty or leaves its chunk or slice');
    }
    packed.writeUInt32LE(piece.chunkIndex, i * PIECE_BYTES);
    writeSliceRecord(packed, i * PIECE_BYTES + 4, record);
  });
  return packed;
}

function recordOf(piece: Piece): SliceRecord {
  if ('record' in piece) return piece.record;
  const { length } = piece.inline;
  return { pos: piece.pos, id: 0, size: length, off: 0, len: length, inline: true };
}

/** Reads slice ids of 8 bytes each. */
export function unpackIds(packed: Buffer): number[] {
  const ids: number[] = [];
  for (let at = 0; at < packed.length; at += 8) ids.push(readU64(packed, at));
  return ids;
}

/** Inline bytes by slice id, from the element `at` that holds the ids and those behind it. */
export function inlineMap(reply: readonly Reply[], at: number): Map<number, Buffer> {
  const inline = new Map<number, Buffer>();
  unpackIds(reply[at] as Buffer).forEach((id, i) => {
    inline.set(id, reply[at + 1 + i] as Buffer);
  });
  return inline;
}

/** Records of a chunk as a script answers them. @throws FsError EIO when they are damaged. */
export function unpackRecords(op: string, packed: Reply): SliceRecord[] {
  try {
    return unpackSliceRecords(packed as Buffer);
  } catch (error) {
    throw new FsError('EIO', op, (error as Error).message, { cause: error });
  }
}
