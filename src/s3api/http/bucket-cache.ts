import type { ByteString } from '../../base/byte-string.ts';
import { LruCache } from '../../base/lru.ts';
import { type Attr, type Entry, FLAG_ACL, ROOT_INO } from '../../base/vocabulary.ts';
import type { Context, Vfs } from '../../vfs/vfs.ts';
import { decideSearch } from '../auth/authorize.ts';

const BUCKETS_MAX = 4096;

/**
 * Remembers which directory a bucket is, so that an operation on a key costs its own round trip only. A name is right
 * as long as the volume's root directory has not changed: its attributes are kept right by push, and every change of a
 * top-level name changes them. While pushes may be missed nothing is answered from here.
 */
export class BucketCache {
  readonly #kept = new LruCache<ByteString, { entry: Entry; root: Attr }>(BUCKETS_MAX);

  /**
   * The bucket without a round trip, if that is possible and the caller may search both directories. Number and name
   * are right; other attributes may be older.
   */
  get(vfs: Vfs, context: Context, name: ByteString): Entry | undefined {
    const kept = this.#kept.get(name);
    if (kept === undefined || vfs.validity().entrySec === 0) return undefined;
    const root = vfs.attributes.getattr(context, ROOT_INO);
    if (root instanceof Promise) {
      // The reply fills the cache that the next call looks into; its failure is that of the lookup which follows now.
      root.catch(() => undefined);
      return undefined;
    }
    if (!unchanged(root, kept.root)) return undefined;
    // Only the lookup's script knows what an ACL of the root says.
    if ((root.flags & FLAG_ACL) !== 0 && context.uid !== 0) return undefined;
    const allowed = decideSearch(context, root).allow && decideSearch(context, kept.entry.attr).allow;
    return allowed ? kept.entry : undefined;
  }

  /** Looks the bucket up: one round trip, two after the root directory has changed. @throws FsError ENOENT, EACCES. */
  async find(vfs: Vfs, context: Context, name: ByteString): Promise<Entry> {
    const pushed = vfs.validity().entrySec > 0;
    // Taken before the lookup: if it is still the same at a later get(), nothing happened to the name in between.
    const root = pushed ? await vfs.attributes.getattr(context, ROOT_INO) : undefined;
    const entry = await vfs.buckets.find(context, name);
    // The volume's own bucket is for root credentials only: that is asked each time.
    if (root !== undefined && entry.attr.ino !== ROOT_INO) this.#kept.set(name, { entry, root });
    return entry;
  }
}

function unchanged(a: Attr, b: Attr): boolean {
  if (a === b) return true;
  const sameChange = a.ctimeSec === b.ctimeSec && a.ctimeNsec === b.ctimeNsec;
  return sameChange && a.mtimeSec === b.mtimeSec && a.mtimeNsec === b.mtimeNsec;
}
