import { trimOws } from '../../../base/byte-string.ts';
import { wordSet } from '../../../base/lookup-table.ts';
import type { S3Record } from '../../../base/vocabulary.ts';
import { checksumElements } from '../../payload/checksum-headers.ts';
import { checkReadConditions } from '../../protocol/conditions.ts';
import { objectChecksums } from '../../protocol/etag.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { storageClassOf } from '../../protocol/storage-class.ts';
import { httpDate, shownSec } from '../../protocol/times.ts';
import { element, wrap, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { type FoundObject, findObject, refuseVersion } from './find-object.ts';
import { effectiveHeaders } from './headers.ts';

const PARTS_MAX = 1000;
const KNOWN = wordSet(['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize']);

/**
 * Answers those attributes that were asked for. The ETag stands without quotes here.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
 */
export const getObjectAttributes: Operation = {
  name: 'GetObjectAttributes',
  scope: 'object',
  method: 'GET',
  subresource: 'attributes',
  complete: true,
  action: 's3:GetObjectAttributes',
  payload: 'none',
  bucket: 'ino',
  absent: 'key',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  refuseVersion(request.query.get('versionId'), request.key!);
  const wanted = wantedAttributes(headers['x-amz-object-attributes']);
  const partsMax = pageNumber('x-amz-max-parts', headers['x-amz-max-parts'], PARTS_MAX);
  const marker = pageNumber('x-amz-part-number-marker', headers['x-amz-part-number-marker'], 0);
  const bucket = await request.bucketEntry();
  const found = await findObject(request, bucket, request.key!, { data: false, xattrs: false });
  const { attr, s3 } = found.walked;
  if (!checkReadConditions(headers, '', { etag: found.etag, mtimeSec: shownSec(attr.mtimeSec) })) {
    return { status: 304, headers: { 'Last-Modified': httpDate(attr.mtimeSec) } };
  }
  let xml = '';
  if (wanted.has('ETag')) xml += element('ETag', found.etag);
  if (wanted.has('Checksum')) {
    const checksums = checksumElements(objectChecksums(attr, s3), s3?.checksumType ?? '');
    if (checksums !== '') xml += wrap('Checksum', checksums);
  }
  if (wanted.has('ObjectParts')) xml += objectParts(found, Math.min(partsMax, PARTS_MAX), marker);
  if (wanted.has('StorageClass')) xml += element('StorageClass', storageClassOf(s3));
  if (wanted.has('ObjectSize')) xml += element('ObjectSize', found.sizeBytes);
  return {
    status: 200,
    headers: { 'Last-Modified': httpDate(attr.mtimeSec) },
    body: xmlDocument('GetObjectAttributesResponse', xml),
  };
}

function wantedAttributes(header: string | undefined): Set<string> {
  const names = (header ?? '')
    .split(',')
    .map((name) => trimOws(name))
    .filter((name) => name !== '');
  const unknown = names.find((name) => !KNOWN.has(name));
  if (names.length > 0 && unknown === undefined) return new Set(names);
  throw new S3Error('InvalidArgument', {
    message: unknown === undefined ? 'x-amz-object-attributes names nothing' : 'Invalid attribute name specified.',
    fields: { ArgumentName: 'x-amz-object-attributes', ArgumentValue: unknown ?? '' },
  });
}

function pageNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new S3Error('InvalidArgument', { fields: { ArgumentName: name, ArgumentValue: text } });
}

/** Nothing for an object that no multipart upload made, or that was changed since. */
function objectParts(found: FoundObject, partsMax: number, marker: number): string {
  const { attr, s3 } = found.walked;
  if (s3 === undefined || s3.version !== attr.version || s3.parts.length === 0) return '';
  // The n-th part of the finished object is part n, whatever numbers the upload used.
  const page = s3.parts.slice(marker, marker + partsMax);
  const next = marker + page.length;
  return wrap(
    'ObjectParts',
    element('PartsCount', s3.parts.length) +
      element('PartNumberMarker', marker) +
      element('NextPartNumberMarker', next) +
      element('MaxParts', partsMax) +
      element('IsTruncated', next < s3.parts.length) +
      page.map((part, index) => partElement(part, marker + index + 1)).join(''),
  );
}

function partElement(part: S3Record['parts'][number], number: number): string {
  return wrap(
    'Part',
    element('PartNumber', number) + element('Size', part.sizeBytes) + checksumElements(part.checksums, ''),
  );
}
