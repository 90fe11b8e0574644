/** Handles and what is done through them. */
import { FsError } from '../../base/errors.ts';
import { LruCache } from '../../base/lru.ts';
import { FILE_BYTES_MAX } from '../../base/slice-record.ts';
import { type Attr, type ByteString, type Entry, type Ino, S_IFDIR, S_IFMT, S_IFREG } from '../../base/vocabulary.ts';
import { newName } from '../name/mount-names.ts';
import { checkOpen } from '../name/permissions.ts';
import type { Context, FileHandle, VfsFiles } from '../vfs.ts';
import { checkAlive, shownAttr, storedAttr, type VfsState } from '../vfs-state.ts';
import { fallocateMode } from './fallocate-mode.ts';
import type { OpenFile } from './open-file.ts';
import { canRead, canWrite, O_APPEND, O_DIRECT, O_DSYNC, O_EXCL, O_TRUNC } from './open-flags.ts';

const PERMISSION_BITS = 0o7777;
const S_ISGID = 0o2000;
/** fallocate of less than this is not checked against what is free: it costs a trip. */
const CHECKED_BYTES = 2 ** 30;
/** Inodes whose pages the kernel may keep over a close, count. */
const KEPT_PAGES_MAX = 65_536;
/** A create that keeps meeting a file that vanishes again. */
const CREATE_RETRIES = 8;

export interface OpenReply {
  handle: FileHandle;
  keepCache: boolean;
}

class OpenHandle implements FileHandle {
  readonly id: number;
  readonly ino: Ino;
  readonly flags: number;
  readonly file: OpenFile;
  released = false;

  constructor(id: number, flags: number, file: OpenFile) {
    this.id = id;
    this.ino = file.ino;
    this.flags = flags;
    this.file = file;
  }
}

export class VolumeFiles implements VfsFiles {
  readonly #state: VfsState;
  #nextId = 1;
  /** Channel epoch in which the kernel was last known to hold the right pages of an inode. */
  #kept = new LruCache<Ino, number>(KEPT_PAGES_MAX);
  #epoch = 0;

  constructor(state: VfsState) {
    this.#state = state;
    // Pushes were missed: pages that the kernel kept may be wrong.
    state.meta.events.on('channel', () => {
      this.#epoch += 1;
    });
  }

  /** A new file, or (without O_EXCL) one that came into being since the kernel looked. 1 round trip for a new one. */
  async create(
    ctx: Context,
    parent: Ino,
    shown: ByteString,
    mode: number,
    flags: number,
  ): Promise<{ entry: Entry; handle: FileHandle }> {
    checkAlive(this.#state, 'create');
    const name = newName('create', shown);
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#createNew(ctx, parent, name, mode, flags);
      } catch (error) {
        const exists = error instanceof FsError && error.code === 'EEXIST';
        if (!exists || (flags & O_EXCL) !== 0 || attempt >= CREATE_RETRIES) throw error;
      }
      const opened = await this.#createOverExisting(ctx, parent, name, flags);
      if (opened !== undefined) return opened;
    }
  }

  async #createNew(
    ctx: Context,
    parent: Ino,
    name: ByteString,
    mode: number,
    flags: number,
  ): Promise<{ entry: Entry; handle: FileHandle }> {
    const { attrs, entries, meta, room } = this.#state;
    const admitted = room.admit('create', 0, 1);
    if (admitted !== undefined) await admitted;
    const token = attrs.token();
    const { uid, gid } = ctx;
    const fullMode = S_IFREG | (mode & PERMISSION_BITS);
    this.#state.negative.add(parent, name);
    const reply = await meta.names.mknod({ parent, name, mode: fullMode, uid, gid, rdev: 0, caller: ctx });
    attrs.changed(reply.entry.attr, token);
    attrs.changed(reply.parentAttr, token);
    entries.keep(parent, reply.entry, token);
    const file = this.#state.files.acquire(reply.entry.attr.ino);
    return { entry: reply.entry, handle: this.#handle(file, flags).handle };
  }

  /** Undefined when the file that was in the way is gone again. */
  async #createOverExisting(
    ctx: Context,
    parent: Ino,
    name: ByteString,
    flags: number,
  ): Promise<{ entry: Entry; handle: FileHandle } | undefined> {
    try {
      const { attrs, meta } = this.#state;
      const token = attrs.token();
      const entry = await meta.names.lookup(parent, name, 'primary', ctx);
      attrs.fill(entry.attr, token);
      checkRegular(entry.attr);
      checkOpen(ctx, entry.attr, flags);
      const { handle } = await this.open(ctx, entry.attr.ino, flags, ctx.uid !== 0);
      const attr = await storedAttr(this.#state, entry.attr.ino);
      return { entry: { ...entry, attr: shownAttr(this.#state, attr) }, handle };
    } catch (error) {
      if (error instanceof FsError && (error.code === 'ENOENT' || error.code === 'ESTALE')) return undefined;
      throw error;
    }
  }

  /** O_TMPFILE: an inode without a name, gone with its last handle unless it is linked before. */
  async tmpfile(ctx: Context, parent: Ino, mode: number, flags: number): Promise<{ attr: Attr; handle: FileHandle }> {
    checkAlive(this.#state, 'tmpfile');
    const parentAttr = await storedAttr(this.#state, parent);
    const gid = (parentAttr.mode & S_ISGID) !== 0 ? parentAttr.gid : ctx.gid;
    const { attrs, meta, files, room } = this.#state;
    await room.admit('tmpfile', 0, 1);
    const token = attrs.token();
    const attr = await meta.names.mkHidden(S_IFREG | (mode & PERMISSION_BITS), ctx.uid, gid);
    attrs.changed(attr, token);
    const file = files.acquire(attr.ino);
    file.nameless = true;
    return { attr, handle: this.#handle(file, flags).handle };
  }

  /**
   * No round trip when the attributes are cached; the slice map of a file that will be read is then on its way. An inode
   * that has just lost its last name is opened all the same, as if the open had come a moment earlier: a path that is
   * being replaced must never fail to open.
   * @throws FsError ESTALE when the inode is gone: the kernel looks the path up again.
   */
  open(ctx: Context, ino: Ino, flags: number, killPriv: boolean): OpenReply | Promise<OpenReply> {
    checkAlive(this.#state, 'open');
    // Counted as open before anything is asked, so that an unlink heard meanwhile keeps the inode.
    const file = this.#state.files.acquire(ino);
    const attr = (flags & O_TRUNC) === 0 ? this.#state.attrs.get(ino) : undefined;
    if (attr === undefined || attr.nlink === 0) return this.#openSlowly(ctx, file, flags, killPriv);
    try {
      return this.#opened(file, attr, flags);
    } catch (error) {
      void this.#state.files.release(file);
      throw error;
    }
  }

  async #openSlowly(ctx: Context, file: OpenFile, flags: number, killPriv: boolean): Promise<OpenReply> {
    try {
      if (!this.#state.attrs.healthy) file.contentChanged();
      const attr =
        (flags & O_TRUNC) !== 0
          ? await file.exclusive(() => this.#truncate(ctx, file, killPriv))
          : await storedAttr(this.#state, file.ino);
      if (attr.nlink === 0 && !(await this.#state.files.keepNameless(file))) throw new FsError('ESTALE', 'open');
      return this.#opened(file, attr, flags);
    } catch (error) {
      void this.#state.files.release(file);
      throw error instanceof FsError && error.code === 'ENOENT' ? new FsError('ESTALE', 'open') : error;
    }
  }

  async #truncate(ctx: Context, file: OpenFile, killPriv: boolean): Promise<Attr> {
    const { meta } = this.#state;
    return (
      await this.#change(file, async () => ({ attr: await meta.names.setattr(file.ino, { size: 0, killPriv }, ctx) }))
    ).attr;
  }

  /**
   * Runs a script that changes the content, on the file's lock, and tells caches and readers. The replies of OPEN, FALLOCATE
   * and COPY_FILE_RANGE carry no attributes, so the kernel is told of another mode before they go out.
   */
  async #change<T extends { attr: Attr }>(file: OpenFile, script: () => Promise<T>): Promise<T> {
    const { attrs, coherence, files } = this.#state;
    const token = attrs.token();
    const before = attrs.get(file.ino);
    const reply = await script();
    const { attr } = reply;
    attrs.changed(attr, token);
    files.contentChanged(file.ino, attr.version);
    if (before?.mode !== attr.mode) await coherence.attributesStale(file.ino);
    return reply;
  }

  #opened(file: OpenFile, attr: Attr, flags: number): OpenReply {
    checkRegular(attr);
    if (canRead(flags) && attr.size > 0) file.prefetch();
    return this.#handle(file, flags);
  }

  #handle(file: OpenFile, flags: number): OpenReply {
    const keepCache = this.#state.attrs.healthy && this.#kept.get(file.ino) === this.#epoch;
    if (!keepCache) {
      this.#kept.set(file.ino, this.#epoch);
      // The kernel drops what it holds, unless somebody fills it again meanwhile.
      if (file.users === 1) file.pages.dropped();
    }
    return { handle: new OpenHandle(this.#nextId++, flags, file), keepCache };
  }

  read(
    _ctx: Context,
    handle: FileHandle,
    offset: number,
    length: number,
    flags = handle.flags,
  ): Buffer | Promise<Buffer> {
    checkAlive(this.#state, 'read');
    const file = fileOf(handle, 'read');
    if ((flags & O_DIRECT) === 0) file.pages.filled(offset, length);
    return file.read(offset, length);
  }

  write(
    _ctx: Context,
    handle: FileHandle,
    offset: number,
    data: Buffer,
    killPriv: boolean,
    flags = handle.flags,
  ): Promise<void> | undefined {
    checkAlive(this.#state, 'write');
    const file = fileOf(handle, 'write');
    const { length } = data;
    if (offset + length > FILE_BYTES_MAX) throw new FsError('EFBIG', 'write');
    const admitted = this.#state.room.admit('write', length);
    const append = (flags & O_APPEND) !== 0;
    const written =
      admitted === undefined
        ? file.write(offset, data, append, killPriv)
        : this.#writeAdmitted(file, admitted, { offset, data: Buffer.from(data), append, killPriv });
    const direct = (flags & O_DIRECT) !== 0;
    if (!direct) file.pages.filled(offset, length);
    // The plain case waits for nothing.
    if (!direct && !killPriv && (flags & O_DSYNC) === 0) return written;
    return this.#writeMore(file, written, { offset, length, direct, killPriv, sync: (flags & O_DSYNC) !== 0 });
  }

  /** After a wait for room: the message's buffer is another's by then, so `data` is a copy. */
  async #writeAdmitted(
    file: OpenFile,
    admitted: Promise<void>,
    write: { offset: number; data: Buffer; append: boolean; killPriv: boolean },
  ): Promise<void> {
    await admitted;
    await file.write(write.offset, write.data, write.append, write.killPriv);
  }

  #writeMore(
    file: OpenFile,
    written: Promise<void> | undefined,
    how: { offset: number; length: number; direct: boolean; killPriv: boolean; sync: boolean },
  ): Promise<void> | undefined {
    const waits: (Promise<void> | undefined)[] = [written];
    if (how.killPriv && file.dropsSetId()) waits.push(this.#state.coherence.attributesStale(file.ino));
    if (how.direct) {
      const stale = (): Promise<void> | undefined => this.#pagesStale(file, how.offset, how.length);
      waits.push(written === undefined ? stale() : written.then(stale));
    }
    if (how.sync) waits.push(this.#writeThrough(file, written));
    const left = waits.filter((wait) => wait !== undefined);
    return left.length === 0 ? undefined : Promise.all(left).then(() => {});
  }

  /**
   * A direct write passes the kernel's pages by. It drops them before it sends the request, and a synchronous one after
   * the reply too; of an asynchronous one (libaio, io_uring) a reader beside it has filled them again with old bytes.
   */
  #pagesStale(file: OpenFile, offset: number, length: number): Promise<void> | undefined {
    this.#kept.delete(file.ino);
    const stale = file.pages.overwritten(offset, length);
    return stale === undefined ? undefined : this.#state.coherence.pagesStale(file.ino, stale.offset, stale.length);
  }

  async #writeThrough(file: OpenFile, written: Promise<void> | undefined): Promise<void> {
    await written;
    await file.flush();
    await this.#state.meta.durability.reached();
  }

  /** close(2) of one descriptor: commits what was written. Undefined when there is nothing to do. */
  flush(_ctx: Context, handle: FileHandle): Promise<void> | undefined {
    checkAlive(this.#state, 'flush');
    return fileOf(handle, 'flush').flush();
  }

  async fsync(_ctx: Context, handle: FileHandle): Promise<void> {
    checkAlive(this.#state, 'fsync');
    await fileOf(handle, 'fsync').flush();
    await this.#state.meta.durability.reached();
  }

  release(_ctx: Context, handle: FileHandle): Promise<void> | undefined {
    const file = fileOf(handle, 'release');
    (handle as OpenHandle).released = true;
    return this.#state.files.release(file);
  }

  async fallocate(ctx: Context, handle: FileHandle, bits: number, offset: number, length: number): Promise<void> {
    checkAlive(this.#state, 'fallocate');
    const file = fileOf(handle, 'fallocate');
    const mode = fallocateMode(bits);
    if (offset < 0 || length <= 0) throw new FsError('EINVAL', 'fallocate');
    if (offset + length > FILE_BYTES_MAX) throw new FsError('EFBIG', 'fallocate');
    if (!canWrite(handle.flags)) throw new FsError('EBADF', 'fallocate');
    // Nothing is reserved, but what could never be stored is refused at once, as statfs would have it.
    if (mode !== 'punch' && length > CHECKED_BYTES) await this.#state.room.checkSpace('fallocate', length);
    const { meta } = this.#state;
    const killPriv = ctx.uid !== 0;
    await file.exclusive(() =>
      this.#change(file, async () => ({ attr: await meta.data.fallocate(file.ino, mode, offset, length, killPriv) })),
    );
  }

  /** @throws FsError ENXIO at or behind the end of file. */
  async lseek(_ctx: Context, handle: FileHandle, offset: number, whence: 'data' | 'hole'): Promise<number> {
    checkAlive(this.#state, 'lseek');
    const file = fileOf(handle, 'lseek');
    if (offset < 0) throw new FsError('ENXIO', 'lseek');
    await file.flush();
    return await this.#state.meta.data.seek(file.ino, offset, whence);
  }

  /** Shares the source's slices with the target: moves no bytes. Answers the bytes copied, fewer at the source's end. */
  async copyFileRange(
    ctx: Context,
    source: FileHandle,
    sourceOffset: number,
    target: FileHandle,
    targetOffset: number,
    length: number,
  ): Promise<number> {
    checkAlive(this.#state, 'copyFileRange');
    const from = fileOf(source, 'copyFileRange');
    const to = fileOf(target, 'copyFileRange');
    // Whether the descriptor appends now is the kernel's to check: the flags of open() may be history.
    if (!canWrite(target.flags)) throw new FsError('EBADF', 'copyFileRange');
    if (sourceOffset < 0 || targetOffset < 0 || length < 0) throw new FsError('EINVAL', 'copyFileRange');
    if (length === 0) return 0;
    if (targetOffset >= FILE_BYTES_MAX) throw new FsError('EFBIG', 'copyFileRange');
    await this.#state.room.admit('copyFileRange', 0);
    await from.flush();
    return await to.exclusive(async () => {
      // Callers that mean "to the end" name a huge length; the script cuts it at the source's end.
      let most = Math.min(length, FILE_BYTES_MAX - targetOffset);
      // Whether ranges of one file overlap is a question of what there is to copy.
      if (from === to) most = Math.min(most, (await storedAttr(this.#state, from.ino)).size - sourceOffset);
      if (most <= 0) return 0;
      const range = { source: from.ino, sourceOffset, target: to.ino, targetOffset, length: most };
      const { copied } = await this.#change(to, () =>
        this.#state.meta.data.cloneRange({ ...range, killPriv: ctx.uid !== 0 }),
      );
      return copied;
    });
  }
}

function checkRegular(attr: Attr): void {
  const type = attr.mode & S_IFMT;
  if (type === S_IFREG) return;
  throw new FsError(type === S_IFDIR ? 'EISDIR' : 'EINVAL', 'open');
}

function fileOf(handle: FileHandle, op: string): OpenFile {
  if (!(handle instanceof OpenHandle) || handle.released) throw new FsError('EBADF', op);
  return handle.file;
}
