/** Steps that PutObject and UploadPart share: the payload into an object writer, limits, absent buckets. */
import { isFsError } from '../../../base/errors.ts';
import type { S3Record } from '../../../base/vocabulary.ts';
import type { Precondition } from '../../../meta/meta.ts';
import type { ObjectWriter } from '../../../vfs/vfs.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import type { PayloadSummary, S3Request } from '../operation.ts';
import type { ObjectMetadata } from './headers.ts';

/**
 * Moves the payload into the writer, piece by piece with back-pressure, and verifies it. Small bodies take one turn.
 * On failure the writer is aborted: nothing was visible.
 * @throws S3Error EntityTooLarge and whatever the payload's verification finds.
 */
export async function storePayload(request: S3Request, writer: ObjectWriter): Promise<PayloadSummary> {
  const { body, settings } = request;
  try {
    for (;;) {
      const next = body.read();
      const data = next === undefined || Buffer.isBuffer(next) ? next : await next;
      if (data === undefined) break;
      const full = writer.write(data);
      if (full !== undefined) await full;
      if (writer.sizeBytes > settings.objectBytesMax) throw tooLarge(writer.sizeBytes, settings.objectBytesMax);
    }
    return await body.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Refuses an announced length over the limit before any byte is read. @throws S3Error EntityTooLarge. */
export function refuseTooLarge(request: S3Request): void {
  const { lengthBytes } = request.body;
  const { objectBytesMax } = request.settings;
  if (lengthBytes !== undefined && lengthBytes > objectBytesMax) throw tooLarge(lengthBytes, objectBytesMax);
}

function tooLarge(sizeBytes: number, limitBytes: number): S3Error {
  return new S3Error('EntityTooLarge', { fields: { ProposedSize: sizeBytes, MaxSizeAllowed: limitBytes } });
}

/** The S3 record of new content; the publishing script fills in the version it belongs to. */
export function newRecord(
  etag: string,
  metadata: ObjectMetadata,
  checksums: S3Record['checksums'],
  checksumType: S3Record['checksumType'],
  parts: S3Record['parts'] = [],
): S3Record {
  return { version: 0, etag, headers: metadata.headers, tags: metadata.tags, checksums, checksumType, parts };
}

/**
 * Names what was missing when publishing answered ENOENT: the object that If-Match was about, else the bucket, which
 * somebody deleted meanwhile. Other errors pass.
 */
export function absentTarget(error: unknown, precondition: Precondition): unknown {
  if (!isFsError(error, 'ENOENT')) return error;
  return new S3Error(precondition.ifMatch === undefined ? 'NoSuchBucket' : 'NoSuchKey', { cause: error });
}

/** `dir/` makes a directory, which holds no bytes. @throws S3Error InvalidRequest. */
export function refuseDirectoryContent(sizeBytes: number | undefined): void {
  if (sizeBytes === undefined || sizeBytes === 0) return;
  throw new S3Error('InvalidRequest', {
    message:
      'A key that ends in a slash makes a directory, which cannot hold bytes. Send an empty body or another key.',
  });
}
