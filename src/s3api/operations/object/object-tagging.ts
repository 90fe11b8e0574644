import { MAY_WRITE, type S3Record } from '../../../base/vocabulary.ts';
import { decideAccess, enforce } from '../../auth/authorize.ts';
import { OBJECT_TAGS_MAX, parseTaggingDocument, taggingDocument } from '../../protocol/tags.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { findObject, refuseVersion } from './find-object.ts';

/** Ten tags of 128 + 256 characters, four bytes each, as references, and their markup. */
const BODY_BYTES_MAX = 256 * 1024;

/**
 * Answers an object's tags; an empty set when it has none.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
 */
export const getObjectTagging: Operation = {
  name: 'GetObjectTagging',
  scope: 'object',
  method: 'GET',
  subresource: 'tagging',
  action: 's3:GetObjectTagging',
  payload: 'none',
  bucket: 'ino',
  absent: 'key',
  async handle(request) {
    refuseVersion(request.query.get('versionId'), request.key!);
    const bucket = await request.bucketEntry();
    const { walked } = await findObject(request, bucket, request.key!, { data: false, xattrs: false });
    return { status: 200, body: taggingDocument(walked.s3?.tags ?? []) };
  },
};

/**
 * Replaces an object's tags; its content, ETag and Last-Modified stay.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
 */
export const putObjectTagging: Operation = {
  name: 'PutObjectTagging',
  scope: 'object',
  method: 'PUT',
  subresource: 'tagging',
  action: 's3:PutObjectTagging',
  payload: 'document',
  bucket: 'ino',
  absent: 'key',
  async handle(request) {
    refuseVersion(request.query.get('versionId'), request.key!);
    const tags = parseTaggingDocument(await request.body.readAll(BODY_BYTES_MAX), OBJECT_TAGS_MAX);
    return setTags(request, tags, 200);
  },
};

/**
 * Removes an object's tags.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html
 */
export const deleteObjectTagging: Operation = {
  name: 'DeleteObjectTagging',
  scope: 'object',
  method: 'DELETE',
  subresource: 'tagging',
  action: 's3:DeleteObjectTagging',
  payload: 'none',
  bucket: 'ino',
  absent: 'key',
  async handle(request) {
    refuseVersion(request.query.get('versionId'), request.key!);
    return setTags(request, [], 204);
  },
};

async function setTags(request: S3Request, tags: S3Record['tags'], status: number): Promise<S3Response> {
  const bucket = await request.bucketEntry();
  const { walked } = await findObject(request, bucket, request.key!, { data: false, xattrs: false });
  enforce(decideAccess(request.context, walked.attr, MAY_WRITE));
  await request.vfs.objects.setTags(request.context, walked, tags);
  return { status };
}
