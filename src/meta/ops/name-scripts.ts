/** Namespace operations: arguments to bytes, one script, its reply to domain types. The rules are in the scripts. */
import { FsError } from '../../base/errors.ts';
import { FILE_BYTES_MAX } from '../../base/slice-record.ts';
import {
  type Attr,
  type ByteString,
  type Caller,
  type Entry,
  type EntryKind,
  type Ino,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  SYMLINK_BYTES_MAX,
  XATTR_NAME_BYTES_MAX,
  XATTR_VALUE_BYTES_MAX,
} from '../../base/vocabulary.ts';
import {
  decodeAttr,
  decodeDirectoryPage,
  decodeEntry,
  decodeNumber,
  nameBytes,
  packCaller,
  writeI64,
} from '../codec/codec.ts';
import type { EntryReply, MetaNames, MknodRequest, RenameReply, RenameRequest, SetattrRequest } from '../meta.ts';
import type { Engine, ScriptReply } from '../redis/engine.ts';

/** Entries of one readdir page at most; bounds the script and Lua's argument stack. */
export const READDIR_LIMIT_MAX = 4_000;
const SUSTAIN_BATCH = 100;
const KIND: Record<EntryKind, string> = { elder: 'e', file: 'f', dir: 'd' };
const NOTHING = Buffer.alloc(0);

/** Fields of a setattr script call (setattr.lua). */
const SET = {
  mode: 1,
  uid: 2,
  gid: 4,
  size: 8,
  atime: 16,
  atimeNow: 32,
  mtime: 64,
  mtimeNow: 128,
  killPriv: 256,
} as const;

export class NameScripts implements MetaNames {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async lookup(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<Entry> {
    const bytes = nameBytes('lookup', name);
    const reply = await this.#engine.read('lookup', [parent, bytes, KIND[kind], packCaller(caller)]);
    return decodeEntry(name, reply[1]!, reply[2]!, isOne(reply[3]));
  }

  async getattr(ino: Ino): Promise<Attr> {
    const packed = await this.#engine.command('GET', [this.#engine.key(`i${ino}`)]);
    if (packed === null) throw new FsError('ENOENT', 'getattr');
    return decodeAttr(ino, packed as Buffer);
  }

  async setattr(ino: Ino, request: SetattrRequest, caller: Caller): Promise<Attr> {
    const { which, fields } = packSetattr(request);
    const reply = await this.#engine.mutate('setattr', [ino, packCaller(caller), which, fields]);
    return attrAt(ino, reply, 1);
  }

  mknod(request: MknodRequest): Promise<EntryReply> {
    return this.#make(request.mode & S_IFMT ? request.mode : request.mode | S_IFREG, request.rdev, NOTHING, request);
  }

  symlink(request: Omit<MknodRequest, 'mode' | 'rdev'> & { target: Buffer }): Promise<EntryReply> {
    const { length } = request.target;
    if (length === 0) return Promise.reject(new FsError('ENOENT', 'symlink', 'an empty target'));
    if (length > SYMLINK_BYTES_MAX) return Promise.reject(new FsError('ENAMETOOLONG', 'symlink'));
    return this.#make(S_IFLNK | 0o777, 0, request.target, request);
  }

  async mkHidden(mode: number, uid: number, gid: number): Promise<Attr> {
    const type = mode & S_IFMT;
    if (type !== S_IFREG && type !== S_IFDIR) throw new FsError('EINVAL', 'mkHidden', 'only files and directories');
    const reply = await this.#engine.mutate('mk-hidden', [mode, uid, gid]);
    return attrAt(decodeNumber(reply[1]), reply, 2);
  }

  async readlink(ino: Ino): Promise<Buffer> {
    const target = await this.#engine.command('GET', [this.#engine.key(`l${ino}`)]);
    if (target === null) throw new FsError('EINVAL', 'readlink', 'not a symbolic link');
    return target as Buffer;
  }

  async link(ino: Ino, newParent: Ino, newName: ByteString, caller: Caller): Promise<EntryReply> {
    const bytes = nameBytes('link', newName);
    const reply = await this.#engine.mutate('link', [ino, newParent, bytes, packCaller(caller)]);
    const entry = { name: newName, attr: attrAt(ino, reply, 1), younger: false };
    return { entry, parentAttr: attrAt(newParent, reply, 2) };
  }

  unlink(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<{ attr: Attr; parentAttr: Attr }> {
    return this.#take('unlink', parent, name, kind, caller);
  }

  rmdir(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<{ attr: Attr; parentAttr: Attr }> {
    return this.#take('rmdir', parent, name, kind, caller);
  }

  async rename(request: RenameRequest): Promise<RenameReply> {
    const reply = await this.#engine.mutate('rename', [
      request.parent,
      nameBytes('rename', request.name),
      KIND[request.kind],
      request.newParent,
      nameBytes('rename', request.newName),
      KIND[request.newKind],
      request.mode,
      packCaller(request.caller),
    ]);
    const replaced = reply[6] as Buffer;
    return {
      attr: attrAt(decodeNumber(reply[1]), reply, 2),
      parentAttr: attrAt(request.parent, reply, 3),
      newParentAttr: attrAt(request.newParent, reply, 4),
      replaced: replaced.length === 0 ? undefined : decodeAttr(decodeNumber(reply[5]), replaced),
    };
  }

  async readdir(
    ino: Ino,
    cursor: ByteString,
    limit: number,
  ): Promise<{ entries: (Entry & { cursor: ByteString })[]; end: boolean }> {
    const count = Math.min(Math.max(1, limit), READDIR_LIMIT_MAX);
    const reply = await this.#engine.read('readdir', [ino, Buffer.from(cursor, 'latin1'), count]);
    const { entries, last } = decodeDirectoryPage(reply[2] as Buffer, cursor);
    const end = isOne(reply[1]);
    return entries.length === 0 && !end ? this.readdir(ino, last, limit) : { entries, end };
  }

  async getxattr(ino: Ino, name: string): Promise<Buffer> {
    const value = await this.#engine.command('HGET', [this.#engine.key(`x${ino}`), xattrName('getxattr', name)]);
    if (value === null) throw new FsError('ENODATA', 'getxattr');
    return value as Buffer;
  }

  async setxattr(ino: Ino, name: string, value: Buffer, mode: 'set' | 'create' | 'replace'): Promise<Attr> {
    if (value.length > XATTR_VALUE_BYTES_MAX) throw new FsError('E2BIG', 'setxattr');
    return attrAt(ino, await this.#engine.mutate('set-xattr', [ino, xattrName('setxattr', name), value, mode]), 1);
  }

  async listxattr(ino: Ino): Promise<string[]> {
    const names = (await this.#engine.command('HKEYS', [this.#engine.key(`x${ino}`)])) as Buffer[];
    return names.map((name) => name.toString('latin1')).sort();
  }

  async removexattr(ino: Ino, name: string): Promise<Attr> {
    return attrAt(ino, await this.#engine.mutate('remove-xattr', [ino, xattrName('removexattr', name)]), 1);
  }

  /** One round trip per 100 inodes. */
  async sustain(inos: Ino[]): Promise<Attr[]> {
    const attrs: Attr[] = [];
    for (let from = 0; from < inos.length; from += SUSTAIN_BATCH) {
      const reply = await this.#engine.mutate('sustain', inos.slice(from, from + SUSTAIN_BATCH));
      for (let i = 1; i < reply.length; i += 2) attrs.push(attrAt(decodeNumber(reply[i]), reply, i + 1));
    }
    return attrs;
  }

  async release(ino: Ino): Promise<void> {
    await this.#engine.mutate('release', [ino]);
  }

  async #make(
    mode: number,
    rdev: number,
    target: Buffer,
    request: Omit<MknodRequest, 'mode' | 'rdev'>,
  ): Promise<EntryReply> {
    const { parent, name, uid, gid, caller } = request;
    const bytes = nameBytes('mknod', name);
    const reply = await this.#engine.mutate('mknod', [parent, bytes, mode, uid, gid, rdev, packCaller(caller), target]);
    return { entry: decodeEntry(name, reply[1]!, reply[2]!, false), parentAttr: attrAt(parent, reply, 3) };
  }

  async #take(
    op: 'unlink' | 'rmdir',
    parent: Ino,
    name: ByteString,
    kind: EntryKind,
    caller: Caller,
  ): Promise<{ attr: Attr; parentAttr: Attr }> {
    const reply = await this.#engine.mutate(op, [parent, nameBytes(op, name), KIND[kind], packCaller(caller)]);
    return { attr: attrAt(decodeNumber(reply[1]), reply, 2), parentAttr: attrAt(parent, reply, 3) };
  }
}

function attrAt(ino: Ino, reply: ScriptReply, at: number): Attr {
  return decodeAttr(ino, reply[at] as Buffer);
}

function isOne(reply: ScriptReply[number] | undefined): boolean {
  return (reply as Buffer)[0] === 0x31 /* '1' */;
}

/** @throws FsError ERANGE as setxattr(2) for names that are empty or too long. */
function xattrName(op: string, name: string): Buffer {
  if (name.length === 0 || name.length > XATTR_NAME_BYTES_MAX) throw new FsError('ERANGE', op);
  return Buffer.from(name, 'latin1');
}

function packSetattr(request: SetattrRequest): { which: number; fields: Buffer } {
  const { mode, uid, gid, size, atime, mtime, killPriv } = request;
  const fields = Buffer.alloc(44);
  let which = killPriv ? SET.killPriv : 0;
  if (mode !== undefined) {
    which |= SET.mode;
    fields.writeUInt32LE(mode & 0o7777, 0);
  }
  if (uid !== undefined) {
    which |= SET.uid;
    fields.writeUInt32LE(uid, 4);
  }
  if (gid !== undefined) {
    which |= SET.gid;
    fields.writeUInt32LE(gid, 8);
  }
  if (size !== undefined) {
    if (size > FILE_BYTES_MAX) throw new FsError('EFBIG', 'setattr', 'files are limited to 1 PiB');
    if (!Number.isInteger(size) || size < 0) throw new FsError('EINVAL', 'setattr', `${size} is no size`);
    which |= SET.size;
    writeI64(fields, 12, size);
  }
  if (atime === 'now') which |= SET.atimeNow;
  else if (atime !== undefined) {
    which |= SET.atime;
    writeI64(fields, 20, atime.sec);
    fields.writeUInt32LE(atime.nsec, 28);
  }
  if (mtime === 'now') which |= SET.mtimeNow;
  else if (mtime !== undefined) {
    which |= SET.mtime;
    writeI64(fields, 32, mtime.sec);
    fields.writeUInt32LE(mtime.nsec, 40);
  }
  return { which, fields };
}
