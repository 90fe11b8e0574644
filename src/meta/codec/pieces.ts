/** Pieces of a commit or publish <-> script arguments and replies (scripts/lib/pieces.lua). */
import { FsError } from '../../base/errors.ts';
import { CHUNK_BYTES, type SliceRecord, unpackSliceRecords, writeSliceRecord } from '../../base/slice-record.ts';
import type { Piece } from '../../base/slices.ts';
import type { Reply } from '../redis/connection.ts';
import { readU64 } from './codec.ts';

const PIECE_BYTES = 28;
/** Lua hands a script's arguments on as one list; this many pieces are far below its limit. */
const PIECES_MAX = 4_000;

export interface PackedPieces {
  packed: Buffer;
  /** Bytes of the inline pieces, in their order. */
  inline: Buffer[];
}

/** Packs pieces. @throws FsError EINVAL when a piece leaves its chunk, is empty, or there are too many. */
export function packPieces(op: string, pieces: readonly Piece[]): PackedPieces {
  if (pieces.length > PIECES_MAX) throw new FsError('EINVAL', op, `${pieces.length} pieces; at most ${PIECES_MAX}`);
  const packed = Buffer.allocUnsafe(pieces.length * PIECE_BYTES);
  const inline: Buffer[] = [];
  pieces.forEach((piece, i) => {
    const record = recordOf(piece);
    if (record.len === 0 || record.pos + record.len > CHUNK_BYTES || record.off + record.len > record.size) {
      throw new FsError('EINVAL', op, 'a piece is empty or leaves its chunk or slice');
    }
    if ('inline' in piece) inline.push(piece.inline);
    packed.writeUInt32LE(piece.chunkIndex, i * PIECE_BYTES);
    writeSliceRecord(packed, i * PIECE_BYTES + 4, record);
  });
  return { packed, inline };
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

/** Inline bytes by slice id, from the ids and the bytes behind them in a reply. */
export function inlineMap(packedIds: Reply | undefined, bytes: Reply[]): Map<number, Buffer> {
  const ids = unpackIds(packedIds as Buffer);
  return new Map(ids.map((id, i) => [id, bytes[i] as Buffer]));
}

/** Records of a chunk as a script answers them. @throws FsError EIO when they are damaged. */
export function unpackRecords(op: string, packed: Reply): SliceRecord[] {
  try {
    return unpackSliceRecords(packed as Buffer);
  } catch (error) {
    throw new FsError('EIO', op, (error as Error).message, { cause: error });
  }
}
