/**
 * Writing replies. Each function encodes one whole reply, fuse_out_header {len, error, unique} and body, into the
 * session's one reply buffer and answers its length in bytes; the header's unique is set by whoever sends it. The buffer
 * may be reused for every reply because a reply is sent before the next one is encoded.
 */
import type { Attr, ByteString, Ino, VolumeUsage } from '../../base/vocabulary.ts';
import { allocatedBytes, NAME_BYTES_MAX, S_IFMT } from '../../base/vocabulary.ts';
import type { Validity } from '../../vfs/vfs.ts';
import type { WireBuffer } from './decode.ts';
import {
  ATTR_OUT_BYTES,
  DIRENT_BYTES,
  ENTRY_OUT_BYTES,
  INIT_OUT_BYTES,
  OPEN_OUT_BYTES,
  OUT_HEADER_BYTES,
  STATFS_OUT_BYTES,
  STATX_OUT_BYTES,
} from './protocol.ts';

/** First word of a reply's body. */
const BODY = OUT_HEADER_BYTES / 4;
const ENTRY_ATTR = 10;
/** What stat(2) recommends for I/O; stdio writes in units of it, each of them one kernel request. */
const IO_UNIT_BYTES = 64 * 1024;
const STATFS_BLOCK_BYTES = 4096;
/** STATX_BASIC_STATS | STATX_BTIME. */
const STATX_MASK = 0xfff;
const NSEC_PER_SEC = 1_000_000_000;

export interface InitReply {
  minor: number;
  readaheadBytes: number;
  flags: number;
  flags2: number;
  backgroundMax: number;
  writeBytesMax: number;
  pagesMax: number;
}

/** Writes a 64-bit field; negative numbers in two's complement. */
function putU64(words: Uint32Array, at: number, value: number): void {
  words[at] = value;
  words[at + 1] = Math.floor(value / 0x1_0000_0000);
}

function header(out: WireBuffer, length: number): number {
  out.words[0] = length;
  out.words[1] = 0;
  return length;
}

/** @param errno positive; 0 is a success without a body. */
export function encodeStatus(out: WireBuffer, errno: number): number {
  out.words[0] = OUT_HEADER_BYTES;
  out.words[1] = -errno;
  return OUT_HEADER_BYTES;
}

/** A header for `length` bytes of data that follow from elsewhere. Answers the header's own length. */
export function encodeDataHeader(out: WireBuffer, length: number): number {
  header(out, OUT_HEADER_BYTES + length);
  return OUT_HEADER_BYTES;
}

export function encodeFuseAttr(out: WireBuffer, attr: Attr, validity: Validity): number {
  const { words } = out;
  putSeconds(words, BODY, BODY + 2, validity.attrSec);
  words[BODY + 3] = 0;
  putAttr(words, BODY + 4, attr);
  return header(out, OUT_HEADER_BYTES + ATTR_OUT_BYTES);
}

export function encodeEntry(out: WireBuffer, attr: Attr, validity: Validity): number {
  putEntry(out.words, BODY, attr, validity);
  return header(out, OUT_HEADER_BYTES + ENTRY_OUT_BYTES);
}

/** The name is not there, and the kernel may remember that. */
export function encodeNegativeEntry(out: WireBuffer, entrySec: number): number {
  const { words } = out;
  words.fill(0, BODY, BODY + ENTRY_OUT_BYTES / 4);
  putSeconds(words, BODY + 4, BODY + 8, entrySec);
  return header(out, OUT_HEADER_BYTES + ENTRY_OUT_BYTES);
}

export function encodeOpen(out: WireBuffer, handleId: number, openFlags: number): number {
  putOpen(out.words, BODY, handleId, openFlags);
  return header(out, OUT_HEADER_BYTES + OPEN_OUT_BYTES);
}

/** CREATE and TMPFILE: an entry and an open file. */
export function encodeCreate(
  out: WireBuffer,
  attr: Attr,
  validity: Validity,
  handleId: number,
  openFlags: number,
): number {
  putEntry(out.words, BODY, attr, validity);
  putOpen(out.words, BODY + ENTRY_OUT_BYTES / 4, handleId, openFlags);
  return header(out, OUT_HEADER_BYTES + ENTRY_OUT_BYTES + OPEN_OUT_BYTES);
}

/** fuse_write_out, fuse_getxattr_out: a u32 and padding. */
export function encodeU32(out: WireBuffer, value: number): number {
  out.words[BODY] = value;
  out.words[BODY + 1] = 0;
  return header(out, OUT_HEADER_BYTES + 8);
}

/** fuse_lseek_out, fuse_copy_file_range_out. */
export function encodeU64(out: WireBuffer, value: number): number {
  putU64(out.words, BODY, value);
  return header(out, OUT_HEADER_BYTES + 8);
}

export function encodeStatfs(
  out: WireBuffer,
  space: VolumeUsage & { totalBytes: number; totalInodes: number },
): number {
  const { words } = out;
  const blocks = Math.max(1, Math.floor(space.totalBytes / STATFS_BLOCK_BYTES));
  const free = Math.max(0, blocks - Math.ceil(space.usedBytes / STATFS_BLOCK_BYTES));
  words.fill(0, BODY, BODY + STATFS_OUT_BYTES / 4);
  putU64(words, BODY, blocks);
  putU64(words, BODY + 2, free);
  putU64(words, BODY + 4, free);
  putU64(words, BODY + 6, space.totalInodes);
  putU64(words, BODY + 8, Math.max(0, space.totalInodes - space.usedInodes));
  words[BODY + 10] = STATFS_BLOCK_BYTES;
  words[BODY + 11] = NAME_BYTES_MAX;
  words[BODY + 12] = STATFS_BLOCK_BYTES;
  return header(out, OUT_HEADER_BYTES + STATFS_OUT_BYTES);
}

/** fuse_statx_out: attributes with the time of birth. */
export function encodeStatx(out: WireBuffer, attr: Attr, validity: Validity): number {
  const { words } = out;
  words.fill(0, BODY, BODY + STATX_OUT_BYTES / 4);
  putSeconds(words, BODY, BODY + 2, validity.attrSec);
  const stat = BODY + 8;
  words[stat] = STATX_MASK;
  words[stat + 1] = IO_UNIT_BYTES;
  words[stat + 4] = attr.nlink;
  words[stat + 5] = attr.uid;
  words[stat + 6] = attr.gid;
  words[stat + 7] = attr.mode;
  putU64(words, stat + 8, attr.ino);
  putU64(words, stat + 10, attr.size);
  putU64(words, stat + 12, Math.ceil(allocatedBytes(attr) / 512));
  putStatxTime(words, stat + 16, attr.atimeSec, attr.atimeNsec);
  putStatxTime(words, stat + 20, attr.btimeSec, attr.btimeNsec);
  putStatxTime(words, stat + 24, attr.ctimeSec, attr.ctimeNsec);
  putStatxTime(words, stat + 28, attr.mtimeSec, attr.mtimeNsec);
  // new_decode_dev: minor in bits 0-7 and 20-31, major in bits 8-19.
  words[stat + 32] = (attr.rdev >>> 8) & 0xfff;
  words[stat + 33] = (attr.rdev & 0xff) | ((attr.rdev >>> 12) & 0xf_ff00);
  return header(out, OUT_HEADER_BYTES + STATX_OUT_BYTES);
}

export function encodeInit(out: WireBuffer, major: number, init: InitReply): number {
  const { words } = out;
  words.fill(0, BODY, BODY + INIT_OUT_BYTES / 4);
  words[BODY] = major;
  words[BODY + 1] = init.minor;
  words[BODY + 2] = init.readaheadBytes;
  words[BODY + 3] = init.flags;
  // Two u16 each: max_background and congestion_threshold, then max_pages and map_alignment.
  words[BODY + 4] = init.backgroundMax | (Math.floor((init.backgroundMax * 3) / 4) << 16);
  words[BODY + 5] = init.writeBytesMax;
  words[BODY + 6] = 1; // time_gran: nanoseconds
  words[BODY + 7] = init.pagesMax;
  words[BODY + 8] = init.flags2;
  return header(out, OUT_HEADER_BYTES + INIT_OUT_BYTES);
}

/** Closes a READDIR or READDIRPLUS reply whose records end at `end`. */
export function encodeDirectory(out: WireBuffer, end: number): number {
  return header(out, end);
}

/**
 * Appends one fuse_dirent at `at`, not beyond `limit`.
 * @returns where the next record goes, or 0 when this one does not fit.
 */
export function appendDirent(
  out: WireBuffer,
  at: number,
  limit: number,
  entry: { ino: Ino; mode: number; name: ByteString; cookie: number },
): number {
  const nameEnd = at + DIRENT_BYTES + entry.name.length;
  const next = (nameEnd + 7) & ~7;
  if (next > limit) return 0;
  const { words, bytes } = out;
  const word = at >> 2;
  putU64(words, word, entry.ino);
  putU64(words, word + 2, entry.cookie);
  words[word + 4] = entry.name.length;
  words[word + 5] = (entry.mode & S_IFMT) >> 12;
  bytes.write(entry.name, at + DIRENT_BYTES, 'latin1');
  bytes.fill(0, nameEnd, next);
  return next;
}

/** Appends one fuse_direntplus. Without attributes ("." and "..") the kernel takes no reference. */
export function appendDirentPlus(
  out: WireBuffer,
  at: number,
  limit: number,
  entry: { ino: Ino; mode: number; name: ByteString; cookie: number },
  attr: Attr | undefined,
  validity: Validity,
): number {
  const next = appendDirent(out, at + ENTRY_OUT_BYTES, limit, entry);
  if (next === 0) return 0;
  if (attr === undefined) out.words.fill(0, at >> 2, (at + ENTRY_OUT_BYTES) >> 2);
  else putEntry(out.words, at >> 2, attr, validity);
  return next;
}

function putEntry(words: Uint32Array, at: number, attr: Attr, validity: Validity): void {
  putU64(words, at, attr.ino);
  // Generation: inode numbers are never reused.
  words[at + 2] = 0;
  words[at + 3] = 0;
  putSeconds(words, at + 4, at + 8, validity.entrySec);
  putSeconds(words, at + 6, at + 9, validity.attrSec);
  putAttr(words, at + ENTRY_ATTR, attr);
}

/** fuse_attr. */
function putAttr(words: Uint32Array, at: number, attr: Attr): void {
  putU64(words, at, attr.ino);
  putU64(words, at + 2, attr.size);
  putU64(words, at + 4, Math.ceil(allocatedBytes(attr) / 512));
  putU64(words, at + 6, attr.atimeSec);
  putU64(words, at + 8, attr.mtimeSec);
  putU64(words, at + 10, attr.ctimeSec);
  words[at + 12] = attr.atimeNsec;
  words[at + 13] = attr.mtimeNsec;
  words[at + 14] = attr.ctimeNsec;
  words[at + 15] = attr.mode;
  words[at + 16] = attr.nlink;
  words[at + 17] = attr.uid;
  words[at + 18] = attr.gid;
  words[at + 19] = attr.rdev;
  words[at + 20] = IO_UNIT_BYTES;
  words[at + 21] = 0;
}

function putOpen(words: Uint32Array, at: number, handleId: number, openFlags: number): void {
  putU64(words, at, handleId);
  words[at + 2] = openFlags;
  words[at + 3] = 0;
}

function putStatxTime(words: Uint32Array, at: number, sec: number, nsec: number): void {
  putU64(words, at, sec);
  words[at + 2] = nsec;
}

/** A validity: whole seconds and nanoseconds stand apart. */
function putSeconds(words: Uint32Array, secAt: number, nsecAt: number, seconds: number): void {
  const whole = Math.floor(seconds);
  putU64(words, secAt, whole);
  words[nsecAt] = whole === seconds ? 0 : Math.floor((seconds - whole) * NSEC_PER_SEC);
}
