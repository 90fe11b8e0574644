/**
 * Permission rules that nobody else decides. The kernel checks mode bits for the mount (default_permissions) and the
 * scripts check them for S3; what is left is the moment in which an O_CREAT finds a file that was not there when the
 * kernel looked.
 */
import { mayAccess } from '../../base/access.ts';
import { FsError } from '../../base/errors.ts';
import { type Attr, MAY_READ, MAY_WRITE } from '../../base/vocabulary.ts';
import { canRead, canWrite, O_TRUNC } from '../file/open-flags.ts';
import type { Context } from '../vfs.ts';

/** Checks mode bits for what the open flags ask for. @throws FsError EACCES. */
export function checkOpen(ctx: Context, attr: Attr, flags: number): void {
  if (ctx.uid === 0) return;
  const read = canRead(flags) ? MAY_READ : 0;
  const write = canWrite(flags) || (flags & O_TRUNC) !== 0 ? MAY_WRITE : 0;
  // The mount's calls say check: false, since the kernel has decided; not this one.
  if (!mayAccess({ ...ctx, check: true }, attr, read | write)) throw new FsError('EACCES', 'open');
}
