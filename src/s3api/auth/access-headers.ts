/**
 * Headers that say who may use what a request makes: canned ACLs, grants, ownership. Permission bits decide here, so
 * what means "the owner" is accepted and what names anybody else is refused, never ignored.
 */

import { lowerAscii, trimOws } from '../../base/byte-string.ts';
import { wordSet } from '../../base/lookup-table.ts';
import type { Attr } from '../../base/vocabulary.ts';
import type { S3Request } from '../operations/operation.ts';
import type { RequestHeaders } from '../protocol/request-headers.ts';
import { S3Error } from '../protocol/s3-error.ts';
import { ownerId } from './owner.ts';

/** What objects and buckets have anyway. */
const OWNER_ACLS = wordSet(['private', 'bucket-owner-full-control', 'bucket-owner-read']);
const OTHER_ACLS = wordSet([
  'authenticated-read',
  'aws-exec-read',
  'log-delivery-write',
  'public-read',
  'public-read-write',
]);
const GRANTS: readonly string[] = ['full-control', 'read', 'read-acp', 'write', 'write-acp'].map(
  (right) => `x-amz-grant-${right}`,
);
const GRANTEE = /^(id|uri|emailaddress)[ \t]*=[ \t]*(?:"([^"]*)"|([^", \t]+))$/i;
const OWNERSHIPS = wordSet(['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter']);

/**
 * Accepts the canned ACLs that mean the owner alone.
 * @throws S3Error NotImplemented for the other canned ACLs, InvalidArgument for unknown ones.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
 */
export function refuseCannedAcl(value: string): void {
  if (OWNER_ACLS.has(value)) return;
  if (OTHER_ACLS.has(value)) {
    throw new S3Error('NotImplemented', {
      message: `The canned ACL ${value} is not implemented; objects are private to their owner.`,
      fields: { Header: 'x-amz-acl' },
    });
  }
  throw new S3Error('InvalidArgument', { fields: { ArgumentName: 'x-amz-acl', ArgumentValue: value } });
}

/**
 * Accepts x-amz-grant-* headers that name nobody but the caller, the bucket's owner and the object's owner.
 * @returns whether there are any.
 * @throws S3Error NotImplemented for other grantees, InvalidArgument for what names none, InvalidRequest beside a canned ACL.
 */
export async function refuseForeignGrants(
  request: S3Request,
  headers: RequestHeaders,
  object?: Attr,
): Promise<boolean> {
  const given = GRANTS.filter((name) => headers[name] !== undefined);
  if (given.length === 0) return false;
  if (headers['x-amz-acl'] !== undefined) {
    throw new S3Error('InvalidRequest', { message: 'Specifying both Canned ACLs and Header Grants is not allowed' });
  }
  const owners = new Set([ownerId(request.user.uid)]);
  if (object !== undefined) owners.add(ownerId(object.uid));
  if (request.operation.bucket !== 'nothing') owners.add(ownerId((await request.bucketEntry()).attr.uid));
  for (const name of given) {
    for (const grantee of headers[name]!.split(',')) refuseGrantee(name, trimOws(grantee), owners);
  }
  return true;
}

function refuseGrantee(header: string, text: string, owners: ReadonlySet<string>): void {
  const match = GRANTEE.exec(text);
  if (match === null) {
    throw new S3Error('InvalidArgument', {
      message: 'Argument format not recognized',
      fields: { ArgumentName: header, ArgumentValue: text },
    });
  }
  if (lowerAscii(match[1]!) === 'id' && owners.has(match[2] ?? match[3]!)) return;
  throw new S3Error('NotImplemented', {
    message: 'Grants to others than the owner are not implemented; objects are private to their owner.',
    fields: { Header: header },
  });
}

/** Checks an ownership setting. @throws S3Error InvalidArgument. */
export function checkOwnership(value: string): void {
  if (OWNERSHIPS.has(value)) return;
  throw new S3Error('InvalidArgument', {
    message: `Invalid x-amz-object-ownership header: ${value}`,
    fields: { ArgumentName: 'x-amz-object-ownership', ArgumentValue: value },
  });
}
