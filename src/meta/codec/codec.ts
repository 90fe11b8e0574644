/** Packed values of the metadata store <-> domain types. Layouts are in docs/FORMAT.md and scripts/lib/core.lua. */
import { FsError } from '../../base/errors.ts';
import { readI64, readU64, writeI64 } from '../../base/integers.ts';
import {
  type Attr,
  type ByteString,
  type Caller,
  type Entry,
  type Ino,
  type Invalidation,
  NAME_BYTES_MAX,
} from '../../base/vocabulary.ts';
import type { Reply } from '../redis/connection.ts';

export const ATTR_BYTES = 112;
/** The same as Lua's struct writes it. */
export const ATTR_FORMAT = '<I4I4I4I4I8I4I4i8I4i8I4i8I4i8I4I8I8I8I8';
const NO_CALLER = Buffer.alloc(0);

/** Reads the 112 bytes of an inode's attributes. */
export function decodeAttr(ino: Ino, packed: Buffer): Attr {
  if (packed.length !== ATTR_BYTES) throw wrongAttrBytes(ino, packed.length);
  return decodeAttrAt(ino, packed, 0);
}

function wrongAttrBytes(ino: Ino, bytes: number): FsError {
  return new FsError('EIO', 'attributes', `inode ${ino} has ${bytes} bytes`);
}

function decodeAttrAt(ino: Ino, from: Buffer, at: number): Attr {
  return {
    ino,
    mode: from.readUInt32LE(at),
    uid: from.readUInt32LE(at + 4),
    gid: from.readUInt32LE(at + 8),
    nlink: from.readUInt32LE(at + 12),
    size: readU64(from, at + 16),
    rdev: from.readUInt32LE(at + 24),
    flags: from.readUInt32LE(at + 28),
    atimeSec: readI64(from, at + 32),
    atimeNsec: from.readUInt32LE(at + 40),
    mtimeSec: readI64(from, at + 44),
    mtimeNsec: from.readUInt32LE(at + 52),
    ctimeSec: readI64(from, at + 56),
    ctimeNsec: from.readUInt32LE(at + 64),
    btimeSec: readI64(from, at + 68),
    btimeNsec: from.readUInt32LE(at + 76),
    parent: readU64(from, at + 80),
    version: readU64(from, at + 88),
    mtimeSetUs: readU64(from, at + 96),
    sparseBytes: readU64(from, at + 104),
  };
}

/** Packs attributes into their 112 bytes, as the scripts do. */
export function encodeAttr(attr: Attr): Buffer {
  const out = Buffer.allocUnsafe(ATTR_BYTES);
  out.writeUInt32LE(attr.mode, 0);
  out.writeUInt32LE(attr.uid, 4);
  out.writeUInt32LE(attr.gid, 8);
  out.writeUInt32LE(attr.nlink, 12);
  writeI64(out, 16, attr.size);
  out.writeUInt32LE(attr.rdev, 24);
  out.writeUInt32LE(attr.flags, 28);
  writeI64(out, 32, attr.atimeSec);
  out.writeUInt32LE(attr.atimeNsec, 40);
  writeI64(out, 44, attr.mtimeSec);
  out.writeUInt32LE(attr.mtimeNsec, 52);
  writeI64(out, 56, attr.ctimeSec);
  out.writeUInt32LE(attr.ctimeNsec, 64);
  writeI64(out, 68, attr.btimeSec);
  out.writeUInt32LE(attr.btimeNsec, 76);
  writeI64(out, 80, attr.parent);
  writeI64(out, 88, attr.version);
  writeI64(out, 96, attr.mtimeSetUs);
  writeI64(out, 104, attr.sparseBytes);
  return out;
}

/** The caller argument of scripts: empty when the kernel has decided, else uid, gid, supplementary groups as u32. */
export function packCaller(caller: Caller): Buffer {
  if (!caller.check) return NO_CALLER;
  const out = Buffer.allocUnsafe(8 + 4 * caller.groups.length);
  out.writeUInt32LE(caller.uid, 0);
  out.writeUInt32LE(caller.gid, 4);
  caller.groups.forEach((group, i) => {
    out.writeUInt32LE(group, 8 + 4 * i);
  });
  return out;
}

/**
 * A directory entry's name as bytes.
 * @throws FsError ENAMETOOLONG above 255 bytes; EINVAL for NUL and '/', which no entry can hold.
 */
export function nameBytes(op: string, name: ByteString): Buffer {
  if (name.length > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG', op);
  if (name.includes('/') || name.includes('\0')) throw new FsError('EINVAL', op, 'a name holds no NUL and no slash');
  return Buffer.from(name, 'latin1');
}

export interface Member {
  name: ByteString;
  ino: Ino;
  dir: boolean;
  shadowed: boolean;
}

const TILDE = 0x7e;
const SLASH = 0x2f;
const DIGIT_0 = 0x30;

/**
 * Takes a stored entry apart: `name NUL ino` or `name / ino`, then `~` on the shadowed one of two of one name.
 * @param start where the member begins in `from`, @param end where it ends; the whole buffer by default.
 */
export function decodeMember(from: Buffer, start = 0, end = from.length): Member {
  let nameEnd = start;
  while (nameEnd < end && from[nameEnd] !== 0 && from[nameEnd] !== SLASH) nameEnd++;
  const shadowed = from[end - 1] === TILDE;
  const inoEnd = shadowed ? end - 1 : end;
  if (nameEnd + 1 >= inoEnd) throw damagedEntry();
  let ino = 0;
  for (let at = nameEnd + 1; at < inoEnd; at++) {
    const digit = from[at]! - DIGIT_0;
    if (digit < 0 || digit > 9) throw damagedEntry();
    ino = ino * 10 + digit;
  }
  return { name: from.toString('latin1', start, nameEnd), ino, dir: from[nameEnd] === SLASH, shadowed };
}

function damagedEntry(): FsError {
  return new FsError('EIO', 'entry', 'a directory holds a damaged entry');
}

/**
 * Reads a page of readdir.lua. An entry whose inode is missing is damage that fsck reports: it is passed over, so that
 * the rest of the directory stays readable.
 * @returns the entries, each with the cursor that continues after it, and the cursor that continues after the page.
 */
export function decodeDirectoryPage(
  page: Buffer,
  cursor: ByteString,
): { entries: (Entry & { cursor: ByteString })[]; last: ByteString } {
  const entries: (Entry & { cursor: ByteString })[] = [];
  let last = cursor;
  for (let at = 0; at < page.length; ) {
    const memberAt = at + 3;
    const attrAt = memberAt + page.readUInt16LE(at);
    const attrBytes = page[at + 2]!;
    at = attrAt + attrBytes;
    const { name, ino, dir, shadowed } = decodeMember(page, memberAt, attrAt);
    // ':' sorts behind every digit: continues after the name, whichever inode stands there by then.
    last = `${name}${dir ? '/' : '\0'}:`;
    if (attrBytes === 0) continue;
    if (attrBytes !== ATTR_BYTES) throw wrongAttrBytes(ino, attrBytes);
    entries.push({ name, attr: decodeAttrAt(ino, page, attrAt), shadowed, cursor: last });
  }
  return { entries, last };
}

/** A number that travels as decimal text (inode numbers, slice ids) or as an integer reply. */
export function decodeNumber(reply: Reply | undefined): number {
  return typeof reply === 'number' ? reply : Number((reply as Buffer).toString('latin1'));
}

/** Message on the channel `{NAME}:inv`: sender's session, then items by their first byte (scripts/lib/mutate.lua). */
export function decodeInvalidations(message: Buffer): { sid: number; batch: Invalidation[] } {
  const batch: Invalidation[] = [];
  let at = 8;
  while (at < message.length) {
    const kind = message[at]!;
    if (kind === 0x49 /* I */) {
      batch.push({ kind: 'inode', ino: readU64(message, at + 1), version: readU64(message, at + 9) });
      at += 17;
    } else if (kind === 0x45 /* E */) {
      const end = at + 11 + message.readUInt16LE(at + 9);
      batch.push({ kind: 'entry', parent: readU64(message, at + 1), name: message.toString('latin1', at + 11, end) });
      at = end;
    } else if (kind === 0x55 /* U */) {
      batch.push({ kind: 'unlinked', ino: readU64(message, at + 1) });
      at += 9;
    } else if (kind === 0x53 /* S */) {
      batch.push({ kind: 'users' });
      at += 1;
    } else {
      throw new RangeError(`invalidation of unknown kind ${kind}`);
    }
  }
  return { sid: readU64(message, 0), batch };
}
