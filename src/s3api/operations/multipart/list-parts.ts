import type { Part } from '../../../meta/meta.ts';
import { decideUpload, enforce } from '../../auth/authorize.ts';
import { checksumElements } from '../../payload/checksum-headers.ts';
import { xmlTimeMs } from '../../protocol/times.ts';
import { element, optionalElement, wrap, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { countParameter } from '../paging.ts';
import { etagElement, PART_NUMBER_MAX, uploadIdOf, uploadOwnership } from './part-request.ts';

const PARTS_MAX = 1000;

/**
 * Lists the parts of an upload by number, a page at a time.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
 */
export const listParts: Operation = {
  name: 'ListParts',
  scope: 'object',
  method: 'GET',
  subresource: 'uploadId',
  complete: true,
  action: 's3:ListMultipartUploadParts',
  payload: 'none',
  bucket: 'ino',
  absent: 'upload',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const uploadId = uploadIdOf(request);
  const maxParts = countParameter(request, 'max-parts', { valueMin: 0, valueMax: PARTS_MAX, absent: PARTS_MAX });
  const marker = countParameter(request, 'part-number-marker', { valueMin: 0, valueMax: PART_NUMBER_MAX, absent: 0 });
  const bucket = await request.bucketEntry();
  const page = await request.vfs.uploads.listParts(request.context, {
    uploadId,
    root: bucket.attr.ino,
    key: request.key!,
    afterNumber: marker,
    // A page of none still has to say that the upload exists and who owns it.
    limit: Math.max(maxParts, 1),
  });
  const { upload } = page;
  enforce(decideUpload(request.context, upload, bucket.attr));
  const parts = maxParts === 0 ? [] : page.parts;
  const algorithm = upload.checksumAlgorithm;
  const inner =
    element('Bucket', request.bucket!) +
    element('Key', upload.key) +
    element('UploadId', uploadId) +
    uploadOwnership(upload, request) +
    element('PartNumberMarker', marker) +
    element('NextPartNumberMarker', parts.at(-1)?.number ?? marker) +
    element('MaxParts', maxParts) +
    element('IsTruncated', maxParts > 0 && page.truncated) +
    optionalElement('ChecksumAlgorithm', algorithm === '' ? undefined : algorithm) +
    optionalElement('ChecksumType', algorithm === '' ? undefined : upload.s3.checksumType) +
    parts.map(partElement).join('');
  return { status: 200, body: xmlDocument('ListPartsResult', inner) };
}

function partElement(part: Part): string {
  return wrap(
    'Part',
    element('PartNumber', part.number) +
      element('LastModified', xmlTimeMs(part.modifiedMs)) +
      etagElement(part.etag) +
      element('Size', part.sizeBytes) +
      checksumElements(part.checksums, ''),
  );
}
