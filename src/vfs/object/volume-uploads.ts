/**
 * Multipart uploads. A part is a hidden inode that belongs to the upload; completing joins the parts' slices in a new
 * hidden inode, moving no bytes, and publishes that in one script in which the upload vanishes.
 */
import { FsError } from '../../base/errors.ts';
import { FILE_BYTES_MAX } from '../../base/slice-record.ts';
import type { Ino } from '../../base/vocabulary.ts';
import type {
  Part,
  PartsReply,
  PartsRequest,
  PublishReply,
  Upload,
  UploadRef,
  UploadsRequest,
  WalkReply,
} from '../../meta/meta.ts';
import type { Context, ObjectWriter, PartRequest, PutOptions, VfsUploads } from '../vfs.ts';
import { checkAlive, type VfsState } from '../vfs-state.ts';
import { cloneWalked } from './clone-walked.ts';
import { makeHiddenFile } from './hidden-file.ts';
import { ownWriter } from './object-writer.ts';
import type { Publisher } from './publisher.ts';

/** Parts joined at the same time: they go to ranges that do not touch. */
const JOINS_MAX = 16;

export class VolumeUploads implements VfsUploads {
  readonly #state: VfsState;
  readonly #publisher: Publisher;

  constructor(state: VfsState, publisher: Publisher) {
    this.#state = state;
    this.#publisher = publisher;
  }

  async create(_ctx: Context, upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload> {
    checkAlive(this.#state, 'createUpload');
    await this.#state.room.admit('createUpload', 0);
    const created = await this.#state.meta.uploads.create(upload);
    await this.#state.meta.durability.reached();
    return created;
  }

  get(_ctx: Context, upload: UploadRef): Promise<Upload> {
    checkAlive(this.#state, 'getUpload');
    return this.#state.meta.uploads.get(upload);
  }

  async putPart(_ctx: Context, request: PartRequest, content: ObjectWriter): Promise<Part> {
    checkAlive(this.#state, 'putPart');
    const { meta } = this.#state;
    const { uploadId, ...described } = request;
    const writer = ownWriter(content);
    let part: Part;
    try {
      const ino = await writer.finishHidden();
      part = await meta.uploads.putPart(uploadId, { ...described, ino, sizeBytes: writer.sizeBytes });
    } catch (error) {
      await writer.abandon(error);
      throw error;
    }
    writer.published();
    await meta.durability.reached();
    return part;
  }

  async copyPart(
    ctx: Context,
    request: PartRequest,
    source: WalkReply,
    range: { offset: number; length: number },
  ): Promise<Part> {
    checkAlive(this.#state, 'copyPart');
    const { meta } = this.#state;
    const { uploadId, ...described } = request;
    const ino = await makeHiddenFile(meta, ctx);
    let part: Part;
    try {
      await cloneWalked(meta, source.attr, range, ino);
      part = await meta.uploads.putPart(uploadId, { ...described, ino, sizeBytes: range.length });
    } catch (error) {
      await this.#publisher.releaseHidden(ino);
      throw error;
    }
    await meta.durability.reached();
    return part;
  }

  listParts(_ctx: Context, request: PartsRequest): Promise<PartsReply> {
    checkAlive(this.#state, 'listParts');
    return this.#state.meta.uploads.listParts(request);
  }

  list(_ctx: Context, request: UploadsRequest): Promise<{ uploads: Upload[]; truncated: boolean }> {
    checkAlive(this.#state, 'listUploads');
    return this.#state.meta.uploads.list(request);
  }

  completed(uploadId: string): Promise<{ etag: string } | undefined> {
    checkAlive(this.#state, 'completedUpload');
    return this.#state.meta.uploads.completed(uploadId);
  }

  async abort(_ctx: Context, upload: UploadRef): Promise<void> {
    checkAlive(this.#state, 'abortUpload');
    await this.#state.meta.uploads.abort(upload);
    await this.#state.meta.durability.reached();
  }

  async complete(ctx: Context, upload: Upload, parts: Part[], options: PutOptions): Promise<PublishReply> {
    checkAlive(this.#state, 'completeUpload');
    const { meta } = this.#state;
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    if (sizeBytes > FILE_BYTES_MAX) throw new FsError('EFBIG', 'completeUpload');
    const ino = await makeHiddenFile(meta, ctx);
    let reply: PublishReply;
    try {
      await this.#join(parts, ino);
      reply = await this.#publisher.publish(ctx, { kind: 'inode', ino }, options, upload.uploadId);
    } catch (error) {
      await this.#publisher.releaseHidden(ino);
      throw error;
    }
    await this.#publisher.acknowledge(reply);
    return reply;
  }

  /** Several at a time, each to the place that the sizes before it give. */
  async #join(parts: Part[], target: Ino): Promise<void> {
    let next = 0;
    let offset = 0;
    const worker = async (): Promise<void> => {
      while (next < parts.length) {
        const part = parts[next++]!;
        const at = offset;
        offset += part.sizeBytes;
        if (part.sizeBytes > 0) await this.#joinPart(part, target, at);
      }
    };
    await Promise.all(Array.from({ length: Math.min(JOINS_MAX, parts.length) }, worker));
  }

  /** Nobody can write to a part, so its length proves its content. */
  async #joinPart(part: Part, target: Ino, offset: number): Promise<void> {
    const { ino: source, sizeBytes: length } = part;
    const range = { source, sourceOffset: 0, target, targetOffset: offset, length };
    const { copied } = await this.#state.meta.data.cloneRange(range);
    if (copied === length) return;
    throw new FsError('ESTALE', 'completeUpload', 'a part is not as long as when it was uploaded');
  }
}
