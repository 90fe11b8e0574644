/** getattr, setattr, extended attributes and statfs. */
import { FsError } from '../../base/errors.ts';
import { FILE_BYTES_MAX } from '../../base/slice-record.ts';
import { type Attr, FLAG_XATTR, type Ino, type VolumeUsage } from '../../base/vocabulary.ts';
import type { SetattrRequest } from '../../meta/meta.ts';
import type { Context, VfsAttributes } from '../vfs.ts';
import { checkAlive, shownAttr, storedAttr, type VfsState } from '../vfs-state.ts';
import { checkXattrName, checkXattrValue, isVisibleXattr, xattrMode } from './xattr-rules.ts';

export class VolumeAttributes implements VfsAttributes {
  readonly #state: VfsState;

  constructor(state: VfsState) {
    this.#state = state;
  }

  getattr(_ctx: Context, ino: Ino): Attr | Promise<Attr> {
    checkAlive(this.#state, 'getattr');
    const stored = storedAttr(this.#state, ino);
    if (stored instanceof Promise) return stored.then((attr) => shownAttr(this.#state, attr));
    return shownAttr(this.#state, stored);
  }

  /**
   * Flushes what is pending on the inode first: a later commit must not undo what was set here (times, the bits that
   * killPriv clears), and a truncation must come after the writes before it.
   */
  async setattr(ctx: Context, ino: Ino, changes: SetattrRequest): Promise<Attr> {
    checkAlive(this.#state, 'setattr');
    if (changes.size !== undefined && (changes.size < 0 || changes.size > FILE_BYTES_MAX)) {
      throw new FsError(changes.size < 0 ? 'EINVAL' : 'EFBIG', 'setattr');
    }
    const file = this.#state.files.get(ino);
    if (file === undefined || (changes.size === undefined && !file.hasPending && !file.lock.held)) {
      return await this.#setattr(ctx, ino, changes);
    }
    return await file.exclusive(() => this.#setattr(ctx, ino, changes));
  }

  async #setattr(ctx: Context, ino: Ino, changes: SetattrRequest): Promise<Attr> {
    const { attrs, meta, files } = this.#state;
    const token = attrs.token();
    const attr = await meta.names.setattr(ino, changes, ctx);
    attrs.changed(attr, token);
    if (changes.size !== undefined) files.contentChanged(ino, attr.version);
    return shownAttr(this.#state, attr);
  }

  async getxattr(ctx: Context, ino: Ino, name: string): Promise<Buffer> {
    checkAlive(this.#state, 'getxattr');
    checkXattrName('getxattr', ctx, name, 'read');
    const attr = await storedAttr(this.#state, ino);
    if ((attr.flags & FLAG_XATTR) === 0) throw new FsError('ENODATA', 'getxattr');
    return await this.#state.meta.names.getxattr(ino, name);
  }

  async setxattr(ctx: Context, ino: Ino, name: string, value: Buffer, flags: number): Promise<void> {
    checkAlive(this.#state, 'setxattr');
    checkXattrName('setxattr', ctx, name, 'write');
    checkXattrValue(value);
    const mode = xattrMode(flags);
    await this.#state.room.admit('setxattr', 0);
    const token = this.#state.attrs.token();
    this.#state.attrs.changed(await this.#state.meta.names.setxattr(ino, name, value, mode), token);
  }

  async listxattr(ctx: Context, ino: Ino): Promise<string[]> {
    checkAlive(this.#state, 'listxattr');
    const attr = await storedAttr(this.#state, ino);
    if ((attr.flags & FLAG_XATTR) === 0) return [];
    const names = await this.#state.meta.names.listxattr(ino);
    return names.filter((name) => isVisibleXattr(ctx, name));
  }

  async removexattr(ctx: Context, ino: Ino, name: string): Promise<void> {
    checkAlive(this.#state, 'removexattr');
    checkXattrName('removexattr', ctx, name, 'write');
    const token = this.#state.attrs.token();
    this.#state.attrs.changed(await this.#state.meta.names.removexattr(ino, name), token);
  }

  async statfs(_ctx: Context): Promise<VolumeUsage & { totalBytes: number; totalInodes: number }> {
    checkAlive(this.#state, 'statfs');
    return await this.#state.room.space();
  }
}
