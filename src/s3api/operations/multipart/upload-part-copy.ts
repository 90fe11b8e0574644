import { createHash } from 'node:crypto';
import { DEFAULT_CHECKSUM } from '../../../base/checksums.ts';
import type { Part, Upload, WalkReply } from '../../../meta/meta.ts';
import { refuseForeignGrants } from '../../auth/access-headers.ts';
import { decideUpload, enforce } from '../../auth/authorize.ts';
import { checksumElements, isChecksumAlgorithm } from '../../payload/checksum-headers.ts';
import { objectChecksums } from '../../protocol/etag.ts';
import { type ByteRange, parseCopyRange } from '../../protocol/ranges.ts';
import type { RequestHeaders } from '../../protocol/request-headers.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { xmlTimeMs } from '../../protocol/times.ts';
import { element, xmlDocument } from '../../protocol/xml.ts';
import { copyBytes } from '../object/copy-bytes.ts';
import { type FoundSource, findSource } from '../object/copy-source.ts';
import { walkAgainWhenStale } from '../object/find-object.ts';
import { effectiveHeaders, refuseUnsupported } from '../object/headers.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { etagElement, partNumberOf, uploadIdOf } from './part-request.ts';

/**
 * Makes a part of bytes that the volume already has: slices are shared, nothing moves. Only an upload with a checksum
 * algorithm, when the source does not have the value, makes the gateway read (and rewrite) the bytes.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
 */
export const uploadPartCopy: Operation = {
  name: 'UploadPartCopy',
  scope: 'object',
  method: 'PUT',
  subresource: 'uploadId',
  variant: { header: 'x-amz-copy-source' },
  complete: true,
  action: 's3:PutObject',
  payload: 'none',
  checksumsOf: 'object',
  bucket: 'ino',
  absent: 'upload',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  refuseUnsupported(headers);
  await refuseForeignGrants(request, headers);
  const number = partNumberOf(request);
  const uploadId = uploadIdOf(request);
  const bucket = await request.bucketEntry();
  const upload = await request.vfs.uploads.get(request.context, { uploadId, root: bucket.attr.ino, key: request.key! });
  enforce(decideUpload(request.context, upload, bucket.attr));
  const part = await walkAgainWhenStale(async () => {
    const source = await findSource(request, headers, bucket, false);
    return copyPart(request, upload, number, source, sourceRange(request, headers, source));
  });
  const inner =
    element('LastModified', xmlTimeMs(part.modifiedMs)) + etagElement(part.etag) + checksumElements(part.checksums, '');
  return { status: 200, body: xmlDocument('CopyPartResult', inner) };
}

function sourceRange(request: S3Request, headers: RequestHeaders, source: FoundSource): ByteRange {
  const header = headers['x-amz-copy-source-range'];
  const range: ByteRange =
    header === undefined ? { offset: 0, length: source.sizeBytes } : checkedRange(header, source);
  const limitBytes = request.settings.objectBytesMax;
  if (range.length > limitBytes) {
    throw new S3Error('InvalidRequest', {
      message: `The specified copy source is larger than the maximum allowable size for a copy source: ${limitBytes}`,
    });
  }
  return range;
}

function checkedRange(header: string, source: FoundSource): ByteRange {
  const range = parseCopyRange(header, source.sizeBytes);
  if (range === 'malformed') {
    throw new S3Error('InvalidArgument', {
      message:
        'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
      fields: { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: header },
    });
  }
  if (range === 'unsatisfiable') {
    throw new S3Error('InvalidRange', {
      message: `Range specified is not valid for source object of size: ${source.sizeBytes}`,
      fields: { RangeRequested: header, ActualObjectSize: source.sizeBytes },
    });
  }
  return range;
}

async function copyPart(
  request: S3Request,
  upload: Upload,
  number: number,
  source: FoundSource,
  range: ByteRange,
): Promise<Part> {
  const { uploads } = request.vfs;
  const { context } = request;
  const { uploadId } = upload;
  const wanted = upload.checksumAlgorithm;
  const known = knownChecksum(source, range, wanted === '' ? DEFAULT_CHECKSUM : wanted);
  if (source.directory || (isChecksumAlgorithm(wanted) && known === undefined)) {
    const algorithm = isChecksumAlgorithm(wanted) ? wanted : DEFAULT_CHECKSUM;
    const copied = await copyBytes(request, source.walked, range, [algorithm]);
    const { etag, checksums } = copied;
    return uploads.putPart(context, { uploadId, number, etag, checksums }, copied.writer);
  }
  const etag = copiedPartEtag(source.walked, range, source.etag, source.sizeBytes);
  return uploads.copyPart(context, { uploadId, number, etag, checksums: known ?? {} }, source.walked, range);
}

/** The source's checksum when the whole of it is copied and it is one of the bytes, not of parts. */
function knownChecksum(source: FoundSource, range: ByteRange, algorithm: string): Record<string, string> | undefined {
  const { attr, s3 } = source.walked;
  if (range.length !== source.sizeBytes || s3?.checksumType !== 'FULL_OBJECT') return undefined;
  const value = objectChecksums(attr, s3)[algorithm];
  return value === undefined ? undefined : { [algorithm]: value };
}

/**
 * The source's MD5 when the whole of it is copied; else a tag of where the bytes come from, since their MD5 would cost
 * reading them. Clients cannot tell: they do not have the bytes, and the object's own tag gets the multipart form.
 */
function copiedPartEtag(source: WalkReply, range: ByteRange, etag: string, sizeBytes: number): string {
  if (range.length === sizeBytes && /^[0-9a-f]{32}$/.test(etag)) return etag;
  const { ino, version } = source.attr;
  return createHash('md5').update(`${ino}:${version}:${range.offset}:${range.length}`).digest('hex');
}
