import { requireUploadOwner } from '../../auth/access.ts';
import type { Operation } from '../operation.ts';
import { uploadIdOf } from './part-request.ts';

/**
 * Gives an upload and its parts up.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
 */
export const abortMultipartUpload: Operation = {
  name: 'AbortMultipartUpload',
  absent: 'upload',
  async handle(request) {
    const uploadId = uploadIdOf(request);
    const bucket = await request.bucketEntry();
    const { objects } = request.vfs;
    const upload = await objects.getUpload(request.context, uploadId, bucket.attr.ino, request.key!);
    requireUploadOwner(upload, bucket, request.context);
    await objects.abortUpload(request.context, uploadId, bucket.attr.ino, request.key!);
    return { status: 204 };
  },
};
