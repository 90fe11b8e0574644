import { isFsError } from '../../base/errors.ts';
import { isBucketName } from '../bucket-name.ts';
import { isS3Error, S3Error } from '../errors.ts';
import { refuseUnsupported } from '../object-headers.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { childToken, parseXml } from '../xml.ts';

const BODY_BYTES_MAX = 64 * 1024;
/** AWS's first region, where making one's own bucket again succeeds. */
const FIRST_REGION = 'us-east-1';

/**
 * Makes a bucket: a directory at the volume's top that belongs to the caller.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
 */
export const createBucket: Operation = { name: 'CreateBucket', absent: 'bucket', handle };

async function handle(request: S3Request): Promise<S3Response> {
  const name = request.bucket!;
  if (!isBucketName(name)) throw new S3Error('InvalidBucketName', { fields: { BucketName: name } });
  refuseSettings(request);
  checkConfiguration(await request.body.readAll(BODY_BYTES_MAX), request.settings.region);
  try {
    await request.vfs.objects.createBucket(request.context, name);
  } catch (error) {
    if (!isFsError(error, 'EEXIST')) throw error;
    await answerExisting(request);
  }
  return { status: 200, headers: { Location: `/${name}` } };
}

/** The name is taken: by the caller (fine in us-east-1, as at AWS) or by somebody else. */
async function answerExisting(request: S3Request): Promise<void> {
  const fields = { BucketName: request.bucket! };
  const entry = await request.bucketEntry().catch((error: unknown) => {
    // The volume's own bucket is hidden from everybody but root.
    if (isS3Error(error, 'AccessDenied')) return undefined;
    throw error;
  });
  if (entry === undefined || entry.attr.uid !== request.user.uid) throw new S3Error('BucketAlreadyExists', { fields });
  if (request.settings.region !== FIRST_REGION) throw new S3Error('BucketAlreadyOwnedByYou', { fields });
}

function refuseSettings(request: S3Request): void {
  const { 'x-amz-bucket-object-lock-enabled': lock, 'x-amz-object-ownership': ownership, ...others } = request.headers;
  if (lock !== undefined && lock.toLowerCase() !== 'false') {
    throw new S3Error('NotImplemented', { message: 'Object Lock is not implemented.' });
  }
  // Who writes an object owns it: that is POSIX's rule, and the only one here.
  if (ownership !== undefined && ownership !== 'ObjectWriter') {
    throw new S3Error('NotImplemented', {
      message: 'Objects belong to who writes them (ObjectWriter); other ownership settings are not implemented.',
    });
  }
  refuseUnsupported(others);
}

function checkConfiguration(body: Buffer, region: string): void {
  if (body.length === 0) return;
  const constraint = childToken(parseXml(body, 'CreateBucketConfiguration'), 'LocationConstraint') ?? '';
  if (constraint === '' || constraint === region) return;
  throw new S3Error('InvalidLocationConstraint', {
    message: `The specified location-constraint is not valid. This endpoint's region is ${region}.`,
    fields: { LocationConstraint: constraint },
  });
}
