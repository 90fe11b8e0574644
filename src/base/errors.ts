/**
 * The one error class below the frontends. A frontend turns it into its own language with one table:
 * src/fuse/wire/errno-reply.ts (errno -> kernel) and src/s3api/protocol/s3-error.ts (errno + what was missing -> S3 code and status).
 */

/** Linux errno values (asm-generic/errno.h) that the file system answers with. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EDQUOT: 122,
  ECANCELED: 125,
} as const;

export type ErrnoCode = keyof typeof ERRNO;

/** A failed file-system operation: an errno by name and number, the operation, and what caused it. */
export class FsError extends Error {
  readonly code: ErrnoCode;
  readonly errno: number;
  readonly op: string;

  /** @param detail what was wrong and what to do; must name no secret. */
  constructor(code: ErrnoCode, op: string, detail?: string, options?: { cause?: unknown }) {
    // An absent name is an everyday answer; capturing a stack for it costs more than the rest of the answer.
    const { stackTraceLimit } = Error;
    if (code !== 'EIO') Error.stackTraceLimit = 0;
    super(detail === undefined ? `${op}: ${code}` : `${op}: ${code}: ${detail}`, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'FsError';
    this.code = code;
    this.errno = ERRNO[code];
    this.op = op;
  }
}

/** This session's lease ran out and the volume has fenced it: nothing it sends is executed any more. */
export class SessionLostError extends FsError {
  constructor(op: string) {
    super('EIO', op, 'this session was suspended past its lease and is fenced; mount again');
    this.name = 'SessionLostError';
  }
}

/** Of a command that failed: at run time, by its usage, fsck that could not look. */
export type ExitStatus = 1 | 2 | 8;

/** A mistake in the user's input or environment: one line on stderr, exit status 2 (usage), 1 (run time) or 8 (fsck could not look). */
export class UserError extends Error {
  readonly exitStatus: ExitStatus;

  constructor(message: string, exitStatus: ExitStatus = 1, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'UserError';
    this.exitStatus = exitStatus;
  }
}

/** Tells whether an error is an FsError with this errno name. */
export function isFsError(error: unknown, code?: ErrnoCode): error is FsError {
  return error instanceof FsError && (code === undefined || error.code === code);
}

/**
 * An internal assumption did not hold: a bug of ours. It is an FsError EIO, so that the request that found it fails (EIO on
 * the mount, 500 on S3) and the process goes on: one wrong assumption is no reason to take every client's mount away.
 */
export class BrokenAssumptionError extends FsError {
  constructor(message: string) {
    super('EIO', 'assert', message);
    this.name = 'BrokenAssumptionError';
  }
}
