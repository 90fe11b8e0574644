/** The scripts of scripts/uploads. */

import { readU64 } from '../../base/integers.ts';
import type { S3Record } from '../../base/vocabulary.ts';
import { decodeNumber } from '../codec/codec.ts';
import { unpackJson, unpackXattrs } from '../codec/s3-record.ts';
import type { Part, Upload } from '../records.ts';
import type { Reply } from '../redis/connection.ts';
import { byteString, ino, json, number, packedXattrs, word } from './argument-types.ts';
import * as reply from './reply-types.ts';
import { mutation, type RequestOf, read } from './script-schema.ts';

const uploadArgs = { uploadId: byteString, root: ino, key: byteString };

export const createUpload = mutation(
  'create-upload',
  {
    root: ino,
    key: byteString,
    owner: byteString,
    s3: json,
    checksumAlgorithm: byteString,
    xattrs: packedXattrs,
    /** Random part of the id. */
    random: word(),
  },
  reply.fields({ uploadId: reply.byteString, initiatedMs: reply.number }),
);

export const getUpload = read(
  'get-upload',
  uploadArgs,
  reply.custom(7, 7, (elements, { uploadId }: RequestOf<typeof uploadArgs>) =>
    decodeUpload(uploadId, elements.slice(1)),
  ),
);

export const putPart = mutation(
  'put-part',
  {
    uploadId: byteString,
    number: ino,
    ino,
    sizeBytes: number,
    /** Etag and checksums. */
    description: json,
  },
  reply.fields({ modifiedMs: reply.number }),
);

const listPartsArgs = { ...uploadArgs, afterNumber: number, limit: number };

export const listParts = read(
  'list-parts',
  listPartsArgs,
  reply.custom(2, reply.ANY, (elements, { uploadId }: RequestOf<typeof listPartsArgs>) => {
    const parts: Part[] = [];
    for (let i = 3; i < elements.length; i += 2) {
      parts.push(decodePart(decodeNumber(elements[i]), elements[i + 1] as Buffer));
    }
    return { upload: decodeUpload(uploadId, elements[1] as Reply[]), parts, truncated: elements[2] === 1 };
  }),
);

export const listUploads = read(
  'list-uploads',
  {
    root: ino,
    prefix: byteString,
    /** First member wanted, as ZRANGEBYLEX takes it. */
    low: byteString,
    limit: number,
  },
  reply.custom(1, reply.ANY, (elements) => ({
    uploads: elements.slice(2).map((row) => {
      const [id, ...fields] = row as Buffer[];
      return decodeUpload(id!.toString('latin1'), fields);
    }),
    truncated: elements[1] === 1,
  })),
);

export const abortUpload = mutation('abort-upload', uploadArgs, reply.nothing);

/** Fields in the order of lib/names/uploads.lua: r, k, o, m, s, a, x. */
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

function decodePart(part: number, packed: Buffer): Part {
  const [etag, checksums] = unpackJson(packed.subarray(24)) as [string, Record<string, string>];
  return {
    number: part,
    ino: readU64(packed, 0),
    sizeBytes: readU64(packed, 8),
    etag,
    checksums,
    modifiedMs: readU64(packed, 16),
  };
}
