/** opcode -> function. What is missing here is answered ENOSYS, which the kernel remembers and does not ask again. */

import type { Request } from '../wire/decode.ts';
import { ENOTTY } from '../wire/errno-reply.ts';
import { OP } from '../wire/protocol.ts';
import { fsyncdir, opendir, readdir, readdirplus, releasedir } from './directory.ts';
import {
  copyFileRange,
  copyFileRange64,
  fallocate,
  flush,
  fsync,
  lseek,
  open,
  read,
  release,
  syncfs,
  write,
} from './file.ts';
import type { FuseSession } from './fuse-session.ts';
import {
  batchForget,
  forget,
  getattr,
  getxattr,
  listxattr,
  removexattr,
  setattr,
  setxattr,
  statfs,
  statx,
} from './inode.ts';
import {
  create,
  link,
  lookup,
  mkdir,
  mknod,
  readlink,
  rename,
  rename2,
  rmdir,
  symlink,
  tmpfile,
  unlink,
} from './namespace.ts';
import { replyDone } from './replies.ts';

/**
 * Decodes a request, makes one vfs call and answers, now or when the call's promise resolves. What it throws is
 * answered as an error.
 */
export type Operation = (session: FuseSession, request: Request) => void;

const TABLE: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [OP.LOOKUP, lookup],
  [OP.FORGET, forget],
  [OP.GETATTR, getattr],
  [OP.SETATTR, setattr],
  [OP.READLINK, readlink],
  [OP.SYMLINK, symlink],
  [OP.MKNOD, mknod],
  [OP.MKDIR, mkdir],
  [OP.UNLINK, unlink],
  [OP.RMDIR, rmdir],
  [OP.RENAME, rename],
  [OP.LINK, link],
  [OP.OPEN, open],
  [OP.READ, read],
  [OP.WRITE, write],
  [OP.STATFS, statfs],
  [OP.RELEASE, release],
  [OP.FSYNC, fsync],
  [OP.SETXATTR, setxattr],
  [OP.GETXATTR, getxattr],
  [OP.LISTXATTR, listxattr],
  [OP.REMOVEXATTR, removexattr],
  [OP.FLUSH, flush],
  [OP.OPENDIR, opendir],
  [OP.READDIR, readdir],
  [OP.RELEASEDIR, releasedir],
  [OP.FSYNCDIR, fsyncdir],
  [OP.CREATE, create],
  [OP.DESTROY, replyDone],
  [OP.IOCTL, (session, request) => session.sendStatus(request, ENOTTY)],
  [OP.BATCH_FORGET, batchForget],
  [OP.FALLOCATE, fallocate],
  [OP.READDIRPLUS, readdirplus],
  [OP.RENAME2, rename2],
  [OP.LSEEK, lseek],
  [OP.COPY_FILE_RANGE, copyFileRange],
  [OP.SYNCFS, syncfs],
  [OP.TMPFILE, tmpfile],
  [OP.STATX, statx],
  [OP.COPY_FILE_RANGE_64, copyFileRange64],
]);

/**
 * By opcode, dense, for the dispatch of every request. Without an entry, on purpose: GETLK, SETLK, SETLKW (locks are the
 * kernel's own, local to this mount), ACCESS (default_permissions), POLL (files are always ready), BMAP, DAX mappings.
 */
export const OPERATIONS: readonly (Operation | undefined)[] = Array.from(
  { length: Math.max(...TABLE.keys()) + 1 },
  (_, opcode) => TABLE.get(opcode),
);
