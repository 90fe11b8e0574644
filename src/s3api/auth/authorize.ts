/**
 * Who may do what. Between routing and the handler authorize() decides what can be decided then; what a handler has
 * found first (an object, an upload) is put to the other functions here.
 *
 *     route -> bucket -> authorize(operation, caller, bucket) -> handler -> decideAccess(caller, object), ...
 *
 * Publishing, removing, listing and walking check again inside their scripts, which see the tree as it is then. Mode
 * bits are read by one rule (base/access.ts). Policies and ACLs will be asked in authorize() and decideAccess().
 */
import { mayAccess } from '../../base/access.ts';
import { type Attr, type Caller, FLAG_ACL, MAY_SEARCH } from '../../base/vocabulary.ts';
import type { Operation } from '../operations/operation.ts';
import { S3Error, type S3ErrorCode } from '../protocol/s3-error.ts';
import { ownerId } from './owner.ts';

/** A decision and its reason, which the log tells and the client does not learn. */
export type Decision = Allowed | Denied;

export interface Allowed {
  readonly allow: true;
  /** 'undecided': an ACL decides, which only the operation's script can read. */
  readonly reason: 'authenticated' | 'root' | 'mode bits' | 'owner' | 'undecided';
}

export interface Denied {
  readonly allow: false;
  readonly reason: 'mode bits' | 'an ACL decides' | 'not the owner' | 'not the expected bucket owner';
  readonly code: S3ErrorCode;
}

// One object each: a decision costs no allocation.
const AUTHENTICATED = allowed('authenticated');
const ROOT = allowed('root');
const BY_MODE = allowed('mode bits');
const OWNER = allowed('owner');
const UNDECIDED = allowed('undecided');
const NOT_BY_MODE = denied('mode bits');
const ACL_DECIDES = denied('an ACL decides');
const NOT_OWNER = denied('not the owner');
const OTHER_OWNER = denied('not the expected bucket owner');

/**
 * Decides a routed request before its body is asked for: the caller may search the bucket's directory, the bucket is
 * whose the client says, and what only the bucket's owner may do is asked by the owner.
 * @param bucket undefined for operations that need none
 * @param expectedOwner x-amz-expected-bucket-owner
 */
export function authorize(
  operation: Operation,
  caller: Caller,
  bucket: Attr | undefined,
  expectedOwner: string | undefined,
): Decision {
  if (bucket === undefined) return AUTHENTICATED;
  const search = decideSearch(caller, bucket);
  if (!search.allow) return search;
  if (expectedOwner !== undefined) {
    const expected = decideExpectedOwner(bucket, expectedOwner);
    if (!expected.allow) return expected;
  }
  return operation.allowed === 'bucket owner' ? decideOwner(caller, bucket) : search;
}

/** Whether the caller may pass through a directory; an ACL is left to the script. */
export function decideSearch(caller: Caller, attr: Attr): Decision {
  if (caller.uid === 0) return ROOT;
  if ((attr.flags & FLAG_ACL) !== 0) return UNDECIDED;
  return mayAccess(caller, attr, MAY_SEARCH) ? BY_MODE : NOT_BY_MODE;
}

/**
 * Whether the caller may read or write an inode, where no script decides it. Where an ACL decides, only the owner
 * passes: its entries are not at hand here.
 * @param want MAY_READ, MAY_WRITE or their sum
 */
export function decideAccess(caller: Caller, attr: Attr, want: number): Decision {
  if (caller.uid === 0) return ROOT;
  if ((attr.flags & FLAG_ACL) !== 0 && attr.uid !== caller.uid) return ACL_DECIDES;
  return mayAccess(caller, attr, want) ? BY_MODE : NOT_BY_MODE;
}

/** What only an owner may do, whatever the mode says. */
export function decideOwner(caller: Caller, attr: Attr): Decision {
  if (caller.uid === 0) return ROOT;
  return attr.uid === caller.uid ? OWNER : NOT_OWNER;
}

/** An upload is its initiator's; the bucket's owner may tidy up and look. */
export function decideUpload(caller: Caller, upload: { owner: string }, bucket: Attr): Decision {
  return upload.owner === ownerId(caller.uid) ? OWNER : decideOwner(caller, bucket);
}

/**
 * Holds a client to the owner it named in x-amz-expected-bucket-owner (or x-amz-source-expected-bucket-owner).
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
 */
export function decideExpectedOwner(bucket: Attr, expected: string): Decision {
  return expected === ownerId(bucket.uid) ? OWNER : OTHER_OWNER;
}

/** Lets a request go on. @throws S3Error with the decision's code, AccessDenied for all of today's. */
export function enforce(decision: Decision): void {
  if (!decision.allow) throw new S3Error(decision.code, { reason: decision.reason });
}

function allowed(reason: Allowed['reason']): Decision {
  return { allow: true, reason };
}

function denied(reason: Denied['reason']): Decision {
  return { allow: false, reason, code: 'AccessDenied' };
}
