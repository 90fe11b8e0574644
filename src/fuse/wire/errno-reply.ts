/** errno -> kernel. The one place where a failure below the mount becomes a number. */
import { ERRNO, FsError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';

/** Kernel errnos of the protocol that no layer below speaks of. */
export const ENODEV = 19;
export const ENOTTY = 25;
export const ECONNABORTED = 103;
export const ENOTCONN = 107;

/** The errno that answers a request. What is no FsError is a broken assumption: logged, and EIO. */
export function errnoReply(error: unknown, op: string, logger: Logger): number {
  if (error instanceof FsError) return error.errno;
  logger.error(
    { op, error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
    'request failed',
  );
  return ERRNO.EIO;
}

/** Whether the errno of a read or a write on /dev/fuse says that the connection is over. */
export function isConnectionGone(errno: number): boolean {
  return errno === ENODEV || errno === ENOTCONN || errno === ECONNABORTED || errno === ERRNO.EBADF;
}
