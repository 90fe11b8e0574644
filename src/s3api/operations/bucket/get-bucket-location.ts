import { FIRST_REGION } from '../../auth/region.ts';
import { escapeXml, xmlDocument } from '../../protocol/xml.ts';
import type { Operation } from '../operation.ts';

/**
 * Answers the request's region; empty for us-east-1, as AWS does.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
 */
export const getBucketLocation: Operation = {
  name: 'GetBucketLocation',
  scope: 'bucket',
  method: 'GET',
  subresource: 'location',
  complete: true,
  action: 's3:GetBucketLocation',
  payload: 'none',
  bucket: 'attributes',
  absent: 'bucket',
  async handle(request) {
    await request.bucketEntry();
    const { region } = request;
    return { status: 200, body: xmlDocument('LocationConstraint', region === FIRST_REGION ? '' : escapeXml(region)) };
  },
};
