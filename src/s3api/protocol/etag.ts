/** Entity tags and checksums that are true of an object's bytes now. */
import { derivedEtag } from '../../base/derived-etag.ts';
import type { Attr, S3Record } from '../../base/vocabulary.ts';

/**
 * The object's tag without quotes: the stored one while it belongs to the present bytes, else the tag derived from
 * inode and content version in the `hex-1` form, which no client takes for an MD5.
 */
export function objectEtag(attr: Attr, s3: S3Record | undefined): string {
  if (s3 !== undefined && s3.etag !== '' && s3.version === attr.version) return s3.etag;
  return derivedEtag(attr.ino, attr.version);
}

/** The stored checksums while they belong to the present bytes, else none. */
export function objectChecksums(attr: Attr, s3: S3Record | undefined): S3Record['checksums'] {
  return s3 !== undefined && s3.version === attr.version ? s3.checksums : {};
}

/** A tag as headers and XML show it. */
export function quoteEtag(etag: string): string {
  return `"${etag}"`;
}
