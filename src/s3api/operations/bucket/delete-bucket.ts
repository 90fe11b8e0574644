import { ROOT_INO } from '../../../base/vocabulary.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import type { Operation } from '../operation.ts';

/**
 * Removes a bucket that lists nothing; uploads in progress go with it.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
 */
export const deleteBucket: Operation = {
  name: 'DeleteBucket',
  scope: 'bucket',
  method: 'DELETE',
  action: 's3:DeleteBucket',
  payload: 'none',
  bucket: 'attributes',
  absent: 'bucket',
  async handle(request) {
    const { attr } = await request.bucketEntry();
    if (attr.ino === ROOT_INO) {
      throw new S3Error('AccessDenied', { message: 'This bucket is the whole volume; it cannot be deleted.' });
    }
    await request.vfs.buckets.delete(request.context, request.bucket!);
    return { status: 204 };
  },
};
