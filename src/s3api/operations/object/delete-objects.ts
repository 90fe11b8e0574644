import { type ByteString, lowerAscii, utf8ByteString } from '../../../base/byte-string.ts';
import { Semaphore } from '../../../base/limits.ts';
import type { Entry } from '../../../base/vocabulary.ts';
import type { Precondition } from '../../../meta/meta.ts';
import { KEY_BYTES_MAX } from '../../http/key-path.ts';
import { conditionSize, conditionTime, parseEtags } from '../../protocol/conditions.ts';
import { S3Error, toS3Error } from '../../protocol/s3-error.ts';
import {
  childrenOf,
  childText,
  childToken,
  element,
  optionalElement,
  parseXml,
  wrap,
  xmlDocument,
} from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { removeKey } from './delete-object.ts';
import { refuseVersion } from './find-object.ts';

const KEYS_MAX = 1000;
/** 1000 keys of 1024 bytes, each byte written as a reference, and their markup. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Removals in flight for one request; they share the connection's pipeline. */
const PARALLEL_MAX = 32;

/**
 * Removes up to 1000 keys; each one succeeds or fails by itself, answers come in the order of the request.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
 */
export const deleteObjects: Operation = {
  name: 'DeleteObjects',
  scope: 'bucket',
  method: 'POST',
  subresource: 'delete',
  complete: true,
  action: 's3:DeleteObject',
  payload: 'document',
  bucket: 'ino',
  absent: 'bucket',
  handle,
};

interface Wanted {
  key: ByteString;
  versionId: string | undefined;
  precondition: Precondition;
}

async function handle(request: S3Request): Promise<S3Response> {
  if (request.headers['content-md5'] === undefined && request.body.algorithm === undefined) {
    throw new S3Error('InvalidRequest', {
      message: 'Missing required header for this request: Content-MD5 or x-amz-checksum-*',
    });
  }
  const bucket = await request.bucketEntry();
  const root = parseXml(await request.body.readAll(BODY_BYTES_MAX), 'Delete');
  const quiet = lowerAscii(childToken(root, 'Quiet') ?? '') === 'true';
  const objects = childrenOf(root, 'Object');
  if (objects.length === 0 || objects.length > KEYS_MAX) throw new S3Error('MalformedXML');
  const wanted = objects.map((object): Wanted => {
    const key = childText(object, 'Key');
    if (key === undefined || key === '') throw new S3Error('MalformedXML');
    return { key, versionId: childText(object, 'VersionId'), precondition: objectPrecondition(object) };
  });
  const limit = new Semaphore(PARALLEL_MAX);
  const results = await Promise.all(wanted.map((one) => limit.with(1, () => removeOne(request, bucket, one, quiet))));
  return { status: 200, body: xmlDocument('DeleteResult', results.join('')) };
}

function objectPrecondition(object: Parameters<typeof childText>[0]): Precondition {
  const precondition: Precondition = {};
  const etag = childText(object, 'ETag');
  if (etag !== undefined) precondition.ifMatch = parseEtags(etag, false);
  const size = childText(object, 'Size');
  if (size !== undefined) precondition.ifMatchSize = conditionSize(size);
  const time = childText(object, 'LastModifiedTime');
  if (time !== undefined) precondition.ifMatchMtimeSec = conditionTime(time);
  return precondition;
}

/** Answers the XML of one key's outcome; '' for a success that was to be quiet. */
async function removeOne(request: S3Request, bucket: Entry, wanted: Wanted, quiet: boolean): Promise<string> {
  const { key, versionId } = wanted;
  try {
    if (key.length > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError');
    refuseVersion(versionId, key);
    await removeKey(request, bucket, key, wanted.precondition);
  } catch (error) {
    const refused = toS3Error(error, 'bucket');
    if (refused.code === 'InternalError') request.logger.error({ err: error, key }, 'DeleteObjects: a key failed');
    return wrap(
      'Error',
      element('Key', key) +
        optionalElement('VersionId', versionId) +
        element('Code', refused.code) +
        element('Message', utf8ByteString(refused.message)),
    );
  }
  return quiet ? '' : wrap('Deleted', element('Key', key) + optionalElement('VersionId', versionId));
}
