/**
 * Where the metadata and the data layer meet: slice maps, inline bytes and slice ids in the form src/chunk asks for.
 * The two layers do not know each other.
 */

import type { FileMap, Ino } from '../../base/vocabulary.ts';
import type { FileChunkMap } from '../../chunk/chunks.ts';
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

  constructor(meta: Meta, attrs: AttrCache, inlineBytesMax: number) {
    this.meta = meta;
    this.attrs = attrs;
    this.slices = new SliceIds(meta);
    this.#inlineBytesMax = inlineBytesMax;
  }

  /** Largest commit that may travel inline now: less as the volume's inline budget fills, 0 near its end. */
  inlineBytesMax(): number {
    const fill = this.meta.inlineFill();
    if (fill < 0.5) return this.#inlineBytesMax;
    if (fill < 0.75) return Math.min(this.#inlineBytesMax, 16 * 1024);
    if (fill < 0.9) return Math.min(this.#inlineBytesMax, 4 * 1024);
    return 0;
  }

  /** Reads slice maps; the attributes that come along feed the cache. 1 round trip. */
  async readMap(ino: Ino, chunkIndex: number, count: number): Promise<FileChunkMap> {
    for (let attempt = 0; ; attempt++) {
      const token = this.attrs.token();
      const map = await this.meta.readMap(ino, chunkIndex, count, this.#inlineBytesMax);
      this.attrs.fill(map.attr, token);
      if (attempt >= MAP_RETRIES || !this.attrs.pushedSince(ino, token)) return toChunkMap(map);
    }
  }
}

/** The same map in the data layer's words. */
export function toChunkMap(map: FileMap): FileChunkMap {
  const chunks: FileChunkMap['chunks'] = new Map();
  for (const chunk of map.chunks) chunks.set(chunk.chunkIndex, chunk.records);
  return { version: map.attr.version, sizeBytes: map.attr.size, chunks, inline: map.inline };
}
