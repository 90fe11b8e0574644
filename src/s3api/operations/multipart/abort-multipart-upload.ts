import { decideUpload, enforce } from '../../auth/authorize.ts';
import type { Operation } from '../operation.ts';
import { uploadIdOf } from './part-request.ts';

/**
 * Gives an upload and its parts up.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
 */
export const abortMultipartUpload: Operation = {
  name: 'AbortMultipartUpload',
  scope: 'object',
  method: 'DELETE',
  subresource: 'uploadId',
  complete: true,
  action: 's3:AbortMultipartUpload',
  payload: 'none',
  bucket: 'ino',
  absent: 'upload',
  async handle(request) {
    const uploadId = uploadIdOf(request);
    const bucket = await request.bucketEntry();
    const { uploads } = request.vfs;
    const upload = await uploads.get(request.context, { uploadId, root: bucket.attr.ino, key: request.key! });
    enforce(decideUpload(request.context, upload, bucket.attr));
    await uploads.abort(request.context, { uploadId, root: bucket.attr.ino, key: request.key! });
    return { status: 204 };
  },
};
