/**
 * A block that is compressed, encrypted or both (docs/FORMAT.md, docs/adr/0015): a head, then its frames.
 *
 *     0   `JBK3`                                   20  u32  bytes of the block
 *     4   u32  codec: 0, 1 zstd, 2 lz4; +256 AES   24  u32  bytes of a frame, decoded
 *     8   u64  slice id                            28  16   random bytes that the block's key is made with, or zeros
 *     16  u32  index of the block                  44  u32  crc32c of 0..43 and of the table
 *     48  table: for each frame u32 stored length (bit 31: not compressed), u32 crc32c of the stored frame
 *
 * The checksums are of what is stored: whoever has no key can still tell a sound block. Frames are compressed, then
 * encrypted one by one (nonce: the frame's number), bound to their block and place, so that a range costs its frames.
 */
import { randomBytes } from 'node:crypto';
import { crc32c } from '../../base/crc32c.ts';
import { FsError } from '../../base/errors.ts';
import { readU64, writeI64 } from '../../base/integers.ts';
import type { VolumeFormat } from '../../base/vocabulary.ts';
import { type ByteSpan, FRAME_BYTES, openObject } from '../block-format.ts';
import { type Block, blockName } from '../block-name.ts';
import { DamagedBlockError } from '../object/store-error.ts';
import { type Compressor, compressorOf } from './compression.ts';
import { decrypt, derivedKey, encrypt, SALT_BYTES } from './data-key.ts';

const MAGIC = 'JBK3';
const HEAD_BYTES = 48;
const CRC_AT = 44;
const SALT_AT = 28;
const ENTRY_BYTES = 8;
const PLAIN_BIT = 0x80000000;
const COMPRESSIONS = { none: 0, zstd: 1, lz4: 2 } as const;
const AES_256_GCM = 256;

/** How blocks of the volume are stored. @param dataKey undefined: what is encrypted can be verified, and not read. */
export function codecOf(format: VolumeFormat, dataKey: Buffer | undefined): { checked: boolean; codec?: FrameCodec } {
  if (format.formatVersion < 3) return { checked: format.formatVersion === 2 };
  return { checked: true, codec: new FrameCodec(format, dataKey) };
}

/** Bytes of head and table: what a range needs to know first. */
export function headSpan(blockBytes: number): ByteSpan {
  return { offset: 0, length: HEAD_BYTES + frameCount(blockBytes) * ENTRY_BYTES };
}

interface Frame {
  offset: number;
  length: number;
  /** Decoded. */
  bytes: number;
  plain: boolean;
  crc: number;
}

/** @throws DamagedBlockError when the head is not this block's own and sound. */
function readHead(block: Block, head: Buffer): Frame[] {
  const refuse = (what: string): never => {
    throw new DamagedBlockError(blockName(block.sliceId, block.index, block.blockBytes), what);
  };
  const { length } = headSpan(block.blockBytes);
  if (head.length < length) refuse(`it answered ${head.length} bytes, and its head has ${length}`);
  if (head.toString('latin1', 0, 4) !== MAGIC) refuse('it does not begin as a block');
  const crc = crc32c(head.subarray(HEAD_BYTES, length), crc32c(head.subarray(0, CRC_AT)));
  if (crc !== head.readUInt32LE(CRC_AT)) refuse('its head is damaged');
  const [sliceId, index, blockBytes] = [readU64(head, 8), head.readUInt32LE(16), head.readUInt32LE(20)];
  if (sliceId !== block.sliceId || index !== block.index || blockBytes !== block.blockBytes) {
    refuse(`it holds another block, ${blockName(sliceId, index, blockBytes)}`);
  }
  const frameBytes = head.readUInt32LE(24);
  if (frameBytes !== FRAME_BYTES) refuse(`its frames of ${frameBytes} bytes are unknown`);
  const frames: Frame[] = [];
  let offset = length;
  for (let i = 0; i < frameCount(blockBytes); i++) {
    const entry = head.readUInt32LE(HEAD_BYTES + i * ENTRY_BYTES);
    const stored = entry & ~PLAIN_BIT;
    frames.push({
      offset,
      length: stored,
      bytes: Math.min(FRAME_BYTES, blockBytes - i * FRAME_BYTES),
      plain: (entry & PLAIN_BIT) !== 0,
      crc: head.readUInt32LE(HEAD_BYTES + i * ENTRY_BYTES + 4),
    });
    offset += stored;
  }
  return frames;
}

/** Checks what is stored, without a key. @throws DamagedBlockError */
export function verifyFramed(block: Block, object: Buffer): void {
  const frames = readHead(block, object);
  const last = frames.at(-1)!;
  if (object.length !== last.offset + last.length) {
    throw new DamagedBlockError(
      blockName(block.sliceId, block.index, block.blockBytes),
      `it answered ${object.length} bytes instead of ${last.offset + last.length}`,
    );
  }
  for (const frame of frames) checkFrame(block, frame, storedFrame(object, frame, 0));
}

/** How an object of the volume is found to be whole, without a key. @throws DamagedBlockError */
export function verifierOf({ formatVersion }: VolumeFormat): (block: Block, object: Buffer) => void {
  return formatVersion === 3 ? verifyFramed : (block, object) => void openObject(block, object);
}

/** Turns blocks into objects and back. */
export class FrameCodec {
  readonly #compressor: Promise<Compressor> | undefined;
  readonly #codec: number;
  readonly #dataKey: Buffer | undefined;

  /** @param dataKey of an encrypted volume. */
  constructor(format: Pick<VolumeFormat, 'compress' | 'encryption'>, dataKey: Buffer | undefined) {
    this.#compressor = format.compress === undefined ? undefined : compressorOf(format.compress);
    this.#compressor?.catch(() => {}); // Whoever needs it hears of it.
    this.#codec = COMPRESSIONS[format.compress ?? 'none'] + (format.encryption === undefined ? 0 : AES_256_GCM);
    this.#dataKey = dataKey;
  }

  /** What is stored for a block. @param parts its bytes, which must not change any more. */
  async encode(block: Block, parts: readonly Buffer[]): Promise<Buffer[]> {
    const { length } = headSpan(block.blockBytes);
    const head = Buffer.alloc(length);
    head.write(MAGIC, 0, 'latin1');
    head.writeUInt32LE(this.#codec, 4);
    writeI64(head, 8, block.sliceId);
    head.writeUInt32LE(block.index, 16);
    head.writeUInt32LE(block.blockBytes, 20);
    head.writeUInt32LE(FRAME_BYTES, 24);
    if (this.#isEncrypted) randomBytes(SALT_BYTES).copy(head, SALT_AT);
    const key = this.#keyOf(block, head);
    const stored = await Promise.all(
      framesOf(parts, block.blockBytes).map((bytes, i) => this.#encodeFrame(block, i, bytes, key)),
    );
    for (const [i, { bytes, plain }] of stored.entries()) {
      head.writeUInt32LE((bytes.length | (plain ? PLAIN_BIT : 0)) >>> 0, HEAD_BYTES + i * ENTRY_BYTES);
      head.writeUInt32LE(crc32c(bytes), HEAD_BYTES + i * ENTRY_BYTES + 4);
    }
    head.writeUInt32LE(crc32c(head.subarray(HEAD_BYTES), crc32c(head.subarray(0, CRC_AT))), CRC_AT);
    return [head, ...stored.map(({ bytes }) => bytes)];
  }

  /** A whole block of its object. @throws DamagedBlockError; FsError when the key was not given. */
  async decode(block: Block, object: Buffer): Promise<Buffer> {
    verifyFramed(block, object);
    const key = this.#keyOf(block, object);
    const frames = await Promise.all(
      readHead(block, object).map((frame, i) => this.#decodeFrame(block, i, frame, storedFrame(object, frame, 0), key)),
    );
    return frames.length === 1 ? frames[0]! : Buffer.concat(frames, block.blockBytes);
  }

  /** Where the frames around a range are stored. @param head as headSpan() says. @throws DamagedBlockError */
  spanOf(block: Block, head: Buffer, range: ByteSpan): ByteSpan {
    const frames = framesAround(readHead(block, head), range);
    const { offset } = frames[0]!;
    const last = frames.at(-1)!;
    return { offset, length: last.offset + last.length - offset };
  }

  /** A range of a block. @param stored the bytes of spanOf(). @throws as decode(). */
  async decodeRange(block: Block, head: Buffer, range: ByteSpan, stored: Buffer): Promise<Buffer> {
    const all = readHead(block, head);
    const first = Math.floor(range.offset / FRAME_BYTES);
    const frames = framesAround(all, range);
    const base = frames[0]!.offset;
    const key = this.#keyOf(block, head);
    const decoded = await Promise.all(
      frames.map((frame, i) => {
        const bytes = storedFrame(stored, frame, base);
        checkFrame(block, frame, bytes);
        return this.#decodeFrame(block, first + i, frame, bytes, key);
      }),
    );
    const start = range.offset - first * FRAME_BYTES;
    const bytes = decoded.length === 1 ? decoded[0]! : Buffer.concat(decoded);
    return bytes.subarray(start, start + range.length);
  }

  get #isEncrypted(): boolean {
    return this.#codec >= AES_256_GCM;
  }

  #keyOf(block: Block, head: Buffer): Buffer | undefined {
    const codec = head.readUInt32LE(4);
    if (codec !== this.#codec) {
      const key = blockName(block.sliceId, block.index, block.blockBytes);
      throw new DamagedBlockError(key, `its codec ${codec} is not the volume's, ${this.#codec}`);
    }
    if (!this.#isEncrypted) return undefined;
    if (this.#dataKey === undefined)
      throw new FsError('EIO', 'read', 'the volume is encrypted, and its key was not given');
    return derivedKey(this.#dataKey, 'block', head.subarray(SALT_AT, SALT_AT + SALT_BYTES));
  }

  async #encodeFrame(
    block: Block,
    index: number,
    bytes: Buffer,
    key: Buffer | undefined,
  ): Promise<{ bytes: Buffer; plain: boolean }> {
    const compressed = await (await this.#compressor)?.compress(bytes);
    const plain = compressed === undefined || compressed.length >= bytes.length;
    const packed = plain ? bytes : compressed;
    return { bytes: key === undefined ? packed : encrypt(key, index, aadOf(block, index, plain), packed), plain };
  }

  async #decodeFrame(
    block: Block,
    index: number,
    frame: Frame,
    stored: Buffer,
    key: Buffer | undefined,
  ): Promise<Buffer> {
    try {
      const packed = key === undefined ? stored : decrypt(key, index, aadOf(block, index, frame.plain), stored);
      const bytes = frame.plain ? packed : await (await this.#compressor)!.decompress(packed, frame.bytes);
      if (bytes.length === frame.bytes) return bytes;
    } catch (error) {
      throw new DamagedBlockError(
        blockName(block.sliceId, block.index, block.blockBytes),
        `its frame ${index} cannot be decoded (${(error as Error).message}): it is of another key, or was made wrongly`,
      );
    }
    throw new DamagedBlockError(
      blockName(block.sliceId, block.index, block.blockBytes),
      `its frame ${index} has another length than it should`,
    );
  }
}

function frameCount(blockBytes: number): number {
  return Math.ceil(blockBytes / FRAME_BYTES);
}

function framesAround(frames: readonly Frame[], range: ByteSpan): Frame[] {
  return frames.slice(Math.floor(range.offset / FRAME_BYTES), Math.ceil((range.offset + range.length) / FRAME_BYTES));
}

/** @param base offset in the object of the first byte of `from`. */
function storedFrame(from: Buffer, frame: Frame, base: number): Buffer {
  return from.subarray(frame.offset - base, frame.offset - base + frame.length);
}

function checkFrame(block: Block, frame: Frame, stored: Buffer): void {
  if (stored.length === frame.length && crc32c(stored) === frame.crc) return;
  throw new DamagedBlockError(
    blockName(block.sliceId, block.index, block.blockBytes),
    `its bytes ${frame.offset} to ${frame.offset + frame.length - 1} are not what was stored`,
  );
}

/** Frames of FRAME_BYTES of a block's parts: views where a frame lies in one part. */
function framesOf(parts: readonly Buffer[], blockBytes: number): Buffer[] {
  const whole = parts.length === 1 ? parts[0]! : Buffer.concat(parts, blockBytes);
  return Array.from({ length: frameCount(blockBytes) }, (_, i) =>
    whole.subarray(i * FRAME_BYTES, Math.min((i + 1) * FRAME_BYTES, blockBytes)),
  );
}

/** Which block and frame the bytes are, and how they are packed: not to be exchanged by whoever can write to the store. */
function aadOf(block: Block, index: number, plain: boolean): Buffer {
  const aad = Buffer.alloc(24);
  writeI64(aad, 0, block.sliceId);
  aad.writeUInt32LE(block.index, 8);
  aad.writeUInt32LE(block.blockBytes, 12);
  aad.writeUInt32LE(index, 16);
  aad.writeUInt32LE(plain ? 1 : 0, 20);
  return aad;
}
