/** Namespace operations: arguments to bytes, one script, its reply to domain types. The rules are in the scripts. */
import { FsError } from '../../base/errors.ts';
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
import { decodeAttr, decodeDirectoryPage } from '../codec/codec.ts';
import type { EntryReply, MetaNames, MknodRequest, RenameReply, RenameRequest, SetattrRequest } from '../meta.ts';
import type { Engine } from '../redis/engine.ts';
import {
  link,
  lookup,
  mkHidden,
  mknod,
  readdir,
  release,
  removeXattr,
  rename,
  rmdir,
  setattr,
  setXattr,
  sustain,
  unlink,
} from '../schema/name-schemas.ts';

/** Entries of one readdir page at most; bounds the script and Lua's argument stack. */
export const READDIR_LIMIT_MAX = 4_000;
const SUSTAIN_BATCH = 100;
const NOTHING = Buffer.alloc(0);

export class NameScripts implements MetaNames {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async lookup(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<Entry> {
    const { attr, shadowed } = await this.#engine.read(lookup, { parent, name, kind, caller });
    return { name, attr, shadowed };
  }

  async getattr(ino: Ino): Promise<Attr> {
    const packed = await this.#engine.command('GET', [this.#engine.key(`i${ino}`)]);
    if (packed === null) throw new FsError('ENOENT', 'getattr');
    return decodeAttr(ino, packed as Buffer);
  }

  async setattr(ino: Ino, request: SetattrRequest, caller: Caller): Promise<Attr> {
    return (await this.#engine.mutate(setattr, { ino, caller, changes: request })).attr;
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
    return (await this.#engine.mutate(mkHidden, { mode, uid, gid })).attr;
  }

  async readlink(ino: Ino): Promise<Buffer> {
    const target = await this.#engine.command('GET', [this.#engine.key(`l${ino}`)]);
    if (target === null) throw new FsError('EINVAL', 'readlink', 'not a symbolic link');
    return target as Buffer;
  }

  async link(ino: Ino, newParent: Ino, newName: ByteString, caller: Caller): Promise<EntryReply> {
    const { attr, parentAttr } = await this.#engine.mutate(link, { ino, newParent, newName, caller });
    return { entry: { name: newName, attr, shadowed: false }, parentAttr };
  }

  unlink(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<{ attr: Attr; parentAttr: Attr }> {
    return this.#engine.mutate(unlink, { parent, name, kind, caller });
  }

  rmdir(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<{ attr: Attr; parentAttr: Attr }> {
    return this.#engine.mutate(rmdir, { parent, name, kind, caller });
  }

  rename(request: RenameRequest): Promise<RenameReply> {
    return this.#engine.mutate(rename, request);
  }

  async readdir(
    ino: Ino,
    cursor: ByteString,
    limit: number,
  ): Promise<{ entries: (Entry & { cursor: ByteString })[]; end: boolean }> {
    const count = Math.min(Math.max(1, limit), READDIR_LIMIT_MAX);
    const { end, page } = await this.#engine.read(readdir, { ino, cursor, limit: count });
    const { entries, last } = decodeDirectoryPage(page, cursor);
    return entries.length === 0 && !end ? this.readdir(ino, last, limit) : { entries, end };
  }

  async getxattr(ino: Ino, name: string): Promise<Buffer> {
    checkXattrNameBytes('getxattr', name);
    const key = this.#engine.key(`x${ino}`);
    const value = await this.#engine.command('HGET', [key, Buffer.from(name, 'latin1')]);
    if (value === null) throw new FsError('ENODATA', 'getxattr');
    return value as Buffer;
  }

  async setxattr(ino: Ino, name: string, value: Buffer, mode: 'set' | 'create' | 'replace'): Promise<Attr> {
    if (value.length > XATTR_VALUE_BYTES_MAX) throw new FsError('E2BIG', 'setxattr');
    checkXattrNameBytes('setxattr', name);
    return (await this.#engine.mutate(setXattr, { ino, name, value, mode })).attr;
  }

  async listxattr(ino: Ino): Promise<string[]> {
    const names = (await this.#engine.command('HKEYS', [this.#engine.key(`x${ino}`)])) as Buffer[];
    return names.map((name) => name.toString('latin1')).sort();
  }

  async removexattr(ino: Ino, name: string): Promise<Attr> {
    checkXattrNameBytes('removexattr', name);
    return (await this.#engine.mutate(removeXattr, { ino, name })).attr;
  }

  /** One round trip per 100 inodes. */
  async sustain(inos: Ino[]): Promise<Attr[]> {
    const attrs: Attr[] = [];
    for (let from = 0; from < inos.length; from += SUSTAIN_BATCH) {
      attrs.push(...(await this.#engine.mutate(sustain, { inos: inos.slice(from, from + SUSTAIN_BATCH) })));
    }
    return attrs;
  }

  async release(ino: Ino): Promise<void> {
    await this.#engine.mutate(release, { ino });
  }

  async #make(
    mode: number,
    rdev: number,
    target: Buffer,
    request: Omit<MknodRequest, 'mode' | 'rdev'>,
  ): Promise<EntryReply> {
    const { parent, name, uid, gid, caller } = request;
    const made = await this.#engine.mutate(mknod, { parent, name, mode, uid, gid, rdev, caller, target });
    return { entry: { name, attr: made.attr, shadowed: false }, parentAttr: made.parentAttr };
  }
}

/** @throws FsError ERANGE as setxattr(2) for names that are empty or too long. */
function checkXattrNameBytes(op: string, name: string): void {
  if (name.length === 0 || name.length > XATTR_NAME_BYTES_MAX) throw new FsError('ERANGE', op);
}
