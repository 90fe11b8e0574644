/**
 * Permission rules that nobody else decides. The kernel checks mode bits for the mount (default_permissions) and the
 * scripts check them for S3; what is left is the moment in which an O_CREAT finds a file that was not there when the
 * kernel looked.
 */
import { FsError } from '../../base/errors.ts';
import type { Attr } from '../../base/vocabulary.ts';
import { canRead, canWrite, O_TRUNC } from '../file/open-flags.ts';
import type { Context } from '../vfs.ts';

/** Checks mode bits for what the open flags ask for. @throws FsError EACCES. */
export function checkOpen(ctx: Context, attr: Attr, flags: number): void {
  if (ctx.uid === 0) return;
  const read = canRead(flags) ? 4 : 0;
  const write = canWrite(flags) || (flags & O_TRUNC) !== 0 ? 2 : 0;
  const want = read | write;
  let bits = attr.mode;
  if (ctx.uid === attr.uid) bits >>= 6;
  else if (ctx.gid === attr.gid || ctx.groups.includes(attr.gid)) bits >>= 3;
  if ((bits & want) !== want) throw new FsError('EACCES', 'open');
}
