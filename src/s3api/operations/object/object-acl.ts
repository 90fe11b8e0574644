import { wordSet } from '../../../base/lookup-table.ts';
import { refuseForeignGrants } from '../../auth/access-headers.ts';
import { decideOwner, enforce } from '../../auth/authorize.ts';
import { ownerElements, ownerId } from '../../auth/owner.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { child, childrenOf, childToken, parseXml, wrap, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { findObject, refuseVersion } from './find-object.ts';
import { effectiveHeaders, refuseUnsupported } from './headers.ts';

const BODY_BYTES_MAX = 64 * 1024;
const XSI = 'http://www.w3.org/2001/XMLSchema-instance';

/**
 * Answers the one ACL that objects have: full control for the owner.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html
 */
export const getObjectAcl: Operation = {
  name: 'GetObjectAcl',
  scope: 'object',
  method: 'GET',
  subresource: 'acl',
  action: 's3:GetObjectAcl',
  payload: 'none',
  bucket: 'ino',
  absent: 'key',
  async handle(request) {
    refuseVersion(request.query.get('versionId'), request.key!);
    const bucket = await request.bucketEntry();
    const { walked } = await findObject(request, bucket, request.key!, { data: false, xattrs: false });
    return { status: 200, body: privateAcl(request, walked.attr.uid) };
  },
};

/**
 * Accepts what objects have anyway: a canned ACL or grants that name the owner and nobody else.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html
 */
export const putObjectAcl: Operation = {
  name: 'PutObjectAcl',
  scope: 'object',
  method: 'PUT',
  subresource: 'acl',
  action: 's3:PutObjectAcl',
  payload: 'document',
  bucket: 'ino',
  absent: 'key',
  handle: putAcl,
};

async function putAcl(request: S3Request): Promise<S3Response> {
  refuseVersion(request.query.get('versionId'), request.key!);
  const headers = effectiveHeaders(request);
  refuseUnsupported(headers);
  const body = await request.body.readAll(BODY_BYTES_MAX);
  const bucket = await request.bucketEntry();
  const { walked } = await findObject(request, bucket, request.key!, { data: false, xattrs: false });
  enforce(decideOwner(request.context, walked.attr));
  const granted = await refuseForeignGrants(request, headers, walked.attr);
  if (!granted && headers['x-amz-acl'] === undefined) refuseOtherGrants(body, [walked.attr.uid, bucket.attr.uid]);
  return { status: 200 };
}

/** An AccessControlPolicy document with the owner's FULL_CONTROL. */
export function privateAcl(request: S3Request, uid: number): Buffer {
  const owner = ownerElements(uid, request.user);
  const grantee = `<Grantee xmlns:xsi="${XSI}" xsi:type="CanonicalUser">${owner}</Grantee>`;
  const grant = wrap('Grant', `${grantee}<Permission>FULL_CONTROL</Permission>`);
  return xmlDocument('AccessControlPolicy', wrap('Owner', owner) + wrap('AccessControlList', grant));
}

const PERMISSIONS = wordSet(['FULL_CONTROL', 'READ', 'READ_ACP', 'WRITE', 'WRITE_ACP']);

/** @throws S3Error MalformedACLError, NotImplemented for a grant to anybody but these owners. */
export function refuseOtherGrants(body: Buffer, owners: readonly number[]): void {
  if (body.length === 0) throw new S3Error('MissingRequestBodyError');
  const list = child(parseXml(body, 'AccessControlPolicy'), 'AccessControlList');
  if (list === undefined) throw new S3Error('MalformedACLError');
  for (const grant of childrenOf(list, 'Grant')) {
    const grantee = child(grant, 'Grantee');
    if (grantee === undefined) throw new S3Error('MalformedACLError');
    if (!PERMISSIONS.has(childToken(grant, 'Permission') ?? '')) throw new S3Error('MalformedACLError');
    const id = childToken(grantee, 'ID');
    if (owners.some((uid) => ownerId(uid) === id)) continue;
    throw new S3Error('NotImplemented', {
      message: 'Only grants to the owner are implemented; objects are private to their owner.',
    });
  }
}
