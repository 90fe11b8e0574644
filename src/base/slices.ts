/**
 * What metadata and data layer say to each other about a file's content. Neither imports the other: the words are here,
 * once, and the record they are made of in slice-record.ts.
 */
import type { SliceRecord } from './slice-record.ts';
import type { Ino } from './vocabulary.ts';

/** A piece of a commit: either a stored slice, or bytes to keep inline. Pieces never cross a chunk. */
export type Piece =
  | { chunkIndex: number; record: SliceRecord }
  /** `sealed`: what is kept of it in an encrypted volume. */
  | { chunkIndex: number; pos: number; inline: Buffer; sealed?: Buffer };

/** Encryption of inline bytes. @throws FsError EIO when they are damaged, or the key was not given. */
export interface InlineSeal {
  seal(bytes: Buffer): Buffer;
  open(sealed: Buffer): Buffer;
}

/** What a commit brought. */
export interface CommitReply {
  /** Content version after it. */
  version: number;
  /** File size after it, bytes. */
  sizeBytes: number;
  /** File offset where an appended run was placed, else -1. */
  offset: number;
  /** Ids given to inline pieces, in order of the inline pieces. */
  inlineIds: number[];
}

/** Slice map of some of a file's chunks. */
export interface FileMap {
  /** Content version the map belongs to. */
  version: number;
  /** File size in bytes at that version. */
  sizeBytes: number;
  /** Records in commit order by chunk index; a chunk that was asked for and is not here has none. */
  chunks: Map<number, readonly SliceRecord[]>;
  /** Bytes of inline slices that came along, by slice id. */
  inline: Map<number, Buffer>;
}

/** A slice whose bytes are in the metadata, under one chunk that names it. */
export interface InlineSlice {
  id: number;
  ino: Ino;
  chunkIndex: number;
  sizeBytes: number;
}

/** An inline slice's new place in a pack. */
export interface PackSwap {
  ino: Ino;
  chunkIndex: number;
  inlineId: number;
  /** Where the bytes are in the pack. */
  packOffset: number;
  sizeBytes: number;
}
