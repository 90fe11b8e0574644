/** What requests and replies of the metadata engine are made of, for the contract (meta.ts) and the schemas of scripts. */
import type { FileMap } from '../base/slices.ts';
import type { Attr, ByteString, Ino, S3Record, Timestamp } from '../base/vocabulary.ts';

/** Fields left out stay as they are. Owner, mode and time rules of chown/chmod/utimens are the script's. */
export interface SetattrRequest {
  mode?: number;
  uid?: number;
  gid?: number;
  /** Bytes; 0 <= size <= FILE_BYTES_MAX. */
  size?: number;
  atime?: Timestamp | 'now';
  mtime?: Timestamp | 'now';
  /** Clear set-user-id, and set-group-id where group-executable (a write or truncate by a caller without CAP_FSETID). */
  killPriv?: boolean;
}

export interface Precondition {
  /** ETag without quotes, or '*'. Fails with 'precondition' unless the current object has it; absent object: ENOENT. */
  ifMatch?: string[];
  /** ETags without quotes, or '*': fails when the current object has one of them. */
  ifNoneMatch?: string[];
  ifMatchSize?: number;
  /** Seconds. */
  ifMatchMtimeSec?: number;
}

/** Where a key is: a start directory (a bucket) and its components; `directory` means the key ended in '/'. */
export interface KeyPath {
  root: Ino;
  components: ByteString[];
  directory: boolean;
}

export interface PublishReply {
  attr: Attr;
  /** Directory that holds the new entry. */
  parent: Ino;
  name: ByteString;
  shadowed: boolean;
  /** The inode that lost this name, with its link count after. */
  replaced: Attr | undefined;
  /** Entries that came into being on the way (implicit parents), as (parent, name). */
  made: { parent: Ino; name: ByteString }[];
}

export interface WalkReply {
  parent: Ino;
  name: ByteString;
  attr: Attr;
  s3: S3Record | undefined;
  xattrs: Map<string, Buffer>;
  map: FileMap | undefined;
}

export interface RemoveReply {
  /** Undefined: there was nothing; that is success for DeleteObject. */
  removed: { parent: Ino; name: ByteString; attr: Attr } | undefined;
  /** Entries of implicit parents that vanished, as (parent, name). */
  pruned: { parent: Ino; name: ByteString; ino: Ino }[];
}

/** `s3` of a key comes without tags and parts. A symbolic link has its target's attributes and record. */
export type ListItem =
  | { kind: 'key'; key: ByteString; attr: Attr; s3: S3Record | undefined }
  | { kind: 'prefix'; prefix: ByteString };

export interface Upload {
  uploadId: string;
  root: Ino;
  key: ByteString;
  owner: string;
  /** Milliseconds. */
  initiatedMs: number;
  /** Headers, tags, checksum algorithm and type that Complete will need. */
  s3: S3Record;
  checksumAlgorithm: string;
  xattrs: Map<string, Buffer>;
}

export interface Part {
  number: number;
  ino: Ino;
  sizeBytes: number;
  etag: string;
  checksums: Record<string, string>;
  modifiedMs: number;
}
