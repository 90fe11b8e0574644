/** The scripts of scripts/upkeep. */
import { bytes, flag, ino, list, number, word } from './argument-types.ts';
import * as reply from './reply-types.ts';
import { mutation, read } from './script-schema.ts';

const buffers = reply.custom(0, reply.ANY, (elements) => elements.slice(1) as Buffer[]);

/** Members of `inq`. */
export const inlineSlices = read('inline-slices', { youngest: word(), limit: number }, buffers);

/** '1' and '0' in the order of the members of `inq`. */
export const inlineAlive = read('inline-alive', { members: list }, reply.fields({ alive: reply.byteString }));

export const packBegin = mutation('pack-begin', { msMax: number }, reply.fields({ id: reply.number }));

export const packSwap = mutation(
  'pack-swap',
  {
    packId: ino,
    packBytes: number,
    /** <I8I4I8I4... ino, chunk, inline id, offset in the pack. */
    swaps: bytes,
  },
  reply.fields({ found: reply.number, inlineTotal: reply.number }),
);

export const packEnd = mutation('pack-end', { packId: ino }, reply.nothing);

export const reap = mutation(
  'reap',
  { limit: number, recordsMax: number },
  reply.fields({ reaped: reply.number, more: reply.flag, inlineTotal: reply.number }),
);

export const reapNow = mutation(
  'reap-now',
  { recordsMax: number, inos: list },
  reply.fields({ inlineTotal: reply.number }),
);

export const trashExpire = mutation(
  'trash-expire',
  { before: number, limit: number },
  reply.fields({ gone: reply.number, more: reply.flag }),
);

/** `id:size`. */
export const deadSlices = read('dead-slices', { limit: number, hurry: flag }, buffers);

export const forgetSlices = mutation('forget-slices', { slices: list }, reply.nothing);

export const lease = mutation('lease', { name: word(), ttlMs: ino }, reply.fields({ taken: reply.flag }));

/** Four arguments a step. */
export const compareAndWrite = mutation('compare-and-write', { steps: list }, reply.fields({ done: reply.flag }));

export const packMove = mutation(
  'pack-move',
  {
    oldPack: ino,
    oldBytes: number,
    newPack: ino,
    newBytes: number,
    /** <I4I4I4... offset in the old pack, length, offset in the new one; by offset. */
    runs: bytes,
    /** Inode and chunk, in turn. */
    chunks: list,
  },
  reply.fields({ moved: reply.number }),
);

/** `mark` names the message that is published behind what was read. */
export const readKeys = read(
  'read-keys',
  { mark: word(), keys: list },
  reply.custom(0, reply.ANY, (elements) => elements.slice(1) as [Buffer, Buffer, Buffer[]][]),
);
