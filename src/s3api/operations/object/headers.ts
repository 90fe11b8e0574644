/**
 * Headers of objects, in and out.
 *
 * | header                         | kept as                                                                       |
 * |--------------------------------|-------------------------------------------------------------------------------|
 * | Content-Type                   | xattr user.mime_type, where both frontends see it; a type that says nothing stays in the record |
 * | Cache-Control, Expires, ...    | the S3 record, opaque                                                         |
 * | x-amz-meta-NAME                | xattr user.NAME; a NAME that would collide is user.x-amz-meta-NAME; one too long for an xattr: the S3 record |
 * | x-amz-tagging                  | the S3 record's tags                                                          |
 * What asks for something the gateway does not do (encryption, locks, grants, appends) is refused, never ignored.
 */

import { type ByteString, byteStringOf, bytesOf, lowerAscii, trimOws } from '../../../base/byte-string.ts';
import { wordSet } from '../../../base/lookup-table.ts';
import type { S3Record } from '../../../base/vocabulary.ts';
import type { WalkReply } from '../../../meta/meta.ts';
import { refuseCannedAcl } from '../../auth/access-headers.ts';
import { decodeWords, encodeWords } from '../../protocol/encoded-words.ts';
import { quoteEtag } from '../../protocol/etag.ts';
import type { RequestHeaders } from '../../protocol/request-headers.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { checkStorageClass, STANDARD, STORAGE_CLASS } from '../../protocol/storage-class.ts';
import { parseTaggingHeader } from '../../protocol/tags.ts';
import { httpDate } from '../../protocol/times.ts';
import type { S3Request } from '../operation.ts';

const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';
/** Content type of a directory that mkdir made. */
const DIRECTORY_CONTENT_TYPE = 'application/x-directory';
/** Types that say nothing about the content: not worth an xattr. */
const GENERIC_TYPES = wordSet([DEFAULT_CONTENT_TYPE, 'application/octet-stream']);
const MIME_XATTR = 'user.mime_type';
const META_PREFIX = 'x-amz-meta-';
/** Bytes of all names and values of user metadata in a request. */
const METADATA_BYTES_MAX = 2048;
/** Linux's limit; longer names of metadata stay in the S3 record. */
const XATTR_NAME_BYTES_MAX = 255;
/** Bytes of user metadata in a response: a mount may set more, and clients bound the size of a header section. */
const METADATA_ANSWER_BYTES_MAX = 8192;

/** Belongs to one object: a copy has its own or none. */
export const REDIRECT = 'x-amz-website-redirect-location';

const STORED_HEADERS = wordSet([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
  REDIRECT,
]);

/** Response headers that a signed request may override, by query parameter. */
const OVERRIDES: readonly (readonly [string, string])[] = [
  ['response-cache-control', 'Cache-Control'],
  ['response-content-disposition', 'Content-Disposition'],
  ['response-content-encoding', 'Content-Encoding'],
  ['response-content-language', 'Content-Language'],
  ['response-content-type', 'Content-Type'],
  ['response-expires', 'Expires'],
];

/** Query parameters of a presigned URL that are not headers in disguise. */
const SIGNING_PARAMETERS = wordSet([
  'x-amz-algorithm',
  'x-amz-content-sha256',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-security-token',
  'x-amz-signature',
  'x-amz-signedheaders',
]);

/** A header name and value that can go on the wire as they are (RFC 9110 sections 5.1 and 5.5; lower case only). */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What a request wants kept with the object. */
export interface ObjectMetadata {
  headers: S3Record['headers'];
  tags: S3Record['tags'];
  xattrs: Map<string, Buffer>;
}

/**
 * The request's headers; for a presigned URL also the `x-amz-*` headers that the signer moved into the query. Checksum
 * values in a query are left out: SDKs put the checksum of an empty body there.
 */
export function effectiveHeaders(request: S3Request): RequestHeaders {
  if (!request.presigned) return request.headers;
  // Most presigned URLs carry nothing but the signature: they cost no copy of the headers.
  let merged: Record<string, ByteString | undefined> | undefined;
  for (const [name, value] of request.query) {
    const lower = lowerAscii(name);
    if (!lower.startsWith('x-amz-') || SIGNING_PARAMETERS.has(lower) || isChecksumValue(lower)) continue;
    merged ??= Object.assign(Object.create(null), request.headers) as Record<string, ByteString | undefined>;
    merged[lower] ??= value;
  }
  return merged ?? request.headers;
}

function isChecksumValue(name: string): boolean {
  if (!name.startsWith('x-amz-checksum-')) return false;
  return name !== 'x-amz-checksum-mode' && name !== 'x-amz-checksum-algorithm' && name !== 'x-amz-checksum-type';
}

/**
 * Reads what a PutObject, CopyObject (REPLACE) or CreateMultipartUpload wants kept.
 * @throws S3Error MetadataTooLarge, InvalidTag, InvalidArgument; what refuseUnsupported() throws.
 */
export function readObjectMetadata(headers: RequestHeaders): ObjectMetadata {
  const metadata: ObjectMetadata = { headers: {}, tags: [], xattrs: new Map() };
  let metadataBytes = 0;
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    if (name.startsWith(META_PREFIX))
      metadataBytes += keepUserMetadata(metadata, name.slice(META_PREFIX.length), value);
    else if (STORED_HEADERS.has(name)) keepHeader(metadata, name, value);
    else if (name === STORAGE_CLASS) keepStorageClass(metadata, value);
    else if (name === 'content-type') keepContentType(metadata, value);
    else if (name === 'x-amz-tagging') metadata.tags = parseTaggingHeader(value);
  }
  if (metadataBytes > METADATA_BYTES_MAX) {
    throw new S3Error('MetadataTooLarge', { fields: { Size: metadataBytes, MaxSizeAllowed: METADATA_BYTES_MAX } });
  }
  return metadata;
}

/**
 * Refuses headers that ask for what this gateway does not do, so that nobody believes an object encrypted, locked or
 * shared that is not. Grants are refuseForeignGrants()'s.
 * @throws S3Error NotImplemented, InvalidStorageClass, InvalidArgument (unknown canned ACL).
 */
export function refuseUnsupported(headers: RequestHeaders): void {
  for (const name in headers) {
    if (!name.startsWith('x-amz-')) continue;
    const value = headers[name];
    if (value !== undefined) refuseHeader(name, value);
  }
}

function refuseHeader(name: string, value: string): void {
  if (name === STORAGE_CLASS) {
    checkStorageClass(value);
  } else if (name === REDIRECT) {
    checkRedirect(value);
  } else if (name === 'x-amz-acl') {
    refuseCannedAcl(value);
  } else if (name.startsWith('x-amz-server-side-encryption') || name.startsWith('x-amz-copy-source-server-side-')) {
    throw notImplemented(name, 'Server-side encryption is not implemented.');
  } else if (name.startsWith('x-amz-object-lock-')) {
    throw notImplemented(name, 'Object Lock is not implemented.');
  } else if (name === 'x-amz-write-offset-bytes') {
    throw notImplemented(name, 'Appending to objects is not implemented.');
  }
}

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html */
function checkRedirect(value: string): void {
  if (/^(?:\/|https?:\/\/)/.test(value)) return;
  throw new S3Error('InvalidRedirectLocation');
}

function notImplemented(header: string, message: string): S3Error {
  return new S3Error('NotImplemented', { message, fields: { Header: header } });
}

function keepHeader(metadata: ObjectMetadata, name: string, value: string): void {
  const kept = name === 'content-encoding' ? withoutAwsChunked(value) : value;
  if (kept !== '') metadata.headers[name] = kept;
}

/** aws-chunked says how the request was framed, not what the object is. */
function withoutAwsChunked(value: string): string {
  if (!/aws-chunked/i.test(value)) return value;
  const codings = value.split(',').map((coding) => trimOws(coding));
  return codings.filter((coding) => coding !== '' && lowerAscii(coding) !== 'aws-chunked').join(', ');
}

function keepStorageClass(metadata: ObjectMetadata, value: string): void {
  if (value !== STANDARD) metadata.headers[STORAGE_CLASS] = value;
}

function keepContentType(metadata: ObjectMetadata, value: string): void {
  if (value === '') return;
  if (GENERIC_TYPES.has(value)) metadata.headers['content-type'] = value;
  else metadata.xattrs.set(MIME_XATTR, bytesOf(decodeWords(value)));
}

/** Answers the bytes that count towards the limit. */
function keepUserMetadata(metadata: ObjectMetadata, name: string, value: string): number {
  if (name === '') {
    throw new S3Error('InvalidArgument', {
      message: 'The name of a metadata header is empty.',
      fields: { ArgumentName: META_PREFIX, ArgumentValue: value },
    });
  }
  const kept = decodeWords(value);
  const xattr = xattrOfMetadata(name);
  if (xattr.length <= XATTR_NAME_BYTES_MAX) metadata.xattrs.set(xattr, bytesOf(kept));
  else metadata.headers[META_PREFIX + name] = kept;
  return name.length + kept.length;
}

/** user.mime_type is the Content-Type; metadata of that name, or with the escape's prefix, gets the escape. */
function xattrOfMetadata(name: string): string {
  return name === 'mime_type' || name.startsWith(META_PREFIX) ? `user.${META_PREFIX}${name}` : `user.${name}`;
}

function metadataOfXattr(xattr: string): string {
  const name = xattr.slice('user.'.length);
  return name.startsWith(META_PREFIX) ? name.slice(META_PREFIX.length) : name;
}

/**
 * Headers of a GetObject or HeadObject answer but for Content-Length, Content-Range and checksums. User metadata that a
 * header cannot carry is counted in x-amz-missing-meta, as S3 does.
 * @param etag objectEtag() of the walked inode, without quotes
 */
export function objectHeaders(walked: WalkReply, etag: string, directory: boolean): Record<string, string | number> {
  const headers: Record<string, string | number> = {
    'Last-Modified': httpDate(walked.attr.mtimeSec),
    ETag: quoteEtag(etag),
    'Accept-Ranges': 'bytes',
    'Content-Type': contentType(walked, directory),
  };
  const stored = walked.s3?.headers;
  for (const name in stored) {
    if (name === 'content-type') continue;
    headers[name] = name.startsWith(META_PREFIX) ? encodeWords(stored[name]!) : stored[name]!;
  }
  addUserMetadata(headers, walked.xattrs);
  const tagCount = walked.s3?.tags.length ?? 0;
  if (tagCount > 0) headers['x-amz-tagging-count'] = tagCount;
  return headers;
}

function contentType(walked: WalkReply, directory: boolean): string {
  const xattr = walked.xattrs.get(MIME_XATTR);
  if (xattr !== undefined && xattr.length > 0 && xattr.length <= 1024) {
    const text = encodeWords(byteStringOf(xattr));
    if (HEADER_VALUE.test(text)) return text;
  }
  return walked.s3?.headers['content-type'] ?? (directory ? DIRECTORY_CONTENT_TYPE : DEFAULT_CONTENT_TYPE);
}

function addUserMetadata(headers: Record<string, string | number>, xattrs: WalkReply['xattrs']): void {
  let missing = 0;
  let bytes = 0;
  for (const [xattr, value] of xattrs) {
    if (xattr === MIME_XATTR || !xattr.startsWith('user.')) continue;
    const name = metadataOfXattr(xattr);
    // One that is too large takes no room from those that come after it: they come in no order.
    const size = name.length + value.length;
    const text = bytes + size > METADATA_ANSWER_BYTES_MAX ? undefined : shownText(byteStringOf(value));
    if (text === undefined || !HEADER_NAME.test(name)) {
      missing += 1;
      continue;
    }
    bytes += size;
    headers[`${META_PREFIX}${name}`] = text;
  }
  if (missing > 0) headers['x-amz-missing-meta'] = missing;
}

/**
 * Edges of white space would be lost on the way and control bytes refused: such a value counts as one that cannot be
 * shown.
 */
function shownText(value: string): string | undefined {
  return HEADER_VALUE.test(value) && trimOws(value) === value ? encodeWords(value) : undefined;
}

/**
 * Puts the response-* query parameters over the answer's headers.
 * @throws S3Error InvalidArgument for bytes that a header cannot carry (they would split the answer).
 */
export function applyOverrides(headers: Record<string, string | number>, query: S3Request['query']): void {
  if (query.size === 0) return;
  for (const [parameter, name] of OVERRIDES) {
    const value = query.get(parameter);
    if (value === undefined) continue;
    if (!HEADER_VALUE.test(value)) {
      throw new S3Error('InvalidArgument', {
        message: 'A response header override has bytes that a header cannot carry.',
        fields: { ArgumentName: parameter, ArgumentValue: value },
      });
    }
    delete headers[lowerAscii(name)];
    headers[name] = value;
  }
}
