/**
 * Settings that no bucket here has. Clients (Terraform, Cyberduck, `aws s3api`) read them and expect AWS's exact answer
 * for a bucket where they were never set: an empty document, or a 404 with the setting's own code. Setting them is
 * NotImplemented (unbuilt.ts).
 */
import { S3Error, type S3ErrorCode } from '../../protocol/s3-error.ts';
import { xmlDocument } from '../../protocol/xml.ts';
import type { Operation } from '../operation.ts';

type Setting = Pick<Operation, 'name' | 'action' | 'complete'> & { subresource: string };

/** What all of them have in common: a GET of a subresource of a bucket that must be there. */
const READ = { scope: 'bucket', method: 'GET', payload: 'none', bucket: 'attributes', absent: 'bucket' } as const;

export const getBucketAccelerateConfiguration = fixedSetting(
  { name: 'GetBucketAccelerateConfiguration', subresource: 'accelerate', action: 's3:GetAccelerateConfiguration' },
  'AccelerateConfiguration',
);
export const getBucketCors = unsetSetting(
  { name: 'GetBucketCors', subresource: 'cors', action: 's3:GetBucketCORS' },
  'NoSuchCORSConfiguration',
);
export const getBucketEncryption = unsetSetting(
  { name: 'GetBucketEncryption', subresource: 'encryption', action: 's3:GetEncryptionConfiguration' },
  'ServerSideEncryptionConfigurationNotFoundError',
);
export const getBucketLifecycleConfiguration = unsetSetting(
  { name: 'GetBucketLifecycleConfiguration', subresource: 'lifecycle', action: 's3:GetLifecycleConfiguration' },
  'NoSuchLifecycleConfiguration',
);
export const getBucketLogging = fixedSetting(
  { name: 'GetBucketLogging', subresource: 'logging', action: 's3:GetBucketLogging' },
  'BucketLoggingStatus',
);
export const getBucketNotificationConfiguration = fixedSetting(
  { name: 'GetBucketNotificationConfiguration', subresource: 'notification', action: 's3:GetBucketNotification' },
  'NotificationConfiguration',
);
export const getBucketPolicy = unsetSetting(
  { name: 'GetBucketPolicy', subresource: 'policy', action: 's3:GetBucketPolicy' },
  'NoSuchBucketPolicy',
);
export const getBucketPolicyStatus = unsetSetting(
  { name: 'GetBucketPolicyStatus', subresource: 'policyStatus', action: 's3:GetBucketPolicyStatus', complete: true },
  'NoSuchBucketPolicy',
);
export const getBucketReplication = unsetSetting(
  { name: 'GetBucketReplication', subresource: 'replication', action: 's3:GetReplicationConfiguration' },
  'ReplicationConfigurationNotFoundError',
);
export const getBucketRequestPayment = fixedSetting(
  { name: 'GetBucketRequestPayment', subresource: 'requestPayment', action: 's3:GetBucketRequestPayment' },
  'RequestPaymentConfiguration',
  '<Payer>BucketOwner</Payer>',
);
export const getBucketVersioning = fixedSetting(
  { name: 'GetBucketVersioning', subresource: 'versioning', action: 's3:GetBucketVersioning' },
  'VersioningConfiguration',
);
export const getBucketWebsite = unsetSetting(
  { name: 'GetBucketWebsite', subresource: 'website', action: 's3:GetBucketWebsite' },
  'NoSuchWebsiteConfiguration',
);
export const getObjectLockConfiguration = unsetSetting(
  { name: 'GetObjectLockConfiguration', subresource: 'object-lock', action: 's3:GetBucketObjectLockConfiguration' },
  'ObjectLockConfigurationNotFoundError',
);
export const getPublicAccessBlock = unsetSetting(
  { name: 'GetPublicAccessBlock', subresource: 'publicAccessBlock', action: 's3:GetBucketPublicAccessBlock' },
  'NoSuchPublicAccessBlockConfiguration',
);

/** A document that is the same for every bucket. */
function fixedSetting(setting: Setting, root: string, inner = ''): Operation {
  const body = xmlDocument(root, inner);
  return {
    ...READ,
    ...setting,
    async handle(request) {
      await request.bucketEntry();
      return { status: 200, body };
    },
  };
}

function unsetSetting(setting: Setting, code: S3ErrorCode): Operation {
  return {
    ...READ,
    ...setting,
    async handle(request) {
      await request.bucketEntry();
      throw new S3Error(code, { fields: { BucketName: request.bucket! } });
    },
  };
}
