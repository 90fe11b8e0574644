/** Operations on names: one metadata script each; replies feed the attribute cache. */
import { FsError } from '../../base/errors.ts';
import {
  type Attr,
  type ByteString,
  type Entry,
  type Ino,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  SYMLINK_BYTES_MAX,
} from '../../base/vocabulary.ts';
import type { EntryReply } from '../../meta/meta.ts';
import type { Token } from '../cache/attr-cache.ts';
import type { Context, RenameNames, VfsNames } from '../vfs.ts';
import { checkAlive, shownAttr, storedAttr, type VfsState } from '../vfs-state.ts';
import { existingName, newName, targetName } from './mount-names.ts';

const PERMISSION_BITS = 0o7777;
/** A lookup that a push overtook is repeated this often. */
const LOOKUP_RETRIES = 2;

export class VolumeNames implements VfsNames {
  readonly #state: VfsState;

  constructor(state: VfsState) {
    this.#state = state;
  }

  async lookup(ctx: Context, parent: Ino, shown: ByteString): Promise<Entry> {
    checkAlive(this.#state, 'lookup');
    if (shown === '.' || shown === '..') return await this.#lookupDots(parent, shown);
    const { name, kind } = existingName('lookup', shown);
    if (kind !== 'primary') this.#state.coherence.sawShadowed();
    const { attrs, entries, meta, coherence, negative } = this.#state;
    if (kind === 'primary' && attrs.healthy) {
      const known = entries.get(parent, name);
      if (known !== undefined) return this.#shown(known);
      if (negative.lacks(parent, name)) throw new FsError('ENOENT', 'lookup');
    }
    for (let attempt = 0; ; attempt++) {
      const token = attrs.token();
      const entry = await meta.names.lookup(parent, name, kind, ctx);
      // An escaped name is the shadowed entry's only: one entry, one name.
      if (kind !== 'primary' && !entry.shadowed) throw new FsError('ENOENT', 'lookup');
      const ino = entry.attr.ino;
      const overtaken = attrs.entryPushedSince(parent, name, token) || attrs.pushedSince(ino, token);
      if (overtaken && attempt < LOOKUP_RETRIES) continue;
      if (overtaken) {
        coherence.pushEntry(parent, name);
        coherence.pushInode(ino, true);
      }
      if (kind === 'primary') entries.keep(parent, entry, token);
      return this.#known(entry, token);
    }
  }

  /** LOOKUP of "." and ".." by inode number (NFS export). */
  async #lookupDots(ino: Ino, name: ByteString): Promise<Entry> {
    let attr = await storedAttr(this.#state, ino);
    if (name === '..') attr = await storedAttr(this.#state, attr.parent);
    // A handle (open_by_handle_at, NFS) of a removed file is stale, unless it is open here.
    else if (attr.nlink === 0 && !this.#state.files.isOpen(ino)) throw new FsError('ESTALE', 'lookup');
    return { name, attr: shownAttr(this.#state, attr), shadowed: false };
  }

  #known(entry: Entry, token: Token): Entry {
    const attr = this.#state.attrs.fill(entry.attr, token);
    return this.#shown(attr === entry.attr ? entry : { name: entry.name, attr, shadowed: entry.shadowed });
  }

  #shown(entry: Entry): Entry {
    const attr = shownAttr(this.#state, entry.attr);
    return attr === entry.attr ? entry : { name: entry.name, attr, shadowed: entry.shadowed };
  }

  /** A file, fifo, socket or device. `mode` carries the type; the umask is applied already. */
  async mknod(ctx: Context, parent: Ino, shown: ByteString, mode: number, rdev: number): Promise<Entry> {
    checkAlive(this.#state, 'mknod');
    const type = mode & S_IFMT;
    if (type === S_IFDIR) throw new FsError('EINVAL', 'mknod', 'directories are made by mkdir');
    return await this.#make('mknod', ctx, parent, shown, (type || S_IFREG) | (mode & PERMISSION_BITS), rdev);
  }

  async mkdir(ctx: Context, parent: Ino, shown: ByteString, mode: number): Promise<Entry> {
    checkAlive(this.#state, 'mkdir');
    const { negative } = this.#state;
    const pending = negative.begin();
    try {
      const entry = await this.#make('mkdir', ctx, parent, shown, S_IFDIR | (mode & PERMISSION_BITS), 0);
      negative.made(pending, entry.attr.ino);
      return entry;
    } finally {
      negative.end(pending);
    }
  }

  async #make(op: string, ctx: Context, parent: Ino, shown: ByteString, mode: number, rdev: number): Promise<Entry> {
    const name = newName(op, shown);
    const admitted = this.#state.room.admit(op, 0, 1);
    if (admitted !== undefined) await admitted;
    const token = this.#state.attrs.token();
    const { uid, gid } = ctx;
    this.#state.negative.add(parent, name);
    return this.#made(
      parent,
      await this.#state.meta.names.mknod({ parent, name, mode, uid, gid, rdev, caller: ctx }),
      token,
    );
  }

  async symlink(ctx: Context, parent: Ino, shown: ByteString, target: Buffer): Promise<Entry> {
    checkAlive(this.#state, 'symlink');
    const name = newName('symlink', shown);
    if (target.length === 0) throw new FsError('ENOENT', 'symlink', 'the target is empty');
    if (target.length > SYMLINK_BYTES_MAX) throw new FsError('ENAMETOOLONG', 'symlink');
    await this.#state.room.admit('symlink', target.length, 1);
    const token = this.#state.attrs.token();
    const { uid, gid } = ctx;
    this.#state.negative.add(parent, name);
    return this.#made(
      parent,
      await this.#state.meta.names.symlink({ parent, name, uid, gid, target, caller: ctx }),
      token,
    );
  }

  async link(ctx: Context, ino: Ino, newParent: Ino, shown: ByteString): Promise<Entry> {
    checkAlive(this.#state, 'link');
    const name = newName('link', shown);
    await this.#state.room.admit('link', 0);
    const token = this.#state.attrs.token();
    this.#state.negative.add(newParent, name);
    const entry = this.#made(newParent, await this.#state.meta.names.link(ino, newParent, name, ctx), token);
    this.#state.files.named(ino);
    return this.#shown(entry);
  }

  async readlink(_ctx: Context, ino: Ino): Promise<Buffer> {
    checkAlive(this.#state, 'readlink');
    return await this.#state.meta.names.readlink(ino);
  }

  async unlink(ctx: Context, parent: Ino, shown: ByteString): Promise<void> {
    checkAlive(this.#state, 'unlink');
    const { name, kind } = existingName('unlink', shown);
    const token = this.#state.attrs.token();
    this.#removed(parent, name, await this.#state.meta.names.unlink(parent, name, kind, ctx), token);
  }

  async rmdir(ctx: Context, parent: Ino, shown: ByteString): Promise<void> {
    checkAlive(this.#state, 'rmdir');
    const { name, kind } = existingName('rmdir', shown);
    const token = this.#state.attrs.token();
    const reply = await this.#state.meta.names.rmdir(parent, name, kind, ctx);
    this.#removed(parent, name, reply, token);
    this.#state.negative.forget(reply.attr.ino);
  }

  async rename(ctx: Context, request: RenameNames): Promise<void> {
    checkAlive(this.#state, 'rename');
    const { parent, newParent } = request;
    const from = existingName('rename', request.name);
    const to = targetName('rename', request.newName);
    const { attrs, entries, meta, negative } = this.#state;
    const token = attrs.token();
    negative.add(newParent, to.name);
    if (request.mode === 'exchange') negative.add(parent, from.name);
    const reply = await meta.names.rename({
      ...request,
      name: from.name,
      kind: from.kind,
      newName: to.name,
      newKind: to.kind,
      caller: ctx,
    });
    entries.changed(parent, from.name);
    entries.changed(newParent, to.name);
    attrs.changed(reply.attr, token);
    attrs.changed(reply.parentAttr, token);
    if (newParent !== parent) attrs.changed(reply.newParentAttr, token);
    if (reply.replaced !== undefined) this.#lost(reply.replaced, token);
  }

  #made(parent: Ino, reply: EntryReply, token: Token): Entry {
    const { attrs, entries } = this.#state;
    attrs.changed(reply.entry.attr, token);
    attrs.changed(reply.parentAttr, token);
    entries.keep(parent, reply.entry, token);
    return reply.entry;
  }

  #removed(parent: Ino, name: ByteString, reply: { attr: Attr; parentAttr: Attr }, token: Token): void {
    this.#state.entries.changed(parent, name);
    this.#lost(reply.attr, token);
    this.#state.attrs.changed(reply.parentAttr, token);
  }

  #lost(attr: Attr, token: Token): void {
    this.#state.attrs.changed(attr, token);
    this.#state.files.nameLost(attr);
  }
}
