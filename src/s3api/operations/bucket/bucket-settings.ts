/**
 * Settings that no bucket here has. Clients (Terraform, Cyberduck, `aws s3api`) read them and expect AWS's exact answer
 * for a bucket where they were never set: an empty document, or a 404 with the setting's own code. Setting them is
 * refused with NotImplemented by routes.ts.
 */
import { S3Error, type S3ErrorCode } from '../../protocol/s3-error.ts';
import { xmlDocument } from '../../protocol/xml.ts';
import type { Operation } from '../operation.ts';

export const getBucketAccelerateConfiguration = fixedSetting(
  'GetBucketAccelerateConfiguration',
  'AccelerateConfiguration',
);
export const getBucketCors = unsetSetting('GetBucketCors', 'NoSuchCORSConfiguration');
export const getBucketEncryption = unsetSetting(
  'GetBucketEncryption',
  'ServerSideEncryptionConfigurationNotFoundError',
);
export const getBucketLifecycleConfiguration = unsetSetting(
  'GetBucketLifecycleConfiguration',
  'NoSuchLifecycleConfiguration',
);
export const getBucketLogging = fixedSetting('GetBucketLogging', 'BucketLoggingStatus');
export const getBucketNotificationConfiguration = fixedSetting(
  'GetBucketNotificationConfiguration',
  'NotificationConfiguration',
);
export const getBucketPolicy = unsetSetting('GetBucketPolicy', 'NoSuchBucketPolicy');
export const getBucketPolicyStatus = unsetSetting('GetBucketPolicyStatus', 'NoSuchBucketPolicy');
export const getBucketReplication = unsetSetting('GetBucketReplication', 'ReplicationConfigurationNotFoundError');
export const getBucketRequestPayment = fixedSetting(
  'GetBucketRequestPayment',
  'RequestPaymentConfiguration',
  '<Payer>BucketOwner</Payer>',
);
export const getBucketVersioning = fixedSetting('GetBucketVersioning', 'VersioningConfiguration');
export const getBucketWebsite = unsetSetting('GetBucketWebsite', 'NoSuchWebsiteConfiguration');
export const getObjectLockConfiguration = unsetSetting(
  'GetObjectLockConfiguration',
  'ObjectLockConfigurationNotFoundError',
);
export const getPublicAccessBlock = unsetSetting('GetPublicAccessBlock', 'NoSuchPublicAccessBlockConfiguration');

/** A document that is the same for every bucket. */
function fixedSetting(name: string, root: string, inner = ''): Operation {
  const body = xmlDocument(root, inner);
  return {
    name,
    absent: 'bucket',
    async handle(request) {
      await request.bucketEntry();
      return { status: 200, body };
    },
  };
}

function unsetSetting(name: string, code: S3ErrorCode): Operation {
  return {
    name,
    absent: 'bucket',
    async handle(request) {
      await request.bucketEntry();
      throw new S3Error(code, { fields: { BucketName: request.bucket! } });
    },
  };
}
