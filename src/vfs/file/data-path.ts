/**
 * Where the metadata and the data layer meet: slice maps, inline bytes and slice ids in the form src/chunk asks for.
 * The two layers do not know each other.
 */

import type { FileMap } from '../../base/slices.ts';
import type { Ino } from '../../base/vocabulary.ts';
import type { Meta } from '../../meta/meta.ts';
import { SliceIds } from '../../meta/ops/slice-ids.ts';
import type { AttrCache } from '../cache/attr-cache.ts';

/** A map that a push made doubtful while it was on its way is read again this often. */
const MAP_RETRIES = 3;

export class DataPath {
  readonly meta: Meta;
  readonly attrs: AttrCache;
  readonly slices: SliceIds;
  readonly #inlineBytesMax: number;
  #nextPrivateIno = -1;

  constructor(meta: Meta, attrs: AttrCache, inlineBytesMax: number) {
    this.meta = meta;
    this.attrs = attrs;
    this.slices = new SliceIds(meta.data);
    this.#inlineBytesMax = inlineBytesMax;
  }

  /** Largest commit that may travel inline now: less as the volume's inline budget fills, 0 near its end. */
  inlineBytesMax(): number {
    const fill = this.meta.data.inlineFill();
    if (fill < 0.5) return this.#inlineBytesMax;
    if (fill < 0.75) return Math.min(this.#inlineBytesMax, 16 * 1024);
    if (fill < 0.9) return Math.min(this.#inlineBytesMax, 4 * 1024);
    return 0;
  }

  /** A number for a reader or writer of the data layer that belongs to no inode: it tells them apart by inode number. */
  privateIno(): Ino {
    return this.#nextPrivateIno--;
  }

  /** Reads slice maps; the attributes that come along feed the cache. 1 round trip. */
  async readMap(ino: Ino, chunkIndex: number, count: number): Promise<FileMap> {
    for (let attempt = 0; ; attempt++) {
      const token = this.attrs.token();
      const { attr, map } = await this.meta.data.readMap(ino, chunkIndex, count, this.#inlineBytesMax);
      this.attrs.fill(attr, token);
      if (attempt >= MAP_RETRIES || !this.attrs.pushedSince(ino, token)) return map;
    }
  }
}
