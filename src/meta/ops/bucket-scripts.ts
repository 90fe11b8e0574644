/** Buckets: top-level directories whose names S3 allows (scripts/lib/names/buckets.lua). */
import { FsError } from '../../base/errors.ts';
import { type Attr, type ByteString, type Caller, type Entry, ROOT_INO } from '../../base/vocabulary.ts';
import { decodeAttr } from '../codec/codec.ts';
import type { EntryReply, MetaBuckets } from '../meta.ts';
import type { Engine } from '../redis/engine.ts';
import { createBucket, deleteBucket, listBuckets } from '../schema/object-schemas.ts';

const LIST_LIMIT_MAX = 10_000;
const LIST_STEPS_MAX = 5_000;
/** Implicit directories one deleteBucket script removes at most. */
const SWEEP_MAX = 500;

export class BucketScripts implements MetaBuckets {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async list(after: ByteString, prefix: ByteString, limit: number): Promise<{ entries: Entry[]; truncated: boolean }> {
    const entries: Entry[] = [];
    const prefixBytes = Buffer.from(prefix, 'latin1');
    let low: Buffer = Buffer.from(`[${prefix}`, 'latin1');
    if (after !== '' && Buffer.compare(Buffer.from(after, 'latin1'), prefixBytes) >= 0) {
      // Behind the directory of that name: '/' + 1 = '0'.
      low = Buffer.from(`[${after}0`, 'latin1');
    }
    const most = Math.min(limit, LIST_LIMIT_MAX);
    for (;;) {
      const limit = most - entries.length;
      const page = await this.#engine.read(listBuckets, { low, prefix: prefixBytes, limit, steps: LIST_STEPS_MAX });
      entries.push(...page.entries);
      if (page.state !== 'go') return { entries, truncated: page.state === 'more' };
      low = page.low;
    }
  }

  async create(name: ByteString, caller: Caller, mode: number): Promise<EntryReply> {
    const { uid, gid } = caller;
    const { attr, shadowed, rootAttr } = await this.#engine.mutate(createBucket, { name, mode, uid, gid });
    return { entry: { name, attr, shadowed }, parentAttr: decodeAttr(ROOT_INO, rootAttr) };
  }

  async delete(name: ByteString, caller: Caller): Promise<{ attr: Attr }> {
    for (;;) {
      const { state, attr } = await this.#engine.mutate(deleteBucket, { name, caller, most: SWEEP_MAX });
      if (state === 'no') throw new FsError('ENOTEMPTY', 'delete-bucket');
      if (attr !== undefined) return { attr };
    }
  }
}
