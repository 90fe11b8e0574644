/**
 * An VfsObjects in memory, for tests of the S3 operations without Redis. Directories exist as markers (`dir/`) only;
 * permissions, symbolic links and implicit parents are the real one's business (test/vfs, test/meta).
 */
import { derivedEtag } from '../../src/base/derived-etag.ts';
import { FsError } from '../../src/base/errors.ts';
import {
  type Attr,
  type Entry,
  FLAG_MARKER,
  type Ino,
  S_IFDIR,
  S_IFREG,
  type S3Record,
  type User,
} from '../../src/base/vocabulary.ts';
import { VolumeEvents } from '../../src/base/volume-events.ts';
import type { KeyPath, ListReply, Part, Precondition, PublishReply, Upload, WalkReply } from '../../src/meta/meta.ts';
import type { Context, ObjectReader, ObjectWriter, PutOptions, Vfs, VfsObjects } from '../../src/vfs/vfs.ts';

interface Stored {
  attr: Attr;
  data: Buffer;
  s3: S3Record | undefined;
  xattrs: Map<string, Buffer>;
}

interface StoredUpload {
  upload: Upload;
  parts: Map<number, { part: Part; data: Buffer }>;
}

class FakeWriter implements ObjectWriter {
  readonly pieces: Buffer[] = [];
  sizeBytes = 0;
  aborted = false;

  write(data: Buffer): Promise<void> | undefined {
    this.pieces.push(data);
    this.sizeBytes += data.length;
    return this.pieces.length % 7 === 0 ? Promise.resolve() : undefined;
  }

  async abort(): Promise<void> {
    this.aborted = true;
  }
}

class FakeReader implements ObjectReader {
  readonly sizeBytes: number;
  readonly #data: Buffer;
  readonly #onClose: () => void;

  constructor(data: Buffer, onClose: () => void) {
    this.#data = data;
    this.sizeBytes = data.length;
    this.#onClose = onClose;
  }

  read(offset: number, lengthMax: number): Buffer | Promise<Buffer> {
    // Short answers and promises, as the real one may give.
    const piece = this.#data.subarray(offset, Math.min(offset + lengthMax, offset + 700_000));
    return offset === 0 && lengthMax < 100_000 ? piece : Promise.resolve(piece);
  }

  close(): void {
    this.#onClose();
  }
}

function keyOf(path: KeyPath): string {
  return path.components.join('/') + (path.directory ? '/' : '');
}

/** Use as `{ objects: new FakeObjectVfs() }`. */
export class FakeObjectVfs implements VfsObjects {
  readonly buckets = new Map<string, { entry: Entry; objects: Map<string, Stored> }>();
  readonly uploads = new Map<string, StoredUpload>();
  readonly completed = new Map<string, string>();
  readonly writers: FakeWriter[] = [];
  /** Readers that were opened and not closed. */
  openReaders = 0;
  /** Runs before content is published, as another client might come between. */
  beforePublish: (() => void) | undefined;
  #nextIno = 2;
  #nextUpload = 1;

  /** Changes an object's bytes as the mount does: the version moves, the S3 record stays. */
  writeThroughMount(bucket: string, key: string, data: Buffer): void {
    const objects = this.buckets.get(bucket)!.objects;
    const known = objects.get(key);
    const attr = known === undefined ? this.#attr(S_IFREG | 0o644, data.length) : { ...known.attr, size: data.length };
    attr.version += 1;
    objects.set(key, { attr, data, s3: known?.s3, xattrs: known?.xattrs ?? new Map() });
  }

  /** The stored object, for looking behind the door. */
  stored(bucket: string, key: string): Stored {
    const found = this.buckets.get(bucket)?.objects.get(key);
    if (found === undefined) throw new Error(`nothing stored as ${bucket}/${key}`);
    return found;
  }

  async walk(_ctx: Context, path: KeyPath): Promise<WalkReply> {
    const found = this.#objects(path.root).get(keyOf(path));
    if (found === undefined) throw new FsError('ENOENT', 'walk');
    const name = path.components.at(-1)!;
    return { parent: path.root, name, attr: { ...found.attr }, s3: found.s3, xattrs: found.xattrs, map: undefined };
  }

  openObject(_ctx: Context, walked: WalkReply): ObjectReader {
    const { ino, version } = walked.attr;
    for (const { objects } of this.buckets.values()) {
      for (const { attr, data } of objects.values()) {
        if (attr.ino !== ino) continue;
        if (attr.version !== version) throw new FsError('ESTALE', 'open');
        this.openReaders += 1;
        return new FakeReader(data, () => {
          this.openReaders -= 1;
        });
      }
    }
    throw new FsError('ESTALE', 'open');
  }

  beginObject(): ObjectWriter {
    const writer = new FakeWriter();
    this.writers.push(writer);
    return writer;
  }

  async putObject(_ctx: Context, writer: ObjectWriter, options: PutOptions): Promise<PublishReply> {
    return this.#publish(Buffer.concat((writer as FakeWriter).pieces), options);
  }

  async copyObject(_ctx: Context, source: WalkReply, options: PutOptions): Promise<PublishReply> {
    return this.#publish(this.#dataOf(source), options);
  }

  async removeObject(_ctx: Context, path: KeyPath, precondition: Precondition): Promise<{ existed: boolean }> {
    const objects = this.#objects(path.root);
    const key = keyOf(path);
    this.#check(precondition, objects.get(key));
    return { existed: objects.delete(key) };
  }

  async list(_ctx: Context, root: Ino, request: { prefix: string; after: string; limit: number }): Promise<ListReply> {
    const keys = [...this.#objects(root).entries()]
      .filter(([key]) => key.startsWith(request.prefix) && key > request.after)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const items = keys.slice(0, request.limit).map(([key, { attr, s3 }]) => ({ kind: 'key' as const, key, attr, s3 }));
    return { items, truncated: keys.length > items.length };
  }

  async setTags(_ctx: Context, walked: WalkReply, tags: [string, string][]): Promise<void> {
    for (const { objects } of this.buckets.values()) {
      for (const one of objects.values()) {
        if (one.attr.ino === walked.attr.ino) one.s3 = { ...(one.s3 ?? emptyRecord()), tags };
      }
    }
  }

  async bucket(_ctx: Context, name: string): Promise<Entry> {
    const found = this.buckets.get(name);
    if (found === undefined) throw new FsError('ENOENT', 'bucket');
    return found.entry;
  }

  async listBuckets(): Promise<{ entries: Entry[]; truncated: boolean }> {
    return { entries: [...this.buckets.values()].map(({ entry }) => entry), truncated: false };
  }

  async createBucket(_ctx: Context, name: string): Promise<Entry> {
    if (this.buckets.has(name)) throw new FsError('EEXIST', 'createBucket');
    const entry: Entry = { name, attr: this.#attr(S_IFDIR | 0o755, 0), shadowed: false };
    this.buckets.set(name, { entry, objects: new Map() });
    return entry;
  }

  async deleteBucket(_ctx: Context, name: string): Promise<void> {
    if (this.buckets.get(name)!.objects.size > 0) throw new FsError('ENOTEMPTY', 'deleteBucket');
    this.buckets.delete(name);
  }

  async createUpload(_ctx: Context, upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload> {
    const uploadId = `upload-${String(this.#nextUpload++).padStart(6, '0')}`;
    const made = { ...upload, uploadId, initiatedMs: Date.now() };
    this.uploads.set(uploadId, { upload: made, parts: new Map() });
    return made;
  }

  async getUpload(_ctx: Context, uploadId: string, root: Ino, key: string): Promise<Upload> {
    return this.#upload(uploadId, root, key).upload;
  }

  async putPart(
    _ctx: Context,
    uploadId: string,
    number: number,
    writer: ObjectWriter,
    etag: string,
    checksums: Record<string, string>,
  ): Promise<Part> {
    return this.#keepPart(uploadId, number, Buffer.concat((writer as FakeWriter).pieces), etag, checksums);
  }

  async copyPart(
    _ctx: Context,
    uploadId: string,
    number: number,
    source: WalkReply,
    offset: number,
    length: number,
    etag: string,
    checksums: Record<string, string>,
  ): Promise<Part> {
    const data = this.#dataOf(source).subarray(offset, offset + length);
    return this.#keepPart(uploadId, number, data, etag, checksums);
  }

  async listParts(
    _ctx: Context,
    uploadId: string,
    root: Ino,
    key: string,
    afterNumber: number,
    limit: number,
  ): Promise<{ upload: Upload; parts: Part[]; truncated: boolean }> {
    const { upload, parts } = this.#upload(uploadId, root, key);
    const all = [...parts.values()].map(({ part }) => part).filter((part) => part.number > afterNumber);
    all.sort((a, b) => a.number - b.number);
    return { upload, parts: all.slice(0, limit), truncated: all.length > limit };
  }

  async listUploads(
    _ctx: Context,
    root: Ino,
    prefix: string,
    afterKey: string,
    afterUploadId: string,
    limit: number,
  ): Promise<{ uploads: Upload[]; truncated: boolean }> {
    const order = ({ key, uploadId }: Upload): string => `${key}\0${uploadId}`;
    const after = afterKey === '' ? '' : `${afterKey}\0${afterUploadId}`;
    const all = [...this.uploads.values()]
      .map(({ upload }) => upload)
      .filter((upload) => upload.root === root && upload.key.startsWith(prefix) && order(upload) > after)
      .sort((a, b) => (order(a) < order(b) ? -1 : 1));
    return { uploads: all.slice(0, limit), truncated: all.length > limit };
  }

  async abortUpload(_ctx: Context, uploadId: string, root: Ino, key: string): Promise<void> {
    this.#upload(uploadId, root, key);
    this.uploads.delete(uploadId);
  }

  async completeUpload(_ctx: Context, upload: Upload, parts: Part[], options: PutOptions): Promise<PublishReply> {
    const stored = this.#upload(upload.uploadId, upload.root, upload.key);
    const data = Buffer.concat(parts.map((part) => stored.parts.get(part.number)!.data));
    const reply = this.#publish(data, options);
    this.uploads.delete(upload.uploadId);
    this.completed.set(upload.uploadId, options.s3.etag);
    return reply;
  }

  async completedUpload(uploadId: string): Promise<{ etag: string } | undefined> {
    const etag = this.completed.get(uploadId);
    return etag === undefined ? undefined : { etag };
  }

  async users(): Promise<User[]> {
    return [{ name: 'tester', accessKey: 'AKTEST', secretKey: 'secret', uid: 1000, gid: 1000, groups: [] }];
  }

  facets(): Partial<Vfs> {
    return {
      objects: this,
      buckets: {
        find: (ctx, name) => this.bucket(ctx, name),
        list: () => this.listBuckets(),
        create: (ctx, name) => this.createBucket(ctx, name),
        delete: (ctx, name) => this.deleteBucket(ctx, name),
      },
      uploads: {
        create: (ctx, upload) => this.createUpload(ctx, upload),
        get: (ctx, { uploadId, root, key }) => this.getUpload(ctx, uploadId, root, key),
        putPart: (ctx, { uploadId, number, etag, checksums }, writer) =>
          this.putPart(ctx, uploadId, number, writer, etag, checksums),
        copyPart: (ctx, { uploadId, number, etag, checksums }, source, { offset, length }) =>
          this.copyPart(ctx, uploadId, number, source, offset, length, etag, checksums),
        listParts: (ctx, { uploadId, root, key, afterNumber, limit }) =>
          this.listParts(ctx, uploadId, root, key, afterNumber, limit),
        list: (ctx, { root, prefix, afterKey, afterUploadId, limit }) =>
          this.listUploads(ctx, root, prefix, afterKey, afterUploadId, limit),
        abort: (ctx, { uploadId, root, key }) => this.abortUpload(ctx, uploadId, root, key),
        complete: (ctx, ...args) => this.completeUpload(ctx, ...args),
        completed: (uploadId) => this.completedUpload(uploadId),
      },
      users: { list: () => this.users() } as unknown as Vfs['users'],
      events: new VolumeEvents(),
    };
  }

  #publish(data: Buffer, options: PutOptions): PublishReply {
    this.beforePublish?.();
    const objects = this.#objects(options.path.root);
    const key = keyOf(options.path);
    const old = objects.get(key);
    this.#check(options.precondition, old);
    const attr = this.#attr(options.path.directory ? S_IFDIR | 0o755 : S_IFREG | 0o644, data.length);
    if (options.path.directory) attr.flags = FLAG_MARKER;
    const s3 = { ...options.s3, version: attr.version };
    objects.set(key, { attr, data, s3, xattrs: new Map(options.xattrs) });
    const name = options.path.components.at(-1)!;
    return { attr, parent: options.path.root, name, shadowed: false, replaced: old?.attr, made: [] };
  }

  #keepPart(uploadId: string, number: number, data: Buffer, etag: string, checksums: Record<string, string>): Part {
    const stored = this.uploads.get(uploadId);
    if (stored === undefined) throw new FsError('ENOENT', 'putPart');
    const ino = this.#nextIno++;
    const part: Part = { number, ino, sizeBytes: data.length, etag, checksums, modifiedMs: Date.now() };
    stored.parts.set(number, { part, data });
    return part;
  }

  #check(precondition: Precondition, current: Stored | undefined): void {
    const { ifMatch, ifNoneMatch, ifMatchSize, ifMatchMtimeSec } = precondition;
    if (current === undefined) {
      if (ifMatch ?? ifMatchSize ?? ifMatchMtimeSec) throw new FsError('ENOENT', 'publish');
      return;
    }
    const { attr, s3 } = current;
    const stored = s3 !== undefined && s3.version === attr.version && s3.etag !== '';
    const etag = stored ? s3.etag : derivedEtag(attr.ino, attr.version);
    const has = (tags: string[]): boolean => tags.includes('*') || tags.includes(etag);
    if (
      (ifMatch !== undefined && !has(ifMatch)) ||
      (ifNoneMatch !== undefined && has(ifNoneMatch)) ||
      (ifMatchSize !== undefined && ifMatchSize !== attr.size) ||
      (ifMatchMtimeSec !== undefined && ifMatchMtimeSec !== attr.mtimeSec)
    ) {
      throw new FsError('ECANCELED', 'publish');
    }
  }

  #objects(root: Ino): Map<string, Stored> {
    for (const { entry, objects } of this.buckets.values()) if (entry.attr.ino === root) return objects;
    // A directory's own inode: nothing is below a marker here.
    for (const { objects } of this.buckets.values()) {
      for (const { attr } of objects.values()) if (attr.ino === root) return new Map();
    }
    throw new FsError('ENOENT', 'walk');
  }

  #dataOf(walked: WalkReply): Buffer {
    for (const { objects } of this.buckets.values()) {
      for (const { attr, data } of objects.values()) if (attr.ino === walked.attr.ino) return data;
    }
    throw new FsError('ESTALE', 'copy');
  }

  #upload(uploadId: string, root: Ino, key: string): StoredUpload {
    const found = this.uploads.get(uploadId);
    if (found === undefined || found.upload.root !== root || found.upload.key !== key) {
      throw new FsError('ENOENT', 'upload');
    }
    return found;
  }

  #attr(mode: number, size: number): Attr {
    const ms = Date.now();
    const sec = Math.floor(ms / 1000);
    const nsec = (ms % 1000) * 1_000_000;
    const times = { atimeSec: sec, mtimeSec: sec, ctimeSec: sec, btimeSec: sec };
    const fractions = { atimeNsec: nsec, mtimeNsec: nsec, ctimeNsec: nsec, btimeNsec: nsec };
    const owner = { uid: 1000, gid: 1000, nlink: 1, rdev: 0, flags: 0, parent: 1 };
    return {
      ino: this.#nextIno++,
      mode,
      size,
      version: 1,
      mtimeSetUs: 0,
      sparseBytes: 0,
      ...owner,
      ...times,
      ...fractions,
    };
  }
}

function emptyRecord(): S3Record {
  return { version: 0, etag: '', headers: {}, tags: [], checksums: {}, checksumType: '', parts: [] };
}
