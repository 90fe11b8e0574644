/** Tags of a bucket. */

import { S3Error } from '../../protocol/s3-error.ts';
import { BUCKET_TAGS_MAX, parseTaggingDocument, taggingDocument } from '../../protocol/tags.ts';
import type { Operation } from '../operation.ts';
import { loadBucketTags, removeBucketTags, storeBucketTags } from './attributes.ts';

const BODY_BYTES_MAX = 1024 * 1024;

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html */
export const getBucketTagging: Operation = {
  name: 'GetBucketTagging',
  scope: 'bucket',
  method: 'GET',
  subresource: 'tagging',
  action: 's3:GetBucketTagging',
  payload: 'none',
  bucket: 'attributes',
  absent: 'bucket',
  async handle(request) {
    const tags = await loadBucketTags(request, await request.bucketEntry());
    if (tags === undefined) throw new S3Error('NoSuchTagSet', { fields: { BucketName: request.bucket! } });
    return { status: 200, body: taggingDocument(tags) };
  },
};

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html */
export const putBucketTagging: Operation = {
  name: 'PutBucketTagging',
  scope: 'bucket',
  method: 'PUT',
  subresource: 'tagging',
  action: 's3:PutBucketTagging',
  payload: 'document',
  bucket: 'attributes',
  allowed: 'bucket owner',
  absent: 'bucket',
  async handle(request) {
    const bucket = await request.bucketEntry();
    const tags = parseTaggingDocument(await request.body.readAll(BODY_BYTES_MAX), BUCKET_TAGS_MAX);
    await storeBucketTags(request, bucket, tags);
    return { status: 204 };
  },
};

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketTagging.html */
export const deleteBucketTagging: Operation = {
  name: 'DeleteBucketTagging',
  scope: 'bucket',
  method: 'DELETE',
  subresource: 'tagging',
  action: 's3:PutBucketTagging',
  payload: 'none',
  bucket: 'attributes',
  allowed: 'bucket owner',
  absent: 'bucket',
  async handle(request) {
    await removeBucketTags(request, await request.bucketEntry());
    return { status: 204 };
  },
};
