/**
 * What a block's object holds (docs/FORMAT.md, docs/adr/0006): the block's bytes, then their checksums.
 *
 *     0              blockBytes                                         objectBytes
 *     | bytes ...... | u32 crc32c of each frame of 32 KiB | footer, 32 B |
 *
 *     footer   0  u64  slice id             16  u32  bytes of a frame
 *              8  u32  index of the block   20  u32  0 (reserved for a codec)
 *             12  u32  bytes of the block   24  u32  crc32c of the frames' checksums and of 0..23
 *                                           28  `JBK2`
 *
 * Frames make ranges verifiable; the footer says which block this is, so that a whole, sound object under a wrong name is
 * found out as well.
 */
import { crc32c } from '../base/crc32c.ts';
import { readU64, writeI64 } from '../base/integers.ts';
import type { VolumeFormat } from '../base/vocabulary.ts';
import { type Block, blockName } from './block-name.ts';
import { DamagedBlockError } from './object/store-error.ts';

export const FRAME_BYTES = 32 * 1024;
const FOOTER_BYTES = 32;
const CHECKSUM_BYTES = 4;
const MAGIC = 'JBK2';
const FOOTER_CRC_AT = 24;

export interface ByteSpan {
  offset: number;
  length: number;
}

/** Length of the object that holds a block in a volume of format 1 (bytes alone) or 2; undefined where its content decides (3). */
export function objectBytesOf(
  { formatVersion }: Pick<VolumeFormat, 'formatVersion'>,
  blockBytes: number,
): number | undefined {
  return formatVersion === 3 ? undefined : objectBytes(blockBytes, formatVersion === 2);
}

/** Length of the object that holds a block, with its checksums or without. */
export function objectBytes(blockBytes: number, checked: boolean): number {
  return checked ? blockBytes + trailerBytes(blockBytes) : blockBytes;
}

/** Where the checksums of a block are in its object. */
export function trailerSpan(blockBytes: number): ByteSpan {
  return { offset: blockBytes, length: trailerBytes(blockBytes) };
}

/** The whole frames around a range of a block. */
export function frameSpan(blockBytes: number, range: ByteSpan): ByteSpan {
  const offset = Math.floor(range.offset / FRAME_BYTES) * FRAME_BYTES;
  const end = Math.min(blockBytes, Math.ceil((range.offset + range.length) / FRAME_BYTES) * FRAME_BYTES);
  return { offset, length: end - offset };
}

/** The checksums to be stored behind a block's parts. */
export function encodeTrailer(block: Block, parts: readonly Buffer[]): Buffer {
  const trailer = Buffer.allocUnsafe(trailerBytes(block.blockBytes));
  const footerAt = writeChecksums(trailer, parts);
  writeI64(trailer, footerAt, block.sliceId);
  trailer.writeUInt32LE(block.index, footerAt + 8);
  trailer.writeUInt32LE(block.blockBytes, footerAt + 12);
  trailer.writeUInt32LE(FRAME_BYTES, footerAt + 16);
  trailer.writeUInt32LE(0, footerAt + 20);
  trailer.writeUInt32LE(crc32c(trailer.subarray(0, footerAt + FOOTER_CRC_AT)), footerAt + FOOTER_CRC_AT);
  trailer.write(MAGIC, footerAt + 28, 'latin1');
  return trailer;
}

/** Checks that a trailer is sound and this block's own. @throws DamagedBlockError saying what is wrong. */
export function checkTrailer(block: Block, trailer: Buffer): void {
  const footerAt = trailer.length - FOOTER_BYTES;
  const refuse = (what: string): never => {
    throw new DamagedBlockError(blockName(block.sliceId, block.index, block.blockBytes), what);
  };
  if (trailer.toString('latin1', footerAt + 28) !== MAGIC) refuse('its checksums are not where they should be');
  const stored = trailer.readUInt32LE(footerAt + FOOTER_CRC_AT);
  if (crc32c(trailer.subarray(0, footerAt + FOOTER_CRC_AT)) !== stored) refuse('its list of checksums is damaged');
  const sliceId = readU64(trailer, footerAt);
  const index = trailer.readUInt32LE(footerAt + 8);
  const blockBytes = trailer.readUInt32LE(footerAt + 12);
  if (sliceId !== block.sliceId || index !== block.index || blockBytes !== block.blockBytes) {
    refuse(`it holds another block, ${blockName(sliceId, index, blockBytes)}`);
  }
  const [frameBytes, codec] = [trailer.readUInt32LE(footerAt + 16), trailer.readUInt32LE(footerAt + 20)];
  if (frameBytes !== FRAME_BYTES || codec !== 0) refuse(`its frames (${frameBytes} bytes, codec ${codec}) are unknown`);
}

/**
 * Checks whole frames of a block, from `offset` on, against a trailer that was checked.
 * @throws DamagedBlockError naming the first damaged bytes.
 */
export function checkFrames(block: Block, offset: number, frames: Buffer, trailer: Buffer): void {
  for (let at = 0; at < frames.length; at += FRAME_BYTES) {
    const frame = frames.subarray(at, at + FRAME_BYTES);
    if (crc32c(frame) === trailer.readUInt32LE(((offset + at) / FRAME_BYTES) * CHECKSUM_BYTES)) continue;
    const key = blockName(block.sliceId, block.index, block.blockBytes);
    throw new DamagedBlockError(
      key,
      `its bytes ${offset + at} to ${offset + at + frame.length - 1} are not what was stored`,
    );
  }
}

/** The bytes of a block from its whole object, after checking them. The answer is a view. @throws DamagedBlockError */
export function openObject(block: Block, object: Buffer): Buffer {
  const trailer = object.subarray(block.blockBytes);
  checkTrailer(block, trailer);
  const bytes = object.subarray(0, block.blockBytes);
  checkFrames(block, 0, bytes, trailer);
  return bytes;
}

function trailerBytes(blockBytes: number): number {
  return Math.ceil(blockBytes / FRAME_BYTES) * CHECKSUM_BYTES + FOOTER_BYTES;
}

/** One checksum for each frame; frames need not end where parts do. Answers how many bytes were written. */
function writeChecksums(out: Buffer, parts: readonly Buffer[]): number {
  let written = 0;
  let state = 0;
  let frameLeft = FRAME_BYTES;
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const end = Math.min(part.length, at + frameLeft);
      state = crc32c(part.subarray(at, end), state);
      frameLeft -= end - at;
      at = end;
      if (frameLeft > 0) continue;
      out.writeUInt32LE(state, written);
      written += CHECKSUM_BYTES;
      state = 0;
      frameLeft = FRAME_BYTES;
    }
  }
  if (frameLeft < FRAME_BYTES) {
    out.writeUInt32LE(state, written);
    written += CHECKSUM_BYTES;
  }
  return written;
}
