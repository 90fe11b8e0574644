/**
 * Constants that both languages know. In a script a name in capitals stands for the value here; it is put in when the
 * script is loaded, so that it costs nothing (lua-source.ts).
 */
import {
  CHUNK_BYTES,
  FILE_BYTES_MAX,
  INLINE_BIT,
  SLICE_RECORD_BYTES,
  SLICE_RECORD_FORMAT,
} from '../../base/slice-record.ts';
import {
  ACCESS_BITS,
  ALLOCATION_BYTES,
  FLAG_ACL,
  FLAG_IMPLICIT,
  FLAG_LINKS,
  FLAG_MARKER,
  FLAG_S3,
  FLAG_SPARSE,
  FLAG_XATTR,
  MAY_READ,
  MAY_SEARCH,
  MAY_WRITE,
  MODE_BITS,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  S_ISVTX,
  S_IXGRP,
} from '../../base/vocabulary.ts';
import { ATTR_FORMAT } from '../codec/codec.ts';
import { PIECE_BYTES, PIECE_FORMAT } from '../codec/pieces.ts';
import { SETATTR, SETATTR_FORMAT } from '../codec/setattr-changes.ts';

const CONSTANTS = {
  S_IFMT,
  S_IFDIR,
  S_IFREG,
  S_IFLNK,
  S_ISUID,
  S_ISGID,
  S_ISVTX,
  S_IXGRP,
  MODE_BITS,
  ACCESS_BITS,
  MAY_READ,
  MAY_WRITE,
  MAY_SEARCH,
  FLAG_XATTR,
  FLAG_ACL,
  FLAG_S3,
  FLAG_IMPLICIT,
  FLAG_MARKER,
  FLAG_LINKS,
  FLAG_SPARSE,
  CHUNK_BYTES,
  FILE_BYTES_MAX,
  ALLOCATION_BYTES,
  INLINE_BIT,
  SLICE_RECORD_BYTES,
  SLICE_RECORD_FORMAT,
  PIECE_BYTES,
  PIECE_FORMAT,
  ATTR_FORMAT,
  SETATTR_FORMAT,
  ...SETATTR,
};

/** Name -> Lua literal. */
export const LUA_CONSTANTS: ReadonlyMap<string, string> = new Map(
  Object.entries(CONSTANTS).map(([name, value]) => [name, typeof value === 'number' ? String(value) : `'${value}'`]),
);
