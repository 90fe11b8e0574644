/** What the multipart operations read from a request and write of an upload. */
import type { Upload } from '../../../meta/meta.ts';
import { ownerElements } from '../../auth/owner.ts';
import { quoteEtag } from '../../protocol/etag.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { storageClassOf } from '../../protocol/storage-class.ts';
import { element, wrap } from '../../protocol/xml.ts';
import type { S3Request } from '../operation.ts';
import { invalidArgument } from '../paging.ts';

export const PART_NUMBER_MAX = 10_000;
/** Every part but the last. */
export const PART_BYTES_MIN = 5 * 1024 * 1024;
/** S3's largest object. */
export const UPLOAD_BYTES_MAX = 5 * 1024 ** 4;

/** The uploadId parameter. @throws S3Error NoSuchUpload when it is empty. */
export function uploadIdOf(request: S3Request): string {
  const uploadId = request.query.get('uploadId');
  if (uploadId === undefined || uploadId === '') throw new S3Error('NoSuchUpload');
  return uploadId;
}

/** The partNumber parameter, 1..10000. @throws S3Error InvalidArgument. */
export function partNumberOf(request: S3Request): number {
  const text = request.query.get('partNumber') ?? '';
  const number = Number(text);
  if (/^\d{1,6}$/.test(text) && number >= 1 && number <= PART_NUMBER_MAX) return number;
  const message = `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`;
  throw invalidArgument('partNumber', text, message);
}

/** Initiator, Owner and StorageClass of an upload. */
export function uploadOwnership(upload: Upload, request: S3Request): string {
  const owner = ownerElements(Number(upload.owner), request.user);
  return wrap('Initiator', owner) + wrap('Owner', owner) + element('StorageClass', storageClassOf(upload.s3));
}

/** `<ETag>` with quotes. */
export function etagElement(etag: string): string {
  return element('ETag', quoteEtag(etag));
}
