import type { Upload } from '../../meta/api.ts';
import { requireUploadOwner } from '../access.ts';
import { refuseForeignGrants } from '../access-headers.ts';
import { checksumHeaders, isChecksumAlgorithm } from '../checksums-request.ts';
import { S3Error } from '../errors.ts';
import { quoteEtag } from '../etag.ts';
import { partNumberOf, uploadIdOf } from '../multipart-request.ts';
import { effectiveHeaders, refuseUnsupported } from '../object-headers.ts';
import { refuseTooLarge, storePayload } from '../object-write.ts';
import type { Operation, PayloadSummary, S3Request, S3Response } from '../operation.ts';
import { uploadPartCopy } from './upload-part-copy.ts';

/**
 * Stores one part; a part of that number that was there is replaced. The upload's checksum is computed even when the
 * client sends none, since Complete needs it.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
 */
export const uploadPart: Operation = { name: 'UploadPart', absent: 'upload', handle };

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
  const { objects } = request.vfs;
  const upload = await objects.getUpload(request.context, uploadId, bucket.attr.ino, request.key!);
  requireUploadOwner(upload, bucket, request.context);
  wantDigests(request, upload);
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
  await objects.putPart(request.context, uploadId, number, writer, etag, checksums);
  return { status: 200, headers: { ETag: quoteEtag(etag), ...checksumHeaders(checksums, '') } };
}

function wantDigests({ body }: S3Request, upload: Upload): void {
  const wanted = upload.checksumAlgorithm;
  body.want(isChecksumAlgorithm(wanted) ? { md5: true, checksums: [wanted] } : { md5: true });
}

/** @throws S3Error InvalidRequest when the part declares another checksum than the upload's. */
function partChecksums(summary: PayloadSummary, upload: Upload): Record<string, string> {
  const wanted = upload.checksumAlgorithm;
  const { declared } = summary;
  if (!isChecksumAlgorithm(wanted)) return declared === undefined ? {} : { [declared.algorithm]: declared.value };
  if (declared !== undefined && declared.algorithm !== wanted) {
    throw new S3Error('InvalidRequest', {
      message: `Checksum Type mismatch occurred, expected checksum Type: ${wanted.toLowerCase()}, actual checksum Type: ${declared.algorithm.toLowerCase()}`,
    });
  }
  return { [wanted]: summary.checksums[wanted]! };
}
