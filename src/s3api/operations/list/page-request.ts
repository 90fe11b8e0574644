/** The parameters that the listing operations share, and the pieces of XML they answer with. */

import type { ByteString } from '../../../base/byte-string.ts';
import type { Attr, S3Record } from '../../../base/vocabulary.ts';
import type { ListItem, ListReply } from '../../../meta/meta.ts';
import { ownerElements } from '../../auth/owner.ts';
import { uriEncode } from '../../http/query.ts';
import { objectEtag, quoteEtag } from '../../protocol/etag.ts';
import { storageClassOf } from '../../protocol/storage-class.ts';
import { xmlTime } from '../../protocol/times.ts';
import { element, wrap } from '../../protocol/xml.ts';
import type { S3Request } from '../operation.ts';
import { countParameter, invalidArgument } from '../paging.ts';

const KEYS_MAX = 1000;

export interface ListParameters {
  prefix: ByteString;
  delimiter: ByteString;
  /** 0..1000 */
  maxKeys: number;
  /** encoding-type=url. */
  encoded: boolean;
}

/** @throws S3Error InvalidArgument (max-keys, encoding-type). */
export function listParameters(request: S3Request): ListParameters {
  const { query } = request;
  const encoding = query.get('encoding-type');
  if (encoding !== undefined && encoding !== '' && encoding !== 'url') {
    throw invalidArgument('encoding-type', encoding, 'Invalid Encoding Method specified in Request');
  }
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    maxKeys: countParameter(request, 'max-keys', { valueMin: 0, valueMax: KEYS_MAX, absent: KEYS_MAX }),
    encoded: encoding === 'url',
  };
}

/** Asks for a page; max-keys=0 is an empty page that is not truncated, without asking. */
export async function listPage(request: S3Request, parameters: ListParameters, after: ByteString): Promise<ListReply> {
  if (parameters.maxKeys === 0) return { items: [], truncated: false };
  const { prefix, delimiter, maxKeys: limit } = parameters;
  const bucket = await request.bucketEntry();
  return request.vfs.objects.list(request.context, bucket.attr.ino, { prefix, after, delimiter, limit });
}

/** The key or prefix that the next page begins after; undefined at the end. */
export function nextAfter(page: ListReply): ByteString | undefined {
  const last = page.items.at(-1);
  if (!page.truncated || last === undefined) return undefined;
  return last.kind === 'key' ? last.key : last.prefix;
}

/** An element whose text is a key: percent-encoded (slashes kept) when the client asked for it. */
export function keyElement(name: string, key: ByteString, encoded: boolean): string {
  return element(name, encoded ? uriEncode(key, true) : key);
}

/** The elements every listing echoes. An empty delimiter is none. */
export function echoElements(request: S3Request, { prefix, delimiter, maxKeys, encoded }: ListParameters): string {
  return (
    element('Name', request.bucket!) +
    keyElement('Prefix', prefix, encoded) +
    (delimiter === '' ? '' : keyElement('Delimiter', delimiter, encoded)) +
    element('MaxKeys', maxKeys) +
    (encoded ? element('EncodingType', 'url') : '')
  );
}

/** `<CommonPrefixes>` of a page. */
export function commonPrefixes(items: readonly ListItem[], encoded: boolean): string {
  let xml = '';
  for (const item of items) {
    if (item.kind === 'prefix') xml += wrap('CommonPrefixes', keyElement('Prefix', item.prefix, encoded));
  }
  return xml;
}

/** `<Contents>` of a page. */
export function contents(request: S3Request, items: readonly ListItem[], encoded: boolean, owners: boolean): string {
  let xml = '';
  for (const item of items) {
    if (item.kind !== 'key') continue;
    const owner = owners ? wrap('Owner', ownerElements(item.attr.uid, request.user)) : '';
    xml += `<Contents>${keyElement('Key', item.key, encoded)}${objectElements(item.attr, item.s3, item.key)}${owner}</Contents>`;
  }
  return xml;
}

/** What a listing says of an object's present bytes. */
export function objectElements(attr: Attr, s3: S3Record | undefined, key: ByteString): string {
  let checksums = '';
  if (s3 !== undefined && s3.version === attr.version) {
    for (const algorithm in s3.checksums) checksums += element('ChecksumAlgorithm', algorithm);
    if (checksums !== '' && s3.checksumType !== '') checksums += element('ChecksumType', s3.checksumType);
  }
  // A directory's own size is the file system's business; its key holds no bytes.
  const sizeBytes = key.endsWith('/') ? 0 : attr.size;
  return `<LastModified>${xmlTime(attr.mtimeSec, attr.mtimeNsec)}</LastModified><ETag>${xmlEtag(attr, s3)}</ETag>${checksums}<Size>${sizeBytes}</Size><StorageClass>${storageClassOf(s3)}</StorageClass>`;
}

function xmlEtag(attr: Attr, s3: S3Record | undefined): string {
  return quoteEtag(objectEtag(attr, s3)).replaceAll('"', '&quot;');
}
