/**
 * The operations that S3 needs: paths instead of inodes, whole objects instead of ranges. What they made stale is told
 * to the kernel of this process's mount before they resolve, and what they acknowledge is durable.
 */
import { FsError } from '../../base/errors.ts';
import { CHUNK_BYTES } from '../../base/slice-record.ts';
import {
  type ByteString,
  type Entry,
  ROOT_INO,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  type User,
  type VolumeUsage,
} from '../../base/vocabulary.ts';
import type { KeyPath, ListReply, Part, Precondition, PublishReply, Upload, WalkReply } from '../../meta/meta.ts';
import type { Context, ObjectReader, ObjectVfs, ObjectWriter, PutOptions } from '../vfs.ts';
import { checkAlive, type VfsState } from '../vfs-state.ts';
import { cloneWalked } from './clone-walked.ts';
import { SnapshotReader, wholeInline } from './object-reader.ts';
import { type Content, SliceObjectWriter } from './object-writer.ts';
import { Publisher } from './publisher.ts';
import { Uploads } from './uploads.ts';

/** A walk that wants data brings the slice map of any object of one chunk, so that its content is that of its attributes. */
const WALK_DATA_BYTES_MAX = CHUNK_BYTES;
/** Pages of buckets looked through for one page of a user's own. */
const BUCKET_PAGES_MAX = 100;
const HIDDEN_MODE = S_IFREG | 0o600;

export class VolumeObjects implements ObjectVfs {
  readonly #state: VfsState;
  readonly #publisher: Publisher;
  readonly #uploads: Uploads;
  #usersListeners: (() => void)[] = [];

  constructor(state: VfsState) {
    this.#state = state;
    this.#publisher = new Publisher(state);
    this.#uploads = new Uploads(state, this.#publisher);
    state.meta.events.on('invalidated', (batch) => {
      if (!batch.some((invalidation) => invalidation.kind === 'users')) return;
      for (const listener of this.#usersListeners) listener();
    });
  }

  async walk(
    ctx: Context,
    path: KeyPath,
    want: { data: boolean; xattrs: boolean; follow: boolean },
  ): Promise<WalkReply> {
    checkAlive(this.#state, 'walk');
    const { attrs, meta } = this.#state;
    const token = attrs.token();
    const walked = await meta.objects.walk({
      path,
      caller: ctx,
      follow: want.follow,
      dataBytesMax: want.data ? WALK_DATA_BYTES_MAX : 0,
      xattrs: want.xattrs,
    });
    attrs.fill(walked.attr, token);
    const type = walked.attr.mode & S_IFMT;
    if (type === S_IFREG || type === S_IFDIR || !want.follow) return walked;
    throw new FsError('ENOENT', 'walk', 'sockets, fifos and devices are no objects');
  }

  openObject(_ctx: Context, walked: WalkReply): ObjectReader {
    checkAlive(this.#state, 'openObject');
    const { attr, map } = walked;
    // A directory that is a key has no bytes.
    const sizeBytes = (attr.mode & S_IFMT) === S_IFREG ? attr.size : 0;
    return new SnapshotReader(this.#state, attr.ino, attr.version, sizeBytes, map);
  }

  beginObject(ctx: Context): ObjectWriter {
    checkAlive(this.#state, 'beginObject');
    return new SliceObjectWriter(this.#state, ctx);
  }

  async putObject(ctx: Context, writer: ObjectWriter, options: PutOptions): Promise<PublishReply> {
    checkAlive(this.#state, 'putObject');
    const object = ownWriter(writer);
    let reply: PublishReply;
    try {
      reply = await this.#publisher.publish(ctx, await object.finish(), options);
    } catch (error) {
      await object.abandon(error);
      throw error;
    }
    object.published();
    await this.#publisher.settle(reply);
    return reply;
  }

  async copyObject(ctx: Context, source: WalkReply, options: PutOptions): Promise<PublishReply> {
    checkAlive(this.#state, 'copyObject');
    const { attr } = source;
    const isFile = (attr.mode & S_IFMT) === S_IFREG;
    const inline = source.map === undefined ? undefined : wholeInline(source.map, attr.size);
    if (!isFile || attr.size === 0) return await this.#publishCopy(ctx, noBytes(), options);
    if (inline !== undefined && inline.length <= this.#state.data.inlineBytesMax()) {
      const pieces = [{ chunkIndex: 0, pos: 0, inline }];
      return await this.#publishCopy(ctx, { kind: 'pieces', pieces, sizeBytes: inline.length }, options);
    }
    return await this.#copySlices(ctx, source, options);
  }

  async #copySlices(ctx: Context, source: WalkReply, options: PutOptions): Promise<PublishReply> {
    const { meta } = this.#state;
    const { ino } = await meta.names.mkHidden(HIDDEN_MODE, ctx.uid, ctx.gid);
    try {
      await cloneWalked(meta, source.attr, { offset: 0, length: source.attr.size }, ino);
      return await this.#publishCopy(ctx, { kind: 'inode', ino }, options);
    } catch (error) {
      await this.#publisher.releaseHidden(ino);
      throw error;
    }
  }

  async #publishCopy(ctx: Context, content: Content, options: PutOptions): Promise<PublishReply> {
    const reply = await this.#publisher.publish(ctx, content, options);
    await this.#publisher.settle(reply);
    return reply;
  }

  async removeObject(ctx: Context, path: KeyPath, precondition: Precondition): Promise<{ existed: boolean }> {
    checkAlive(this.#state, 'removeObject');
    const { attrs, meta, files } = this.#state;
    const token = attrs.token();
    const { removed, pruned } = await meta.objects.remove({ path, caller: ctx, precondition });
    if (removed !== undefined) {
      attrs.changed(removed.attr, token);
      files.nameLost(removed.attr);
    }
    const entries = removed === undefined ? [...pruned] : [removed, ...pruned];
    for (const { ino } of pruned) attrs.changedUnseen(ino);
    if (entries.length > 0) {
      await this.#publisher.announce(entries, removed === undefined ? [] : [removed.attr.ino]);
    }
    return { existed: removed !== undefined };
  }

  async list(
    ctx: Context,
    root: number,
    request: { prefix: ByteString; after: ByteString; delimiter: ByteString; limit: number },
  ): Promise<ListReply> {
    checkAlive(this.#state, 'list');
    const { prefix, after, delimiter, limit } = request;
    return await this.#state.meta.objects.list({ root, prefix, after, delimiter, limit, caller: ctx });
  }

  async setTags(ctx: Context, walked: WalkReply, tags: [string, string][]): Promise<void> {
    checkAlive(this.#state, 'setTags');
    const { attrs, meta } = this.#state;
    const token = attrs.token();
    const attr = attrs.changed(await meta.objects.setS3(walked.attr.ino, { tags }, ctx), token);
    await this.#publisher.announce([], [attr.ino]);
  }

  async bucket(ctx: Context, name: ByteString): Promise<Entry> {
    checkAlive(this.#state, 'bucket');
    const { attrs, meta } = this.#state;
    const token = attrs.token();
    if (name !== meta.session.format.name) {
      const entry = await meta.names.lookup(ROOT_INO, name, 'dir', ctx);
      attrs.fill(entry.attr, token);
      return entry;
    }
    const attr = attrs.get(ROOT_INO) ?? attrs.fill(await meta.names.getattr(ROOT_INO), token);
    if (ctx.uid !== 0 && ctx.uid !== attr.uid) {
      throw new FsError('EACCES', 'bucket', "the volume's own bucket is for root credentials");
    }
    return { name, attr, younger: false };
  }

  /** A user's own buckets; uid 0 sees all. */
  async listBuckets(
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

  async createBucket(ctx: Context, name: ByteString): Promise<Entry> {
    checkAlive(this.#state, 'createBucket');
    const { attrs, meta, options } = this.#state;
    if (name === meta.session.format.name) {
      throw new FsError('EEXIST', 'createBucket', 'the name of the volume is the bucket of its root');
    }
    const token = attrs.token();
    const { entry, parentAttr } = await meta.buckets.create(name, ctx, options.directoryMode);
    attrs.changed(entry.attr, token);
    attrs.changed(parentAttr, token);
    await this.#publisher.announce([{ parent: ROOT_INO, name }], []);
    return entry;
  }

  async deleteBucket(ctx: Context, name: ByteString): Promise<void> {
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

  createUpload(_ctx: Context, upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload> {
    return this.#uploads.create(upload);
  }

  getUpload(_ctx: Context, uploadId: string, root: number, key: ByteString): Promise<Upload> {
    checkAlive(this.#state, 'getUpload');
    return this.#state.meta.uploads.get(uploadId, root, key);
  }

  putPart(
    _ctx: Context,
    uploadId: string,
    number: number,
    writer: ObjectWriter,
    etag: string,
    checksums: Record<string, string>,
  ): Promise<Part> {
    return this.#uploads.putPart(uploadId, number, ownWriter(writer), etag, checksums);
  }

  copyPart(
    ctx: Context,
    uploadId: string,
    number: number,
    source: WalkReply,
    offset: number,
    length: number,
    etag: string,
    checksums: Record<string, string>,
  ): Promise<Part> {
    return this.#uploads.copyPart(ctx, { uploadId, number, source, offset, length, etag, checksums });
  }

  listParts(
    _ctx: Context,
    uploadId: string,
    root: number,
    key: ByteString,
    afterNumber: number,
    limit: number,
  ): Promise<{ upload: Upload; parts: Part[]; truncated: boolean }> {
    checkAlive(this.#state, 'listParts');
    return this.#state.meta.uploads.listParts(uploadId, root, key, afterNumber, limit);
  }

  listUploads(
    _ctx: Context,
    root: number,
    prefix: ByteString,
    afterKey: ByteString,
    afterUploadId: string,
    limit: number,
  ): Promise<{ uploads: Upload[]; truncated: boolean }> {
    checkAlive(this.#state, 'listUploads');
    return this.#state.meta.uploads.list(root, prefix, afterKey, afterUploadId, limit);
  }

  abortUpload(_ctx: Context, uploadId: string, root: number, key: ByteString): Promise<void> {
    return this.#uploads.abort(uploadId, root, key);
  }

  completeUpload(ctx: Context, upload: Upload, parts: Part[], options: PutOptions): Promise<PublishReply> {
    return this.#uploads.complete(ctx, upload, parts, options);
  }

  completedUpload(uploadId: string): Promise<{ etag: string } | undefined> {
    checkAlive(this.#state, 'completedUpload');
    return this.#state.meta.uploads.completed(uploadId);
  }

  users(): Promise<User[]> {
    return this.#state.meta.users.list();
  }

  onUsersChanged(listener: () => void): void {
    this.#usersListeners.push(listener);
  }

  usage(): Promise<VolumeUsage> {
    checkAlive(this.#state, 'usage');
    return this.#state.meta.session.usage();
  }
}

function ownWriter(writer: ObjectWriter): SliceObjectWriter {
  if (!(writer instanceof SliceObjectWriter)) throw new FsError('EBADF', 'putObject', 'not a writer of this volume');
  return writer;
}

function noBytes(): Content {
  return { kind: 'pieces', pieces: [], sizeBytes: 0 };
}
