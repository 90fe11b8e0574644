/**
 * Tags of a bucket, kept as one extended attribute of its directory, so that they move with it.
 */
import { isFsError } from '../../base/errors.ts';
import type { Entry } from '../../meta/types.ts';
import { S3Error } from '../errors.ts';
import type { Operation, S3Request } from '../operation.ts';
import { parseTaggingDocument, taggingDocument } from '../tags.ts';

/** JSON: [[key, value], ...] in UTF-8. */
const TAGS_XATTR = 'user.janusfs.bucket-tagging';
const TAGS_MAX = 50;
const BODY_BYTES_MAX = 1024 * 1024;

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html */
export const getBucketTagging: Operation = {
  name: 'GetBucketTagging',
  absent: 'bucket',
  async handle(request) {
    const { attr } = await request.bucketEntry();
    const stored = await request.vfs.getxattr(request.context, attr.ino, TAGS_XATTR).catch((error) => {
      throw isFsError(error, 'ENODATA')
        ? new S3Error('NoSuchTagSet', { fields: { BucketName: request.bucket! } })
        : error;
    });
    return { status: 200, body: taggingDocument(JSON.parse(stored.toString('latin1')) as [string, string][]) };
  },
};

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html */
export const putBucketTagging: Operation = {
  name: 'PutBucketTagging',
  absent: 'bucket',
  async handle(request) {
    const { attr } = await ownBucket(request);
    const tags = parseTaggingDocument(await request.body.readAll(BODY_BYTES_MAX), TAGS_MAX);
    // Tags are byte strings that hold UTF-8: latin1 writes those bytes.
    await request.vfs.setxattr(request.context, attr.ino, TAGS_XATTR, Buffer.from(JSON.stringify(tags), 'latin1'), 0);
    return { status: 204 };
  },
};

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketTagging.html */
export const deleteBucketTagging: Operation = {
  name: 'DeleteBucketTagging',
  absent: 'bucket',
  async handle(request) {
    const { attr } = await ownBucket(request);
    await request.vfs.removexattr(request.context, attr.ino, TAGS_XATTR).catch((error) => {
      if (!isFsError(error, 'ENODATA')) throw error;
    });
    return { status: 204 };
  },
};

async function ownBucket(request: S3Request): Promise<Entry> {
  const entry = await request.bucketEntry();
  if (entry.attr.uid !== request.context.uid && request.context.uid !== 0) throw new S3Error('AccessDenied');
  return entry;
}
