/**
 * Open directories. Cookies: 1 is behind ".", 2 behind ".."; those of the vfs are larger and stay valid while the
 * directory changes. One READDIR is one vfs.readdir.
 */
import type { Attr, Ino } from '../../base/vocabulary.ts';
import { S_IFDIR } from '../../base/vocabulary.ts';
import type { DirEntry, DirHandle, Validity } from '../../vfs/vfs.ts';
import { BODY, type Request } from '../wire/decode.ts';
import { appendDirent, appendDirentPlus, encodeDirectory, encodeOpen } from '../wire/encode.ts';
import { IO_BYTES_MAX, OUT_HEADER_BYTES } from '../wire/protocol.ts';
import type { FuseSession } from './fuse-session.ts';
import { replyDone } from './replies.ts';

const COOKIE_DOT = 1;
const COOKIE_DOT_DOT = 2;
/** Size of an entry with a name of 16 bytes. It decides how many are read: those that do not fit are read again. */
const ENTRY_BYTES = 40;
const ENTRY_PLUS_BYTES = 168;
const ENTRIES_MAX = 1024;

export function opendir(session: FuseSession, request: Request): void {
  const handle = session.vfs.directories.opendir(request, request.ino);
  session.dirs.set(handle.id, handle);
  if (session.send(request, encodeOpen(session.transport.out, handle.id, 0))) return;
  session.dirs.delete(handle.id);
  session.vfs.directories.releasedir(request, handle);
}

export function releasedir(session: FuseSession, request: Request): void {
  const handle = session.dir(request, request.u64(BODY));
  session.dirs.delete(handle.id);
  session.vfs.directories.releasedir(request, handle);
  replyDone(session, request);
}

export function fsyncdir(session: FuseSession, request: Request): void {
  const handle = session.dir(request, request.u64(BODY));
  session.respond(request, session.vfs.directories.fsyncdir(request, handle), replyDone);
}

export function readdir(session: FuseSession, request: Request): void {
  list(session, request, false);
}

export function readdirplus(session: FuseSession, request: Request): void {
  list(session, request, true);
}

/** A listing under way: where its reply starts and may end. */
interface Page {
  handle: DirHandle;
  cookie: number;
  limit: number;
  plus: boolean;
}

function list(session: FuseSession, request: Request, plus: boolean): void {
  const handle = session.dir(request, request.u64(BODY));
  const cookie = request.u64(BODY + 2);
  const sizeBytes = Math.min(request.u32(BODY + 4), IO_BYTES_MAX);
  const page: Page = { handle, cookie, limit: OUT_HEADER_BYTES + sizeBytes, plus };
  const count = Math.max(1, Math.min(ENTRIES_MAX, Math.ceil(sizeBytes / (plus ? ENTRY_PLUS_BYTES : ENTRY_BYTES))));
  const entries = session.vfs.directories.readdir(request, handle, cookie > COOKIE_DOT_DOT ? cookie : 0, count);
  const parent = cookie < COOKIE_DOT_DOT ? parentOf(session, request) : 0;
  if (entries instanceof Promise || parent instanceof Promise) {
    session.respond(request, Promise.all([entries, parent]), (_, __, found) =>
      replyPage(session, request, page, ...found),
    );
  } else {
    replyPage(session, request, page, entries, parent);
  }
}

/** The inode number of "..": known without asking, but for directories that were opened by handle. */
function parentOf(session: FuseSession, request: Request): Ino | Promise<Ino> {
  const known = session.known.parentOf(request.ino);
  if (known !== undefined) return known;
  const attr = session.vfs.attributes.getattr(request, request.ino);
  return attr instanceof Promise ? attr.then((found) => found.parent) : attr.parent;
}

function replyPage(session: FuseSession, request: Request, page: Page, entries: DirEntry[], parent: Ino): void {
  let at = OUT_HEADER_BYTES;
  if (page.cookie < COOKIE_DOT) at = appendDot(session, page, at, '.', request.ino, COOKIE_DOT);
  if (page.cookie < COOKIE_DOT_DOT) at = appendDot(session, page, at, '..', parent, COOKIE_DOT_DOT);
  const included: Attr[] = [];
  for (const entry of entries) {
    const next = appendEntry(session, request, page, at, entry);
    if (next === 0) break;
    at = next;
    included.push(entry.attr);
  }
  const sent = session.send(request, encodeDirectory(session.transport.out, at));
  if (sent && page.plus) for (const attr of included) session.remember(attr);
}

/**
 * "." and ".." carry no attributes, also in READDIRPLUS: the kernel takes no reference for them. They always fit: the
 * kernel's smallest buffer is a page.
 */
function appendDot(session: FuseSession, page: Page, at: number, name: string, ino: Ino, cookie: number): number {
  const { out } = session.transport;
  const entry = { ino, mode: S_IFDIR, name, cookie };
  if (!page.plus) return appendDirent(out, at, page.limit, entry);
  return appendDirentPlus(out, at, page.limit, entry, undefined, NOTHING);
}

const NOTHING: Validity = { entrySec: 0, attrSec: 0 };

function appendEntry(session: FuseSession, request: Request, page: Page, at: number, entry: DirEntry): number {
  const { out } = session.transport;
  const { attr } = entry;
  const dirent = { ino: attr.ino, mode: attr.mode, name: entry.name, cookie: entry.cookie };
  if (!page.plus) return appendDirent(out, at, page.limit, dirent);
  return appendDirentPlus(out, at, page.limit, dirent, attr, session.validity(request, attr.ino, request.ino));
}
