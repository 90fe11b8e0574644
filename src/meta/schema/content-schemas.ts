/** The scripts of scripts/content. */
import type { FileMap } from '../../base/slices.ts';
import type { Attr } from '../../base/vocabulary.ts';
import { decodeAttr } from '../codec/codec.ts';
import { inlineMap, unpackIds, unpackRecords } from '../codec/pieces.ts';
import type { Reply } from '../redis/connection.ts';
import { bytes, flag, ino, list, number, optionalFlag, pieces, timestamp, word } from './argument-types.ts';
import * as reply from './reply-types.ts';
import { mutation, type RequestOf, read } from './script-schema.ts';

const readMapArgs = { ino, chunkIndex: number, count: number, inlineBytesMax: number };

export const readMap = read(
  'read-map',
  readMapArgs,
  reply.custom(3, reply.ANY, (elements, request: RequestOf<typeof readMapArgs>): { attr: Attr; map: FileMap } => {
    const attr = decodeAttr(request.ino, elements[1] as Buffer);
    const chunks: FileMap['chunks'] = new Map();
    (elements[2] as Reply[]).forEach((packed, i) => {
      chunks.set(request.chunkIndex + i, unpackRecords('read-map', packed));
    });
    return { attr, map: { version: attr.version, sizeBytes: attr.size, chunks, inline: inlineMap(elements, 3) } };
  }),
);

export const readInline = read(
  'read-inline',
  { ids: list },
  reply.fields({ found: reply.nested((element) => element as (Buffer | null)[]) }),
);

export const commit = mutation(
  'commit',
  {
    ino,
    /**
     * 'write': pieces stand where they say. 'append': the script moves them as one run to the current end of file; the
     * pieces then describe one contiguous run starting at (chunkIndex 0, pos 0) of an imaginary file.
     */
    placement: word<'write' | 'append'>(),
    /** Server time of the last write covered (Meta.clock.nowUs()); a later utimens wins over it. */
    mtime: timestamp,
    killPriv: flag,
    /** The write's time was shown as ctime: while it is recent it stays, otherwise ctime is the commit's. */
    timeShown: optionalFlag,
    pieces,
  },
  reply.fields({
    attr: reply.attrOf('ino'),
    /** Where an appended run was placed, else -1. */
    offset: reply.number,
    inlineTotal: reply.number,
    inlineIds: reply.nested((element) => unpackIds(element as Buffer)),
    counts: reply.nested((element) => unpackCounts(element as Buffer)),
  }),
);

export const reserveSlices = mutation('reserve-slices', { count: number }, reply.fields({ first: reply.number }));

export const fallocate = mutation(
  'fallocate',
  {
    ino,
    mode: word<'extend' | 'keep-size' | 'punch' | 'zero' | 'zero-keep-size'>(),
    offset: number,
    length: number,
    killPriv: flag,
  },
  reply.fields({ attr: reply.attrOf('ino'), inlineTotal: reply.number }),
);

export const cloneRange = mutation(
  'clone-range',
  {
    source: ino,
    sourceOffset: number,
    target: ino,
    targetOffset: number,
    length: number,
    /** Records it appends at most. */
    most: number,
    killPriv: flag,
  },
  reply.fields({ attr: reply.attrOf('target'), copied: reply.number, length: reply.number }),
);

/** `more`: go on from the offset. */
export const seek = read(
  'seek',
  { ino, offset: number, whence: word<'data' | 'hole'>() },
  reply.fields({ more: reply.flag, offset: reply.number }),
);

export const compactChunk = mutation(
  'compact-chunk',
  { ino, chunkIndex: number, prefix: bytes, replacement: bytes },
  reply.fields({ done: reply.flag }),
);

function unpackCounts(packed: Buffer): { chunkIndex: number; count: number }[] {
  const counts: { chunkIndex: number; count: number }[] = [];
  for (let at = 0; at < packed.length; at += 8) {
    counts.push({ chunkIndex: packed.readUInt32LE(at), count: packed.readUInt32LE(at + 4) });
  }
  return counts;
}
