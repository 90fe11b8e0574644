import type { ByteString } from '../../../base/byte-string.ts';
import { type Entry, MAY_READ } from '../../../base/vocabulary.ts';
import type { Upload } from '../../../meta/meta.ts';
import { decideAccess, enforce } from '../../auth/authorize.ts';
import { KEY_BYTES_MAX } from '../../http/key-path.ts';
import { uriEncode } from '../../http/query.ts';
import { xmlTimeMs } from '../../protocol/times.ts';
import { element, optionalElement, wrap, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { countParameter, invalidArgument } from '../paging.ts';
import { uploadOwnership } from './part-request.ts';

const UPLOADS_MAX = 1000;
/** What an id can look like: begins with a time, so it holds digits. */
const UPLOAD_ID = /^(?=.*\d)[0-9a-z-]{12,64}$/;

/**
 * Lists uploads in progress by key, then by start; keys with a delimiter after the prefix are rolled up.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
 */
export const listMultipartUploads: Operation = {
  name: 'ListMultipartUploads',
  scope: 'bucket',
  method: 'GET',
  subresource: 'uploads',
  complete: true,
  action: 's3:ListBucketMultipartUploads',
  payload: 'none',
  bucket: 'ino',
  absent: 'bucket',
  handle,
};

interface Listing {
  prefix: ByteString;
  delimiter: ByteString;
  keyMarker: ByteString;
  /** Counts only beside a key marker; '' when there is none. */
  uploadIdMarker: string;
  limit: number;
}

/** A prefix remembers the first upload found below it. */
type Item = { kind: 'upload'; upload: Upload } | { kind: 'prefix'; prefix: ByteString; upload: Upload };

async function handle(request: S3Request): Promise<S3Response> {
  const { query } = request;
  const keyMarker = query.get('key-marker') ?? '';
  const listing: Listing = {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    keyMarker,
    uploadIdMarker: keyMarker === '' ? '' : uploadIdMarker(query.get('upload-id-marker') ?? ''),
    limit: countParameter(request, 'max-uploads', { valueMin: 0, valueMax: UPLOADS_MAX, absent: UPLOADS_MAX }),
  };
  const encodingType = query.get('encoding-type');
  if (encodingType !== undefined && encodingType !== 'url') {
    throw invalidArgument('encoding-type', encodingType, 'Invalid Encoding Method specified in Request');
  }
  const bucket = await request.bucketEntry();
  enforce(decideAccess(request.context, bucket.attr, MAY_READ));
  const { items, truncated } = await collect(request, bucket, listing);
  return { status: 200, body: listingDocument(request, listing, items, truncated, encodingType === 'url') };
}

/** One page of items; each rolled-up prefix costs one trip, whatever is below it. */
async function collect(
  request: S3Request,
  bucket: Entry,
  listing: Listing,
): Promise<{ items: Item[]; truncated: boolean }> {
  const items: Item[] = [];
  let afterKey = listing.keyMarker;
  // Without an upload id the marker stands after every upload of its key; ids are ASCII.
  let afterId = listing.keyMarker !== '' && listing.uploadIdMarker === '' ? '\xff' : listing.uploadIdMarker;
  if (listing.limit === 0) return { items, truncated: false };
  for (;;) {
    const page = await request.vfs.uploads.list(request.context, {
      root: bucket.attr.ino,
      prefix: listing.prefix,
      afterKey,
      afterUploadId: afterId,
      limit: listing.limit + 1 - items.length,
    });
    let rolledUp = false;
    for (const upload of page.uploads) {
      const prefix = commonPrefix(upload.key, listing);
      const seen = prefix !== undefined && isSeen(prefix, listing);
      if (!seen && items.length === listing.limit) return { items, truncated: true };
      if (prefix === undefined) {
        items.push({ kind: 'upload', upload });
        afterKey = upload.key;
        afterId = upload.uploadId;
        continue;
      }
      if (!seen) items.push({ kind: 'prefix', prefix, upload });
      afterKey = prefix + '\xff'.repeat(Math.max(KEY_BYTES_MAX - prefix.length, 1));
      afterId = '\xff';
      rolledUp = true;
      break;
    }
    if (!rolledUp && (!page.truncated || page.uploads.length === 0)) return { items, truncated: false };
  }
}

/**
 * Whether a marker stands behind a prefix: a page ended with it, or the marker is a key below it; but a marker that
 * names an upload below it stands behind that upload only.
 */
function isSeen(prefix: ByteString, { keyMarker, uploadIdMarker }: Listing): boolean {
  return keyMarker === prefix || (uploadIdMarker === '' && keyMarker.startsWith(prefix));
}

/** @throws S3Error InvalidArgument for what no upload's id can be. */
function uploadIdMarker(text: string): string {
  if (text === '' || UPLOAD_ID.test(text)) return text;
  throw invalidArgument('upload-id-marker', text, 'Invalid uploadId marker');
}

function commonPrefix(key: ByteString, { prefix, delimiter }: Listing): ByteString | undefined {
  if (delimiter === '') return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

function listingDocument(
  request: S3Request,
  listing: Listing,
  items: Item[],
  truncated: boolean,
  encode: boolean,
): Buffer {
  const text = (bytes: ByteString): ByteString => (encode ? uriEncode(bytes, true) : bytes);
  const last = items.at(-1);
  const nextKey = last === undefined ? '' : last.kind === 'upload' ? last.upload.key : last.prefix;
  // Clients send both markers back; beside a prefix the id says no more than that there is one.
  const nextId = last?.upload.uploadId ?? '';
  let inner =
    element('Bucket', request.bucket!) +
    element('KeyMarker', text(listing.keyMarker)) +
    element('UploadIdMarker', listing.uploadIdMarker) +
    optionalElement('NextKeyMarker', truncated ? text(nextKey) : undefined) +
    optionalElement('NextUploadIdMarker', truncated ? nextId : undefined) +
    element('Prefix', text(listing.prefix)) +
    optionalElement('Delimiter', listing.delimiter === '' ? undefined : text(listing.delimiter)) +
    optionalElement('EncodingType', encode ? 'url' : undefined) +
    element('MaxUploads', listing.limit) +
    element('IsTruncated', truncated);
  for (const item of items) {
    if (item.kind === 'prefix') inner += wrap('CommonPrefixes', element('Prefix', text(item.prefix)));
    else inner += uploadElement(request, item.upload, text(item.upload.key));
  }
  return xmlDocument('ListMultipartUploadsResult', inner);
}

function uploadElement(request: S3Request, upload: Upload, key: ByteString): string {
  const algorithm = upload.checksumAlgorithm;
  return wrap(
    'Upload',
    element('Key', key) +
      element('UploadId', upload.uploadId) +
      uploadOwnership(upload, request) +
      element('Initiated', xmlTimeMs(upload.initiatedMs)) +
      optionalElement('ChecksumAlgorithm', algorithm === '' ? undefined : algorithm) +
      optionalElement('ChecksumType', algorithm === '' ? undefined : upload.s3.checksumType),
  );
}
