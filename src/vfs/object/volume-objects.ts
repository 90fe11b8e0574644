/**
 * The operations that S3 needs: paths instead of inodes, whole objects instead of ranges. What they made stale is told
 * to the kernel of this process's mount before they resolve, and what they acknowledge is durable.
 */
import { FsError } from '../../base/errors.ts';
import { CHUNK_BYTES } from '../../base/slice-record.ts';
import { type ByteString, S_IFDIR, S_IFMT, S_IFREG } from '../../base/vocabulary.ts';
import type { KeyPath, ListReply, Precondition, PublishReply, WalkReply } from '../../meta/meta.ts';
import type { Context, ObjectReader, ObjectWriter, PutOptions, VfsObjects } from '../vfs.ts';
import { checkAlive, type VfsState } from '../vfs-state.ts';
import { cloneWalked } from './clone-walked.ts';
import { makeHiddenFile } from './hidden-file.ts';
import { SnapshotReader, wholeInline } from './object-reader.ts';
import { type Content, ownWriter, SliceObjectWriter } from './object-writer.ts';
import type { Publisher } from './publisher.ts';

/** A walk that wants data brings the slice map of any object of one chunk, so that its content is that of its attributes. */
const WALK_DATA_BYTES_MAX = CHUNK_BYTES;

export class VolumeObjects implements VfsObjects {
  readonly #state: VfsState;
  readonly #publisher: Publisher;

  constructor(state: VfsState, publisher: Publisher) {
    this.#state = state;
    this.#publisher = publisher;
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

  async admit(_ctx: Context, sizeBytes: number): Promise<void> {
    checkAlive(this.#state, 'putObject');
    await this.#state.room.admit('putObject', sizeBytes, 1);
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
    await this.#publisher.acknowledge(reply);
    return reply;
  }

  async copyObject(ctx: Context, source: WalkReply, options: PutOptions): Promise<PublishReply> {
    checkAlive(this.#state, 'copyObject');
    await this.#state.room.admit('copyObject', 0, 1);
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
    const ino = await makeHiddenFile(meta, ctx);
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
    await this.#publisher.acknowledge(reply);
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
}

function noBytes(): Content {
  return { kind: 'pieces', pieces: [], sizeBytes: 0 };
}
