/**
 * How many bytes of the log's files are known to be on the disk, kept where a power cut cannot tear it: DIR/durable-length,
 * two slots of one sector each, written in turn.
 *
 *     0  4  JDL1              8  8    generation; the valid slot with the higher one counts
 *     4  4  crc32c of 8..511  16 496  JSON, padded with blanks: [{"name", "ino", "bytes"}], a file of the log each
 *
 * It is a lower bound: every statement was true when it was written and stays so, because the log only grows. It lags by
 * about a second, so that no fsync waits for it. What lies above it may have been acknowledged, too, but then it was
 * synced, and a cut does not tear what was synced: a torn end above the bound is what nobody was promised. A torn byte
 * below it is damage of the disk, or of somebody's hands. See docs/adr/0007.
 */
import { readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { createChecksum } from '../../base/checksums.ts';
import { replaceFile } from '../../base/durable-file.ts';

export const DURABLE_LENGTH_FILE = 'durable-length';

const MAGIC = 'JDL1';
const SLOT_BYTES = 512;
const JSON_OFFSET = 16;
/** The newest: a rewrite has two files, failed ones leave a few more. */
const FILES_MAX = 5;

export interface LogLength {
  /** Name of the file, without its directory. */
  name: string;
  /** Inode number: before Redis 7 a rewrite puts another file under the one name. */
  ino: number;
  bytes: number;
}

interface Slot {
  generation: number;
  files: LogLength[];
}

/** What is known to be durable; empty when nothing is recorded. */
export function readDurableLengths(directory: string): LogLength[] {
  return newest(readSlots(join(directory, DURABLE_LENGTH_FILE))).files;
}

/** Replaces what is recorded, before the log's files are cut to these lengths. */
export function replaceDurableLengths(directory: string, files: readonly LogLength[]): void {
  const path = join(directory, DURABLE_LENGTH_FILE);
  const generation = newest(readSlots(path)).generation + 1;
  const both = Buffer.alloc(2 * SLOT_BYTES);
  encodeSlot({ generation, files: [...files] }).copy(both, (generation % 2) * SLOT_BYTES);
  replaceFile(path, both, 0o600);
}

/** Writes the record of a running server's log. */
export class DurableLength {
  readonly #path: string;
  #file: FileHandle | undefined;

  constructor(directory: string) {
    this.#path = join(directory, DURABLE_LENGTH_FILE);
  }

  /** Records lengths that are durable now, and waits until the record is, too. */
  async record(files: readonly LogLength[]): Promise<void> {
    // Read anew each time: another process of this volume records, too, and a restart of Redis may have cut the log.
    const slots = readSlots(this.#path);
    if (slots === undefined) {
      await this.close();
      replaceFile(this.#path, Buffer.alloc(2 * SLOT_BYTES), 0o600);
    }
    this.#file ??= await open(this.#path, 'r+');
    const generation = newest(slots).generation + 1;
    await this.#file.write(encodeSlot({ generation, files: [...files] }), 0, SLOT_BYTES, (generation % 2) * SLOT_BYTES);
    await this.#file.datasync();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

function encodeSlot(slot: Slot): Buffer {
  const out = Buffer.alloc(SLOT_BYTES, ' ');
  let json = '[]';
  for (let count = Math.min(FILES_MAX, slot.files.length); count > 0; count -= 1) {
    json = JSON.stringify(slot.files.slice(-count));
    if (Buffer.byteLength(json) <= SLOT_BYTES - JSON_OFFSET) break;
    json = '[]';
  }
  out.write(MAGIC, 0, 'latin1');
  out.writeBigUInt64LE(BigInt(slot.generation), 8);
  out.write(json, JSON_OFFSET);
  checksum(out).copy(out, 4);
  return out;
}

/** Undefined when the file is not there or not of this shape. */
function readSlots(path: string): Slot[] | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (bytes.length !== 2 * SLOT_BYTES) return undefined;
  return [bytes.subarray(0, SLOT_BYTES), bytes.subarray(SLOT_BYTES)]
    .map(decodeSlot)
    .filter((slot): slot is Slot => slot !== undefined);
}

function decodeSlot(bytes: Buffer): Slot | undefined {
  if (bytes.toString('latin1', 0, 4) !== MAGIC || !checksum(bytes).equals(bytes.subarray(4, 8))) return undefined;
  const files = JSON.parse(bytes.toString('utf8', JSON_OFFSET)) as LogLength[];
  return { generation: Number(bytes.readBigUInt64LE(8)), files };
}

function checksum(slot: Buffer): Buffer {
  const crc = createChecksum('CRC32C');
  crc.update(slot.subarray(8));
  return Buffer.from(crc.digest());
}

function newest(slots: readonly Slot[] | undefined): Slot {
  return (slots ?? []).reduce((best, slot) => (slot.generation > best.generation ? slot : best), {
    generation: 0,
    files: [],
  });
}
