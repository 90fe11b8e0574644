/** Buckets: top-level directories, and the root itself under the volume's own name. */
import { isBucketName } from '../../base/bucket-name.ts';
import { FsError } from '../../base/errors.ts';
import { type ByteString, type Entry, ROOT_INO } from '../../base/vocabulary.ts';
import type { Context, VfsBuckets } from '../vfs.ts';
import { checkAlive, type VfsState } from '../vfs-state.ts';
import type { Publisher } from './publisher.ts';

/** Pages of buckets looked through for one page of a user's own. */
const BUCKET_PAGES_MAX = 100;

export class VolumeBuckets implements VfsBuckets {
  readonly #state: VfsState;
  readonly #publisher: Publisher;

  constructor(state: VfsState, publisher: Publisher) {
    this.#state = state;
    this.#publisher = publisher;
  }

  async find(ctx: Context, name: ByteString): Promise<Entry> {
    checkAlive(this.#state, 'bucket');
    const { attrs, meta } = this.#state;
    const token = attrs.token();
    if (name !== meta.session.format.name) {
      // A directory of another name is reached below the volume's own bucket only.
      if (!isBucketName(name)) throw new FsError('ENOENT', 'bucket', 'no bucket has such a name');
      const entry = await meta.names.lookup(ROOT_INO, name, 'dir', ctx);
      attrs.fill(entry.attr, token);
      return entry;
    }
    const attr = attrs.get(ROOT_INO) ?? attrs.fill(await meta.names.getattr(ROOT_INO), token);
    if (ctx.uid !== 0 && ctx.uid !== attr.uid) {
      throw new FsError('EACCES', 'bucket', "the volume's own bucket is for root credentials");
    }
    return { name, attr, shadowed: false };
  }

  /** A user's own buckets; uid 0 sees all. */
  async list(
    ctx: Context,
    after: ByteString,
    prefix: ByteString,
    limit: number,
  ): Promise<{ entries: Entry[]; truncated: boolean }> {
    checkAlive(this.#state, 'listBuckets');
    const entries: Entry[] = [];
    let from = after;
    for (let pages = 0; pages < BUCKET_PAGES_MAX; pages++) {
      const page = await this.#state.meta.buckets.list(from, prefix, limit);
      for (const entry of page.entries) {
        if (ctx.uid !== 0 && entry.attr.uid !== ctx.uid) continue;
        if (entries.length === limit) return { entries, truncated: true };
        entries.push(entry);
      }
      const last = page.entries[page.entries.length - 1];
      if (!page.truncated || last === undefined) return { entries, truncated: false };
      from = last.name;
    }
    return { entries, truncated: true };
  }

  async create(ctx: Context, name: ByteString): Promise<Entry> {
    checkAlive(this.#state, 'createBucket');
    const { attrs, meta, options } = this.#state;
    if (name === meta.session.format.name) {
      throw new FsError('EEXIST', 'createBucket', 'the name of the volume is the bucket of its root');
    }
    await this.#state.room.admit('createBucket', 0, 1);
    const token = attrs.token();
    const { entry, parentAttr } = await meta.buckets.create(name, ctx, options.directoryMode);
    attrs.changed(entry.attr, token);
    attrs.changed(parentAttr, token);
    await this.#publisher.announce([{ parent: ROOT_INO, name }], []);
    return entry;
  }

  async delete(ctx: Context, name: ByteString): Promise<void> {
    checkAlive(this.#state, 'deleteBucket');
    if (name === this.#state.meta.session.format.name) {
      throw new FsError('EBUSY', 'deleteBucket', 'the bucket of the root goes with the volume');
    }
    const { attrs, meta } = this.#state;
    const token = attrs.token();
    const { attr } = await meta.buckets.delete(name, ctx);
    attrs.changed(attr, token);
    await this.#publisher.announce([{ parent: ROOT_INO, name }], []);
  }
}
