/** The S3 side of an inode <-> the fields of `o<ino>`: v version, e etag, h headers, t tags, c checksums, p parts. */
import { FsError } from '../../base/errors.ts';
import type { S3Record } from '../../base/vocabulary.ts';
import type { Reply } from '../redis/connection.ts';

/** JSON whose strings hold bytes as latin1, one byte per character. */
export function packJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'latin1');
}

export function unpackJson(packed: Buffer): unknown {
  try {
    return JSON.parse(packed.toString('latin1'));
  } catch (error) {
    throw new FsError('EIO', 's3-record', 'a stored S3 record is damaged', { cause: error });
  }
}

/** Values of the fields e, h, t, c, p, in the order in which publish.lua takes them. Empty ones stay empty. */
export function packS3(record: S3Record): Buffer[] {
  const { etag, headers, tags, checksums, checksumType, parts } = record;
  return [
    Buffer.from(etag, 'latin1'),
    Object.keys(headers).length === 0 ? EMPTY : packJson(headers),
    packTags(tags),
    checksumType === '' && Object.keys(checksums).length === 0 ? EMPTY : packJson([checksumType, checksums]),
    parts.length === 0 ? EMPTY : packJson(parts.map((part) => [part.number, part.sizeBytes, part.checksums])),
  ];
}

export function packTags(tags: S3Record['tags']): Buffer {
  return tags.length === 0 ? EMPTY : packJson(tags);
}

/** Reads the reply of HGETALL; undefined when there is no record. */
export function unpackS3(flat: Reply): S3Record | undefined {
  const fields = flat as Buffer[];
  if (fields.length === 0) return undefined;
  const record = emptyRecord();
  for (let i = 0; i < fields.length; i += 2) setField(record, fields[i]!.toString('latin1'), fields[i + 1]!);
  return record;
}

/** Reads what a listing brings; tags and parts stay behind. Undefined when there is no record. */
export function unpackListedS3(
  version: Buffer,
  etag: Buffer,
  headers: Buffer,
  checksums: Buffer,
): S3Record | undefined {
  if (version.length === 0) return undefined;
  const record = emptyRecord();
  setField(record, 'v', version);
  setField(record, 'e', etag);
  setField(record, 'h', headers);
  setField(record, 'c', checksums);
  return record;
}

const EMPTY = Buffer.alloc(0);

function emptyRecord(): S3Record {
  return { version: 0, etag: '', headers: {}, tags: [], checksums: {}, checksumType: '', parts: [] };
}

function setField(record: S3Record, field: string, value: Buffer): void {
  if (value.length === 0) return;
  if (field === 'v') record.version = Number(value.toString('latin1'));
  else if (field === 'e') record.etag = value.toString('latin1');
  else if (field === 'h') record.headers = unpackJson(value) as S3Record['headers'];
  else if (field === 't') record.tags = unpackJson(value) as S3Record['tags'];
  else if (field === 'c') {
    [record.checksumType, record.checksums] = unpackJson(value) as [S3Record['checksumType'], S3Record['checksums']];
  } else if (field === 'p') {
    const parts = unpackJson(value) as [number, number, Record<string, string>][];
    record.parts = parts.map(([number, sizeBytes, checksums]) => ({ number, sizeBytes, checksums }));
  }
}

/** Extended attributes as one value: u16 name length, name, u32 value length, value, repeated. */
export function packXattrs(xattrs: ReadonlyMap<string, Buffer>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of xattrs) {
    const nameBytes = Buffer.from(name, 'latin1');
    const head = Buffer.allocUnsafe(2);
    head.writeUInt16LE(nameBytes.length);
    const lengthBytes = Buffer.allocUnsafe(4);
    lengthBytes.writeUInt32LE(value.length);
    parts.push(head, nameBytes, lengthBytes, value);
  }
  return Buffer.concat(parts);
}

export function unpackXattrs(packed: Buffer): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  let at = 0;
  while (at < packed.length) {
    const nameEnd = at + 2 + packed.readUInt16LE(at);
    const valueEnd = nameEnd + 4 + packed.readUInt32LE(nameEnd);
    xattrs.set(packed.toString('latin1', at + 2, nameEnd), packed.subarray(nameEnd + 4, valueEnd));
    at = valueEnd;
  }
  return xattrs;
}
