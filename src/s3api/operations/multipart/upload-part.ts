import { lowerAscii } from '../../../base/byte-string.ts';
import { DEFAULT_CHECKSUM } from '../../../base/checksums.ts';
import type { Upload } from '../../../meta/meta.ts';
import { refuseForeignGrants } from '../../auth/access-headers.ts';
import { decideUpload, enforce } from '../../auth/authorize.ts';
import { checksumHeaders, isChecksumAlgorithm } from '../../payload/checksum-headers.ts';
import { quoteEtag } from '../../protocol/etag.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { effectiveHeaders, refuseUnsupported } from '../object/headers.ts';
import { refuseTooLarge, storePayload } from '../object/store-payload.ts';
import type { Operation, PayloadSummary, S3Request, S3Response } from '../operation.ts';
import { partNumberOf, uploadIdOf } from './part-request.ts';
import { uploadPartCopy } from './upload-part-copy.ts';

/**
 * Stores one part; a part of that number that was there is replaced. The checksum that Complete joins (the upload's,
 * else CRC64NVME) is computed even when the client sends none; an upload of the COMPOSITE type demands that it sends
 * one.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
 */
export const uploadPart: Operation = {
  name: 'UploadPart',
  scope: 'object',
  method: 'PUT',
  subresource: 'uploadId',
  complete: true,
  action: 's3:PutObject',
  payload: 'stream',
  bucket: 'ino',
  absent: 'upload',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  // A presigned URL may carry the copy source in its query, where routing does not look.
  if (headers['x-amz-copy-source'] !== undefined) return uploadPartCopy.handle(request);
  refuseUnsupported(headers);
  await refuseForeignGrants(request, headers);
  refuseTooLarge(request);
  const number = partNumberOf(request);
  const uploadId = uploadIdOf(request);
  const bucket = await request.bucketEntry();
  const { objects, uploads } = request.vfs;
  const upload = await uploads.get(request.context, { uploadId, root: bucket.attr.ino, key: request.key! });
  enforce(decideUpload(request.context, upload, bucket.attr));
  wantDigests(request, upload);
  await objects.admit(request.context, request.body.lengthBytes ?? 0);
  const writer = objects.beginObject(request.context);
  const summary = await storePayload(request, writer);
  const etag = summary.md5!.toString('hex');
  let checksums: Record<string, string>;
  try {
    checksums = partChecksums(summary, upload);
  } catch (error) {
    await writer.abort();
    throw error;
  }
  await uploads.putPart(request.context, { uploadId, number, etag, checksums }, writer);
  const { declared } = summary;
  const shown = declared === undefined ? checksums : { [declared.algorithm]: declared.value };
  return { status: 200, headers: { ETag: quoteEtag(etag), ...checksumHeaders(shown, '') } };
}

/** @throws S3Error InvalidRequest when a COMPOSITE upload's part comes without a checksum. */
function wantDigests({ body }: S3Request, upload: Upload): void {
  const wanted = upload.checksumAlgorithm;
  if (body.algorithm === undefined && upload.s3.checksumType === 'COMPOSITE') throw otherChecksum(wanted, 'null');
  body.want({ md5: true, checksums: [isChecksumAlgorithm(wanted) ? wanted : DEFAULT_CHECKSUM] });
}

/** @throws S3Error InvalidRequest when the part declares another checksum than the upload's. */
function partChecksums(summary: PayloadSummary, upload: Upload): Record<string, string> {
  const wanted = upload.checksumAlgorithm;
  const { declared } = summary;
  if (!isChecksumAlgorithm(wanted)) {
    const own = declared === undefined ? {} : { [declared.algorithm]: declared.value };
    return { ...own, [DEFAULT_CHECKSUM]: summary.checksums[DEFAULT_CHECKSUM]! };
  }
  if (declared !== undefined && declared.algorithm !== wanted) throw otherChecksum(wanted, declared.algorithm);
  return { [wanted]: summary.checksums[wanted]! };
}

function otherChecksum(expected: string, actual: string): S3Error {
  return new S3Error('InvalidRequest', {
    message: `Checksum Type mismatch occurred, expected checksum Type: ${lowerAscii(expected)}, actual checksum Type: ${lowerAscii(actual)}`,
  });
}
