import { element, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { readToken, writeToken } from '../paging.ts';
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
 * Lists a bucket's objects (version 2). The continuation token holds the last key of its page, so that no state is kept
 * and a page costs the same wherever it begins.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
export const listObjectsV2: Operation = {
  name: 'ListObjectsV2',
  scope: 'bucket',
  method: 'GET',
  variant: { query: 'list-type', value: '2' },
  action: 's3:ListBucket',
  payload: 'none',
  bucket: 'ino',
  absent: 'bucket',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const { query } = request;
  const parameters = listParameters(request);
  const { encoded } = parameters;
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  // An empty token is what a client sends that has none yet.
  const page = await listPage(request, parameters, token ? readToken(token) : (startAfter ?? ''));
  const next = nextAfter(page);
  const xml =
    echoElements(request, parameters) +
    element('KeyCount', page.items.length) +
    (startAfter === undefined ? '' : keyElement('StartAfter', startAfter, encoded)) +
    (token === undefined ? '' : element('ContinuationToken', token)) +
    (next === undefined ? '' : element('NextContinuationToken', writeToken(next))) +
    element('IsTruncated', page.truncated) +
    contents(request, page.items, encoded, query.get('fetch-owner') === 'true') +
    commonPrefixes(page.items, encoded);
  return {
    status: 200,
    headers: { 'x-amz-bucket-region': request.region },
    body: xmlDocument('ListBucketResult', xml),
  };
}
