/** Settings of a bucket that are kept as extended attributes of its directory, so that they move with it. */
import { byteStringOf, bytesOf } from '../../../base/byte-string.ts';
import { isFsError } from '../../../base/errors.ts';
import type { Entry, S3Record } from '../../../base/vocabulary.ts';
import type { S3Request } from '../operation.ts';

/** JSON: [[key, value], ...] in UTF-8. */
const TAGS_XATTR = 'user.janusfs.bucket-tagging';
/** One of S3's three words. */
const OWNERSHIP_XATTR = 'user.janusfs.bucket-ownership';

export async function storeBucketTags(request: S3Request, bucket: Entry, tags: S3Record['tags']): Promise<void> {
  // Tags are byte strings that hold UTF-8: latin1 writes those bytes.
  await request.vfs.attributes.setxattr(request.context, bucket.attr.ino, TAGS_XATTR, bytesOf(JSON.stringify(tags)), 0);
}

/** Undefined when none were ever set. */
export async function loadBucketTags(request: S3Request, bucket: Entry): Promise<S3Record['tags'] | undefined> {
  const stored = await load(request, bucket, TAGS_XATTR);
  return stored === undefined ? undefined : (JSON.parse(stored) as S3Record['tags']);
}

export function removeBucketTags(request: S3Request, bucket: Entry): Promise<void> {
  return remove(request, bucket, TAGS_XATTR);
}

export async function storeOwnership(request: S3Request, bucket: Entry, ownership: string): Promise<void> {
  await request.vfs.attributes.setxattr(request.context, bucket.attr.ino, OWNERSHIP_XATTR, bytesOf(ownership), 0);
}

export function loadOwnership(request: S3Request, bucket: Entry): Promise<string | undefined> {
  return load(request, bucket, OWNERSHIP_XATTR);
}

export function removeOwnership(request: S3Request, bucket: Entry): Promise<void> {
  return remove(request, bucket, OWNERSHIP_XATTR);
}

async function load(request: S3Request, bucket: Entry, name: string): Promise<string | undefined> {
  try {
    return byteStringOf(await request.vfs.attributes.getxattr(request.context, bucket.attr.ino, name));
  } catch (error) {
    if (isFsError(error, 'ENODATA')) return undefined;
    throw error;
  }
}

async function remove(request: S3Request, bucket: Entry, name: string): Promise<void> {
  try {
    await request.vfs.attributes.removexattr(request.context, bucket.attr.ino, name);
  } catch (error) {
    if (!isFsError(error, 'ENODATA')) throw error;
  }
}
