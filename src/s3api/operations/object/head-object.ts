import type { Operation } from '../operation.ts';
import { answerObject } from './get-object.ts';

/**
 * Answers what GetObject would, without the bytes. One round trip.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
 */
export const headObject: Operation = {
  name: 'HeadObject',
  scope: 'object',
  method: 'HEAD',
  action: 's3:GetObject',
  payload: 'none',
  bucket: 'ino',
  absent: 'key',
  handle: (request) => answerObject(request, true),
};
