import type { ByteString } from './byte-string.ts';

/**
 * Tells whether a name may be a bucket's: 3-63 lower-case letters, digits, dots and hyphens, beginning and ending with
 * a letter or digit, no dot beside another dot or a hyphen, no IPv4 form, none of the prefixes and suffixes that AWS
 * reserves. The metadata scripts decide by the same rule (src/meta/scripts/lib/names/buckets.lua).
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
export function isBucketName(name: ByteString): boolean {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) return false;
  if (/\.[.-]|-\./.test(name) || /^\d+\.\d+\.\d+\.\d+$/.test(name)) return false;
  if (/^(xn--|sthree-)/.test(name)) return false;
  return !/(-s3alias|--ol-s3|--x-s3)$/.test(name);
}
