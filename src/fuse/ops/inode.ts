/** Operations on an inode: attributes, extended attributes, file system figures, forgetting. */
import { FsError } from '../../base/errors.ts';
import type { Attr, Timestamp } from '../../base/vocabulary.ts';
import type { SetattrRequest } from '../../meta/meta.ts';
import { BODY, type Request } from '../wire/decode.ts';
import { encodeStatfs, encodeStatx, encodeU32 } from '../wire/encode.ts';
import { FATTR, GETATTR_FH, INIT } from '../wire/protocol.ts';
import type { FuseSession } from './fuse-session.ts';
import { replyAttr, replyData, replyDone } from './replies.ts';

/** Set when the request names an open file whose unflushed writes the answer must show. */
function openFile(session: FuseSession, request: Request, named: boolean) {
  return named ? session.files.get(request.u64(BODY + 2)) : undefined;
}

export function getattr(session: FuseSession, request: Request): void {
  const handle = openFile(session, request, (request.u32(BODY) & GETATTR_FH) !== 0);
  session.respond(request, session.vfs.attributes.getattr(request, request.ino, handle), replyAttr);
}

export function statx(session: FuseSession, request: Request): void {
  const handle = openFile(session, request, (request.u32(BODY) & GETATTR_FH) !== 0);
  session.respond(request, session.vfs.attributes.getattr(request, request.ino, handle), replyStatx);
}

function replyStatx(session: FuseSession, request: Request, attr: Attr): void {
  session.send(request, encodeStatx(session.transport.out, attr, session.validity(request, attr.ino)));
}

export function setattr(session: FuseSession, request: Request): void {
  const valid = request.u32(BODY);
  const handle = openFile(session, request, (valid & FATTR.FH) !== 0);
  const changes: SetattrRequest = {};
  if (valid & FATTR.MODE) changes.mode = request.u32(BODY + 17) & 0o7777;
  if (valid & FATTR.UID) changes.uid = request.u32(BODY + 19);
  if (valid & FATTR.GID) changes.gid = request.u32(BODY + 20);
  if (valid & FATTR.SIZE) changes.size = request.u64(BODY + 4);
  if (valid & FATTR.ATIME) changes.atime = time(request, BODY + 8, BODY + 14, valid & FATTR.ATIME_NOW);
  if (valid & FATTR.MTIME) changes.mtime = time(request, BODY + 10, BODY + 15, valid & FATTR.MTIME_NOW);
  if (valid & FATTR.KILL_SUIDGID) changes.killPriv = true;
  session.respond(request, session.vfs.attributes.setattr(request, request.ino, changes, handle), replyAttr);
}

function time(request: Request, secondsAt: number, nanosecondsAt: number, now: number): Timestamp | 'now' {
  return now !== 0 ? 'now' : { sec: request.i64(secondsAt), nsec: request.u32(nanosecondsAt) };
}

export function statfs(session: FuseSession, request: Request): void {
  session.respond(request, session.vfs.attributes.statfs(request), (_, __, space) => {
    session.send(request, encodeStatfs(session.transport.out, space));
  });
}

export function setxattr(session: FuseSession, request: Request): void {
  const nameAt = (session.protocol.flags & INIT.SETXATTR_EXT) !== 0 ? 56 : 48;
  const size = request.u32(BODY);
  const flags = request.u32(BODY + 1);
  const name = request.name(nameAt);
  const valueAt = nameAt + name.length + 1;
  if (valueAt + size > request.end) throw new FsError('EINVAL', 'setxattr', 'the value is cut off');
  const value = request.copy(valueAt, size);
  session.respond(request, session.vfs.attributes.setxattr(request, request.ino, name, value, flags), replyDone);
}

export function getxattr(session: FuseSession, request: Request): void {
  const room = request.u32(BODY);
  const value = session.vfs.attributes.getxattr(request, request.ino, request.lastName(48));
  session.respond(request, value, (_, __, found) => replySized(session, request, found, room));
}

export function listxattr(session: FuseSession, request: Request): void {
  const room = request.u32(BODY);
  session.respond(request, session.vfs.attributes.listxattr(request, request.ino), (_, __, names) => {
    replySized(session, request, Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1'), room);
  });
}

/** Room 0 asks for the size; too little room is ERANGE. */
function replySized(session: FuseSession, request: Request, data: Buffer, room: number): void {
  if (room === 0) session.send(request, encodeU32(session.transport.out, data.length));
  else if (data.length > room) session.fail(request, new FsError('ERANGE', 'xattr'));
  else replyData(session, request, data);
}

export function removexattr(session: FuseSession, request: Request): void {
  session.respond(request, session.vfs.attributes.removexattr(request, request.ino, request.lastName(40)), replyDone);
}

/** The kernel expects no reply. */
export function forget(session: FuseSession, request: Request): void {
  forgetOne(session, request.ino, request.u64(BODY));
}

/** No reply. */
export function batchForget(session: FuseSession, request: Request): void {
  const count = request.u32(BODY);
  for (let i = 0; i < count; i++) {
    const at = BODY + 2 + 4 * i;
    if (at * 4 + 16 > request.end) return;
    forgetOne(session, request.u64(at), request.u64(at + 2));
  }
}

function forgetOne(session: FuseSession, ino: number, lookups: number): void {
  session.known.forget(ino, lookups);
}
