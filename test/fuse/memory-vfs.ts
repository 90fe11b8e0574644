/** A complete Vfs in memory: what the mount tests serve, so that they test the mount and nothing below it. */
import { ERRNO, type ErrnoCode, FsError } from '../../src/base/errors.ts';
import { FILE_BYTES_MAX } from '../../src/base/slice-record.ts';
import type { Attr, ByteString, Entry, Ino, Timestamp } from '../../src/base/vocabulary.ts';
import { ROOT_INO, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../src/base/vocabulary.ts';
import { VolumeEvents } from '../../src/base/volume-events.ts';
import type {
  Context,
  DirEntry,
  DirHandle,
  FileHandle,
  KernelCache,
  RenameNames,
  SetattrChanges,
  Validity,
  Vfs,
  VfsObjects,
} from '../../src/vfs/vfs.ts';

const O_TRUNC = 0o1000;
const O_EXCL = 0o200;
const O_APPEND = 0o2000;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const FALLOC_ZERO_RANGE = 16;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

interface Inode {
  attr: Attr;
  data: Buffer;
  entries: Map<ByteString, { ino: Ino; cookie: number }>;
  target: Buffer;
  xattrs: Map<string, Buffer>;
  opens: number;
}

export class MemoryVfs implements Vfs {
  cache: KernelCache | undefined;
  timeouts: Validity = { entrySec: 3600, attrSec: 3600 };
  /** Counts calls by name, for tests that ask what reached us. */
  readonly calls = new Map<string, number>();
  /** Calls of these names wait until resume(), and so do lookups of names that begin with "hang". */
  readonly held = new Set<string>();
  #resumeHeld: () => void = () => {};
  #heldUp = this.#nextHold();
  readonly #inodes = new Map<Ino, Inode>();
  #nextIno = ROOT_INO;
  #nextCookie = 3;
  #nextHandle = 1;

  constructor() {
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const root = this.#make(S_IFDIR | 0o755, owner, ROOT_INO);
    root.attr.nlink = 2;
  }

  readonly names = this;
  readonly attributes = this;
  readonly files = this;
  readonly directories = this;
  readonly events = new VolumeEvents();

  get buckets(): Vfs['buckets'] {
    throw new Error('the memory vfs serves mounts only');
  }

  get uploads(): Vfs['uploads'] {
    throw new Error('the memory vfs serves mounts only');
  }

  get users(): Vfs['users'] {
    throw new Error('the memory vfs serves mounts only');
  }

  get objects(): VfsObjects {
    throw new Error('the memory vfs serves mounts only');
  }

  /** Open handles: 0 when everything was released. */
  get openCount(): number {
    let count = 0;
    for (const inode of this.#inodes.values()) count += inode.opens;
    return count;
  }

  validity(): Validity {
    return this.timeouts;
  }

  lookup(_ctx: Context, parent: Ino, name: ByteString): Promise<Entry> {
    this.#count('lookup');
    if (name.startsWith('hang')) return this.#heldUp.then(() => this.#entry(parent, name));
    return this.#run('lookup', () => this.#entry(parent, name));
  }

  getattr(_ctx: Context, ino: Ino): Attr {
    this.#count('getattr');
    return { ...this.#inode(ino).attr };
  }

  setattr(_ctx: Context, ino: Ino, changes: SetattrChanges): Promise<Attr> {
    return run(() => {
      const inode = this.#inode(ino);
      const { attr } = inode;
      if (changes.size !== undefined) this.#resize(inode, changes.size);
      if (changes.killPriv) killPriv(attr);
      if (changes.uid !== undefined || changes.gid !== undefined) killPriv(attr);
      if (changes.mode !== undefined) attr.mode = (attr.mode & S_IFMT) | changes.mode;
      if (changes.uid !== undefined) attr.uid = changes.uid;
      if (changes.gid !== undefined) attr.gid = changes.gid;
      if (changes.atime !== undefined) [attr.atimeSec, attr.atimeNsec] = pair(changes.atime);
      if (changes.mtime !== undefined) [attr.mtimeSec, attr.mtimeNsec] = pair(changes.mtime);
      [attr.ctimeSec, attr.ctimeNsec] = pair('now');
      return { ...attr };
    });
  }

  readlink(_ctx: Context, ino: Ino): Promise<Buffer> {
    return run(() => this.#inode(ino).target);
  }

  mknod(ctx: Context, parent: Ino, name: ByteString, mode: number, rdev: number): Promise<Entry> {
    return run(() => {
      this.#refuseExisting(parent, name);
      const inode = this.#make(mode, ctx, parent);
      inode.attr.rdev = rdev;
      return this.#add(parent, name, inode);
    });
  }

  mkdir(ctx: Context, parent: Ino, name: ByteString, mode: number): Promise<Entry> {
    this.#count('mkdir');
    return this.#run('mkdir', () => {
      this.#refuseExisting(parent, name);
      const inode = this.#make(S_IFDIR | (mode & 0o7777), ctx, parent);
      inode.attr.nlink = 1;
      this.#inode(parent).attr.nlink++;
      return this.#add(parent, name, inode);
    });
  }

  symlink(ctx: Context, parent: Ino, name: ByteString, target: Buffer): Promise<Entry> {
    return run(() => {
      this.#refuseExisting(parent, name);
      const inode = this.#make(S_IFLNK | 0o777, ctx, parent);
      inode.target = target;
      inode.attr.size = target.length;
      return this.#add(parent, name, inode);
    });
  }

  link(_ctx: Context, ino: Ino, newParent: Ino, newName: ByteString): Promise<Entry> {
    return run(() => {
      this.#refuseExisting(newParent, newName);
      return this.#add(newParent, newName, this.#inode(ino));
    });
  }

  unlink(_ctx: Context, parent: Ino, name: ByteString): Promise<void> {
    return run(() => this.#remove(parent, name));
  }

  rmdir(_ctx: Context, parent: Ino, name: ByteString): Promise<void> {
    return run(() => {
      const { attr } = this.#entry(parent, name);
      if ((attr.mode & S_IFMT) !== S_IFDIR) throw fail('ENOTDIR', 'rmdir');
      if (this.#inode(attr.ino).entries.size > 0) throw fail('ENOTEMPTY', 'rmdir');
      this.#remove(parent, name);
      this.#inode(parent).attr.nlink--;
    });
  }

  rename(_ctx: Context, { parent, name, newParent, newName, mode }: RenameNames): Promise<void> {
    return run(() => {
      const { attr } = this.#entry(parent, name);
      const target = this.#inode(newParent).entries.get(newName);
      if (mode === 'noreplace' && target !== undefined) throw fail('EEXIST', 'rename');
      if (mode === 'exchange') {
        if (target === undefined) throw fail('ENOENT', 'rename');
        this.#inode(parent).entries.get(name)!.ino = target.ino;
        target.ino = attr.ino;
        return;
      }
      if (target?.ino === attr.ino) return;
      if (target !== undefined) this.#remove(newParent, newName);
      this.#inode(parent).entries.delete(name);
      this.#inode(newParent).entries.set(newName, { ino: attr.ino, cookie: this.#nextCookie++ });
      this.#inode(attr.ino).attr.parent = newParent;
    });
  }

  create(ctx: Context, parent: Ino, name: ByteString, mode: number, flags: number) {
    return run(() => {
      const existing = this.#inode(parent).entries.get(name);
      if (existing !== undefined) {
        if ((flags & O_EXCL) !== 0) throw fail('EEXIST', 'create');
        return { entry: this.#entry(parent, name), handle: this.#open(existing.ino, flags) };
      }
      const entry = this.#add(parent, name, this.#make(S_IFREG | (mode & 0o7777), ctx, parent));
      return { entry, handle: this.#open(entry.attr.ino, flags) };
    });
  }

  tmpfile(ctx: Context, parent: Ino, mode: number, flags: number) {
    return run(() => {
      const inode = this.#make(S_IFREG | (mode & 0o7777), ctx, parent);
      return { attr: { ...inode.attr }, handle: this.#open(inode.attr.ino, flags) };
    });
  }

  open(
    _ctx: Context,
    ino: Ino,
    flags: number,
    kill: boolean,
  ): { handle: FileHandle; keepCache: boolean } | Promise<{ handle: FileHandle; keepCache: boolean }> {
    this.#count('open');
    const open = () => {
      if ((flags & O_TRUNC) !== 0 && kill) killPriv(this.#inode(ino).attr);
      return { handle: this.#open(ino, flags), keepCache: true };
    };
    return this.held.has('open') ? this.#run('open', open) : open();
  }

  read(_ctx: Context, handle: FileHandle, offset: number, length: number): Buffer | Promise<Buffer> {
    this.#count('read');
    const inode = this.#inode(handle.ino);
    const data = inode.data.subarray(Math.min(offset, inode.attr.size), Math.min(offset + length, inode.attr.size));
    if (this.held.has('read')) return this.#run('read', () => data);
    // Every second megabyte comes as a promise, so that both ways of answering are used.
    return (offset >> 20) % 2 === 0 ? data : Promise.resolve(data);
  }

  write(_ctx: Context, handle: FileHandle, offset: number, data: Buffer, kill: boolean): Promise<void> | undefined {
    this.#count('write');
    const inode = this.#inode(handle.ino);
    const at = (handle.flags & O_APPEND) !== 0 ? inode.attr.size : offset;
    if (at + data.length > inode.attr.size) this.#resize(inode, at + data.length);
    data.copy(inode.data, at);
    if (kill) killPriv(inode.attr);
    touch(inode.attr);
    return (offset >> 20) % 2 === 0 ? undefined : Promise.resolve();
  }

  flush(): undefined {
    this.#count('flush');
  }

  async fsync(): Promise<void> {
    this.#count('fsync');
  }

  release(_ctx: Context, handle: FileHandle): undefined {
    this.#count('release');
    const inode = this.#inode(handle.ino);
    inode.opens--;
    this.#reap(inode);
  }

  fallocate(_ctx: Context, handle: FileHandle, mode: number, offset: number, length: number): Promise<void> {
    return run(() => {
      const inode = this.#inode(handle.ino);
      const known = FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE;
      if ((mode & ~known) !== 0) throw fail('EOPNOTSUPP', 'fallocate');
      if ((mode & FALLOC_KEEP_SIZE) === 0 && offset + length > inode.attr.size) this.#resize(inode, offset + length);
      if ((mode & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE)) !== 0) {
        inode.data.fill(0, offset, Math.min(offset + length, inode.attr.size));
      }
    });
  }

  lseek(_ctx: Context, handle: FileHandle, offset: number, whence: 'data' | 'hole'): Promise<number> {
    return run(() => {
      const { size } = this.#inode(handle.ino).attr;
      if (offset >= size) throw fail('ENXIO', 'lseek');
      return whence === 'data' ? offset : size;
    });
  }

  copyFileRange(
    ctx: Context,
    source: FileHandle,
    sourceOffset: number,
    target: FileHandle,
    targetOffset: number,
    length: number,
  ): Promise<number> {
    return run(() => {
      this.#count('copyFileRange');
      const { data, attr } = this.#inode(source.ino);
      const bytes = Buffer.from(data.subarray(sourceOffset, Math.min(attr.size, sourceOffset + length)));
      this.write(ctx, target, targetOffset, bytes, false);
      return bytes.length;
    });
  }

  opendir(_ctx: Context, ino: Ino): DirHandle {
    return { id: this.#nextHandle++, ino };
  }

  readdir(_ctx: Context, handle: DirHandle, cookie: number, limit: number): DirEntry[] | Promise<DirEntry[]> {
    this.#count('readdir');
    const page: DirEntry[] = [];
    for (const [name, entry] of this.#inode(handle.ino).entries) {
      if (entry.cookie <= cookie) continue;
      page.push({ name, attr: { ...this.#inode(entry.ino).attr }, cookie: entry.cookie });
      if (page.length === limit) break;
    }
    return cookie === 0 ? page : Promise.resolve(page);
  }

  releasedir(): void {
    this.#count('releasedir');
  }

  async fsyncdir(): Promise<void> {
    this.#count('fsyncdir');
  }

  async statfs() {
    const usedInodes = this.#inodes.size;
    return { usedBytes: 4096 * 10, usedInodes, inlineBytes: 0, totalBytes: 2 ** 40, totalInodes: 1_000_000 };
  }

  getxattr(_ctx: Context, ino: Ino, name: string): Promise<Buffer> {
    return run(() => {
      const value = this.#inode(ino).xattrs.get(name);
      if (value === undefined) throw fail('ENODATA', 'getxattr');
      return value;
    });
  }

  setxattr(_ctx: Context, ino: Ino, name: string, value: Buffer, flags: number): Promise<void> {
    return run(() => {
      const { xattrs } = this.#inode(ino);
      if (flags === XATTR_CREATE && xattrs.has(name)) throw fail('EEXIST', 'setxattr');
      if (flags === XATTR_REPLACE && !xattrs.has(name)) throw fail('ENODATA', 'setxattr');
      xattrs.set(name, value);
    });
  }

  listxattr(_ctx: Context, ino: Ino): Promise<string[]> {
    return run(() => [...this.#inode(ino).xattrs.keys()]);
  }

  removexattr(_ctx: Context, ino: Ino, name: string): Promise<void> {
    return run(() => {
      if (!this.#inode(ino).xattrs.delete(name)) throw fail('ENODATA', 'removexattr');
    });
  }

  setKernelCache(cache: KernelCache | undefined): void {
    this.cache = cache;
  }

  async close(): Promise<void> {}

  /** What another machine would do: change the tree, then tell the kernel. Creates or overwrites a file in the root. */
  async remoteWrite(name: ByteString, text: string): Promise<void> {
    const entries = this.#inode(ROOT_INO).entries;
    let ino = entries.get(name)?.ino;
    if (ino === undefined) {
      const inode = this.#make(S_IFREG | 0o644, { uid: 0, gid: 0 }, ROOT_INO);
      this.#add(ROOT_INO, name, inode);
      ino = inode.attr.ino;
      await this.cache?.invalidateEntry(ROOT_INO, name);
      await this.cache?.invalidateInode(ROOT_INO, -1, 0);
    }
    const inode = this.#inode(ino);
    this.#resize(inode, Buffer.byteLength(text));
    inode.data.write(text);
    touch(inode.attr);
    await this.cache?.invalidateInode(ino, 0, 0);
  }

  async remoteRemove(name: ByteString): Promise<void> {
    this.#remove(ROOT_INO, name);
    await this.cache?.invalidateEntry(ROOT_INO, name);
  }

  #count(call: string): void {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
  }

  /** Lets all calls go on that are held, and holds no more. */
  resume(): void {
    this.held.clear();
    this.#resumeHeld();
    this.#heldUp = this.#nextHold();
  }

  #nextHold(): Promise<void> {
    return new Promise((resolve) => {
      this.#resumeHeld = resolve;
    });
  }

  /** Runs the call now, or when it is no longer held. */
  #run<T>(call: string, body: () => T): Promise<T> {
    return this.held.has(call) ? this.#heldUp.then(body) : run(body);
  }

  #inode(ino: Ino): Inode {
    const inode = this.#inodes.get(ino);
    if (inode === undefined) throw fail('ESTALE', 'inode');
    return inode;
  }

  #entry(parent: Ino, name: ByteString): Entry {
    const found = this.#inode(parent).entries.get(name);
    if (found === undefined) throw fail('ENOENT', 'lookup');
    return { name, attr: { ...this.#inode(found.ino).attr }, shadowed: false };
  }

  #make(mode: number, owner: { uid: number; gid: number }, parent: Ino): Inode {
    const [sec, nsec] = pair('now');
    const attr: Attr = {
      ino: this.#nextIno++,
      mode,
      uid: owner.uid,
      gid: owner.gid,
      nlink: 0,
      size: 0,
      rdev: 0,
      flags: 0,
      atimeSec: sec,
      atimeNsec: nsec,
      mtimeSec: sec,
      mtimeNsec: nsec,
      ctimeSec: sec,
      ctimeNsec: nsec,
      btimeSec: sec,
      btimeNsec: nsec,
      parent,
      version: 1,
      mtimeSetUs: 0,
      sparseBytes: 0,
    };
    const inode = {
      attr,
      data: Buffer.alloc(0),
      entries: new Map(),
      target: Buffer.alloc(0),
      xattrs: new Map(),
      opens: 0,
    };
    this.#inodes.set(attr.ino, inode);
    return inode;
  }

  #add(parent: Ino, name: ByteString, inode: Inode): Entry {
    inode.attr.nlink++;
    inode.attr.parent = parent;
    const directory = this.#inode(parent);
    directory.entries.set(name, { ino: inode.attr.ino, cookie: this.#nextCookie++ });
    touch(directory.attr);
    return this.#entry(parent, name);
  }

  #remove(parent: Ino, name: ByteString): void {
    const { attr } = this.#entry(parent, name);
    const directory = this.#inode(parent);
    directory.entries.delete(name);
    touch(directory.attr);
    const inode = this.#inode(attr.ino);
    inode.attr.nlink = (attr.mode & S_IFMT) === S_IFDIR ? 0 : inode.attr.nlink - 1;
    this.#reap(inode);
  }

  #reap(inode: Inode): void {
    if (inode.attr.nlink === 0 && inode.opens === 0) this.#inodes.delete(inode.attr.ino);
  }

  #open(ino: Ino, flags: number): FileHandle {
    const inode = this.#inode(ino);
    if ((flags & O_TRUNC) !== 0) this.#resize(inode, 0);
    inode.opens++;
    return { id: this.#nextHandle++, ino, flags };
  }

  #refuseExisting(parent: Ino, name: ByteString): void {
    if (this.#inode(parent).entries.has(name)) throw fail('EEXIST', 'create');
  }

  #resize(inode: Inode, size: number): void {
    if (size > FILE_BYTES_MAX) throw fail('EFBIG', 'resize');
    if (size > inode.data.length) {
      const grown = Buffer.alloc(Math.max(size, Math.min(inode.data.length * 2, size + 2 ** 26)));
      inode.data.copy(grown);
      inode.data = grown;
    } else if (size < inode.attr.size) {
      inode.data.fill(0, size, inode.attr.size);
    }
    inode.attr.size = size;
    touch(inode.attr);
  }
}

/** A promise in any case, as the real vfs gives it. */
async function run<T>(body: () => T): Promise<T> {
  return body();
}

function fail(code: ErrnoCode, op: string): FsError {
  return new FsError(code, op, `errno ${ERRNO[code]}`);
}

function pair(time: Timestamp | 'now'): [number, number] {
  if (time !== 'now') return [time.sec, time.nsec];
  const ms = Date.now();
  return [Math.floor(ms / 1000), (ms % 1000) * 1_000_000];
}

function touch(attr: Attr): void {
  [attr.mtimeSec, attr.mtimeNsec] = pair('now');
  attr.ctimeSec = attr.mtimeSec;
  attr.ctimeNsec = attr.mtimeNsec;
}

function killPriv(attr: Attr): void {
  if ((attr.mode & S_IFMT) !== S_IFREG) return;
  attr.mode &= ~0o4000;
  if ((attr.mode & 0o010) !== 0) attr.mode &= ~0o2000;
}
