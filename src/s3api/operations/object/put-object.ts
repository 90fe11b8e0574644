import { DEFAULT_CHECKSUM } from '../../../base/checksums.ts';
import { isFsError } from '../../../base/errors.ts';
import type { KeyPath } from '../../../meta/meta.ts';
import { refuseForeignGrants } from '../../auth/access-headers.ts';
import { keyPath } from '../../http/key-path.ts';
import { checksumHeaders } from '../../payload/checksum-headers.ts';
import { writePrecondition } from '../../protocol/conditions.ts';
import { quoteEtag } from '../../protocol/etag.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { copyObject } from './copy-object.ts';
import { effectiveHeaders, readObjectMetadata, refuseUnsupported } from './headers.ts';
import { absentTarget, newRecord, refuseDirectoryContent, refuseTooLarge, storePayload } from './store-payload.ts';

/**
 * Stores an object with the checksum that the client chose, else CRC64NVME: bytes first, verified, then one atomic
 * publish that also checks If-Match and If-None-Match. A key that ends in '/' makes an explicit directory and takes an
 * empty body only.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
export const putObject: Operation = {
  name: 'PutObject',
  scope: 'object',
  method: 'PUT',
  action: 's3:PutObject',
  payload: 'stream',
  bucket: 'ino',
  absent: 'key',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  // A presigned URL may carry the copy source in its query, where routing does not look.
  if (headers['x-amz-copy-source'] !== undefined) return copyObject.handle(request);
  refuseUnsupported(headers);
  await refuseForeignGrants(request, headers);
  refuseTooLarge(request);
  const metadata = readObjectMetadata(headers);
  const precondition = writePrecondition(headers);
  const bucket = await request.bucketEntry();
  const path: KeyPath = keyPath(bucket.attr.ino, request.key!);
  if (path.directory) refuseDirectoryContent(request.body.lengthBytes);

  const { objects } = request.vfs;
  const algorithm = request.body.algorithm ?? DEFAULT_CHECKSUM;
  request.body.want({ md5: true, checksums: [algorithm] });
  await objects.admit(request.context, request.body.lengthBytes ?? 0);
  const writer = objects.beginObject(request.context);
  const summary = await storePayload(request, writer);
  if (path.directory && writer.sizeBytes > 0) {
    await writer.abort();
    refuseDirectoryContent(writer.sizeBytes);
  }
  const etag = summary.md5!.toString('hex');
  const checksums = { [algorithm]: summary.checksums[algorithm]! };
  const s3 = newRecord(etag, metadata, checksums, 'FULL_OBJECT');
  try {
    await objects.putObject(request.context, writer, { path, precondition, s3, xattrs: metadata.xattrs });
  } catch (error) {
    // The stored bytes were given up under us (a session about to be fenced): nothing is wrong with the request.
    if (isFsError(error, 'ESTALE')) throw new S3Error('ServiceUnavailable', { cause: error });
    throw absentTarget(error, precondition);
  }
  return { status: 200, headers: { ETag: quoteEtag(etag), ...checksumHeaders(checksums, s3.checksumType) } };
}
