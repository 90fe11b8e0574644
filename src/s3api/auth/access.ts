/**
 * POSIX permission where no script decides it: what an operation does to an inode it has walked to, and whose an upload
 * is. Publishing, removing, listing and walking are checked inside their scripts.
 */
import { type Attr, type Entry, FLAG_ACL } from '../../base/vocabulary.ts';
import type { Context } from '../../vfs/vfs.ts';
import { S3Error } from '../protocol/s3-error.ts';
import { ownerId } from './owner.ts';

export const MAY_READ = 4;
export const MAY_WRITE = 2;

/**
 * Mode-bit check. Where an ACL decides, only the owner passes: its entries are not at hand here.
 * @throws S3Error AccessDenied.
 */
export function requireAccess(attr: Attr, context: Context, wanted: number): void {
  if (context.uid === 0) return;
  if (attr.uid === context.uid) {
    if ((attr.mode & (wanted << 6)) === wanted << 6) return;
  } else if ((attr.flags & FLAG_ACL) === 0) {
    const member = attr.gid === context.gid || context.groups.includes(attr.gid);
    const bits = member ? wanted << 3 : wanted;
    if ((attr.mode & bits) === bits) return;
  }
  throw new S3Error('AccessDenied');
}

/** What only an owner may do, whatever the mode says. @throws S3Error AccessDenied. */
export function requireOwner(attr: Attr, context: Context): void {
  if (context.uid !== 0 && attr.uid !== context.uid) throw new S3Error('AccessDenied');
}

/**
 * Holds a client to the owner it named in x-amz-expected-bucket-owner (or x-amz-source-expected-bucket-owner).
 * @throws S3Error AccessDenied when the bucket is another's.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
 */
export function requireExpectedOwner(bucket: Attr, expected: string): void {
  if (expected !== ownerId(bucket.uid)) throw new S3Error('AccessDenied');
}

/**
 * An upload is its initiator's; the bucket's owner may tidy up and look.
 * @throws S3Error AccessDenied.
 */
export function requireUploadOwner(upload: { owner: string }, bucket: Entry, context: Context): void {
  if (context.uid === 0 || bucket.attr.uid === context.uid || upload.owner === ownerId(context.uid)) return;
  throw new S3Error('AccessDenied');
}
