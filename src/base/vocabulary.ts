/**
 * The metadata engine's domain types. Names are bytes, carried as latin1 strings (one UTF-16 unit per byte) so that
 * they can be map keys; only the frontends and the Redis edge convert them (Buffer.from(name, 'latin1')).
 */

import type { ByteString } from './byte-string.ts';

/** Inode number: 0 < ino < 2^53, never reused; 1 is the root. The top bits are reserved for a shard, 0 for now. */
export type Ino = number;
export type { ByteString };

export const ROOT_INO: Ino = 1;
export const NAME_BYTES_MAX = 255;
export const SYMLINK_BYTES_MAX = 4095;
export const XATTR_NAME_BYTES_MAX = 255;
export const XATTR_VALUE_BYTES_MAX = 65_536;

/** File type bits of `mode` (stat.h). */
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

/** Permission bits of `mode` that the rules look at one by one. */
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
export const S_IXGRP = 0o010;
/** What chmod sets; of it, what is about reading, writing and executing. */
export const MODE_BITS = 0o7777;
export const ACCESS_BITS = 0o777;

/** Wants of a permission check (access.ts, lib/access.lua): one of three bits of a mode, or a sum. */
export const MAY_READ = 4;
export const MAY_WRITE = 2;
/** Of a directory to search it, of a file to execute it. */
export const MAY_SEARCH = 1;

/** Bits of Attr.flags: what exists beside the attributes, so that asking for what is not there costs no trip. */
export const FLAG_XATTR = 1;
export const FLAG_ACL = 2;
/** The inode has an `o<ino>` record. */
export const FLAG_S3 = 4;
/** A directory made by a PUT below it: vanishes when the last key below it is deleted through S3. */
export const FLAG_IMPLICIT = 8;
/** A directory made by PUT `dir/`: listed as a key even while it has entries. */
export const FLAG_MARKER = 16;
/** The inode has, or once had, several names: `p<ino>` holds them. */
export const FLAG_LINKS = 32;
/** It has a hole of a whole block: Attr.sparseBytes counts what it takes. */
export const FLAG_SPARSE = 64;

/** Attributes of an inode. Times are server time; seconds are signed and exact within +-2^53. */
export interface Attr {
  ino: Ino;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  /** Bytes. */
  size: number;
  /** Wire form new_encode_dev. */
  rdev: number;
  flags: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  btimeSec: number;
  btimeNsec: number;
  /** Parent directory (of a directory or single-named inode; any one of the parents otherwise). */
  parent: Ino;
  /** Content version: bumped by every change of bytes or size. */
  version: number;
  /** When utimens set mtime, server microseconds; 0 when mtime tells a change of the content. */
  mtimeSetUs: number;
  /** Bytes of the blocks with data, of a file with FLAG_SPARSE; see allocatedBytes(). */
  sparseBytes: number;
}

/** Unit in which files take room, bytes. */
export const ALLOCATION_BYTES = 4096;

/** Room that an inode takes, as st_blocks tells it: blocks with data of a file, without its holes. */
export function allocatedBytes(attr: Attr): number {
  if ((attr.mode & S_IFMT) !== S_IFREG) return attr.size;
  if ((attr.flags & FLAG_SPARSE) !== 0) return attr.sparseBytes;
  return Math.ceil(attr.size / ALLOCATION_BYTES) * ALLOCATION_BYTES;
}

export interface Timestamp {
  sec: number;
  nsec: number;
}

/**
 * Which of a name's two possible entries is meant. S3 allows `a` (a file) beside `a/b` (a directory `a`):
 * 'primary' is what the mount shows under the plain name; 'file' and 'dir' name one kind.
 */
export type EntryKind = 'primary' | 'file' | 'dir';

export interface Entry {
  name: ByteString;
  attr: Attr;
  /** True when another entry of the same name is older: the mount shows this one under its escaped name. */
  shadowed: boolean;
}

/** Who asks, and whether the script decides permission (S3) or the kernel has done so (mount). */
export interface Caller {
  uid: number;
  gid: number;
  groups: readonly number[];
  check: boolean;
}

/** The S3 side of an inode. `etag` and `checksums` count only while `version` equals Attr.version. */
export interface S3Record {
  version: number;
  /** Without quotes. */
  etag: string;
  /** Content-Type and the other stored headers, lower-case names, latin1 values. */
  headers: Record<string, string>;
  /** x-amz-tagging as stored: key/value pairs in order. */
  tags: [string, string][];
  /** By algorithm name as S3 spells it (CRC32, CRC64NVME, SHA256 ...), base64. */
  checksums: Record<string, string>;
  checksumType: 'FULL_OBJECT' | 'COMPOSITE' | '';
  /** Sizes and checksums of a multipart object's parts in order; empty for others. */
  parts: { number: number; sizeBytes: number; checksums: Record<string, string> }[];
}

export interface VolumeFormat {
  /** 2, or 1 in volumes made before blocks carried checksums; 3 where blocks are compressed or encrypted. */
  formatVersion: 1 | 2 | 3;
  name: string;
  uuid: string;
  /** URL of the object store, without credentials. */
  store: string;
  blockBytes: number;
  createdMs: number;
  compress?: Compression;
  /** How to come to the key of the volume's data. */
  encryption?: WrappedKey;
}

export type Compression = 'zstd' | 'lz4';

/** A data key that is encrypted itself; base64. */
export type WrappedKey =
  | { kind: 'passphrase'; salt: string; n: number; r: number; p: number; wrapped: string }
  | { kind: 'command'; wrapped: string };

export interface User {
  name: string;
  accessKey: string;
  secretKey: string;
  uid: number;
  gid: number;
  groups: number[];
}

export interface SessionInfo {
  sid: number;
  hostname: string;
  pid: number;
  kind: string;
  version: string;
  /** Mount point or listen address. */
  where: string;
  startedMs: number;
  expiresMs: number;
}

export interface VolumeUsage {
  usedBytes: number;
  usedInodes: number;
  inlineBytes: number;
  /** Limits of the volume; undefined: none. */
  maxBytes: number | undefined;
  maxInodes: number | undefined;
}

/** What another session made stale. */
export type Invalidation =
  | { kind: 'inode'; ino: Ino; version: number }
  | { kind: 'entry'; parent: Ino; name: ByteString }
  /** The last name of the inode is gone: a session that has it open must sustain it before the grace period ends. */
  | { kind: 'unlinked'; ino: Ino }
  | { kind: 'users' };
