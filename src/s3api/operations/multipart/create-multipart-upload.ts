import { refuseForeignGrants } from '../../auth/access-headers.ts';
import { ownerId } from '../../auth/owner.ts';
import { keyPath } from '../../http/key-path.ts';
import { uploadChecksum } from '../../payload/checksum-headers.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { element, xmlDocument } from '../../protocol/xml.ts';
import { effectiveHeaders, readObjectMetadata, refuseUnsupported } from '../object/headers.ts';
import { newRecord } from '../object/store-payload.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';

/**
 * Starts a multipart upload; what the finished object will carry is kept with it.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
 */
export const createMultipartUpload: Operation = {
  name: 'CreateMultipartUpload',
  scope: 'object',
  method: 'POST',
  subresource: 'uploads',
  complete: true,
  action: 's3:PutObject',
  payload: 'none',
  checksumsOf: 'object',
  bucket: 'ino',
  absent: 'bucket',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  refuseUnsupported(headers);
  await refuseForeignGrants(request, headers);
  const metadata = readObjectMetadata(headers);
  const { algorithm, type } = uploadChecksum(headers);
  const bucket = await request.bucketEntry();
  const key = request.key!;
  if (keyPath(bucket.attr.ino, key).directory) {
    throw new S3Error('InvalidRequest', {
      message: 'A key that ends in a slash makes a directory, which cannot be uploaded in parts.',
    });
  }
  const upload = await request.vfs.uploads.create(request.context, {
    root: bucket.attr.ino,
    key,
    owner: ownerId(request.user.uid),
    s3: newRecord('', metadata, {}, type),
    checksumAlgorithm: algorithm,
    xattrs: metadata.xattrs,
  });
  const inner = element('Bucket', request.bucket!) + element('Key', key) + element('UploadId', upload.uploadId);
  const checksum: Record<string, string> =
    algorithm === '' ? {} : { 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-type': type };
  return { status: 200, headers: checksum, body: xmlDocument('InitiateMultipartUploadResult', inner) };
}
