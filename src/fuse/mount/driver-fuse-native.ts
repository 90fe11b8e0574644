/**
 * The second driver: the npm package fuse-native 2.2.6 (libfuse 2.9's path interface) over the same vfs, for systems
 * where /dev/fuse is not what Linux means by it (macOS). It is an optional peer dependency, loaded here only.
 *
 * Limits, all of the package or of path-based FUSE:
 * - no caller: every call runs as the user of this process, files belong to it, permissions are checked by the kernel only;
 * - writes arrive in pieces of 4 KiB, reads of at most 128 KiB; each call walks its path from the root;
 * - times are whole milliseconds from 1970 on; utimens passes the access time for both times; st_ino has 32 bits, and
 *   st_nlink of an unlinked open file is 1;
 * - a file that is unlinked while open is renamed to .fuse_hidden... by libfuse and removed at its last close;
 * - O_APPEND is placed by the kernel's idea of the size; O_TRUNC, O_EXCL and O_TMPFILE are the kernel's doing;
 * - no fallocate, lseek for data and holes, copy_file_range, rename flags, interrupts or locks across machines;
 * - names must be UTF-8; directories are read whole, once per listing;
 * - no invalidation: changes made elsewhere (S3 too) show after libfuse's time-out of one second;
 * - an unmount from outside is noticed on Linux only, within a second; read-only mounts are not supported.
 */
import { ERRNO, FsError, UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Attr, ByteString, Ino } from '../../base/vocabulary.ts';
import { ROOT_INO, S_IFMT, S_IFREG } from '../../base/vocabulary.ts';
import type { SetattrRequest } from '../../meta/meta.ts';
import { O_RDWR } from '../../vfs/file/open-flags.ts';
import type { Context, FileHandle, Vfs } from '../../vfs/vfs.ts';
import { errnoReply } from '../wire/errno-reply.ts';
import type { FuseMount, MountOptions } from './fuse-mount.ts';
import { mountedAt } from './mount-point.ts';

const PACKAGE = 'fuse-native';
const VERSION = '2.2.6';
const READDIR_PAGE = 1024;
/** statfs counts in 32 bits: units of 1 MiB. */
const STATFS_UNIT_BYTES = 1024 * 1024;
const WATCH_MS = 1000;
/** setattr by path leaves an owner as it is. */
const KEEP_ID = 0xffff_ffff;

/** A result: 0, a positive count for read and write, or a negative errno; then values. */
type Answer = (result: number, ...values: unknown[]) => void;
type PathOperation = (...args: never[]) => void;

/** What of fuse-native is used. */
interface FuseNative {
  mount(callback: (error: Error | null) => void): void;
  unmount(callback: (error: Error | null) => void): void;
}
type FuseNativeClass = new (
  mountPoint: string,
  operations: Record<string, PathOperation>,
  options: { allowOther: boolean; defaultPermissions: boolean; fsname: string; subtype: string; debug: boolean },
) => FuseNative;

/**
 * Mounts the vfs through fuse-native.
 * @throws UserError when the package is not installed, the option is not supported, or the mount fails.
 */
export async function mountWithFuseNative(vfs: Vfs, options: MountOptions): Promise<FuseMount> {
  if (options.readOnly) throw new UserError('the fuse-native driver has no read-only mounts: use the raw driver');
  const Fuse = await loadFuseNative();
  const { mountPoint, allowOther, fsName, debug, logger } = options;
  const paths = new PathOperations(vfs, logger);
  const fuse = new Fuse(mountPoint, paths.table(), {
    allowOther,
    defaultPermissions: true,
    fsname: fsName,
    subtype: 'janusfs',
    debug,
  });
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) => {
      if (error === null || error === undefined) resolve();
      else reject(new UserError(`${mountPoint} cannot be mounted by ${PACKAGE}: ${error.message}`));
    });
  });
  return new FuseNativeMount(mountPoint, fuse, paths, logger);
}

async function loadFuseNative(): Promise<FuseNativeClass> {
  // A name in a variable: the package is optional, and TypeScript would insist on its types.
  const name: string = PACKAGE;
  try {
    const loaded = (await import(name)) as { default: FuseNativeClass };
    return loaded.default;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const missing = code === 'ERR_MODULE_NOT_FOUND';
    const advice = missing
      ? `is not installed: npm install ${PACKAGE}@${VERSION}`
      : `cannot be loaded (${message}); it needs libfuse 2: apt-get install libfuse2`;
    throw new UserError(`the ${PACKAGE} driver ${advice}`, 1, { cause: error });
  }
}

class FuseNativeMount implements FuseMount {
  readonly mountPoint: string;
  readonly transport = 'fuse-native';
  readonly done: Promise<void>;
  readonly #fuse: FuseNative;
  readonly #paths: PathOperations;
  readonly #watch: NodeJS.Timeout | undefined;
  #finish: () => void = () => {};
  #unmounting: Promise<void> | undefined;

  constructor(mountPoint: string, fuse: FuseNative, paths: PathOperations, logger: Logger) {
    this.mountPoint = mountPoint;
    this.#fuse = fuse;
    this.#paths = paths;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    if (process.platform === 'linux') {
      this.#watch = setInterval(() => {
        this.#look().catch((error: Error) => logger.warn({ reason: error.message }, 'the mount cannot be watched'));
      }, WATCH_MS);
      this.#watch.unref();
    }
  }

  unmount(): Promise<void> {
    this.#unmounting ??= new Promise<void>((resolve, reject) => {
      this.#fuse.unmount((error) => {
        if (error === null || error === undefined) resolve();
        else reject(new UserError(`${this.mountPoint} cannot be unmounted by ${PACKAGE}: ${error.message}`));
      });
    }).then(() => this.#end());
    return this.#unmounting;
  }

  async #look(): Promise<void> {
    if ((await mountedAt(this.mountPoint)) === undefined) await this.#end();
  }

  async #end(): Promise<void> {
    clearInterval(this.#watch);
    await this.#paths.releaseAll();
    this.#finish();
  }
}

/**
 * Path callbacks as inode calls: what fuse-native is given. One function per callback, in the package's order of arguments;
 * each answers once, with 0, a count or a negative errno, then values.
 */
export class PathOperations {
  readonly #vfs: Vfs;
  readonly #logger: Logger;
  readonly #files = new Map<number, FileHandle>();
  readonly #ctx: Context;
  #nextFd = 1;

  constructor(vfs: Vfs, logger: Logger) {
    this.#vfs = vfs;
    this.#logger = logger;
    this.#ctx = {
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      groups: [],
      pid: process.pid,
      check: false,
    };
  }

  async releaseAll(): Promise<void> {
    const handles = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(handles.map((handle) => this.#vfs.files.release(this.#ctx, handle)));
  }

  table(): Record<string, PathOperation> {
    return { ...this.#inodeTable(), ...this.#nameTable(), ...this.#fileTable() };
  }

  #inodeTable(): Record<string, PathOperation> {
    const vfs = this.#vfs;
    const ctx = this.#ctx;
    return {
      getattr: (path: string, cb: Answer) => this.#answer('getattr', cb, async () => [await this.#stat(path)]),
      statfs: (_path: string, cb: Answer) => this.#answer('statfs', cb, async () => [await this.#statfs()]),
      chmod: (path: string, mode: number, cb: Answer) => this.#change(path, cb, { mode: mode & 0o7777 }),
      chown: (path: string, uid: number, gid: number, cb: Answer) =>
        this.#change(path, cb, { ...(uid >>> 0 !== KEEP_ID && { uid }), ...(gid >>> 0 !== KEEP_ID && { gid }) }),
      truncate: (path: string, size: number, cb: Answer) => this.#change(path, cb, { size }),
      ftruncate: (path: string, _fd: number, size: number, cb: Answer) => this.#change(path, cb, { size }),
      utimens: (path: string, atimeMs: number, mtimeMs: number, cb: Answer) =>
        this.#change(path, cb, { atime: timestamp(atimeMs), mtime: timestamp(mtimeMs) }),
      setxattr: (path: string, name: string, value: Buffer, _position: number, flags: number, cb: Answer) =>
        this.#answer('setxattr', cb, async () => {
          // The package's buffer is libfuse's memory, gone after the answer.
          await vfs.attributes.setxattr(ctx, await this.#walk(path), bytes(name), Buffer.from(value), flags);
        }),
      getxattr: (path: string, name: string, _position: number, cb: Answer) =>
        this.#answer('getxattr', cb, async () => [
          await vfs.attributes.getxattr(ctx, await this.#walk(path), bytes(name)),
        ]),
      listxattr: (path: string, cb: Answer) =>
        this.#answer('listxattr', cb, async () => [
          (await vfs.attributes.listxattr(ctx, await this.#walk(path))).map(text),
        ]),
      removexattr: (path: string, name: string, cb: Answer) =>
        this.#answer('removexattr', cb, async () =>
          vfs.attributes.removexattr(ctx, await this.#walk(path), bytes(name)),
        ),
    } as Record<string, PathOperation>;
  }

  #nameTable(): Record<string, PathOperation> {
    const vfs = this.#vfs;
    const ctx = this.#ctx;
    return {
      readdir: (path: string, cb: Answer) => this.#answer('readdir', cb, async () => [await this.#list(path)]),
      readlink: (path: string, cb: Answer) =>
        this.#answer('readlink', cb, async () => [
          (await vfs.names.readlink(ctx, await this.#walk(path))).toString('utf8'),
        ]),
      mknod: (path: string, mode: number, device: number, cb: Answer) =>
        this.#inParent('mknod', path, cb, (parent, name) =>
          vfs.names.mknod(ctx, parent, name, (mode & S_IFMT) === 0 ? mode | S_IFREG : mode, device),
        ),
      mkdir: (path: string, mode: number, cb: Answer) =>
        this.#inParent('mkdir', path, cb, (parent, name) => vfs.names.mkdir(ctx, parent, name, mode & 0o7777)),
      symlink: (target: string, path: string, cb: Answer) =>
        this.#inParent('symlink', path, cb, (parent, name) =>
          vfs.names.symlink(ctx, parent, name, Buffer.from(target)),
        ),
      link: (source: string, path: string, cb: Answer) =>
        this.#inParent('link', path, cb, async (parent, name) =>
          vfs.names.link(ctx, await this.#walk(source), parent, name),
        ),
      unlink: (path: string, cb: Answer) =>
        this.#inParent('unlink', path, cb, (parent, name) => vfs.names.unlink(ctx, parent, name)),
      rmdir: (path: string, cb: Answer) =>
        this.#inParent('rmdir', path, cb, (parent, name) => vfs.names.rmdir(ctx, parent, name)),
      rename: (source: string, path: string, cb: Answer) =>
        this.#inParent('rename', path, cb, async (newParent, newName) => {
          const { parent, name } = await this.#walkParent(source);
          await vfs.names.rename(ctx, { parent, name, newParent, newName, mode: 'replace' });
        }),
    } as Record<string, PathOperation>;
  }

  #fileTable(): Record<string, PathOperation> {
    const vfs = this.#vfs;
    const ctx = this.#ctx;
    return {
      create: (path: string, mode: number, cb: Answer) =>
        this.#answer('create', cb, async () => {
          const { parent, name } = await this.#walkParent(path);
          return [this.#keep((await vfs.files.create(ctx, parent, name, mode & 0o7777, O_RDWR)).handle)];
        }),
      open: (path: string, flags: number, cb: Answer) =>
        this.#answer('open', cb, async () => [
          this.#keep((await vfs.files.open(ctx, await this.#walk(path), flags, false)).handle),
        ]),
      read: (_path: string, fd: number, out: Buffer, length: number, position: number, cb: Answer) =>
        this.#answer('read', cb, async () => (await vfs.files.read(ctx, this.#file(fd), position, length)).copy(out)),
      write: (_path: string, fd: number, data: Buffer, length: number, position: number, cb: Answer) =>
        this.#answer('write', cb, async () => {
          await vfs.files.write(ctx, this.#file(fd), position, data.subarray(0, length), false);
          return length;
        }),
      flush: (_path: string, fd: number, cb: Answer) =>
        this.#answer('flush', cb, async () => vfs.files.flush(ctx, this.#file(fd))),
      fsync: (_path: string, _dataOnly: number, fd: number, cb: Answer) =>
        this.#answer('fsync', cb, async () => vfs.files.fsync(ctx, this.#file(fd))),
      release: (_path: string, fd: number, cb: Answer) =>
        this.#answer('release', cb, async () => {
          const handle = this.#file(fd);
          this.#files.delete(fd);
          await vfs.files.release(ctx, handle);
        }),
    } as Record<string, PathOperation>;
  }

  /** Runs a call and answers once: its values, its count, or its error as a negative errno. */
  #answer(op: string, cb: Answer, call: () => Promise<unknown>): void {
    call().then(
      (result) => {
        if (Array.isArray(result)) cb(0, ...result);
        else cb(typeof result === 'number' ? result : 0);
      },
      (error: unknown) => cb(-errnoReply(error, op, this.#logger)),
    );
  }

  #change(path: string, cb: Answer, changes: SetattrRequest): void {
    this.#answer('setattr', cb, async () => {
      await this.#vfs.attributes.setattr(this.#ctx, await this.#walk(path), changes);
    });
  }

  #inParent(op: string, path: string, cb: Answer, call: (parent: Ino, name: ByteString) => Promise<unknown>): void {
    this.#answer(op, cb, async () => {
      const { parent, name } = await this.#walkParent(path);
      await call(parent, name);
    });
  }

  async #walk(path: string): Promise<Ino> {
    return this.#descend(components(path));
  }

  async #walkParent(path: string): Promise<{ parent: Ino; name: ByteString }> {
    const names = components(path);
    const name = names.pop();
    if (name === undefined) throw new FsError('EBUSY', 'walk', 'the root has no name');
    return { parent: await this.#descend(names), name };
  }

  async #descend(names: readonly ByteString[]): Promise<Ino> {
    let ino = ROOT_INO;
    for (const name of names) ino = (await this.#vfs.names.lookup(this.#ctx, ino, name)).attr.ino;
    return ino;
  }

  async #stat(path: string) {
    return stat(await this.#vfs.attributes.getattr(this.#ctx, await this.#walk(path)));
  }

  async #list(path: string): Promise<string[]> {
    const handle = this.#vfs.directories.opendir(this.#ctx, await this.#walk(path));
    try {
      const names = ['.', '..'];
      for (let cookie = 0; ; ) {
        const page = await this.#vfs.directories.readdir(this.#ctx, handle, cookie, READDIR_PAGE);
        if (page.length === 0) return names;
        for (const entry of page) names.push(text(entry.name));
        cookie = page.at(-1)!.cookie;
      }
    } finally {
      this.#vfs.directories.releasedir(this.#ctx, handle);
    }
  }

  async #statfs() {
    const space = await this.#vfs.attributes.statfs(this.#ctx);
    const blocks = Math.max(1, Math.floor(space.totalBytes / STATFS_UNIT_BYTES));
    const free = Math.max(0, blocks - Math.ceil(space.usedBytes / STATFS_UNIT_BYTES));
    return {
      bsize: STATFS_UNIT_BYTES,
      frsize: STATFS_UNIT_BYTES,
      blocks,
      bfree: free,
      bavail: free,
      files: Math.min(space.totalInodes, KEEP_ID),
      ffree: Math.min(Math.max(0, space.totalInodes - space.usedInodes), KEEP_ID),
      namemax: 255,
    };
  }

  /** A descriptor for libfuse: a positive 32-bit number, since 0 means none. */
  #keep(handle: FileHandle): number {
    const fd = this.#nextFd;
    this.#nextFd = fd === 0x7fff_ffff ? 1 : fd + 1;
    this.#files.set(fd, handle);
    return fd;
  }

  #file(fd: number): FileHandle {
    const handle = this.#files.get(fd);
    if (handle === undefined) throw new FsError('EBADF', 'file', `errno ${ERRNO.EBADF}`);
    return handle;
  }
}

/** fuse-native gives paths as UTF-8 strings; names below are bytes. */
function components(path: string): ByteString[] {
  return path
    .split('/')
    .filter((name) => name !== '')
    .map(bytes);
}

function bytes(name: string): ByteString {
  return Buffer.from(name, 'utf8').toString('latin1');
}

function text(name: ByteString): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

function timestamp(ms: number): { sec: number; nsec: number } {
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: (ms - sec * 1000) * 1_000_000 };
}

function stat(attr: Attr) {
  const { mode, uid, gid, nlink, size, rdev, ino } = attr;
  return {
    mode,
    uid,
    gid,
    nlink,
    size,
    rdev,
    ino: ino % 2 ** 32,
    blksize: 65_536,
    blocks: Math.ceil(size / 512),
    atime: Math.max(0, attr.atimeSec * 1000 + Math.floor(attr.atimeNsec / 1_000_000)),
    mtime: Math.max(0, attr.mtimeSec * 1000 + Math.floor(attr.mtimeNsec / 1_000_000)),
    ctime: Math.max(0, attr.ctimeSec * 1000 + Math.floor(attr.ctimeNsec / 1_000_000)),
  };
}
