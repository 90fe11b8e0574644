/** How fields of requests travel to scripts. The TypeScript side and the Lua side of each stand together. */

import { writeI64 } from '../../base/integers.ts';
import type { Piece } from '../../base/slices.ts';
import type { ByteString, Caller, EntryKind, S3Record, Timestamp } from '../../base/vocabulary.ts';
import { nameBytes, packCaller } from '../codec/codec.ts';
import { packPieces } from '../codec/pieces.ts';
import { packJson, packS3, packXattrs } from '../codec/s3-record.ts';
import type { KeyPath, Precondition } from '../records.ts';
import type { Argument } from '../redis/connection.ts';
import type { ArgumentType, OptionalArgument } from './script-schema.ts';

const EMPTY = Buffer.alloc(0);
const KIND: Record<EntryKind, string> = { primary: 'p', file: 'f', dir: 'd' };

function one<T>(encode: (value: T, op: string) => Argument, lua: (argv: string) => string): ArgumentType<T> {
  return {
    count: 1,
    encode: (value, out, op) => {
      out.push(encode(value, op));
    },
    lua: (name, at) => ({ [name]: lua(`ARGV[${at}]`) }),
  };
}

const asIs = (argv: string): string => argv;

/** An inode number, or another number that is only handed on: decimal text in Lua. */
export const ino = one<number>((value) => value, asIs);

/** A whole number below 2^53: a number in Lua. */
export const number = one<number>(
  (value) => value,
  (argv) => `tonumber(${argv})`,
);

export const bytes = one<Buffer>((value) => value, asIs);

/** Bytes that are carried as a latin1 string: keys, prefixes, ids. */
export const byteString = one<ByteString>((value) => Buffer.from(value, 'latin1'), asIs);

/** Text for people, UTF-8. */
export const text = one<string>((value) => Buffer.from(value), asIs);

/** A string of our own making, ASCII. */
export function word<T extends string = string>(): ArgumentType<T> {
  return one<T>((value) => value, asIs);
}

export const flag = one<boolean>(
  (value) => (value ? 1 : 0),
  (argv) => `${argv} == '1'`,
);

/** A flag that is off when it is left out. */
export const optionalFlag: OptionalArgument<boolean> = {
  ...one<boolean | undefined>(
    (value) => (value === true ? 1 : 0),
    (argv) => `${argv} == '1'`,
  ),
  optional: true,
};

/** Empty in Lua when left out. */
export const optionalByteString: OptionalArgument<ByteString> = {
  ...one<ByteString | undefined>((value) => (value === undefined ? EMPTY : Buffer.from(value, 'latin1')), asIs),
  optional: true,
};

/** nil in Lua when left out. */
export const optionalNumber: OptionalArgument<number> = {
  ...one<number | undefined>(
    (value) => value ?? '',
    (argv) => `tonumber(${argv})`,
  ),
  optional: true,
};

/** A name of a directory entry. ENAMETOOLONG, EINVAL for what no entry can hold. */
export const entryName = one<ByteString>((value, op) => nameBytes(op, value), asIs);

/** 'p' primary, 'f' file, 'd' directory (lib/names/entries.lua). */
export const entryKind = one<EntryKind>((value) => KIND[value], asIs);

/** Who asks: nil in Lua when nobody checks, else {uid, groups} (lib/access.lua). */
export const caller = one<Caller>(packCaller, (argv) => `access.caller(${argv})`);

/** Who asks, and whose is what comes into being: `arg.caller`, `arg.uid`, `arg.gid`. */
export const maker: ArgumentType<Caller> = {
  count: 3,
  encode: (value, out) => {
    out.push(packCaller(value), value.uid, value.gid);
  },
  lua: (name, at) => ({
    [name]: `access.caller(ARGV[${at}])`,
    uid: `tonumber(ARGV[${at + 1}])`,
    gid: `tonumber(ARGV[${at + 2}])`,
  }),
};

/** `arg.mtime_s`, `arg.mtime_ns`. */
export const timestamp: ArgumentType<Timestamp> = {
  count: 2,
  encode: (value, out) => {
    out.push(value.sec, value.nsec);
  },
  lua: (name, at) => ({ [`${name}_s`]: `tonumber(ARGV[${at}])`, [`${name}_ns`]: `tonumber(ARGV[${at + 1}])` }),
};

/** '' when left out, else packed as <i8I4. */
export const optionalTime: OptionalArgument<Timestamp> = {
  ...one<Timestamp | undefined>((time) => {
    if (time === undefined) return EMPTY;
    const out = Buffer.allocUnsafe(12);
    writeI64(out, 0, time.sec);
    out.writeUInt32LE(time.nsec, 8);
    return out;
  }, asIs),
  optional: true,
};

/** `arg.root`, `arg.components` (a list), `arg.directory`. ENAMETOOLONG, EINVAL for a NUL or a slash. */
export const keyPath: ArgumentType<KeyPath> = {
  count: 4,
  encode: ({ root, components, directory }, out, op) => {
    for (const component of components) nameBytes(op, component);
    out.push(root, components.length, Buffer.from(components.join('/'), 'latin1'), directory ? 1 : 0);
  },
  lua: (_name, at) => ({
    root: `ARGV[${at}]`,
    components: `paths.components(ARGV[${at + 2}], tonumber(ARGV[${at + 1}]))`,
    directory: `ARGV[${at + 3}] == '1'`,
  }),
};

/** Empty when there is no condition, so that the script need not parse (lib/names/objects.lua). */
export const precondition = one<Precondition>(({ ifMatch, ifNoneMatch, ifMatchSize, ifMatchMtimeSec }) => {
  const packed = { m: ifMatch, n: ifNoneMatch, s: ifMatchSize, t: ifMatchMtimeSec };
  return Object.values(packed).every((value) => value === undefined) ? EMPTY : packJson(packed);
}, asIs);

/** Five values from `arg.s3_at` on: etag, headers, tags, checksums, parts. */
export const s3Record: ArgumentType<S3Record> = {
  count: 5,
  encode: (value, out) => {
    for (const field of packS3(value)) out.push(field);
  },
  lua: (name, at) => ({ [`${name}_at`]: String(at), [`${name}_etag`]: `ARGV[${at}]` }),
};

export const json = one<unknown>((value) => packJson(value), asIs);

/** Extended attributes as one value that is only kept. */
export const packedXattrs = one<ReadonlyMap<string, Buffer>>((value) => packXattrs(value), asIs);

/** `arg.xattr_count` pairs of name and value from `arg.xattrs_at` on. */
export const xattrs: ArgumentType<ReadonlyMap<string, Buffer>> = {
  count: 1,
  encode: (value, out) => {
    out.push(value.size);
  },
  encodeTail: (value, out) => {
    for (const [name, content] of value) out.push(Buffer.from(name, 'latin1'), content);
  },
  lua: (_name, at) => ({ xattr_count: `tonumber(ARGV[${at}])` }),
  luaTail: (_name, tail, at) => ({ fields: { xattrs_at: tail }, next: `${tail} + 2 * tonumber(ARGV[${at}])` }),
};

/** Pieces of a file; the bytes of inline ones from `arg.inline_at` on (lib/content/pieces.lua). */
export const pieces: ArgumentType<readonly Piece[]> = {
  count: 1,
  encode: (value, out, op) => {
    out.push(packPieces(op, value));
  },
  encodeTail: pushInline,
  lua: (name, at) => ({ [name]: `ARGV[${at}]` }),
  luaTail: inlineTail,
};

/** Finished content: a hidden inode, or pieces that become one. `arg.content_ino`, or `arg.size` and `arg.pieces`. */
export type Content = { kind: 'inode'; ino: number } | { kind: 'pieces'; pieces: Piece[]; sizeBytes: number };

export const content: ArgumentType<Content> = {
  count: 3,
  encode: (value, out, op) => {
    if (value.kind === 'inode') out.push('i', value.ino, EMPTY);
    else out.push('p', value.sizeBytes, packPieces(op, value.pieces));
  },
  encodeTail: (value, out) => {
    if (value.kind === 'pieces') pushInline(value.pieces, out);
  },
  lua: (name, at) => ({
    [`${name}_ino`]: `ARGV[${at}] == 'i' and ARGV[${at + 1}]`,
    size: `tonumber(ARGV[${at + 1}])`,
    pieces: `ARGV[${at + 2}]`,
  }),
  luaTail: inlineTail,
};

function pushInline(value: readonly Piece[], out: Argument[]): void {
  for (const piece of value) if ('inline' in piece) out.push(piece.sealed ?? piece.inline);
}

function inlineTail(_name: string, tail: string): { fields: Record<string, string>; next: string } {
  return { fields: { inline_at: tail }, next: '' };
}

/** All arguments from `arg.<name>_at` on. */
export const list: ArgumentType<readonly Argument[]> = {
  count: 0,
  encode: () => {},
  encodeTail: (value, out) => {
    for (const item of value) out.push(item);
  },
  lua: () => ({}),
  luaTail: (name, tail) => ({ fields: { [`${name}_at`]: tail }, next: '' }),
};
