import type { Operation } from '../operation.ts';

/**
 * Tells whether the bucket is there and may be used, and its region.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
 */
export const headBucket: Operation = {
  name: 'HeadBucket',
  scope: 'bucket',
  method: 'HEAD',
  action: 's3:ListBucket',
  payload: 'none',
  bucket: 'attributes',
  absent: 'bucket',
  async handle(request) {
    await request.bucketEntry();
    const headers = { 'x-amz-bucket-region': request.region, 'x-amz-access-point-alias': 'false' };
    return { status: 200, headers: { ...headers, 'Content-Type': 'application/xml' } };
  },
};
