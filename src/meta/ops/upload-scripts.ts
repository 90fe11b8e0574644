/** Multipart uploads: one script each. Parts are hidden inodes that belong to the upload. */
import { randomBytes } from 'node:crypto';
import type { ByteString } from '../../base/vocabulary.ts';
import type { MetaUploads, Part, PartsReply, PartsRequest, Upload, UploadRef, UploadsRequest } from '../meta.ts';
import type { Engine } from '../redis/engine.ts';
import { abortUpload, createUpload, getUpload, listParts, listUploads, putPart } from '../schema/upload-schemas.ts';

const ID_RANDOM_BYTES = 16;
const LIST_LIMIT_MAX = 1_000;
const PARTS_LIMIT_MAX = 10_000;

export class UploadScripts implements MetaUploads {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async create(upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload> {
    const random = randomBytes(ID_RANDOM_BYTES).toString('hex');
    return { ...upload, ...(await this.#engine.mutate(createUpload, { ...upload, random })) };
  }

  get(upload: UploadRef): Promise<Upload> {
    return this.#engine.read(getUpload, upload);
  }

  async putPart(uploadId: string, part: Omit<Part, 'modifiedMs'>): Promise<Part> {
    const { number, ino, sizeBytes, etag, checksums } = part;
    const description = [etag, checksums];
    const { modifiedMs } = await this.#engine.mutate(putPart, { uploadId, number, ino, sizeBytes, description });
    return { ...part, modifiedMs };
  }

  listParts(request: PartsRequest): Promise<PartsReply> {
    return this.#engine.read(listParts, { ...request, limit: Math.min(request.limit, PARTS_LIMIT_MAX) });
  }

  async list(request: UploadsRequest): Promise<{ uploads: Upload[]; truncated: boolean }> {
    const { root, prefix, limit } = request;
    const low = firstMember(request);
    if (low === undefined) return { uploads: [], truncated: false };
    return this.#engine.read(listUploads, { root, prefix, low, limit: Math.min(limit, LIST_LIMIT_MAX) });
  }

  async abort(upload: UploadRef): Promise<void> {
    await this.#engine.mutate(abortUpload, upload);
  }

  async completed(uploadId: string): Promise<{ etag: string } | undefined> {
    const etag = (await this.#engine.command('GET', [
      Buffer.from(this.#engine.key(`done:${uploadId}`), 'latin1'),
    ])) as Buffer | null;
    return etag === null ? undefined : { etag: etag.toString('latin1') };
  }
}

function bytes(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1');
}

/**
 * Where members of `up<root>` begin, in ZRANGEBYLEX's form: at the prefix, behind an upload, or behind all uploads of a key.
 * Undefined when nothing with the prefix can follow.
 */
function firstMember({ prefix, afterKey, afterUploadId }: UploadsRequest): ByteString | undefined {
  if (afterKey === '' || Buffer.compare(bytes(afterKey), bytes(prefix)) < 0) return `[${prefix}`;
  if (!afterKey.startsWith(prefix)) return undefined;
  return afterUploadId === '' ? `[${afterKey}\x01` : `(${afterKey}\0${afterUploadId}`;
}
