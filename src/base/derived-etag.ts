import { createHash } from 'node:crypto';

/**
 * Derives the ETag of content that was not written through S3 (or was changed since). It changes exactly when the
 * content version does, and its `-1` keeps clients from taking it for an MD5. src/meta/scripts/lib/names/objects.lua
 * computes the same value inside preconditions.
 *
 * @returns 32 hex digits and `-1`, without quotes.
 */
export function derivedEtag(ino: number, version: number): string {
  const hash = createHash('sha1').update(`janusfs:${ino}:${version}`).digest('hex');
  return `${hash.slice(0, 32)}-1`;
}
