import { element, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import {
  commonPrefixes,
  contents,
  echoElements,
  keyElement,
  listPage,
  listParameters,
  nextAfter,
} from './page-request.ts';

/**
 * Lists a bucket's objects after a marker (version 1). NextMarker is given with a delimiter only; without one the last
 * key is the next marker.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
 */
export const listObjects: Operation = {
  name: 'ListObjects',
  scope: 'bucket',
  method: 'GET',
  action: 's3:ListBucket',
  payload: 'none',
  bucket: 'ino',
  absent: 'bucket',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const parameters = listParameters(request);
  const { encoded, delimiter } = parameters;
  const marker = request.query.get('marker') ?? '';
  const page = await listPage(request, parameters, marker);
  const next = nextAfter(page);
  const xml =
    echoElements(request, parameters) +
    keyElement('Marker', marker, encoded) +
    (next === undefined || delimiter === '' ? '' : keyElement('NextMarker', next, encoded)) +
    element('IsTruncated', page.truncated) +
    contents(request, page.items, encoded, true) +
    commonPrefixes(page.items, encoded);
  return {
    status: 200,
    headers: { 'x-amz-bucket-region': request.region },
    body: xmlDocument('ListBucketResult', xml),
  };
}
