/** What a setattr changes <-> two arguments of setattr.lua. */
import { FsError } from '../../base/errors.ts';
import { writeI64 } from '../../base/integers.ts';
import { FILE_BYTES_MAX } from '../../base/slice-record.ts';
import { MODE_BITS } from '../../base/vocabulary.ts';
import type { SetattrRequest } from '../records.ts';

/** Which fields are set. */
export const SETATTR = {
  SET_MODE: 1,
  SET_UID: 2,
  SET_GID: 4,
  SET_SIZE: 8,
  SET_ATIME: 16,
  SET_ATIME_NOW: 32,
  SET_MTIME: 64,
  SET_MTIME_NOW: 128,
  SET_KILL_PRIV: 256,
} as const;

/** mode, uid, gid, size, atime, mtime. */
export const SETATTR_FORMAT = '<I4I4I4I8i8I4i8I4';
const SETATTR_BYTES = 44;

/** Which fields change (a sum of SETATTR bits), and their values. @throws FsError EFBIG, EINVAL for no size. */
export function packSetattr(request: SetattrRequest): { which: number; fields: Buffer } {
  const { mode, uid, gid, size, atime, mtime, killPriv } = request;
  const fields = Buffer.alloc(SETATTR_BYTES);
  let which = killPriv ? SETATTR.SET_KILL_PRIV : 0;
  if (mode !== undefined) {
    which |= SETATTR.SET_MODE;
    fields.writeUInt32LE(mode & MODE_BITS, 0);
  }
  if (uid !== undefined) {
    which |= SETATTR.SET_UID;
    fields.writeUInt32LE(uid, 4);
  }
  if (gid !== undefined) {
    which |= SETATTR.SET_GID;
    fields.writeUInt32LE(gid, 8);
  }
  if (size !== undefined) {
    if (size > FILE_BYTES_MAX) throw new FsError('EFBIG', 'setattr', 'files are limited to 1 PiB');
    if (!Number.isInteger(size) || size < 0) throw new FsError('EINVAL', 'setattr', `${size} is no size`);
    which |= SETATTR.SET_SIZE;
    writeI64(fields, 12, size);
  }
  if (atime === 'now') which |= SETATTR.SET_ATIME_NOW;
  else if (atime !== undefined) {
    which |= SETATTR.SET_ATIME;
    writeI64(fields, 20, atime.sec);
    fields.writeUInt32LE(atime.nsec, 28);
  }
  if (mtime === 'now') which |= SETATTR.SET_MTIME_NOW;
  else if (mtime !== undefined) {
    which |= SETATTR.SET_MTIME;
    writeI64(fields, 32, mtime.sec);
    fields.writeUInt32LE(mtime.nsec, 40);
  }
  return { which, fields };
}
