/**
 * Reading requests. fuse_in_header, then the opcode's struct, then names and data, then extensions:
 *
 *     0     4        8        16       24    28    32    36          40
 *     | len | opcode | unique | nodeid | uid | gid | pid | extlen u16 | struct | name NUL | data | extensions
 *
 * All structs are aligned to 8 bytes and in host order, so fields are read through a Uint32Array by word index:
 * word 10 is the first of the struct. Fields of 64 bits come as numbers; sizes and offsets above 2^53 lose their lowest
 * bits, which the largest file size (2^44) refuses anyway.
 */
import { FsError } from '../../base/errors.ts';
import type { ByteString, Ino } from '../../base/vocabulary.ts';
import { NAME_BYTES_MAX } from '../../base/vocabulary.ts';
import type { Context } from '../../vfs/vfs.ts';
import { EXT_GROUPS, IN_HEADER_BYTES, opcodeName, UNIQUE_RESEND_HIGH } from './protocol.ts';

const NO_GROUPS: readonly number[] = [];
const GROUPS_MAX = 32;
/** First word of the opcode's struct. */
export const BODY = IN_HEADER_BYTES / 4;

/** Memory that requests are read into: the same bytes twice, as bytes and as words. */
export class WireBuffer {
  readonly bytes: Buffer;
  readonly words: Uint32Array;

  /** @param sizeBytes a multiple of 8. */
  constructor(sizeBytes: number) {
    const memory = new ArrayBuffer(sizeBytes);
    this.bytes = Buffer.from(memory);
    this.words = new Uint32Array(memory);
  }
}

/**
 * One request, and the Context of the vfs call that it becomes. Header fields are copied; the body is in the transport's
 * buffer and may be read only until the opcode's function returns.
 */
export class Request implements Context {
  readonly opcode: number;
  readonly ino: Ino;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** One of the caller's supplementary groups, where the kernel sends it for a create; else empty. */
  readonly groups: readonly number[];
  /** The kernel has checked permissions (default_permissions). */
  readonly check = false;
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  /** The session's invalidation count when the request came in: tells a reply that was overtaken. */
  readonly since: number;
  /** Bytes, extensions not counted. */
  readonly end: number;
  /** The kernel has told that the caller got a signal while it waited. */
  interrupted = false;
  /** An OPEN that changes content. */
  truncates = false;
  readonly #input: WireBuffer;

  constructor(input: WireBuffer, since: number) {
    const words = input.words;
    this.#input = input;
    this.since = since;
    this.opcode = words[1]!;
    this.uniqueLow = words[2]!;
    this.uniqueHigh = words[3]!;
    this.ino = words[4]! + words[5]! * 0x1_0000_0000;
    this.uid = words[6]!;
    this.gid = words[7]!;
    this.pid = words[8]!;
    const extensionBytes = (words[9]! & 0xffff) * 8;
    this.end = words[0]! - extensionBytes;
    this.groups = extensionBytes === 0 ? NO_GROUPS : readGroups(input.bytes, this.end, words[0]!);
  }

  /** Identifies the request while it is unanswered; what is sent again keeps its key. */
  get key(): number {
    return uniqueKey(this.uniqueLow, this.uniqueHigh);
  }

  u32(word: number): number {
    return this.#input.words[word]!;
  }

  u64(word: number): number {
    return this.#input.words[word]! + this.#input.words[word + 1]! * 0x1_0000_0000;
  }

  i64(word: number): number {
    return this.#input.words[word]! + (this.#input.words[word + 1]! | 0) * 0x1_0000_0000;
  }

  /** The name that fills the rest of the request. @throws ENAMETOOLONG over 255 bytes: the kernel does not check. */
  lastName(at: number): ByteString {
    return this.#name(at, this.end - 1);
  }

  /** A name that another name or data follow; those begin at `at + name.length + 1`. */
  name(at: number): ByteString {
    return this.#name(at, this.zeroAfter(at));
  }

  /** Position of the NUL at or after `at`. */
  zeroAfter(at: number): number {
    const zero = this.#input.bytes.indexOf(0, at);
    if (zero < 0 || zero >= this.end) throw new FsError('EINVAL', opcodeName(this.opcode), 'a name has no end');
    return zero;
  }

  /** The request's own bytes, not a copy: valid until the opcode's function returns. */
  view(at: number, length: number): Buffer {
    return this.#input.bytes.subarray(at, at + length);
  }

  /** A copy of bytes that outlives the request. */
  copy(at: number, length: number): Buffer {
    return Buffer.from(this.#input.bytes.subarray(at, at + length));
  }

  #name(at: number, end: number): ByteString {
    if (end - at > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG', opcodeName(this.opcode));
    return this.#input.bytes.toString('latin1', at, end);
  }
}

/** One number for a unique id of 64 bits, without the "sent again" bit: the kernel counts up from 0. */
export function uniqueKey(low: number, high: number): number {
  return low + (high & ~UNIQUE_RESEND_HIGH) * 0x1_0000_0000;
}

/** fuse_ext_header {size, type} and fuse_supp_groups {count, groups...}; not aligned when a name of odd length precedes. */
function readGroups(bytes: Buffer, from: number, to: number): readonly number[] {
  for (let at = from; at + 8 <= to; ) {
    const sizeBytes = bytes.readUInt32LE(at);
    if (sizeBytes < 8 || at + sizeBytes > to) return NO_GROUPS;
    if (bytes.readUInt32LE(at + 4) === EXT_GROUPS && sizeBytes >= 12) {
      const count = Math.min(bytes.readUInt32LE(at + 8), GROUPS_MAX, (sizeBytes - 12) >> 2);
      return Array.from({ length: count }, (_, i) => bytes.readUInt32LE(at + 12 + 4 * i));
    }
    at += sizeBytes;
  }
  return NO_GROUPS;
}
