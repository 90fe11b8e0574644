/** The scripts of scripts/session: volumes, sessions and users. */
import { bytes, ino, list, number, optionalNumber, text } from './argument-types.ts';
import * as reply from './reply-types.ts';
import { bare, mutation, read } from './script-schema.ts';

export const format = bare(
  'format',
  {
    /** JSON. */
    format: bytes,
    /** Limits, 0 for none. */
    maxBytes: number,
    maxInodes: number,
    rootMode: number,
    rootUid: number,
    rootGid: number,
    /** Pairs of a name and the user as JSON. */
    users: list,
  },
  reply.nothing,
);

export const sessionOpen = bare(
  'session-open',
  {
    leaseMs: number,
    graceMs: optionalNumber,
    /** Pairs of a field of `ses:<sid>` and its value. */
    info: list,
  },
  reply.fields({ sid: reply.number, nowUs: reply.number, format: reply.bytes }),
);

export const sessionRenew = bare(
  'session-renew',
  { sid: ino },
  reply.fields({ nowUs: reply.number, hadRunOut: reply.flag }),
);

/** `finished`: <I8 for each slot, the last sequence that was answered. */
export const sessionCheck = bare(
  'session-check',
  { sid: ino, hostname: text, pid: ino, started: ino, finished: bytes },
  reply.fields({ state: reply.byteString }),
);

/** Without a sid: the session that has been lost for longest. */
export const sessionEnd = mutation(
  'session-end',
  { sid: text },
  reply.fields({ sid: reply.byteString, ended: reply.flag }),
);

export const sessions = read(
  'sessions',
  {},
  reply.custom(0, reply.ANY, (elements) => elements.slice(1) as Buffer[][]),
);

export const describe = mutation('describe', { where: text }, reply.nothing);

/** 0 takes a limit away, -1 leaves it. */
export const setLimits = mutation('set-limits', { maxBytes: number, maxInodes: number }, reply.nothing);

export const putUser = mutation('put-user', { name: text, accessKey: text, user: bytes }, reply.nothing);

export const removeUser = mutation('remove-user', { name: text }, reply.fields({ removed: reply.flag }));
