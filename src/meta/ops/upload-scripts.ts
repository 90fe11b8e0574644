/** Multipart uploads: one script each. Parts are hidden inodes that belong to the upload. */
import { randomBytes } from 'node:crypto';
import type { ByteString, Ino, S3Record } from '../../base/vocabulary.ts';
import { decodeNumber, readU64 } from '../codec/codec.ts';
import { packJson, packXattrs, unpackJson, unpackXattrs } from '../codec/s3-record.ts';
import type { MetaUploads, Part, Upload } from '../meta.ts';
import type { Reply } from '../redis/connection.ts';
import type { Engine } from '../redis/engine.ts';

const ID_RANDOM_BYTES = 16;
const LIST_LIMIT_MAX = 1_000;
const PARTS_LIMIT_MAX = 10_000;

export class UploadScripts implements MetaUploads {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async create(upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload> {
    const { root, key, owner, s3, checksumAlgorithm, xattrs } = upload;
    const reply = await this.#engine.mutate('create-upload', [
      root,
      bytes(key),
      bytes(owner),
      packJson(s3),
      bytes(checksumAlgorithm),
      packXattrs(xattrs),
      randomBytes(ID_RANDOM_BYTES).toString('hex'),
    ]);
    return { ...upload, uploadId: (reply[1] as Buffer).toString('latin1'), initiatedMs: decodeNumber(reply[2]) };
  }

  async get(uploadId: string, root: Ino, key: ByteString): Promise<Upload> {
    const reply = await this.#engine.read('get-upload', [bytes(uploadId), root, bytes(key)]);
    return decodeUpload(uploadId, reply.slice(1) as Buffer[]);
  }

  async putPart(uploadId: string, part: Omit<Part, 'modifiedMs'>): Promise<Part> {
    const { number, ino, sizeBytes, etag, checksums } = part;
    const json = packJson([etag, checksums]);
    const reply = await this.#engine.mutate('put-part', [bytes(uploadId), number, ino, sizeBytes, json]);
    return { ...part, modifiedMs: decodeNumber(reply[1]) };
  }

  async listParts(
    uploadId: string,
    root: Ino,
    key: ByteString,
    afterNumber: number,
    limit: number,
  ): Promise<{ upload: Upload; parts: Part[]; truncated: boolean }> {
    const most = Math.min(limit, PARTS_LIMIT_MAX);
    const reply = await this.#engine.read('list-parts', [bytes(uploadId), root, bytes(key), afterNumber, most]);
    const parts: Part[] = [];
    for (let i = 3; i < reply.length; i += 2) parts.push(decodePart(decodeNumber(reply[i]), reply[i + 1] as Buffer));
    return { upload: decodeUpload(uploadId, reply[1] as Buffer[]), parts, truncated: reply[2] === 1 };
  }

  async list(
    root: Ino,
    prefix: ByteString,
    afterKey: ByteString,
    afterUploadId: string,
    limit: number,
  ): Promise<{ uploads: Upload[]; truncated: boolean }> {
    const low = firstMember(prefix, afterKey, afterUploadId);
    if (low === undefined) return { uploads: [], truncated: false };
    const most = Math.min(limit, LIST_LIMIT_MAX);
    const reply = await this.#engine.read('list-uploads', [root, bytes(prefix), bytes(low), most]);
    const uploads = reply.slice(2).map((row) => {
      const [id, ...fields] = row as Buffer[];
      return decodeUpload(id!.toString('latin1'), fields);
    });
    return { uploads, truncated: reply[1] === 1 };
  }

  async abort(uploadId: string, root: Ino, key: ByteString): Promise<void> {
    await this.#engine.mutate('abort-upload', [bytes(uploadId), root, bytes(key)]);
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
function firstMember(prefix: ByteString, afterKey: ByteString, afterUploadId: string): ByteString | undefined {
  if (afterKey === '' || Buffer.compare(bytes(afterKey), bytes(prefix)) < 0) return `[${prefix}`;
  if (!afterKey.startsWith(prefix)) return undefined;
  return afterUploadId === '' ? `[${afterKey}\x01` : `(${afterKey}\0${afterUploadId}`;
}

/** Fields in the order of lib/uploads.lua: r, k, o, m, s, a, x. */
function decodeUpload(uploadId: string, fields: readonly Reply[]): Upload {
  const [root, key, owner, initiated, s3, algorithm, xattrs] = fields as Buffer[];
  return {
    uploadId,
    root: decodeNumber(root),
    key: key!.toString('latin1'),
    owner: owner!.toString('latin1'),
    initiatedMs: decodeNumber(initiated),
    s3: unpackJson(s3!) as S3Record,
    checksumAlgorithm: algorithm!.toString('latin1'),
    xattrs: unpackXattrs(xattrs!),
  };
}

function decodePart(number: number, packed: Buffer): Part {
  const [etag, checksums] = unpackJson(packed.subarray(24)) as [string, Record<string, string>];
  return {
    number,
    ino: readU64(packed, 0),
    sizeBytes: readU64(packed, 8),
    etag,
    checksums,
    modifiedMs: readU64(packed, 16),
  };
}
