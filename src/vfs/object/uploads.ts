/**
 * Multipart uploads. A part is a hidden inode that belongs to the upload; completing joins the parts' slices in a new
 * hidden inode, moving no bytes, and publishes that in one script in which the upload vanishes.
 */
import { FsError } from '../../base/errors.ts';
import { FILE_BYTES_MAX } from '../../base/slice-record.ts';
import { type ByteString, type Ino, S_IFREG } from '../../base/vocabulary.ts';
import type { Part, PublishReply, Upload, WalkReply } from '../../meta/meta.ts';
import type { Context, PutOptions } from '../vfs.ts';
import { checkAlive, type VfsState } from '../vfs-state.ts';
import { cloneWalked } from './clone-walked.ts';
import type { SliceObjectWriter } from './object-writer.ts';
import type { Publisher } from './publisher.ts';

const HIDDEN_MODE = S_IFREG | 0o600;
/** Parts joined at the same time: they go to ranges that do not touch. */
const JOINS_MAX = 16;

export interface CopyPartRequest {
  uploadId: string;
  number: number;
  source: WalkReply;
  offset: number;
  length: number;
  etag: string;
  checksums: Record<string, string>;
}

export class Uploads {
  readonly #state: VfsState;
  readonly #publisher: Publisher;

  constructor(state: VfsState, publisher: Publisher) {
    this.#state = state;
    this.#publisher = publisher;
  }

  async create(upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload> {
    checkAlive(this.#state, 'createUpload');
    const created = await this.#state.meta.uploads.create(upload);
    await this.#state.meta.durability.reached();
    return created;
  }

  async putPart(
    uploadId: string,
    number: number,
    writer: SliceObjectWriter,
    etag: string,
    checksums: Record<string, string>,
  ): Promise<Part> {
    checkAlive(this.#state, 'putPart');
    const { meta } = this.#state;
    let part: Part;
    try {
      const ino = await writer.finishHidden();
      part = await meta.uploads.putPart(uploadId, { number, ino, sizeBytes: writer.sizeBytes, etag, checksums });
    } catch (error) {
      await writer.abandon(error);
      throw error;
    }
    writer.published();
    await meta.durability.reached();
    return part;
  }

  async copyPart(ctx: Context, request: CopyPartRequest): Promise<Part> {
    checkAlive(this.#state, 'copyPart');
    const { meta } = this.#state;
    const { number, source, offset, length, etag, checksums } = request;
    const { ino } = await meta.names.mkHidden(HIDDEN_MODE, ctx.uid, ctx.gid);
    let part: Part;
    try {
      await cloneWalked(meta, source.attr, { offset, length }, ino);
      part = await meta.uploads.putPart(request.uploadId, { number, ino, sizeBytes: length, etag, checksums });
    } catch (error) {
      await this.#publisher.releaseHidden(ino);
      throw error;
    }
    await meta.durability.reached();
    return part;
  }

  async abort(uploadId: string, root: Ino, key: ByteString): Promise<void> {
    checkAlive(this.#state, 'abortUpload');
    await this.#state.meta.uploads.abort(uploadId, root, key);
    await this.#state.meta.durability.reached();
  }

  async complete(ctx: Context, upload: Upload, parts: Part[], options: PutOptions): Promise<PublishReply> {
    checkAlive(this.#state, 'completeUpload');
    const { meta } = this.#state;
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    if (sizeBytes > FILE_BYTES_MAX) throw new FsError('EFBIG', 'completeUpload');
    const { ino } = await meta.names.mkHidden(HIDDEN_MODE, ctx.uid, ctx.gid);
    let reply: PublishReply;
    try {
      await this.#join(parts, ino);
      reply = await this.#publisher.publish(ctx, { kind: 'inode', ino }, options, upload.uploadId);
    } catch (error) {
      await this.#publisher.releaseHidden(ino);
      throw error;
    }
    await this.#publisher.settle(reply);
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
    const { copied } = await this.#state.meta.data.cloneRange(part.ino, 0, target, offset, part.sizeBytes);
    if (copied === part.sizeBytes) return;
    throw new FsError('ESTALE', 'completeUpload', 'a part is not as long as when it was uploaded');
  }
}
