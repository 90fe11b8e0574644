/** Reply functions for FuseSession.respond: each encodes one kind of result, sends it and updates the session's tables. */
import type { Attr, Entry } from '../../base/vocabulary.ts';
import type { FileHandle } from '../../vfs/vfs.ts';
import type { Request } from '../wire/decode.ts';
import { encodeCreate, encodeDataHeader, encodeEntry, encodeFuseAttr, encodeOpen } from '../wire/encode.ts';
import { FOPEN_KEEP_CACHE, FOPEN_NOFLUSH } from '../wire/protocol.ts';
import type { FuseSession } from './fuse-session.ts';

const O_ACCMODE = 3;
const O_RDONLY = 0;

/** Success without a body, whatever the call answered. */
export function replyDone(session: FuseSession, request: Request): void {
  session.sendStatus(request, 0);
}

export function replyAttr(session: FuseSession, request: Request, attr: Attr): void {
  session.send(request, encodeFuseAttr(session.transport.out, attr, session.validity(request, attr.ino)));
}

/** An entry of the directory that the request names. */
export function replyEntry(session: FuseSession, request: Request, entry: Entry): void {
  replyInode(session, request, entry.attr);
}

/** Like replyEntry, for an inode reached in another way (lookups of "." and ".."). */
export function replyInode(session: FuseSession, request: Request, attr: Attr): void {
  const validity = session.validity(request, attr.ino, request.ino);
  if (session.send(request, encodeEntry(session.transport.out, attr, validity))) session.remember(attr);
}

export function replyData(session: FuseSession, request: Request, data: Buffer): void {
  session.sendWith(request, encodeDataHeader(session.transport.out, data.length), data);
}

export function replyOpen(
  session: FuseSession,
  request: Request,
  opened: { handle: FileHandle; keepCache: boolean },
): void {
  const { handle, keepCache } = opened;
  session.files.set(handle.id, handle);
  if (!session.send(request, encodeOpen(session.transport.out, handle.id, openFlags(handle, keepCache)))) {
    dropHandle(session, request, handle);
  }
}

/** CREATE and TMPFILE. */
export function replyCreate(
  session: FuseSession,
  request: Request,
  created: { attr: Attr; handle: FileHandle; keepCache: boolean },
): void {
  const { attr, handle, keepCache } = created;
  const validity = session.validity(request, attr.ino, request.ino);
  session.files.set(handle.id, handle);
  const length = encodeCreate(session.transport.out, attr, validity, handle.id, openFlags(handle, keepCache));
  if (session.send(request, length)) session.remember(attr);
  else dropHandle(session, request, handle);
}

/** A handle that can only read has nothing to flush: without FLUSH a close(2) costs one request less. */
function openFlags(handle: FileHandle, keepCache: boolean): number {
  const readOnly = (handle.flags & O_ACCMODE) === O_RDONLY;
  return (keepCache ? FOPEN_KEEP_CACHE : 0) | (readOnly ? FOPEN_NOFLUSH : 0);
}

/** The caller was interrupted before it got its handle: the kernel will not release what it never had. */
function dropHandle(session: FuseSession, request: Request, handle: FileHandle): void {
  session.files.delete(handle.id);
  session.giveBack(request, handle);
}
