/**
 * Object ownership of a bucket: kept and answered, since deployment tools set it and read it back. It changes nothing:
 * who writes an object owns its file, and its mode says who may use it, which is POSIX's rule and the only one here.
 */
import { checkOwnership } from '../../auth/access-headers.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { child, childrenOf, childToken, element, parseXml, wrap, xmlDocument } from '../../protocol/xml.ts';
import type { Operation } from '../operation.ts';
import { loadOwnership, removeOwnership, storeOwnership } from './attributes.ts';

const BODY_BYTES_MAX = 64 * 1024;
const UNSET = 'ObjectWriter';

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketOwnershipControls.html */
export const getBucketOwnershipControls: Operation = {
  name: 'GetBucketOwnershipControls',
  scope: 'bucket',
  method: 'GET',
  subresource: 'ownershipControls',
  action: 's3:GetBucketOwnershipControls',
  payload: 'none',
  bucket: 'attributes',
  absent: 'bucket',
  async handle(request) {
    const ownership = (await loadOwnership(request, await request.bucketEntry())) ?? UNSET;
    const rule = wrap('Rule', element('ObjectOwnership', ownership));
    return { status: 200, body: xmlDocument('OwnershipControls', rule) };
  },
};

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html */
export const putBucketOwnershipControls: Operation = {
  name: 'PutBucketOwnershipControls',
  scope: 'bucket',
  method: 'PUT',
  subresource: 'ownershipControls',
  action: 's3:PutBucketOwnershipControls',
  payload: 'document',
  bucket: 'attributes',
  allowed: 'bucket owner',
  absent: 'bucket',
  async handle(request) {
    const bucket = await request.bucketEntry();
    const root = parseXml(await request.body.readAll(BODY_BYTES_MAX), 'OwnershipControls');
    const rule = child(root, 'Rule');
    const ownership = rule === undefined ? undefined : childToken(rule, 'ObjectOwnership');
    if (ownership === undefined || childrenOf(root, 'Rule').length > 1) throw new S3Error('MalformedXML');
    checkOwnership(ownership);
    await storeOwnership(request, bucket, ownership);
    return { status: 200 };
  },
};

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketOwnershipControls.html */
export const deleteBucketOwnershipControls: Operation = {
  name: 'DeleteBucketOwnershipControls',
  scope: 'bucket',
  method: 'DELETE',
  subresource: 'ownershipControls',
  action: 's3:PutBucketOwnershipControls',
  payload: 'none',
  bucket: 'attributes',
  allowed: 'bucket owner',
  absent: 'bucket',
  async handle(request) {
    await removeOwnership(request, await request.bucketEntry());
    return { status: 204 };
  },
};
