/**
 * A pack: one slice of one block (`chunks/.../<id>_0_<size>`, at most 4 MiB) that holds the bytes of many small slices.
 *
 *     0                    directoryOffset                     size - 16
 *     | bytes of slice 0 | bytes of slice 1 | ... | directory entries | trailer |
 *
 *     directory entry, 32 bytes, little-endian
 *       0  u64  inline id    the slice's id while it was inline; ids grow with time
 *       8  u64  ino          inode it was written to
 *      16  u32  chunkIndex   64 MiB window of that file
 *      20  u32  offset       first byte in the pack
 *      24  u32  length       bytes
 *      28  u32  crc32c       of those bytes
 *     trailer, 16 bytes, little-endian
 *       0  u32  entry count
 *       4  u32  directoryOffset
 *       8  u32  crc32c of the directory entries
 *      12  'JPK1'
 *
 * Readers of files never look at the directory: records name offsets in the pack. It is the reverse map for garbage
 * collection (is any record left?) and for disaster recovery (with a metadata dump that still names the inline ids).
 * Directory and trailer count as dead bytes of the pack.
 */
import { crc32c } from '../base/crc32c.ts';
import { readU64, writeI64 } from '../base/integers.ts';

export const PACK_ENTRY_BYTES = 32;
export const PACK_TRAILER_BYTES = 16;
const MAGIC = 'JPK1';

export interface PackEntry {
  inlineId: number;
  ino: number;
  chunkIndex: number;
  offset: number;
  length: number;
  crc32c: number;
}

/** Joins slices into a pack, in the order given. @returns the object's parts (the slices' own buffers, not copied). */
export function buildPack(slices: readonly { id: number; ino: number; chunkIndex: number; bytes: Buffer }[]): {
  parts: Buffer[];
  sizeBytes: number;
  entries: PackEntry[];
} {
  const entries: PackEntry[] = [];
  let offset = 0;
  for (const slice of slices) {
    const length = slice.bytes.length;
    entries.push({
      inlineId: slice.id,
      ino: slice.ino,
      chunkIndex: slice.chunkIndex,
      offset,
      length,
      crc32c: crc32c(slice.bytes),
    });
    offset += length;
  }
  const directory = Buffer.allocUnsafe(entries.length * PACK_ENTRY_BYTES);
  entries.forEach((entry, i) => {
    writeEntry(directory, i * PACK_ENTRY_BYTES, entry);
  });
  const trailer = Buffer.allocUnsafe(PACK_TRAILER_BYTES);
  trailer.writeUInt32LE(entries.length, 0);
  trailer.writeUInt32LE(offset, 4);
  trailer.writeUInt32LE(crc32c(directory), 8);
  trailer.write(MAGIC, 12, 'latin1');
  const parts = [...slices.map((slice) => slice.bytes), directory, trailer];
  return { parts, sizeBytes: offset + directory.length + trailer.length, entries };
}

/**
 * Reads a pack's directory.
 * @throws RangeError when the pack is damaged.
 */
export function readPackDirectory(pack: Buffer): PackEntry[] {
  const trailerAt = pack.length - PACK_TRAILER_BYTES;
  if (trailerAt < 0 || pack.toString('latin1', trailerAt + 12) !== MAGIC) {
    throw new RangeError(`an object of ${pack.length} bytes has no pack trailer: it is no pack, or torn`);
  }
  const count = pack.readUInt32LE(trailerAt);
  const at = pack.readUInt32LE(trailerAt + 4);
  const directory = pack.subarray(at, trailerAt);
  if (directory.length !== count * PACK_ENTRY_BYTES || crc32c(directory) !== pack.readUInt32LE(trailerAt + 8)) {
    throw new RangeError('the directory of a pack is damaged');
  }
  return Array.from({ length: count }, (_, i) => readEntry(directory, i * PACK_ENTRY_BYTES));
}

/**
 * Tells whether an entry's bytes are what was packed. For fsck.
 *
 * @testing
 */
export function checkPackEntry(pack: Buffer, entry: PackEntry): boolean {
  const bytes = pack.subarray(entry.offset, entry.offset + entry.length);
  return bytes.length === entry.length && crc32c(bytes) === entry.crc32c;
}

function writeEntry(out: Buffer, at: number, entry: PackEntry): void {
  writeI64(out, at, entry.inlineId);
  writeI64(out, at + 8, entry.ino);
  out.writeUInt32LE(entry.chunkIndex, at + 16);
  out.writeUInt32LE(entry.offset, at + 20);
  out.writeUInt32LE(entry.length, at + 24);
  out.writeUInt32LE(entry.crc32c, at + 28);
}

function readEntry(directory: Buffer, at: number): PackEntry {
  return {
    inlineId: readU64(directory, at),
    ino: readU64(directory, at + 8),
    chunkIndex: directory.readUInt32LE(at + 16),
    offset: directory.readUInt32LE(at + 20),
    length: directory.readUInt32LE(at + 24),
    crc32c: directory.readUInt32LE(at + 28),
  };
}
