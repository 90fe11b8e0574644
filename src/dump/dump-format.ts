/**
 * A dump of a volume's metadata (docs/FORMAT.md, Dumps): gzip of
 *
 *     `JDUMP1\n`  JSON header `\n`  record  record ...  end
 *
 *     record   u8 type  u32 length  key  u32 count  (u32 length  bytes) * count
 *     type     1 string, 2 hash (field and value in turn), 3 sorted set (member and score in turn), 4 gone, 5 kept inode
 *     end      u8 0xff  u64 number of records  u32 crc32c of all before this number
 *
 * A later record of a key replaces an earlier one. A dump without its end is not complete.
 */
import { crc32c } from '../base/crc32c.ts';
import { UserError } from '../base/errors.ts';
import { readU64, writeI64 } from '../base/integers.ts';
import type { KeyValue } from '../meta/meta.ts';

const MAGIC = 'JDUMP1\n';
const END = 0xff;
const END_BYTES = 13;
/** Of a record without its key and elements. */
const RECORD_HEAD_BYTES = 9;
const HEADER_BYTES_MAX = 64 * 1024;
/** A record of more than this is no record. */
const RECORD_BYTES_MAX = 2 ** 31;
const TYPES = { string: 1, hash: 2, zset: 3, none: 4, kept: 5 } as const;
/** By type; 0 is none. */
const NAMES = [undefined, 'string', 'hash', 'zset', 'none', 'kept'] as const;

export const DUMP_VERSION = 1;

export interface DumpHeader {
  dumpVersion: number;
  /** Of the volume: the record `fmt`. */
  format: { formatVersion: number; name: string; uuid: string; store: string };
  /** Server milliseconds at which the dump began. */
  beganMs: number;
  version: string;
}

/** `kept`: the key is the number of an inode that a session kept open. */
export type DumpRecord = Omit<KeyValue, 'type'> & { type: KeyValue['type'] | 'kept' };

/** Makes the bytes of a dump, before compression. */
export class DumpEncoder {
  #records = 0;
  #crc = 0;

  header(header: DumpHeader): Buffer {
    return this.#counted(Buffer.from(`${MAGIC}${JSON.stringify(header)}\n`));
  }

  /** Many records in one piece: they are a million. */
  records(records: readonly DumpRecord[]): Buffer {
    let bytes = 0;
    for (const { key, elements } of records) {
      bytes += RECORD_HEAD_BYTES + key.length;
      for (const element of elements) bytes += 4 + element.length;
    }
    const out = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const { key, type, elements } of records) {
      out[at] = TYPES[type];
      out.writeUInt32LE(key.length, at + 1);
      at += 5 + out.write(key, at + 5, 'latin1');
      out.writeUInt32LE(elements.length, at);
      at += 4;
      for (const element of elements) {
        out.writeUInt32LE(element.length, at);
        element.copy(out, at + 4);
        at += 4 + element.length;
      }
    }
    this.#records += records.length;
    return this.#counted(out);
  }

  end(): Buffer {
    const out = Buffer.allocUnsafe(END_BYTES);
    out[0] = END;
    writeI64(out, 1, this.#records);
    out.writeUInt32LE(crc32c(out.subarray(0, 1), this.#crc), 9);
    return out;
  }

  #counted(bytes: Buffer): Buffer {
    this.#crc = crc32c(bytes, this.#crc);
    return bytes;
  }
}

/**
 * Reads a dump. @param bytes decompressed, in pieces of any size.
 * @returns first the header, then the records. @throws UserError: no dump, newer, damaged, incomplete.
 */
export async function* decodeDump(bytes: AsyncIterable<Buffer>): AsyncGenerator<DumpHeader | DumpRecord> {
  const reader = new PieceReader(bytes);
  if ((await reader.take(MAGIC.length))?.toString('latin1') !== MAGIC)
    throw new UserError('this is no dump of janusfs');
  const line = await reader.line();
  yield readHeader(line);
  let records = 0;
  for (;;) {
    const type = (await reader.need(1))[0]!;
    if (type === END) break;
    const name = NAMES[type];
    if (name === undefined) throw damaged(`a record of unknown type ${type}`);
    const key = (await reader.need((await reader.need(4)).readUInt32LE(0))).toString('latin1');
    const count = (await reader.need(4)).readUInt32LE(0);
    const elements: Buffer[] = [];
    for (let i = 0; i < count; i++) elements.push(await reader.need((await reader.need(4)).readUInt32LE(0)));
    records += 1;
    yield { key, type: name, elements };
  }
  const crc = reader.crc;
  const end = await reader.need(END_BYTES - 1);
  if (readU64(end, 0) !== records) throw damaged(`it counts ${readU64(end, 0)} records and has ${records}`);
  if (end.readUInt32LE(8) !== crc) throw damaged('its checksum does not match');
}

function readHeader(line: Buffer): DumpHeader {
  let header: DumpHeader;
  try {
    header = JSON.parse(line.toString());
  } catch (error) {
    throw new UserError('the dump is damaged: its header cannot be read', 1, { cause: error });
  }
  if (header.dumpVersion !== DUMP_VERSION) {
    throw new UserError(
      `the dump has version ${header.dumpVersion} (made by janusfs ${header.version}); this janusfs knows version ${DUMP_VERSION}, use a newer one`,
    );
  }
  return header;
}

function damaged(what: string): UserError {
  return new UserError(`the dump is damaged: ${what}`);
}

/** Takes bytes off a stream in the lengths that are asked for. */
class PieceReader {
  readonly #source: AsyncIterator<Buffer>;
  #buffer: Buffer = Buffer.alloc(0);
  /** Of everything taken. */
  crc = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Undefined at an early end. */
  async take(length: number): Promise<Buffer | undefined> {
    if (length > RECORD_BYTES_MAX) throw damaged(`a value of ${length} bytes`);
    if (this.#buffer.length < length) await this.#fill(length);
    if (this.#buffer.length < length) return undefined;
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    this.crc = crc32c(taken, this.crc);
    return taken;
  }

  /** @throws UserError at an early end. */
  async need(length: number): Promise<Buffer> {
    const taken = await this.take(length);
    if (taken === undefined) throw new UserError('the dump is not complete: it ends early; use another copy');
    return taken;
  }

  async line(): Promise<Buffer> {
    for (let scanned = 0; ; ) {
      const end = this.#buffer.indexOf(0x0a, scanned);
      if (end >= 0) return (await this.need(end + 1)).subarray(0, end);
      scanned = this.#buffer.length;
      if (scanned > HEADER_BYTES_MAX) throw damaged('its header has no end');
      await this.#fill(scanned + 1);
      if (this.#buffer.length === scanned)
        throw new UserError('the dump is not complete: it ends early; use another copy');
    }
  }

  async #fill(length: number): Promise<void> {
    const parts = [this.#buffer];
    let bytes = this.#buffer.length;
    while (bytes < length) {
      const next = await this.#source.next();
      if (next.done) break;
      parts.push(next.value);
      bytes += next.value.length;
    }
    this.#buffer = Buffer.concat(parts, bytes);
  }
}
