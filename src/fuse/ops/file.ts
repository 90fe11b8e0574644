/** Operations on open files. Data is never copied here: a WRITE's bytes are a view of the request's buffer. */
import { FsError } from '../../base/errors.ts';
import { O_TRUNC } from '../../vfs/file/open-flags.ts';
import { BODY, type Request } from '../wire/decode.ts';
import { encodeU32, encodeU64 } from '../wire/encode.ts';
import { IO_BYTES_MAX, OPEN_KILL_SUIDGID, WRITE_CACHE, WRITE_DATA_AT, WRITE_KILL_SUIDGID } from '../wire/protocol.ts';
import type { FuseSession } from './fuse-session.ts';
import { replyData, replyDone, replyOpen } from './replies.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** fuse_write_out.size has 32 bits; a round number keeps the next call aligned. */
const COPY_BYTES_MAX = 0x7fff_0000;

export function open(session: FuseSession, request: Request): void {
  const flags = request.u32(BODY);
  const killPriv = (request.u32(BODY + 1) & OPEN_KILL_SUIDGID) !== 0;
  request.truncates = (flags & O_TRUNC) !== 0;
  session.respond(request, session.vfs.files.open(request, request.ino, flags, killPriv), replyOpen);
}

export function read(session: FuseSession, request: Request): void {
  const handle = session.file(request, request.u64(BODY));
  const offset = request.u64(BODY + 2);
  const length = Math.min(request.u32(BODY + 4), IO_BYTES_MAX);
  session.respond(request, session.vfs.files.read(request, handle, offset, length, request.u32(BODY + 8)), replyData);
}

/**
 * A WRITE carries the descriptor's flags as they are now (fcntl(2) changes them after OPEN). Write-back of mapped pages
 * has no descriptor: it goes where its offset says, whatever the file was opened with.
 */
export function write(session: FuseSession, request: Request): void {
  const handle = session.file(request, request.u64(BODY));
  const offset = request.u64(BODY + 2);
  const size = request.u32(BODY + 4);
  const writeFlags = request.u32(BODY + 5);
  const killPriv = (writeFlags & WRITE_KILL_SUIDGID) !== 0;
  const flags = (writeFlags & WRITE_CACHE) !== 0 ? 0 : request.u32(BODY + 8);
  if (WRITE_DATA_AT + size > request.end) throw new FsError('EINVAL', 'write', 'the data is cut off');
  const written = session.vfs.files.write(request, handle, offset, request.view(WRITE_DATA_AT, size), killPriv, flags);
  // The fast path: the buffer took the bytes, nothing to wait for.
  if (written === undefined) session.send(request, encodeU32(session.transport.out, size));
  else session.respond(request, written, () => session.send(request, encodeU32(session.transport.out, size)));
}

export function flush(session: FuseSession, request: Request): void {
  const handle = session.file(request, request.u64(BODY));
  session.respond(request, session.vfs.files.flush(request, handle), replyDone);
}

export function fsync(session: FuseSession, request: Request): void {
  const handle = session.file(request, request.u64(BODY));
  session.respond(request, session.vfs.files.fsync(request, handle), replyDone);
}

/** The kernel never uses the handle again, whatever the answer; errors were reported at FLUSH. */
export function release(session: FuseSession, request: Request): void {
  const handle = session.file(request, request.u64(BODY));
  session.files.delete(handle.id);
  session.respond(request, session.vfs.files.release(request, handle), replyDone);
}

export function fallocate(session: FuseSession, request: Request): void {
  const handle = session.file(request, request.u64(BODY));
  const offset = request.u64(BODY + 2);
  const length = request.u64(BODY + 4);
  session.respond(
    request,
    session.vfs.files.fallocate(request, handle, request.u32(BODY + 6), offset, length),
    replyDone,
  );
}

export function lseek(session: FuseSession, request: Request): void {
  const handle = session.file(request, request.u64(BODY));
  const whence = request.u32(BODY + 4);
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw new FsError('EINVAL', 'lseek');
  const found = session.vfs.files.lseek(request, handle, request.u64(BODY + 2), whence === SEEK_DATA ? 'data' : 'hole');
  session.respond(request, found, replyU64);
}

export function copyFileRange(session: FuseSession, request: Request): void {
  session.respond(request, copyRange(session, request, COPY_BYTES_MAX), (_, __, copied) => {
    session.send(request, encodeU32(session.transport.out, copied));
  });
}

/** 7.45: the same with a 64-bit answer. */
export function copyFileRange64(session: FuseSession, request: Request): void {
  session.respond(request, copyRange(session, request, Number.MAX_SAFE_INTEGER), replyU64);
}

function copyRange(session: FuseSession, request: Request, bytesMax: number): Promise<number> {
  const source = session.file(request, request.u64(BODY));
  const target = session.file(request, request.u64(BODY + 6));
  const length = Math.min(request.u64(BODY + 10), bytesMax);
  // copy_file_range(2) has no flags yet.
  if (request.u64(BODY + 12) !== 0) throw new FsError('EINVAL', 'copy_file_range');
  return session.vfs.files.copyFileRange(request, source, request.u64(BODY + 2), target, request.u64(BODY + 8), length);
}

/** syncfs(2), where the kernel passes it on: every open file. */
export function syncfs(session: FuseSession, request: Request): void {
  const all = Promise.all(Array.from(session.files.values(), (handle) => session.vfs.files.fsync(request, handle)));
  session.respond(request, all, replyDone);
}

function replyU64(session: FuseSession, request: Request, value: number): void {
  session.send(request, encodeU64(session.transport.out, value));
}
