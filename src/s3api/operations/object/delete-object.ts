import type { ByteString } from '../../../base/byte-string.ts';
import { isFsError } from '../../../base/errors.ts';
import type { Entry } from '../../../base/vocabulary.ts';
import type { Precondition } from '../../../meta/meta.ts';
import { existingKeyPath } from '../../http/key-path.ts';
import { deletePrecondition } from '../../protocol/conditions.ts';
import { isS3Error } from '../../protocol/s3-error.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { refuseVersion } from './find-object.ts';

/**
 * Removes a key: 204 whether it was there or not. One script: condition, removal, implicit parents.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 */
export const deleteObject: Operation = {
  name: 'DeleteObject',
  scope: 'object',
  method: 'DELETE',
  action: 's3:DeleteObject',
  payload: 'none',
  bucket: 'ino',
  absent: 'bucket',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const precondition = deletePrecondition(request.headers);
  refuseVersion(request.query.get('versionId'), request.key!);
  const bucket = await request.bucketEntry();
  await removeKey(request, bucket, request.key!, precondition);
  return { status: 204 };
}

/**
 * Removes one key; what is not there, and what no tree can hold, counts as removed.
 * @throws FsError EACCES, ECANCELED (a condition did not hold).
 */
export async function removeKey(
  request: S3Request,
  bucket: Entry,
  key: ByteString,
  precondition: Precondition,
): Promise<void> {
  try {
    const path = existingKeyPath(bucket.attr.ino, key);
    await request.vfs.objects.removeObject(request.context, path, precondition);
  } catch (error) {
    if (isFsError(error, 'ENOENT') || isFsError(error, 'ENOTDIR') || isS3Error(error, 'NoSuchKey')) return;
    throw error;
  }
}
