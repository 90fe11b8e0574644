import type { ListItem } from '../../../meta/meta.ts';
import { ownerElements } from '../../auth/owner.ts';
import { element, optionalElement, wrap, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { invalidArgument } from '../paging.ts';
import {
  commonPrefixes,
  echoElements,
  keyElement,
  listPage,
  listParameters,
  nextAfter,
  objectElements,
} from './page-request.ts';

/**
 * Lists the versions of a bucket's objects: while a bucket was never versioned, each object is its own version `null`.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
 */
export const listObjectVersions: Operation = {
  name: 'ListObjectVersions',
  scope: 'bucket',
  method: 'GET',
  subresource: 'versions',
  complete: true,
  action: 's3:ListBucketVersions',
  payload: 'none',
  bucket: 'ino',
  absent: 'bucket',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const { query } = request;
  const parameters = listParameters(request);
  const { encoded } = parameters;
  const keyMarker = query.get('key-marker') ?? '';
  const versionMarker = query.get('version-id-marker');
  if (versionMarker !== undefined && keyMarker === '') {
    throw invalidArgument(
      'version-id-marker',
      versionMarker,
      'A version-id marker cannot be specified without a key marker.',
    );
  }
  if (versionMarker !== undefined && versionMarker !== 'null') {
    throw invalidArgument('version-id-marker', versionMarker, 'Invalid version id specified');
  }
  const page = await listPage(request, parameters, keyMarker);
  const next = nextAfter(page);
  const xml =
    echoElements(request, parameters) +
    keyElement('KeyMarker', keyMarker, encoded) +
    optionalElement('VersionIdMarker', versionMarker) +
    (next === undefined ? '' : keyElement('NextKeyMarker', next, encoded)) +
    (next === undefined || page.items.at(-1)?.kind === 'prefix' ? '' : element('NextVersionIdMarker', 'null')) +
    element('IsTruncated', page.truncated) +
    versions(request, page.items, encoded) +
    commonPrefixes(page.items, encoded);
  return { status: 200, body: xmlDocument('ListVersionsResult', xml) };
}

function versions(request: S3Request, items: readonly ListItem[], encoded: boolean): string {
  let xml = '';
  for (const item of items) {
    if (item.kind !== 'key') continue;
    const owner = wrap('Owner', ownerElements(item.attr.uid, request.user));
    const what = objectElements(item.attr, item.s3, item.key);
    xml += `<Version>${keyElement('Key', item.key, encoded)}<VersionId>null</VersionId><IsLatest>true</IsLatest>${what}${owner}</Version>`;
  }
  return xml;
}
