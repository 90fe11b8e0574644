/** Entity tags and checksums that are true of an object's bytes now. */
import type { Attr, S3Record } from '../meta/types.ts';

/**
 * The tag of content that no S3 request wrote: inode and content version in the multipart form (`hex-1`), so that no
 * client takes it for an MD5. It changes exactly when bytes change: inode numbers are never reused, versions only grow.
 * @returns without quotes
 */
export function contentEtag(ino: number, version: number): string {
  return `${ino.toString(16).padStart(16, '0')}${version.toString(16).padStart(16, '0')}-1`;
}

/** The object's tag without quotes: the stored one while it belongs to the present bytes, else contentEtag(). */
export function objectEtag(attr: Attr, s3: S3Record | undefined): string {
  if (s3 !== undefined && s3.etag !== '' && s3.version === attr.version) return s3.etag;
  return contentEtag(attr.ino, attr.version);
}

/** The stored checksums while they belong to the present bytes, else none. */
export function objectChecksums(attr: Attr, s3: S3Record | undefined): S3Record['checksums'] {
  return s3 !== undefined && s3.version === attr.version ? s3.checksums : {};
}

/** A tag as headers and XML show it. */
export function quoteEtag(etag: string): string {
  return `"${etag}"`;
}
