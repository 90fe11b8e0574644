import { isBucketName } from '../../../base/bucket-name.ts';
import { lowerAscii } from '../../../base/byte-string.ts';
import { isFsError } from '../../../base/errors.ts';
import type { Entry, S3Record } from '../../../base/vocabulary.ts';
import { checkOwnership, refuseForeignGrants } from '../../auth/access-headers.ts';
import { FIRST_REGION } from '../../auth/region.ts';
import type { RequestHeaders } from '../../protocol/request-headers.ts';
import { isS3Error, S3Error } from '../../protocol/s3-error.ts';
import { BUCKET_TAGS_MAX, parseTags } from '../../protocol/tags.ts';
import { child, childToken, parseXml } from '../../protocol/xml.ts';
import { effectiveHeaders, refuseUnsupported } from '../object/headers.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { storeBucketTags, storeOwnership } from './attributes.ts';

const BODY_BYTES_MAX = 1024 * 1024;
/** The name that eu-west-1 had once. */
const OLD_REGION = { name: 'EU', region: 'eu-west-1' };

/**
 * Makes a bucket: a directory at the volume's top that belongs to the caller. Tags and ownership are written after it;
 * a client that repeats the request because it got no answer writes them again.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
 */
export const createBucket: Operation = {
  name: 'CreateBucket',
  scope: 'bucket',
  method: 'PUT',
  action: 's3:CreateBucket',
  payload: 'document',
  bucket: 'nothing',
  absent: 'bucket',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const name = request.bucket!;
  if (!isBucketName(name)) throw new S3Error('InvalidBucketName', { fields: { BucketName: name } });
  const headers = effectiveHeaders(request);
  const ownership = readOwnership(headers);
  await refuseForeignGrants(request, headers);
  const tags = readConfiguration(await request.body.readAll(BODY_BYTES_MAX), request);
  const bucket = await makeBucket(request, name);
  if (tags.length > 0) await storeBucketTags(request, bucket, tags);
  if (ownership !== undefined) await storeOwnership(request, bucket, ownership);
  return { status: 200, headers: { Location: `/${name}` } };
}

async function makeBucket(request: S3Request, name: string): Promise<Entry> {
  try {
    return await request.vfs.buckets.create(request.context, name);
  } catch (error) {
    if (!isFsError(error, 'EEXIST')) throw error;
    return existingBucket(request);
  }
}

/** The name is taken: by the caller (fine in us-east-1, as at AWS) or by somebody else. */
async function existingBucket(request: S3Request): Promise<Entry> {
  const fields = { BucketName: request.bucket! };
  const entry = await request.bucketEntry().catch((error: unknown) => {
    // The volume's own bucket is hidden from everybody but root.
    if (isS3Error(error, 'AccessDenied')) return undefined;
    throw error;
  });
  if (entry === undefined || entry.attr.uid !== request.user.uid) throw new S3Error('BucketAlreadyExists', { fields });
  if (request.region !== FIRST_REGION) throw new S3Error('BucketAlreadyOwnedByYou', { fields });
  return entry;
}

/** The ownership asked for. @throws S3Error for what buckets here cannot have. */
function readOwnership(headers: RequestHeaders): string | undefined {
  const { 'x-amz-bucket-object-lock-enabled': lock, 'x-amz-object-ownership': ownership, ...others } = headers;
  if (lock !== undefined && lowerAscii(lock) !== 'false') {
    throw new S3Error('NotImplemented', { message: 'Object Lock is not implemented.' });
  }
  if (ownership !== undefined) checkOwnership(ownership);
  refuseUnsupported(others);
  return ownership;
}

/** Checks the configuration and answers its tags. */
function readConfiguration(body: Buffer, request: S3Request): S3Record['tags'] {
  if (body.length === 0) return [];
  const root = parseXml(body, 'CreateBucketConfiguration');
  if (child(root, 'Location') !== undefined || child(root, 'Bucket') !== undefined) {
    throw new S3Error('NotImplemented', { message: 'Directory buckets are not implemented.' });
  }
  checkRegion(childToken(root, 'LocationConstraint') ?? '', request);
  const tags = child(root, 'Tags');
  return tags === undefined ? [] : parseTags(tags, BUCKET_TAGS_MAX);
}

/** The region that the client signs for is the region it gets; the gateway's own one is always right too. */
function checkRegion(constraint: string, { region, settings }: S3Request): void {
  const named = constraint === OLD_REGION.name ? OLD_REGION.region : constraint;
  if (named === '' || named === region || named === settings.region) return;
  throw new S3Error('InvalidLocationConstraint', {
    message: `The specified location-constraint is not valid. Sign the request for ${constraint}, or name ${region}.`,
    fields: { LocationConstraint: constraint },
  });
}
