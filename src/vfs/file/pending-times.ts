/**
 * Attributes of a file with bytes that are written but not committed: what scripts/lib/content/pieces.lua will make of them.
 */

import type { Attr, Timestamp } from '../../base/vocabulary.ts';
import { timestampOf } from '../../meta/redis/server-clock.ts';

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o0010;

/** mtime and ctime after a commit of a write at `us`, if nothing else happens before it. */
export function timesAfterWrite(
  attr: Attr,
  us: number,
): Pick<Attr, 'mtimeSec' | 'mtimeNsec' | 'ctimeSec' | 'ctimeNsec'> {
  const time = timestampOf(us);
  let mtime: Timestamp = { sec: attr.mtimeSec, nsec: attr.mtimeNsec };
  // A utimens after the write wins; one before it is history; otherwise mtime goes forward.
  if (attr.mtimeSetUs <= us) mtime = attr.mtimeSetUs > 0 ? time : forward(time, mtime);
  const ctime = forward(time, { sec: attr.ctimeSec, nsec: attr.ctimeNsec });
  return { mtimeSec: mtime.sec, mtimeNsec: mtime.nsec, ctimeSec: ctime.sec, ctimeNsec: ctime.nsec };
}

/** `time`, or the next nanosecond after `last` when it is not later. */
function forward(time: Timestamp, last: Timestamp): Timestamp {
  if (time.sec > last.sec || (time.sec === last.sec && time.nsec > last.nsec)) return time;
  return last.nsec === 999_999_999 ? { sec: last.sec + 1, nsec: 0 } : { sec: last.sec, nsec: last.nsec + 1 };
}

/** The mode without the bits that a write by somebody without CAP_FSETID takes away. */
export function withoutSetId(mode: number): number {
  let left = mode & ~S_ISUID;
  if ((left & S_IXGRP) !== 0) left &= ~S_ISGID;
  return left;
}
