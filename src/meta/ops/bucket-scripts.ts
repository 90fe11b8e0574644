/** Buckets: top-level directories whose names S3 allows (scripts/lib/buckets.lua). */
import { FsError } from '../../base/errors.ts';
import { type Attr, type ByteString, type Caller, type Entry, ROOT_INO } from '../../base/vocabulary.ts';
import { decodeAttr, decodeEntry, nameBytes, packCaller } from '../codec/codec.ts';
import type { EntryReply, MetaBuckets } from '../meta.ts';
import type { Engine } from '../redis/engine.ts';

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
    let low = Buffer.from(`[${prefix}`, 'latin1');
    if (after !== '' && Buffer.compare(Buffer.from(after, 'latin1'), prefixBytes) >= 0) {
      // Behind the directory of that name: '/' + 1 = '0'.
      low = Buffer.from(`[${after}0`, 'latin1');
    }
    const most = Math.min(limit, LIST_LIMIT_MAX);
    for (;;) {
      const reply = await this.#engine.read('list-buckets', [low, prefixBytes, most - entries.length, LIST_STEPS_MAX]);
      for (let i = 3; i < reply.length; i++) {
        const [name, ino, packed, younger] = reply[i] as [Buffer, Buffer, Buffer, number];
        entries.push(decodeEntry(name.toString('latin1'), ino, packed, younger === 1));
      }
      const state = (reply[1] as Buffer).toString('latin1');
      if (state !== 'go') return { entries, truncated: state === 'more' };
      low = reply[2] as Buffer<ArrayBuffer>;
    }
  }

  async create(name: ByteString, caller: Caller, mode: number): Promise<EntryReply> {
    const bytes = nameBytes('create-bucket', name);
    const reply = await this.#engine.mutate('create-bucket', [bytes, mode, caller.uid, caller.gid]);
    return {
      entry: decodeEntry(name, reply[1]!, reply[2]!, reply[3] === 1),
      parentAttr: decodeAttr(ROOT_INO, reply[4] as Buffer),
    };
  }

  async delete(name: ByteString, caller: Caller): Promise<{ attr: Attr }> {
    const bytes = nameBytes('delete-bucket', name);
    for (;;) {
      const reply = await this.#engine.mutate('delete-bucket', [bytes, packCaller(caller), SWEEP_MAX]);
      const state = (reply[1] as Buffer).toString('latin1');
      if (state === 'no') throw new FsError('ENOTEMPTY', 'delete-bucket');
      if (state === 'yes') {
        const { attr } = decodeEntry(name, reply[2]!, reply[3]!, false);
        return { attr };
      }
    }
  }
}
