/** S3's atomic operations on paths: one script each; the rules are in scripts/*.lua and lib/objects.lua. */
import { FsError } from '../../base/errors.ts';
import type { Attr, Ino, S3Record } from '../../base/vocabulary.ts';
import { decodeAttr, decodeNumber, nameBytes, packCaller, writeI64 } from '../codec/codec.ts';
import { inlineMap, packPieces, unpackIds, unpackRecords } from '../codec/pieces.ts';
import { packJson, packS3, packTags, unpackListedS3, unpackS3 } from '../codec/s3-record.ts';
import type {
  KeyPath,
  ListItem,
  ListReply,
  ListRequest,
  MetaObjects,
  Precondition,
  PublishReply,
  PublishRequest,
  RemoveReply,
  RemoveRequest,
  WalkReply,
  WalkRequest,
} from '../meta.ts';
import type { Argument, Reply } from '../redis/connection.ts';
import type { Engine, ScriptReply } from '../redis/engine.ts';
import type { InlineLedger } from './inline-ledger.ts';

const LIST_LIMIT_MAX = 1_000;
/** Entries one listing script visits at most; what is left is another round trip. */
const LIST_STEPS_MAX = 5_000;
const EMPTY = Buffer.alloc(0);

export class ObjectScripts implements MetaObjects {
  readonly #engine: Engine;
  readonly #inline: InlineLedger;

  constructor(engine: Engine, inline: InlineLedger) {
    this.#engine = engine;
    this.#inline = inline;
  }

  async walk(request: WalkRequest): Promise<WalkReply> {
    const { path, caller, follow, dataBytesMax, xattrs } = request;
    if (path.components.length === 0 && !path.directory) throw new FsError('ENOENT', 'walk', 'an empty key');
    const reply = await this.#engine.read('walk', [
      ...packPath('walk', path),
      packCaller(caller),
      follow ? 1 : 0,
      dataBytesMax,
      xattrs ? 1 : 0,
    ]);
    const attr = decodeAttr(decodeNumber(reply[3]), reply[4] as Buffer);
    return {
      parent: decodeNumber(reply[1]),
      name: (reply[2] as Buffer).toString('latin1'),
      attr,
      s3: unpackS3(reply[5]!),
      xattrs: userXattrs(reply[6] as Buffer[]),
      map:
        reply.length <= 7
          ? undefined
          : {
              version: attr.version,
              sizeBytes: attr.size,
              chunks: new Map([[0, unpackRecords('walk', reply[7]!)]]),
              inline: inlineMap(reply[8], reply.slice(9)),
            },
    };
  }

  async publish(request: PublishRequest): Promise<PublishReply> {
    const { path, caller, content, xattrs } = request;
    if (path.components.length === 0) throw new FsError('EINVAL', 'publish', 'an empty key');
    const { packed, inline } = packPieces('publish', content.kind === 'pieces' ? content.pieces : []);
    const attributes = [...xattrs].flatMap(([name, value]) => [Buffer.from(name, 'latin1'), value]);
    const reply = await this.#engine.mutate('publish', [
      ...packPath('publish', path),
      packCaller(caller),
      caller.uid,
      caller.gid,
      packPrecondition(request.precondition),
      request.fileMode,
      request.dirMode,
      packTime(request.mtime),
      request.uploadId === undefined ? EMPTY : Buffer.from(request.uploadId, 'latin1'),
      ...packS3(request.s3),
      content.kind === 'pieces' ? 'p' : 'i',
      content.kind === 'pieces' ? content.sizeBytes : content.ino,
      packed,
      xattrs.size,
      ...attributes,
      ...inline,
    ]);
    const published = decodePublished(path, reply);
    this.#inline.noteTotal(decodeNumber(reply[7]));
    if (content.kind === 'pieces') {
      this.#inline.noteStored(published.attr.ino, content.pieces, unpackIds(reply[8] as Buffer), 0);
    }
    return published;
  }

  async remove(request: RemoveRequest): Promise<RemoveReply> {
    const { path, caller, precondition } = request;
    if (path.components.length === 0) return { removed: undefined, pruned: [] };
    const reply = await this.#engine.mutate('remove', [
      ...packPath('remove', path),
      packCaller(caller),
      packPrecondition(precondition),
    ]);
    if (reply.length === 1) return { removed: undefined, pruned: [] };
    const attr = decodeAttr(decodeNumber(reply[2]), reply[3] as Buffer);
    const pruned: RemoveReply['pruned'] = [];
    const flat = reply[4] as Buffer[];
    for (let i = 0; i < flat.length; i += 3) {
      const name = flat[i + 1]!.toString('latin1');
      pruned.push({ parent: decodeNumber(flat[i]), name, ino: decodeNumber(flat[i + 2]) });
    }
    return { removed: { parent: decodeNumber(reply[1]), name: path.components.at(-1)!, attr }, pruned };
  }

  async list(request: ListRequest): Promise<ListReply> {
    const { root, delimiter, caller } = request;
    const limit = Math.min(request.limit, LIST_LIMIT_MAX);
    const prefix = Buffer.from(request.prefix, 'latin1');
    const after = Buffer.from(request.after, 'latin1');
    const items: ListItem[] = [];
    let bound: Buffer = prefix;
    let inclusive = 1;
    if (after.length > 0 && Buffer.compare(after, prefix) >= 0) {
      if (!request.after.startsWith(request.prefix)) return { items, truncated: false };
      [bound, inclusive] = [after, 0];
    }
    const afterWithPrefix = inclusive === 0 ? after : EMPTY;
    const fixed = [root, prefix, afterWithPrefix, Buffer.from(delimiter, 'latin1')];
    for (;;) {
      const reply = await this.#engine.read('list', [
        ...fixed,
        limit - items.length,
        packCaller(caller),
        bound,
        inclusive,
        LIST_STEPS_MAX,
      ]);
      for (let i = 3; i < reply.length; i++) items.push(decodeItem(reply[i] as Buffer[]));
      const state = (reply[1] as Buffer).toString('latin1');
      if (state !== 'go') return { items, truncated: state === 'more' };
      [bound, inclusive] = [reply[2] as Buffer, 1];
    }
  }

  async setS3(ino: Ino, change: { tags?: [string, string][]; headers?: Record<string, string> }): Promise<Attr> {
    const fields: Argument[] = [];
    if (change.tags !== undefined) fields.push('t', packTags(change.tags));
    if (change.headers !== undefined) fields.push('h', packJson(change.headers));
    const reply = await this.#engine.mutate('set-s3', [ino, ...fields]);
    return decodeAttr(ino, reply[1] as Buffer);
  }

  async getS3(ino: Ino): Promise<S3Record | undefined> {
    return unpackS3((await this.#engine.read('get-s3', [ino]))[1]!);
  }
}

/** Root, component count, components joined, kind. @throws FsError ENAMETOOLONG, EINVAL for a NUL or a slash. */
function packPath(op: string, path: KeyPath): Argument[] {
  const { root, components, directory } = path;
  for (const component of components) nameBytes(op, component);
  return [root, components.length, Buffer.from(components.join('/'), 'latin1'), directory ? 'd' : 'f'];
}

/** Empty when there is no condition, so that the script need not parse. */
function packPrecondition(precondition: Precondition): Buffer {
  const { ifMatch, ifNoneMatch, ifMatchSize, ifMatchMtimeSec } = precondition;
  const packed = { m: ifMatch, n: ifNoneMatch, s: ifMatchSize, t: ifMatchMtimeSec };
  return Object.values(packed).every((value) => value === undefined) ? EMPTY : packJson(packed);
}

function packTime(time: PublishRequest['mtime']): Buffer {
  if (time === undefined) return EMPTY;
  const out = Buffer.allocUnsafe(12);
  writeI64(out, 0, time.sec);
  out.writeUInt32LE(time.nsec, 8);
  return out;
}

function decodePublished(path: KeyPath, reply: ScriptReply): PublishReply {
  const replaced = reply[5] as Reply[];
  const made: PublishReply['made'] = [];
  const flat = reply[6] as Buffer[];
  for (let i = 0; i < flat.length; i += 2) {
    made.push({ parent: decodeNumber(flat[i]), name: flat[i + 1]!.toString('latin1') });
  }
  return {
    attr: decodeAttr(decodeNumber(reply[2]), reply[3] as Buffer),
    parent: decodeNumber(reply[1]),
    name: path.components.at(-1)!,
    younger: reply[4] === 1,
    replaced: replaced.length === 0 ? undefined : decodeAttr(decodeNumber(replaced[0]), replaced[1] as Buffer),
    made,
  };
}

function decodeItem(row: Buffer[]): ListItem {
  const text = row[0]!.toString('latin1');
  if (row.length === 1) return { kind: 'prefix', prefix: text };
  const [, ino, packed, version, etag, headers, checksums] = row;
  return {
    kind: 'key',
    key: text,
    attr: decodeAttr(decodeNumber(ino), packed!),
    s3: unpackListedS3(version!, etag!, headers!, checksums!),
  };
}

function userXattrs(flat: Buffer[]): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!.toString('latin1');
    if (name.startsWith('user.')) xattrs.set(name, flat[i + 1]!);
  }
  return xattrs;
}
