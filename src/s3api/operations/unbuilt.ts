/**
 * What S3 has and this gateway has not: answered with 501 NotImplemented, so that no such request is taken for another
 * operation. An operation that gets built moves from here to registry.ts.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
import type { Binding, Scope } from './operation.ts';

type Row = readonly [
  name: string,
  method: Binding['method'],
  subresource: string,
  action: Binding['action'],
  variant?: Binding['variant'],
];

const BUCKET: readonly Row[] = [
  ['CreateBucketMetadataConfiguration', 'POST', 'metadataConfiguration', 's3:CreateBucketMetadataTableConfiguration'],
  ['CreateBucketMetadataTableConfiguration', 'POST', 'metadataTable', 's3:CreateBucketMetadataTableConfiguration'],
  ['CreateSession', 'GET', 'session', 's3express:CreateSession'],
  ['DeleteBucketAnalyticsConfiguration', 'DELETE', 'analytics', 's3:PutAnalyticsConfiguration'],
  ['DeleteBucketCors', 'DELETE', 'cors', 's3:PutBucketCORS'],
  ['DeleteBucketEncryption', 'DELETE', 'encryption', 's3:PutEncryptionConfiguration'],
  [
    'DeleteBucketIntelligentTieringConfiguration',
    'DELETE',
    'intelligent-tiering',
    's3:PutIntelligentTieringConfiguration',
  ],
  ['DeleteBucketInventoryConfiguration', 'DELETE', 'inventory', 's3:PutInventoryConfiguration'],
  ['DeleteBucketLifecycle', 'DELETE', 'lifecycle', 's3:PutLifecycleConfiguration'],
  ['DeleteBucketMetadataConfiguration', 'DELETE', 'metadataConfiguration', 's3:DeleteBucketMetadataTableConfiguration'],
  ['DeleteBucketMetadataTableConfiguration', 'DELETE', 'metadataTable', 's3:DeleteBucketMetadataTableConfiguration'],
  ['DeleteBucketMetricsConfiguration', 'DELETE', 'metrics', 's3:PutMetricsConfiguration'],
  ['DeleteBucketPolicy', 'DELETE', 'policy', 's3:DeleteBucketPolicy'],
  ['DeleteBucketReplication', 'DELETE', 'replication', 's3:PutReplicationConfiguration'],
  ['DeleteBucketWebsite', 'DELETE', 'website', 's3:DeleteBucketWebsite'],
  ['DeletePublicAccessBlock', 'DELETE', 'publicAccessBlock', 's3:PutBucketPublicAccessBlock'],
  ['GetBucketAbac', 'GET', 'abac', 's3:GetBucketAbac'],
  ['GetBucketAnalyticsConfiguration', 'GET', 'analytics', 's3:GetAnalyticsConfiguration', { query: 'id' }],
  [
    'GetBucketIntelligentTieringConfiguration',
    'GET',
    'intelligent-tiering',
    's3:GetIntelligentTieringConfiguration',
    { query: 'id' },
  ],
  ['GetBucketInventoryConfiguration', 'GET', 'inventory', 's3:GetInventoryConfiguration', { query: 'id' }],
  ['GetBucketMetadataConfiguration', 'GET', 'metadataConfiguration', 's3:GetBucketMetadataTableConfiguration'],
  ['GetBucketMetadataTableConfiguration', 'GET', 'metadataTable', 's3:GetBucketMetadataTableConfiguration'],
  ['GetBucketMetricsConfiguration', 'GET', 'metrics', 's3:GetMetricsConfiguration', { query: 'id' }],
  ['ListBucketAnalyticsConfigurations', 'GET', 'analytics', 's3:GetAnalyticsConfiguration'],
  ['ListBucketIntelligentTieringConfigurations', 'GET', 'intelligent-tiering', 's3:GetIntelligentTieringConfiguration'],
  ['ListBucketInventoryConfigurations', 'GET', 'inventory', 's3:GetInventoryConfiguration'],
  ['ListBucketMetricsConfigurations', 'GET', 'metrics', 's3:GetMetricsConfiguration'],
  ['PutBucketAbac', 'PUT', 'abac', 's3:PutBucketAbac'],
  ['PutBucketAccelerateConfiguration', 'PUT', 'accelerate', 's3:PutAccelerateConfiguration'],
  ['PutBucketAnalyticsConfiguration', 'PUT', 'analytics', 's3:PutAnalyticsConfiguration'],
  ['PutBucketCors', 'PUT', 'cors', 's3:PutBucketCORS'],
  ['PutBucketEncryption', 'PUT', 'encryption', 's3:PutEncryptionConfiguration'],
  ['PutBucketIntelligentTieringConfiguration', 'PUT', 'intelligent-tiering', 's3:PutIntelligentTieringConfiguration'],
  ['PutBucketInventoryConfiguration', 'PUT', 'inventory', 's3:PutInventoryConfiguration'],
  ['PutBucketLifecycleConfiguration', 'PUT', 'lifecycle', 's3:PutLifecycleConfiguration'],
  ['PutBucketLogging', 'PUT', 'logging', 's3:PutBucketLogging'],
  ['PutBucketMetricsConfiguration', 'PUT', 'metrics', 's3:PutMetricsConfiguration'],
  ['PutBucketNotificationConfiguration', 'PUT', 'notification', 's3:PutBucketNotification'],
  ['PutBucketPolicy', 'PUT', 'policy', 's3:PutBucketPolicy'],
  ['PutBucketReplication', 'PUT', 'replication', 's3:PutReplicationConfiguration'],
  ['PutBucketRequestPayment', 'PUT', 'requestPayment', 's3:PutBucketRequestPayment'],
  ['PutBucketVersioning', 'PUT', 'versioning', 's3:PutBucketVersioning'],
  ['PutBucketWebsite', 'PUT', 'website', 's3:PutBucketWebsite'],
  ['PutObjectLockConfiguration', 'PUT', 'object-lock', 's3:PutBucketObjectLockConfiguration'],
  ['PutPublicAccessBlock', 'PUT', 'publicAccessBlock', 's3:PutBucketPublicAccessBlock'],
  [
    'UpdateBucketMetadataAnnotationTableConfiguration',
    'PUT',
    'metadataAnnotationTable',
    's3:UpdateBucketMetadataAnnotationTableConfiguration',
  ],
  [
    'UpdateBucketMetadataInventoryTableConfiguration',
    'PUT',
    'metadataInventoryTable',
    's3:UpdateBucketMetadataInventoryTableConfiguration',
  ],
  [
    'UpdateBucketMetadataJournalTableConfiguration',
    'PUT',
    'metadataJournalTable',
    's3:UpdateBucketMetadataJournalTableConfiguration',
  ],
];

const OBJECT: readonly Row[] = [
  ['DeleteObjectAnnotation', 'DELETE', 'annotation', 's3:DeleteObjectAnnotation'],
  ['GetObjectAnnotation', 'GET', 'annotation', 's3:GetObjectAnnotation', { query: 'annotationName' }],
  ['GetObjectLegalHold', 'GET', 'legal-hold', 's3:GetObjectLegalHold'],
  ['GetObjectRetention', 'GET', 'retention', 's3:GetObjectRetention'],
  ['GetObjectTorrent', 'GET', 'torrent', 's3:GetObjectTorrent'],
  ['ListObjectAnnotations', 'GET', 'annotation', 's3:ListObjectAnnotations'],
  ['PutObjectAnnotation', 'PUT', 'annotation', 's3:PutObjectAnnotation'],
  ['PutObjectLegalHold', 'PUT', 'legal-hold', 's3:PutObjectLegalHold'],
  ['PutObjectRetention', 'PUT', 'retention', 's3:PutObjectRetention'],
  ['RenameObject', 'PUT', 'renameObject', 's3express:CreateSession'],
  ['RestoreObject', 'POST', 'restore', 's3:RestoreObject'],
  ['SelectObjectContent', 'POST', 'select', 's3:GetObject'],
  ['UpdateObjectEncryption', 'PUT', 'encryption', 's3:UpdateObjectEncryption'],
];

export const UNBUILT: readonly Binding[] = [...BUCKET.map(bindingIn('bucket')), ...OBJECT.map(bindingIn('object'))];

/** Subresources of an object that other servers have and clients of theirs ask for. */
export const FOREIGN_SUBRESOURCES: readonly string[] = ['annotations', 'append'];

function bindingIn(scope: Scope): (row: Row) => Binding {
  return ([name, method, subresource, action, variant]) => ({
    name,
    scope,
    method,
    subresource,
    action,
    ...(variant === undefined ? {} : { variant }),
  });
}
