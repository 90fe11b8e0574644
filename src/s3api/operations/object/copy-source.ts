/** Where a copy comes from: x-amz-copy-source and its conditions. */

import type { ByteString } from '../../../base/byte-string.ts';
import { FsError } from '../../../base/errors.ts';
import type { Entry } from '../../../base/vocabulary.ts';
import { decideExpectedOwner, enforce } from '../../auth/authorize.ts';
import { decodeBytes, KEY_BYTES_MAX } from '../../http/key-path.ts';
import { checkReadConditions } from '../../protocol/conditions.ts';
import type { RequestHeaders } from '../../protocol/request-headers.ts';
import { S3Error, toS3Error } from '../../protocol/s3-error.ts';
import { shownSec } from '../../protocol/times.ts';
import type { S3Request } from '../operation.ts';
import { type FoundObject, findObject, refuseVersion } from './find-object.ts';

export interface CopySource {
  bucket: ByteString;
  key: ByteString;
  versionId: string | undefined;
}

export interface FoundSource extends FoundObject {
  bucket: Entry;
  source: CopySource;
}

const VERSION_MARK = '?versionId=';

/**
 * Reads `bucket/key` or `/bucket/key`, percent-encoded once; '+' is a plus sign.
 * @throws S3Error InvalidArgument.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
export function parseCopySource(header: string): CopySource {
  const mark = header.lastIndexOf(VERSION_MARK);
  const path = mark < 0 ? header : header.slice(0, mark);
  const versionId = mark < 0 ? undefined : header.slice(mark + VERSION_MARK.length);
  let decoded: string;
  try {
    decoded = decodeBytes(path.startsWith('/') ? path.slice(1) : path);
  } catch (error) {
    throw invalidSource(header, error);
  }
  // A signer may have encoded the separator and the leading slash too.
  const whole = decoded.startsWith('/') ? decoded.slice(1) : decoded;
  const slash = whole.indexOf('/');
  if (slash <= 0 || slash === whole.length - 1 || whole.includes('\0')) throw invalidSource(header);
  return { bucket: whole.slice(0, slash), key: whole.slice(slash + 1), versionId };
}

function invalidSource(header: string, cause?: unknown): S3Error {
  return new S3Error('InvalidArgument', {
    message: 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
    fields: { ArgumentName: 'x-amz-copy-source', ArgumentValue: header },
    cause,
  });
}

/**
 * Finds the source and checks x-amz-copy-source-if-*. `data` brings a small source's bytes along. Costs a walk, and a
 * bucket lookup when it is another bucket.
 * @throws S3Error NoSuchBucket, NoSuchKey, NoSuchVersion, AccessDenied, PreconditionFailed, InvalidArgument.
 */
export async function findSource(
  request: S3Request,
  headers: RequestHeaders,
  target: Entry,
  data: boolean,
): Promise<FoundSource> {
  const source = parseCopySource(headers['x-amz-copy-source']!);
  if (source.key.length > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError');
  refuseVersion(source.versionId, source.key);
  const expectedOwner = headers['x-amz-source-expected-bucket-owner'];
  // The target's entry may come from a cache that does not know of a new owner.
  const known = source.bucket === request.bucket && expectedOwner === undefined;
  const bucket = known ? target : await sourceBucket(request, source.bucket);
  if (expectedOwner !== undefined) enforce(decideExpectedOwner(bucket.attr, expectedOwner));
  let found: FoundObject;
  try {
    found = await findObject(request, bucket, source.key, { data, xattrs: true });
  } catch (error) {
    // The operation's own ENOENT is about the target.
    throw error instanceof FsError ? toS3Error(error, 'key') : error;
  }
  checkReadConditions(headers, 'x-amz-copy-source-', {
    etag: found.etag,
    mtimeSec: shownSec(found.walked.attr.mtimeSec),
  });
  return { ...found, bucket, source };
}

async function sourceBucket(request: S3Request, name: ByteString): Promise<Entry> {
  try {
    return await request.vfs.buckets.find(request.context, name);
  } catch (error) {
    throw toS3Error(error, 'bucket');
  }
}
