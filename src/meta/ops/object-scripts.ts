/** S3's atomic operations on paths: one script each; the rules are in scripts/*.lua and lib/names/objects.lua. */
import { FsError } from '../../base/errors.ts';
import type { Attr, Caller, Ino, S3Record } from '../../base/vocabulary.ts';
import { packJson, packTags } from '../codec/s3-record.ts';
import type {
  ListItem,
  ListReply,
  ListRequest,
  MetaObjects,
  PublishReply,
  PublishRequest,
  RemoveReply,
  RemoveRequest,
  WalkReply,
  WalkRequest,
} from '../meta.ts';
import type { Argument } from '../redis/connection.ts';
import type { Engine } from '../redis/engine.ts';
import { getS3, list, publish, remove, setS3, walk } from '../schema/object-schemas.ts';
import type { ResponseOf } from '../schema/script-schema.ts';
import type { InlineBytes } from './inline-bytes.ts';
import type { InlineLedger } from './inline-ledger.ts';

const LIST_LIMIT_MAX = 1_000;
/** Entries one listing script visits at most; what is left is another round trip. */
const LIST_STEPS_MAX = 5_000;
const EMPTY = Buffer.alloc(0);

export class ObjectScripts implements MetaObjects {
  readonly #engine: Engine;
  readonly #inline: InlineLedger;

  readonly #bytes: InlineBytes;

  constructor(engine: Engine, inline: InlineLedger, bytes: InlineBytes) {
    this.#engine = engine;
    this.#inline = inline;
    this.#bytes = bytes;
  }

  async walk(request: WalkRequest): Promise<WalkReply> {
    const { path } = request;
    if (path.components.length === 0 && !path.directory) throw new FsError('ENOENT', 'walk', 'an empty key');
    const reply = await this.#engine.read(walk, request);
    this.#bytes.openMap(reply.map);
    return reply;
  }

  async publish(request: PublishRequest): Promise<PublishReply> {
    const { path, content } = request;
    if (path.components.length === 0) throw new FsError('EINVAL', 'publish', 'an empty key');
    const { inlineTotal, inlineIds, ...published } = await this.#engine.mutate(publish, {
      ...request,
      content: content.kind === 'pieces' ? { ...content, pieces: this.#bytes.sealed(content.pieces) } : content,
    });
    this.#inline.noteTotal(inlineTotal);
    if (content.kind === 'pieces') this.#inline.noteStored(published.attr.ino, content.pieces, inlineIds, 0);
    return published;
  }

  async remove(request: RemoveRequest): Promise<RemoveReply> {
    if (request.path.components.length === 0) return { removed: undefined, pruned: [] };
    return await this.#engine.mutate(remove, request);
  }

  async list(request: ListRequest): Promise<ListReply> {
    const { root, delimiter, caller } = request;
    const limit = Math.min(request.limit, LIST_LIMIT_MAX);
    const prefix = Buffer.from(request.prefix, 'latin1');
    const after = Buffer.from(request.after, 'latin1');
    const items: ListItem[] = [];
    let bound: Buffer = prefix;
    let inclusive = true;
    if (after.length > 0 && Buffer.compare(after, prefix) >= 0) {
      if (!request.after.startsWith(request.prefix)) return { items, truncated: false };
      [bound, inclusive] = [after, false];
    }
    const afterWithPrefix = !inclusive ? after : EMPTY;
    for (;;) {
      const page: ResponseOf<typeof list> = await this.#engine.read(list, {
        root,
        prefix,
        after: afterWithPrefix,
        delimiter,
        limit: limit - items.length,
        caller,
        bound,
        inclusive,
        steps: LIST_STEPS_MAX,
      });
      items.push(...page.items);
      if (page.state !== 'go') return { items, truncated: page.state === 'more' };
      [bound, inclusive] = [page.bound, true];
    }
  }

  async setS3(
    ino: Ino,
    change: { tags?: [string, string][]; headers?: Record<string, string> },
    caller: Caller,
  ): Promise<Attr> {
    const fields: Argument[] = [];
    if (change.tags !== undefined) fields.push('t', packTags(change.tags));
    if (change.headers !== undefined) fields.push('h', packJson(change.headers));
    return (await this.#engine.mutate(setS3, { ino, caller, fields })).attr;
  }

  async getS3(ino: Ino): Promise<S3Record | undefined> {
    return (await this.#engine.read(getS3, { ino })).s3;
  }
}
