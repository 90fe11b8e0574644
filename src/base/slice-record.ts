/**
 * The record that says where a range of a chunk's bytes lives. Metadata stores records, the data layer reads and writes
 * what they name; neither imports the other, so the record is defined below both.
 *
 *     0        4                 12        16       20       24
 *     | pos u32 | slice id u64    | size u32 | off u32 | len u32 |    little-endian
 *
 * Bit 31 of `size` says inline (the slice's bytes are in the metadata store under `b<id>`); slice id 0 means zeros.
 * Records of a chunk are kept in commit order; a later record hides what it overlaps; what no record covers reads as zeros.
 */
import { readU64, writeI64 } from './integers.ts';

export const CHUNK_BYTES = 64 * 1024 * 1024;
export const BLOCK_BYTES = 4 * 1024 * 1024;
export const SLICE_RECORD_BYTES = 24;
/** Largest file size, bytes (1 PiB). */
export const FILE_BYTES_MAX = 2 ** 50;
/** Of a record's size: the slice's bytes are in the metadata store. */
export const INLINE_BIT = 0x8000_0000;
/** A packed record as Lua's struct writes it: pos, id, size, off, len. */
export const SLICE_RECORD_FORMAT = '<I4I8I4I4I4';

export interface SliceRecord {
  /** First byte covered, relative to the chunk's start. */
  readonly pos: number;
  /** Slice id, 0 for zeros. */
  readonly id: number;
  /** Whole slice's length in bytes (names its block objects). */
  readonly size: number;
  /** Offset of this record's bytes inside the slice. */
  readonly off: number;
  /** Bytes covered. */
  readonly len: number;
  readonly inline: boolean;
}

/** Appends one packed record to `out` at `at`. */
export function writeSliceRecord(out: Buffer, at: number, record: SliceRecord): void {
  out.writeUInt32LE(record.pos, at);
  writeI64(out, at + 4, record.id);
  out.writeUInt32LE((record.inline ? record.size | INLINE_BIT : record.size) >>> 0, at + 12);
  out.writeUInt32LE(record.off, at + 16);
  out.writeUInt32LE(record.len, at + 20);
}

/** Packs records into one buffer of 24 bytes each. */
export function packSliceRecords(records: readonly SliceRecord[]): Buffer {
  const out = Buffer.allocUnsafe(records.length * SLICE_RECORD_BYTES);
  records.forEach((record, i) => {
    writeSliceRecord(out, i * SLICE_RECORD_BYTES, record);
  });
  return out;
}

/** Reads all records of a chunk's value. @throws RangeError when the length is no multiple of 24. */
export function unpackSliceRecords(packed: Buffer): SliceRecord[] {
  if (packed.length % SLICE_RECORD_BYTES !== 0) {
    throw new RangeError(`slice map of ${packed.length} bytes is damaged: records are ${SLICE_RECORD_BYTES} bytes`);
  }
  const records: SliceRecord[] = [];
  for (let at = 0; at < packed.length; at += SLICE_RECORD_BYTES) {
    const size = packed.readUInt32LE(at + 12);
    records.push({
      pos: packed.readUInt32LE(at),
      id: readU64(packed, at + 4),
      size: (size & ~INLINE_BIT) >>> 0,
      off: packed.readUInt32LE(at + 16),
      len: packed.readUInt32LE(at + 20),
      inline: size >= INLINE_BIT,
    });
  }
  return records;
}
