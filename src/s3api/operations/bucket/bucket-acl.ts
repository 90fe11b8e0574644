import { refuseForeignGrants } from '../../auth/access-headers.ts';
import { effectiveHeaders, refuseUnsupported } from '../object/headers.ts';
import { privateAcl, refuseOtherGrants } from '../object/object-acl.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';

const BODY_BYTES_MAX = 64 * 1024;

/**
 * Answers the one ACL that buckets have: full control for the owner.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html
 */
export const getBucketAcl: Operation = {
  name: 'GetBucketAcl',
  scope: 'bucket',
  method: 'GET',
  subresource: 'acl',
  action: 's3:GetBucketAcl',
  payload: 'none',
  bucket: 'attributes',
  absent: 'bucket',
  async handle(request) {
    const { attr } = await request.bucketEntry();
    return { status: 200, body: privateAcl(request, attr.uid) };
  },
};

/**
 * Accepts what buckets have anyway: a canned ACL or grants that name the owner and nobody else.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html
 */
export const putBucketAcl: Operation = {
  name: 'PutBucketAcl',
  scope: 'bucket',
  method: 'PUT',
  subresource: 'acl',
  action: 's3:PutBucketAcl',
  payload: 'document',
  bucket: 'attributes',
  allowed: 'bucket owner',
  absent: 'bucket',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const { attr } = await request.bucketEntry();
  const headers = effectiveHeaders(request);
  refuseUnsupported(headers);
  const body = await request.body.readAll(BODY_BYTES_MAX);
  const granted = await refuseForeignGrants(request, headers);
  if (!granted && headers['x-amz-acl'] === undefined) refuseOtherGrants(body, [attr.uid]);
  return { status: 200 };
}
