/** The scripts of scripts/objects. */
import type { Attr, Entry, S3Record } from '../../base/vocabulary.ts';
import { decodeAttr, decodeNumber } from '../codec/codec.ts';
import { inlineMap, unpackIds, unpackRecords } from '../codec/pieces.ts';
import { unpackListedS3, unpackS3 } from '../codec/s3-record.ts';
import type { ListItem, PublishReply, RemoveReply, WalkReply } from '../records.ts';
import type { Reply } from '../redis/connection.ts';
import {
  byteString,
  bytes,
  caller,
  content,
  entryName,
  flag,
  ino,
  keyPath,
  list as listOf,
  maker,
  number,
  optionalByteString,
  optionalTime,
  precondition,
  s3Record,
  xattrs,
} from './argument-types.ts';
import * as reply from './reply-types.ts';
import { mutation, type RequestOf, read } from './script-schema.ts';

export const walk = read(
  'walk',
  {
    path: keyPath,
    caller,
    /** Follow symbolic links that stay below the volume's root. */
    follow: flag,
    /** Bring the slice map of chunk 0 and its inline bytes when the file is at most this long; 0 = none. */
    dataBytesMax: number,
    /** Bring user.* xattrs. */
    xattrs: flag,
  },
  reply.custom(6, reply.ANY, (elements): WalkReply => {
    const attr = decodeAttr(decodeNumber(elements[3]), elements[4] as Buffer);
    return {
      parent: decodeNumber(elements[1]),
      name: (elements[2] as Buffer).toString('latin1'),
      attr,
      s3: unpackS3(elements[5]!),
      xattrs: userXattrs(elements[6] as Buffer[]),
      map:
        elements.length <= 7
          ? undefined
          : {
              version: attr.version,
              sizeBytes: attr.size,
              chunks: new Map([[0, unpackRecords('walk', elements[7]!)]]),
              inline: inlineMap(elements, 8),
            },
    };
  }),
);

const publishArgs = {
  path: keyPath,
  caller: maker,
  precondition,
  /** Permission bits for a new object and for the parents it needs (a replaced file's mode, owner and group win). */
  fileMode: number,
  dirMode: number,
  /** For a copy that keeps modification times (not S3). */
  mtime: optionalTime,
  /** Set when a multipart upload completes: removed in the same script; ESTALE when it is gone meanwhile. */
  uploadId: optionalByteString,
  s3: s3Record,
  /** user.* xattrs of the new inode (x-amz-meta-*), full names. Replaces all user.* of the replaced file. */
  xattrs,
  /** The finished content: an inode nobody can see yet, or pieces that become one in the same script. */
  content,
};

type Published = PublishReply & { inlineTotal: number; inlineIds: number[] };

export const publish = mutation(
  'publish',
  publishArgs,
  reply.custom(8, 8, (elements, { path }: RequestOf<typeof publishArgs>): Published => {
    const replaced = elements[5] as Reply[];
    const made: PublishReply['made'] = [];
    const flat = elements[6] as Buffer[];
    for (let i = 0; i < flat.length; i += 2) {
      made.push({ parent: decodeNumber(flat[i]), name: flat[i + 1]!.toString('latin1') });
    }
    return {
      attr: decodeAttr(decodeNumber(elements[2]), elements[3] as Buffer),
      parent: decodeNumber(elements[1]),
      name: path.components.at(-1)!,
      shadowed: elements[4] === 1,
      replaced: replaced.length === 0 ? undefined : decodeAttr(decodeNumber(replaced[0]), replaced[1] as Buffer),
      made,
      inlineTotal: decodeNumber(elements[7]),
      inlineIds: unpackIds(elements[8] as Buffer),
    };
  }),
);

const removeArgs = { path: keyPath, caller, precondition };

/** 0 elements: there was nothing. */
export const remove = mutation(
  'remove',
  removeArgs,
  reply.custom(0, 4, (elements, { path }: RequestOf<typeof removeArgs>): RemoveReply => {
    if (elements.length === 1) return { removed: undefined, pruned: [] };
    const attr = decodeAttr(decodeNumber(elements[2]), elements[3] as Buffer);
    const pruned: RemoveReply['pruned'] = [];
    const flat = elements[4] as Buffer[];
    for (let i = 0; i < flat.length; i += 3) {
      const name = flat[i + 1]!.toString('latin1');
      pruned.push({ parent: decodeNumber(flat[i]), name, ino: decodeNumber(flat[i + 2]) });
    }
    return { removed: { parent: decodeNumber(elements[1]), name: path.components.at(-1)!, attr }, pruned };
  }),
);

/** How a page ended: at the end, full with more behind it, or visited enough: go on from `bound`. */
type PageState = 'end' | 'more' | 'go';

export const list = read(
  'list',
  {
    root: ino,
    prefix: bytes,
    /** Begins with the prefix, or is empty. */
    after: bytes,
    delimiter: byteString,
    limit: number,
    caller,
    /** Begin with keys behind it (it begins with the prefix), or with itself. */
    bound: bytes,
    inclusive: flag,
    /** Entries it visits at most. */
    steps: number,
  },
  reply.custom(2, reply.ANY, (elements): { state: PageState; bound: Buffer; items: ListItem[] } => ({
    state: (elements[1] as Buffer).toString('latin1') as PageState,
    bound: elements[2] as Buffer,
    items: elements.slice(3).map((row) => decodeItem(row as Buffer[])),
  })),
);

/** Pairs of a field of o<ino> and its value. */
export const setS3 = mutation('set-s3', { ino, caller, fields: listOf }, reply.fields({ attr: reply.attrOf('ino') }));

export const getS3 = read(
  'get-s3',
  { ino },
  reply.fields({ s3: reply.nested((element): S3Record | undefined => unpackS3(element)) }),
);

export const createBucket = mutation(
  'create-bucket',
  { name: entryName, mode: number, uid: number, gid: number },
  reply.fields({ attr: reply.attr, shadowed: reply.flag, rootAttr: reply.bytes }),
);

/** 'no': not empty. 'more': call again. */
export const deleteBucket = mutation(
  'delete-bucket',
  {
    name: entryName,
    caller,
    /** Implicit directories it removes at most. */
    most: number,
  },
  reply.custom(1, 3, (elements, request): { state: 'yes' | 'no' | 'more'; attr: Attr | undefined } => ({
    state: (elements[1] as Buffer).toString('latin1') as 'yes' | 'no' | 'more',
    attr: elements.length > 2 ? reply.attr.decode(elements, 2, request) : undefined,
  })),
);

export const listBuckets = read(
  'list-buckets',
  {
    /** First member wanted, as ZRANGEBYLEX takes it. */
    low: bytes,
    prefix: bytes,
    limit: number,
    /** Entries it visits at most. */
    steps: number,
  },
  reply.custom(2, reply.ANY, (elements): { state: PageState; low: Buffer; entries: Entry[] } => ({
    state: (elements[1] as Buffer).toString('latin1') as PageState,
    low: elements[2] as Buffer,
    entries: elements.slice(3).map((row) => {
      const [name, number, packed, shadowed] = row as [Buffer, Buffer, Buffer, number];
      return {
        name: name.toString('latin1'),
        attr: decodeAttr(decodeNumber(number), packed),
        shadowed: shadowed === 1,
      };
    }),
  })),
);

function decodeItem(row: Buffer[]): ListItem {
  const text = row[0]!.toString('latin1');
  if (row.length === 1) return { kind: 'prefix', prefix: text };
  const [, number, packed, version, etag, headers, checksums] = row;
  return {
    kind: 'key',
    key: text,
    attr: decodeAttr(decodeNumber(number), packed!),
    s3: unpackListedS3(version!, etag!, headers!, checksums!),
  };
}

function userXattrs(flat: Buffer[]): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!.toString('latin1');
    if (name.startsWith('user.')) found.set(name, flat[i + 1]!);
  }
  return found;
}
