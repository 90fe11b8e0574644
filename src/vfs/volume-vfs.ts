/**
 * The virtual file system of one process: what both doors call. It checks that the session is alive, hands the call to
 * the part that does it, and connects those parts with pushes, the channel's health and fencing.
 */
import { FsError } from '../base/errors.ts';
import type { Attr, ByteString, Entry, Ino, Invalidation, VolumeUsage } from '../base/vocabulary.ts';
import { FileOps } from './file/file-ops.ts';
import { AttributeOps } from './name/attribute-ops.ts';
import { DirStream } from './name/dir-stream.ts';
import { NamespaceOps } from './name/namespace-ops.ts';
import { VolumeObjects } from './object/objects.ts';
import type {
  Context,
  DirEntry,
  DirHandle,
  FileHandle,
  KernelCache,
  ObjectVfs,
  SetattrChanges,
  Validity,
  Vfs,
} from './vfs.ts';
import { checkAlive, shownAttr, type VfsState } from './vfs-state.ts';

const EXPIRED: Validity = { entrySec: 0, attrSec: 0 };
/** Files flushed at the same time when everything closes. */
const CLOSE_FLUSHES_MAX = 16;

export class VolumeVfs implements Vfs {
  readonly objects: ObjectVfs;
  readonly #state: VfsState;
  readonly #names: NamespaceOps;
  readonly #attributes: AttributeOps;
  readonly #files: FileOps;
  readonly #valid: Validity;
  #nextDirId = 1;
  #wasHealthy = false;
  #fencedListeners: (() => void)[] = [];
  #closing: Promise<void> | undefined;

  constructor(state: VfsState) {
    this.#state = state;
    this.#names = new NamespaceOps(state);
    this.#attributes = new AttributeOps(state);
    this.#files = new FileOps(state);
    this.objects = new VolumeObjects(state);
    this.#valid = { entrySec: state.options.ttlSec, attrSec: state.options.ttlSec };
    state.meta.events.on('invalidated', (batch) => this.#pushed(batch));
    state.meta.events.on('channel', (healthy) => this.#channel(healthy));
    state.meta.events.on('fenced', () => this.#fenced());
  }

  validity(): Validity {
    return this.#state.attrs.healthy && !this.#state.fenced ? this.#valid : EXPIRED;
  }

  lookup(ctx: Context, parent: Ino, name: ByteString): Promise<Entry> {
    return this.#names.lookup(ctx, parent, name);
  }

  getattr(_ctx: Context, ino: Ino, _handle?: FileHandle): Attr | Promise<Attr> {
    return this.#attributes.getattr(ino);
  }

  setattr(ctx: Context, ino: Ino, changes: SetattrChanges, _handle?: FileHandle): Promise<Attr> {
    return this.#attributes.setattr(ctx, ino, changes);
  }

  readlink(_ctx: Context, ino: Ino): Promise<Buffer> {
    return this.#names.readlink(ino);
  }

  mknod(ctx: Context, parent: Ino, name: ByteString, mode: number, rdev: number): Promise<Entry> {
    return this.#names.mknod(ctx, parent, name, mode, rdev);
  }

  mkdir(ctx: Context, parent: Ino, name: ByteString, mode: number): Promise<Entry> {
    return this.#names.mkdir(ctx, parent, name, mode);
  }

  symlink(ctx: Context, parent: Ino, name: ByteString, target: Buffer): Promise<Entry> {
    return this.#names.symlink(ctx, parent, name, target);
  }

  link(ctx: Context, ino: Ino, newParent: Ino, newName: ByteString): Promise<Entry> {
    return this.#names.link(ctx, ino, newParent, newName);
  }

  unlink(ctx: Context, parent: Ino, name: ByteString): Promise<void> {
    return this.#names.unlink(ctx, parent, name);
  }

  rmdir(ctx: Context, parent: Ino, name: ByteString): Promise<void> {
    return this.#names.rmdir(ctx, parent, name);
  }

  rename(
    ctx: Context,
    parent: Ino,
    name: ByteString,
    newParent: Ino,
    newName: ByteString,
    mode: 'replace' | 'noreplace' | 'exchange',
  ): Promise<void> {
    return this.#names.rename(ctx, parent, name, newParent, newName, mode);
  }

  create(
    ctx: Context,
    parent: Ino,
    name: ByteString,
    mode: number,
    flags: number,
  ): Promise<{ entry: Entry; handle: FileHandle }> {
    return this.#files.create(ctx, parent, name, mode, flags);
  }

  tmpfile(ctx: Context, parent: Ino, mode: number, flags: number): Promise<{ attr: Attr; handle: FileHandle }> {
    return this.#files.tmpfile(ctx, parent, mode, flags);
  }

  open(
    ctx: Context,
    ino: Ino,
    flags: number,
    killPriv: boolean,
  ): Promise<{ handle: FileHandle; keepCache: boolean }> | { handle: FileHandle; keepCache: boolean } {
    return this.#files.open(ctx, ino, flags, killPriv);
  }

  read(
    _ctx: Context,
    handle: FileHandle,
    offset: number,
    length: number,
    flags: number = handle.flags,
  ): Buffer | Promise<Buffer> {
    return this.#files.read(handle, offset, length, flags);
  }

  write(
    _ctx: Context,
    handle: FileHandle,
    offset: number,
    data: Buffer,
    killPriv: boolean,
    flags: number = handle.flags,
  ): Promise<void> | undefined {
    return this.#files.write(handle, offset, data, killPriv, flags);
  }

  flush(_ctx: Context, handle: FileHandle): Promise<void> | undefined {
    return this.#files.flush(handle);
  }

  fsync(_ctx: Context, handle: FileHandle): Promise<void> {
    return this.#files.fsync(handle);
  }

  release(_ctx: Context, handle: FileHandle): Promise<void> | undefined {
    return this.#files.release(handle);
  }

  fallocate(ctx: Context, handle: FileHandle, mode: number, offset: number, length: number): Promise<void> {
    return this.#files.fallocate(ctx, handle, mode, offset, length);
  }

  lseek(_ctx: Context, handle: FileHandle, offset: number, whence: 'data' | 'hole'): Promise<number> {
    return this.#files.lseek(handle, offset, whence);
  }

  copyFileRange(
    ctx: Context,
    source: FileHandle,
    sourceOffset: number,
    target: FileHandle,
    targetOffset: number,
    length: number,
  ): Promise<number> {
    return this.#files.copyFileRange(ctx, source, sourceOffset, target, targetOffset, length);
  }

  opendir(_ctx: Context, ino: Ino): DirHandle {
    checkAlive(this.#state, 'opendir');
    const state = this.#state;
    return new DirStream(this.#nextDirId++, ino, {
      names: state.meta.names,
      attrs: state.attrs,
      shown: (attr) => shownAttr(state, attr),
      sawTwin: () => state.coherence.sawTwin(),
      doubtful: (parent, entry) => {
        state.coherence.pushEntry(parent, entry.name);
        state.coherence.pushInode(entry.attr.ino, false);
      },
    });
  }

  readdir(_ctx: Context, handle: DirHandle, cookie: number, limit: number): DirEntry[] | Promise<DirEntry[]> {
    checkAlive(this.#state, 'readdir');
    return streamOf(handle).read(cookie, limit);
  }

  releasedir(_ctx: Context, handle: DirHandle): void {
    streamOf(handle).close();
  }

  async fsyncdir(_ctx: Context, _handle: DirHandle): Promise<void> {
    checkAlive(this.#state, 'fsyncdir');
    await this.#state.meta.durability.reached();
  }

  statfs(_ctx: Context): Promise<VolumeUsage & { totalBytes: number; totalInodes: number }> {
    return this.#attributes.statfs();
  }

  getxattr(ctx: Context, ino: Ino, name: string): Promise<Buffer> {
    return this.#attributes.getxattr(ctx, ino, name);
  }

  setxattr(ctx: Context, ino: Ino, name: string, value: Buffer, flags: number): Promise<void> {
    return this.#attributes.setxattr(ctx, ino, name, value, flags);
  }

  listxattr(ctx: Context, ino: Ino): Promise<string[]> {
    return this.#attributes.listxattr(ctx, ino);
  }

  removexattr(ctx: Context, ino: Ino, name: string): Promise<void> {
    return this.#attributes.removexattr(ctx, ino, name);
  }

  /** Nothing to do: our caches are bounded by themselves, and what the kernel had to drop it will ask for again. */
  forget(_ino: Ino, _lookups: number): void {}

  setKernelCache(cache: KernelCache | undefined): void {
    this.#state.coherence.setKernel(cache);
  }

  onFenced(listener: () => void): void {
    this.#fencedListeners.push(listener);
  }

  /** @throws the first error that kept bytes from being stored, after everything was tried. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const failures: unknown[] = [];
    if (!this.#state.fenced) {
      const files = this.#state.files.all();
      const worker = async (): Promise<void> => {
        for (let file = files.pop(); file !== undefined; file = files.pop()) {
          try {
            await file.flush();
          } catch (error) {
            failures.push(error);
          }
        }
      };
      await Promise.all(Array.from({ length: CLOSE_FLUSHES_MAX }, worker));
      await this.#state.files.reapQueued();
    }
    await this.#state.upkeep.stop({ drain: !this.#state.fenced });
    if (failures.length > 0) throw failures[0];
  }

  #pushed(batch: readonly Invalidation[]): void {
    const { attrs, entries, files, coherence, whole } = this.#state;
    for (const invalidation of batch) {
      switch (invalidation.kind) {
        case 'inode': {
          const before = attrs.pushed(invalidation.ino);
          // The same content version: only attributes changed, and what was read of the content stays right.
          const contentChanged = before === undefined || before.version !== invalidation.version;
          if (contentChanged) files.contentChanged(invalidation.ino, invalidation.version);
          coherence.pushInode(invalidation.ino, contentChanged);
          break;
        }
        case 'entry':
          whole.add(invalidation.parent, invalidation.name);
          attrs.pushedEntry(invalidation.parent, invalidation.name);
          entries.pushed(invalidation.parent, invalidation.name);
          coherence.pushEntry(invalidation.parent, invalidation.name);
          break;
        case 'unlinked':
          attrs.pushed(invalidation.ino);
          files.pushedUnlinked(invalidation.ino);
          coherence.pushInode(invalidation.ino, false);
          break;
        case 'users':
          break; // The S3 side listens for itself.
      }
    }
  }

  #channel(healthy: boolean): void {
    const { attrs, entries, files, coherence, logger, whole } = this.#state;
    attrs.setHealthy(healthy);
    entries.clear();
    whole.forgetAll();
    files.dropAll();
    this.#files.pagesDoubtful();
    coherence.expireAll();
    if (!healthy) {
      // At the start the channel has yet to prove itself.
      if (!this.#wasHealthy) return;
      logger.warn({}, 'pushes from other sessions may be missed: nothing is cached until they come again');
      return;
    }
    if (this.#wasHealthy) logger.info({}, 'pushes from other sessions come again');
    this.#wasHealthy = true;
    void files.revalidate();
  }

  #fenced(): void {
    const { attrs, files, coherence, logger } = this.#state;
    this.#state.fenced = true;
    logger.error({}, 'this session was suspended past its lease and is fenced: nothing more is written; mount again');
    attrs.setHealthy(false);
    for (const file of files.all()) file.discard();
    files.dropAll();
    coherence.expireAll();
    for (const listener of this.#fencedListeners) listener();
  }
}

function streamOf(handle: DirHandle): DirStream {
  if (!(handle instanceof DirStream)) throw new FsError('EBADF', 'readdir');
  return handle;
}
