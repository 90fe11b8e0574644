/** Operations on names. One function per opcode: decode, one vfs call, reply. */
import { FsError, isFsError } from '../../base/errors.ts';
import type { Attr, Ino } from '../../base/vocabulary.ts';
import { SYMLINK_BYTES_MAX } from '../../base/vocabulary.ts';
import type { VfsFiles } from '../../vfs/vfs.ts';
import { BODY, type Request } from '../wire/decode.ts';
import { encodeNegativeEntry } from '../wire/encode.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../wire/protocol.ts';
import type { FuseSession } from './fuse-session.ts';
import { replyCreate, replyData, replyDone, replyEntry, replyInode } from './replies.ts';

export function lookup(session: FuseSession, request: Request): void {
  const name = request.lastName(40);
  if (name === '.') session.respond(request, session.vfs.names.lookup(request, request.ino, name), replyEntry);
  else if (name === '..') session.respond(request, lookupParent(session, request), replyInode);
  else session.respond(request, session.vfs.names.lookup(request, request.ino, name), replyEntry, replyMissing);
}

/** The kernel remembers that a name is not there: entry 0 with a validity. Without a validity, plain ENOENT. */
function replyMissing(session: FuseSession, request: Request, error: unknown): void {
  const { entrySec } = session.validity(request, request.ino);
  if (entrySec === 0 || !isFsError(error, 'ENOENT')) session.fail(request, error);
  else session.send(request, encodeNegativeEntry(session.transport.out, entrySec));
}

/** open_by_handle_at(2) and NFS walk up from an inode they know by number only. */
async function lookupParent(session: FuseSession, request: Request): Promise<Attr> {
  const parent: Ino =
    session.known.parentOf(request.ino) ?? (await session.vfs.attributes.getattr(request, request.ino)).parent;
  return session.vfs.attributes.getattr(request, parent);
}

export function mknod(session: FuseSession, request: Request): void {
  const name = request.lastName(56);
  const made = session.vfs.names.mknod(request, request.ino, name, request.u32(BODY), request.u32(BODY + 1));
  session.respond(request, made, replyEntry);
}

export function mkdir(session: FuseSession, request: Request): void {
  const name = request.lastName(48);
  session.respond(request, session.vfs.names.mkdir(request, request.ino, name, request.u32(BODY)), replyEntry);
}

export function symlink(session: FuseSession, request: Request): void {
  const name = request.name(40);
  const targetAt = 40 + name.length + 1;
  const length = request.zeroAfter(targetAt) - targetAt;
  if (length > SYMLINK_BYTES_MAX) throw new FsError('ENAMETOOLONG', 'symlink');
  const target = request.copy(targetAt, length);
  session.respond(request, session.vfs.names.symlink(request, request.ino, name, target), replyEntry);
}

export function readlink(session: FuseSession, request: Request): void {
  session.respond(request, session.vfs.names.readlink(request, request.ino), replyData);
}

export function link(session: FuseSession, request: Request): void {
  const name = request.lastName(48);
  session.respond(request, session.vfs.names.link(request, request.u64(BODY), request.ino, name), replyEntry);
}

export function unlink(session: FuseSession, request: Request): void {
  session.respond(request, session.vfs.names.unlink(request, request.ino, request.lastName(40)), replyDone);
}

export function rmdir(session: FuseSession, request: Request): void {
  session.respond(request, session.vfs.names.rmdir(request, request.ino, request.lastName(40)), replyDone);
}

export function rename(session: FuseSession, request: Request): void {
  renameFrom(session, request, 48, 0);
}

export function rename2(session: FuseSession, request: Request): void {
  renameFrom(session, request, 56, request.u32(BODY + 2));
}

function renameFrom(session: FuseSession, request: Request, namesAt: number, flags: number): void {
  // WHITEOUT, unknown flags and NOREPLACE with EXCHANGE: EINVAL, as renameat2(2) says.
  if (flags > RENAME_EXCHANGE) throw new FsError('EINVAL', 'rename');
  const mode = flags === RENAME_EXCHANGE ? 'exchange' : flags === RENAME_NOREPLACE ? 'noreplace' : 'replace';
  const name = request.name(namesAt);
  const newName = request.name(namesAt + name.length + 1);
  const newParent = request.u64(BODY);
  session.respond(
    request,
    session.vfs.names.rename(request, { parent: request.ino, name, newParent, newName, mode }),
    replyDone,
  );
}

/** Looks up or creates, and opens, in one request. */
export function create(session: FuseSession, request: Request): void {
  const name = request.lastName(56);
  const created = session.vfs.files.create(request, request.ino, name, request.u32(BODY + 1), request.u32(BODY));
  session.respond(request, created, replyCreated);
}

export function tmpfile(session: FuseSession, request: Request): void {
  const made = session.vfs.files.tmpfile(request, request.ino, request.u32(BODY + 1), request.u32(BODY));
  session.respond(request, made, replyTmpfile);
}

function replyCreated(session: FuseSession, request: Request, created: Awaited<ReturnType<VfsFiles['create']>>): void {
  replyCreate(session, request, { attr: created.entry.attr, handle: created.handle, keepCache: false });
}

function replyTmpfile(session: FuseSession, request: Request, made: Awaited<ReturnType<VfsFiles['tmpfile']>>): void {
  replyCreate(session, request, { attr: made.attr, handle: made.handle, keepCache: false });
}
