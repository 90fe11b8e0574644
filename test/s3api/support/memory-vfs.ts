/** A volume in memory with just what the S3 front asks of a Vfs; listing is the plain definition, for comparison. */
import { FsError } from '../../../src/base/errors.ts';
import {
  type Attr,
  type Entry,
  ROOT_INO,
  S_IFDIR,
  S_IFREG,
  type S3Record,
  type User,
} from '../../../src/base/vocabulary.ts';
import { VolumeEvents } from '../../../src/base/volume-events.ts';
import type { ListItem, ListReply, WalkReply } from '../../../src/meta/meta.ts';
import type { Context, ObjectWriter, PutOptions, Vfs, VfsObjects } from '../../../src/vfs/vfs.ts';
import { pathKey } from './path-key.ts';

export const ALICE: User = {
  name: 'alice',
  accessKey: 'AKALICE',
  secretKey: 'secret-a',
  uid: 1001,
  gid: 1001,
  groups: [],
};
export const BOB: User = { name: 'bob', accessKey: 'AKBOB', secretKey: 'secret-b', uid: 1002, gid: 1002, groups: [] };

interface StoredObject {
  attr: Attr;
  s3: S3Record;
  data: Buffer;
  xattrs: Map<string, Buffer>;
}

class MemoryWriter implements ObjectWriter {
  pieces: Buffer[] = [];
  sizeBytes = 0;
  aborted = false;

  write(data: Buffer): undefined {
    this.pieces.push(data);
    this.sizeBytes += data.length;
  }

  async abort(): Promise<void> {
    this.aborted = true;
  }
}

export class MemoryVolume {
  users: User[] = [ALICE, BOB];
  readonly buckets = new Map<string, { entry: Entry; objects: Map<string, StoredObject> }>();
  readonly xattrs = new Map<string, Buffer>();
  readonly writers: MemoryWriter[] = [];
  /** Lookups of buckets so far. */
  bucketLookups = 0;
  userLoads = 0;
  readonly events = new VolumeEvents();
  #nextIno = 2;

  changeUsers(users: User[]): void {
    this.users = users;
    this.events.emit('invalidated', [{ kind: 'users' }]);
  }

  /** The object's bytes, undefined when there is none. */
  content(bucket: string, key: string): Buffer | undefined {
    return this.buckets.get(bucket)?.objects.get(key)?.data;
  }

  addBucket(name: string, owner: User = ALICE): Entry {
    const entry = { name, attr: this.#attr(S_IFDIR | 0o700, owner), shadowed: false };
    this.buckets.set(name, { entry, objects: new Map() });
    return entry;
  }

  addObject(bucket: string, key: string, data: Buffer | string = ''): void {
    const bytes = Buffer.from(data);
    const attr = { ...this.#attr(S_IFREG | 0o600, ALICE), size: bytes.length };
    const s3 = { version: -1, etag: '', headers: {}, tags: [], checksums: {}, checksumType: '' as const, parts: [] };
    this.buckets.get(bucket)!.objects.set(key, { attr, s3, data: bytes, xattrs: new Map() });
  }

  /** The Vfs: operations that no test of the front needs are missing and fail as such. */
  vfs(): Vfs {
    const xattrs = this.xattrs;
    const vfs: Partial<Vfs> = {
      objects: this.#objects() as VfsObjects,
      // As while pushes may be missed: nothing is cached.
      validity: () => ({ entrySec: 0, attrSec: 0 }),
      attributes: {
        async getxattr(_ctx: Context, ino: number, name: string) {
          const value = xattrs.get(`${ino}:${name}`);
          if (value === undefined) throw new FsError('ENODATA', 'getxattr');
          return value;
        },
        async setxattr(_ctx: Context, ino: number, name: string, value: Buffer) {
          xattrs.set(`${ino}:${name}`, value);
        },
        async removexattr(_ctx: Context, ino: number, name: string) {
          if (!xattrs.delete(`${ino}:${name}`)) throw new FsError('ENODATA', 'removexattr');
        },
      } as unknown as Vfs['attributes'],
      buckets: this.#bucketFacet(),
      users: {
        list: async () => {
          this.userLoads += 1;
          return this.users;
        },
      } as unknown as Vfs['users'],
      events: this.events,
    };
    return vfs as Vfs;
  }

  #bucketFacet(): Vfs['buckets'] {
    return {
      find: async (_ctx, name) => {
        this.bucketLookups += 1;
        const bucket = this.buckets.get(name);
        if (bucket === undefined) throw new FsError('ENOENT', 'bucket');
        return bucket.entry;
      },
      create: async (ctx, name) => {
        if (this.buckets.has(name)) throw new FsError('EEXIST', 'createBucket');
        return this.addBucket(name, this.users.find((user) => user.uid === ctx.uid)!);
      },
      delete: async (_ctx, name) => {
        if (this.buckets.get(name)!.objects.size > 0) throw new FsError('ENOTEMPTY', 'deleteBucket');
        this.buckets.delete(name);
      },
      list: async (ctx, after, prefix, limit) => {
        const entries = [...this.buckets.values()]
          .map(({ entry }) => entry)
          .filter(({ name, attr }) => name > after && name.startsWith(prefix) && attr.uid === ctx.uid)
          .sort((a, b) => (a.name < b.name ? -1 : 1));
        return { entries: entries.slice(0, limit), truncated: entries.length > limit };
      },
    };
  }

  #objects(): Partial<VfsObjects> {
    return {
      list: async (_ctx, root, request) => listMemory(this.#bucketOf(root).objects, request),
      beginObject: () => {
        const writer = new MemoryWriter();
        this.writers.push(writer);
        return writer;
      },
      putObject: async (ctx, writer, options) => this.#put(ctx, writer as MemoryWriter, options),
      removeObject: async (_ctx, path) => ({ existed: this.#bucketOf(path.root).objects.delete(pathKey(path)) }),
      walk: async (_ctx, path) => {
        const object = this.#bucketOf(path.root).objects.get(pathKey(path));
        if (object === undefined) throw new FsError('ENOENT', 'walk');
        const { attr, s3, xattrs } = object;
        return { parent: path.root, name: pathKey(path), attr, s3, xattrs, map: undefined };
      },
      openObject: (_ctx, walked) => this.#open(walked),
    };
  }

  #open(walked: WalkReply): ReturnType<VfsObjects['openObject']> {
    const { data } = this.#bucketOf(walked.parent).objects.get(walked.name)!;
    return {
      sizeBytes: data.length,
      // Asynchronous and in small steps, as a store's blocks come.
      read: async (offset, lengthMax) => data.subarray(offset, offset + Math.min(lengthMax, 256 * 1024)),
      close() {},
    };
  }

  #put(ctx: Context, writer: MemoryWriter, { path, s3, xattrs }: PutOptions): ReturnType<VfsObjects['putObject']> {
    const owner = this.users.find((user) => user.uid === ctx.uid)!;
    const attr = { ...this.#attr(S_IFREG | 0o600, owner), size: writer.sizeBytes };
    const object = { attr, s3: { ...s3, version: attr.version }, data: Buffer.concat(writer.pieces), xattrs };
    this.#bucketOf(path.root).objects.set(pathKey(path), object);
    return Promise.resolve({
      attr,
      parent: path.root,
      name: pathKey(path),
      shadowed: false,
      replaced: undefined,
      made: [],
    });
  }

  #bucketOf(root: number): { entry: Entry; objects: Map<string, StoredObject> } {
    return [...this.buckets.values()].find(({ entry }) => entry.attr.ino === root)!;
  }

  #attr(mode: number, { uid, gid }: User): Attr {
    const times = {
      atimeSec: 1,
      atimeNsec: 0,
      mtimeSec: 1_700_000_000,
      mtimeNsec: 123_000_000,
      ctimeSec: 1,
      ctimeNsec: 0,
    };
    const born = { btimeSec: 1_600_000_000, btimeNsec: 0, parent: ROOT_INO, version: 1, mtimeSetUs: 0, sparseBytes: 0 };
    return { ino: this.#nextIno++, mode, uid, gid, nlink: 1, size: 0, rdev: 0, flags: 0, ...times, ...born };
  }
}

/** Listing by definition: sort all keys, roll up, skip what is not behind the marker, cut. */
function listMemory(
  objects: ReadonlyMap<string, StoredObject>,
  request: { prefix: string; after: string; delimiter: string; limit: number },
): ListReply {
  const { prefix, after, delimiter, limit } = request;
  const items: ListItem[] = [];
  const seen = new Set<string>();
  for (const key of [...objects.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    if (!key.startsWith(prefix)) continue;
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? key : key.slice(0, cut + delimiter.length);
    if (name <= after || seen.has(name)) continue;
    if (items.length === limit) return { items, truncated: true };
    seen.add(name);
    const { attr, s3 } = objects.get(key)!;
    items.push(cut < 0 ? { kind: 'key', key, attr, s3 } : { kind: 'prefix', prefix: name });
  }
  return { items, truncated: false };
}
