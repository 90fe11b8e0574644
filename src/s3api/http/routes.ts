/**
 * Which operation a request means: scope (service, bucket, object) x method x subresource. Pure data; the functions
 * behind the names are in operation-table.ts. What no row names is refused: unknown subresources with NotImplemented,
 * wrong methods with MethodNotAllowed; nothing falls through to PutObject or ListObjects.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
import { S3Error } from '../protocol/s3-error.ts';

export type Scope = 'service' | 'bucket' | 'object';

/** Operations that this gateway implements. */
export type OperationName =
  | 'AbortMultipartUpload'
  | 'CompleteMultipartUpload'
  | 'CopyObject'
  | 'CreateBucket'
  | 'CreateMultipartUpload'
  | 'DeleteBucket'
  | 'DeleteBucketOwnershipControls'
  | 'DeleteBucketTagging'
  | 'DeleteObject'
  | 'DeleteObjects'
  | 'DeleteObjectTagging'
  | 'GetBucketAccelerateConfiguration'
  | 'GetBucketAcl'
  | 'GetBucketCors'
  | 'GetBucketEncryption'
  | 'GetBucketLifecycleConfiguration'
  | 'GetBucketLocation'
  | 'GetBucketLogging'
  | 'GetBucketNotificationConfiguration'
  | 'GetBucketOwnershipControls'
  | 'GetBucketPolicy'
  | 'GetBucketPolicyStatus'
  | 'GetBucketReplication'
  | 'GetBucketRequestPayment'
  | 'GetBucketTagging'
  | 'GetBucketVersioning'
  | 'GetBucketWebsite'
  | 'GetObject'
  | 'GetObjectAcl'
  | 'GetObjectAttributes'
  | 'GetObjectLockConfiguration'
  | 'GetObjectTagging'
  | 'GetPublicAccessBlock'
  | 'HeadBucket'
  | 'HeadObject'
  | 'ListBuckets'
  | 'ListMultipartUploads'
  | 'ListObjects'
  | 'ListObjectsV2'
  | 'ListObjectVersions'
  | 'ListParts'
  | 'PutBucketAcl'
  | 'PutBucketOwnershipControls'
  | 'PutBucketTagging'
  | 'PutObject'
  | 'PutObjectAcl'
  | 'PutObjectTagging'
  | 'UploadPart'
  | 'UploadPartCopy';

type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
type Row = Partial<Record<Method, OperationName>>;

/** Without a subresource. */
const PLAIN: Record<Scope, Row> = {
  service: { GET: 'ListBuckets' },
  bucket: { GET: 'ListObjects', HEAD: 'HeadBucket', PUT: 'CreateBucket', DELETE: 'DeleteBucket' },
  object: { GET: 'GetObject', HEAD: 'HeadObject', PUT: 'PutObject', DELETE: 'DeleteObject' },
};

/** Query parameters that name another resource; a row left out (`{}`) is known and not implemented. */
const SUBRESOURCES: Record<Scope, Record<string, Row>> = {
  service: {},
  bucket: {
    abac: {},
    accelerate: { GET: 'GetBucketAccelerateConfiguration' },
    acl: { GET: 'GetBucketAcl', PUT: 'PutBucketAcl' },
    analytics: {},
    cors: { GET: 'GetBucketCors' },
    delete: { POST: 'DeleteObjects' },
    encryption: { GET: 'GetBucketEncryption' },
    'intelligent-tiering': {},
    inventory: {},
    lifecycle: { GET: 'GetBucketLifecycleConfiguration' },
    location: { GET: 'GetBucketLocation' },
    logging: { GET: 'GetBucketLogging' },
    metadataConfiguration: {},
    metadataInventoryTable: {},
    metadataJournalTable: {},
    metadataAnnotationTable: {},
    metadataTable: {},
    metrics: {},
    notification: { GET: 'GetBucketNotificationConfiguration' },
    'object-lock': { GET: 'GetObjectLockConfiguration' },
    ownershipControls: {
      GET: 'GetBucketOwnershipControls',
      PUT: 'PutBucketOwnershipControls',
      DELETE: 'DeleteBucketOwnershipControls',
    },
    policy: { GET: 'GetBucketPolicy' },
    policyStatus: { GET: 'GetBucketPolicyStatus' },
    publicAccessBlock: { GET: 'GetPublicAccessBlock' },
    replication: { GET: 'GetBucketReplication' },
    requestPayment: { GET: 'GetBucketRequestPayment' },
    session: {},
    tagging: { GET: 'GetBucketTagging', PUT: 'PutBucketTagging', DELETE: 'DeleteBucketTagging' },
    uploads: { GET: 'ListMultipartUploads' },
    versioning: { GET: 'GetBucketVersioning' },
    versions: { GET: 'ListObjectVersions' },
    website: { GET: 'GetBucketWebsite' },
  },
  object: {
    acl: { GET: 'GetObjectAcl', PUT: 'PutObjectAcl' },
    annotation: {},
    annotations: {},
    append: {},
    attributes: { GET: 'GetObjectAttributes' },
    encryption: {},
    'legal-hold': {},
    renameObject: {},
    restore: {},
    retention: {},
    select: {},
    tagging: { GET: 'GetObjectTagging', PUT: 'PutObjectTagging', DELETE: 'DeleteObjectTagging' },
    torrent: {},
    uploadId: {
      GET: 'ListParts',
      PUT: 'UploadPart',
      POST: 'CompleteMultipartUpload',
      DELETE: 'AbortMultipartUpload',
    },
    uploads: { POST: 'CreateMultipartUpload' },
  },
};

const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS']);

/** Refuses a method that no resource of S3 has, whoever asks. @throws S3Error MethodNotAllowed. */
export function refuseUnknownMethod(method: string): void {
  if (!METHODS.has(method)) {
    throw new S3Error('MethodNotAllowed', { fields: { Method: method }, headers: { Allow: [...METHODS].join(', ') } });
  }
}

/** What routing looks at. */
export interface RouteRequest {
  method: string;
  scope: Scope;
  query: ReadonlyMap<string, string>;
  headers: Readonly<Record<string, string | undefined>>;
}

/**
 * Names the operation.
 * @throws S3Error NotImplemented (known but unsupported, or browser forms), MethodNotAllowed, InvalidRequest (a
 * subresource of another scope, a copy source where nothing is copied), InvalidArgument (partNumber without uploadId).
 */
export function route(request: RouteRequest): OperationName {
  const { method, scope, query } = request;
  const found = query.size === 0 ? undefined : findSubresource(scope, query);
  const operation = found === undefined ? plainOperation(request) : subresourceOperation(found, request);
  return request.headers['x-amz-copy-source'] === undefined ? operation : copyOperation(operation, method);
}

function findSubresource(scope: Scope, query: ReadonlyMap<string, string>): string | undefined {
  let found: string | undefined;
  for (const name of query.keys()) {
    if (rowOf(scope, name) !== undefined) found ??= name;
    else refuseForeign(scope, name);
  }
  return found;
}

/** A subresource of the other scope is a mistake; `uploadId` and friends on a bucket must not become ListObjects. */
function refuseForeign(scope: Scope, name: string): void {
  if (scope === 'service') return;
  if (rowOf(scope === 'object' ? 'bucket' : 'object', name) !== undefined) throw foreignSubresource(scope, name);
}

function foreignSubresource(scope: Scope, name: string): S3Error {
  const message =
    scope === 'object'
      ? `Key is not expected for the ?${name} subresource`
      : `A key is required for the ?${name} subresource`;
  return new S3Error('InvalidRequest', { message });
}

function plainOperation({ method, scope, query, headers }: RouteRequest): OperationName {
  if (scope === 'bucket' && method === 'GET' && query.get('list-type') === '2') return 'ListObjectsV2';
  if (scope === 'object' && method === 'PUT' && query.has('partNumber')) {
    throw new S3Error('InvalidArgument', { message: 'This operation does not accept a partNumber without uploadId' });
  }
  if (method === 'POST' && scope === 'bucket' && headers['content-type']?.startsWith('multipart/form-data')) {
    throw new S3Error('NotImplemented', { message: 'Browser form uploads (POST policy) are not implemented.' });
  }
  if (method === 'OPTIONS') throw new S3Error('NotImplemented', { message: 'CORS is not implemented.' });
  return operationOf(PLAIN[scope], method) ?? refuseMethod(method, PLAIN[scope]);
}

/** Subresources that are complete: any other method on them is wrong rather than unfinished. */
const COMPLETE = new Set(['attributes', 'delete', 'location', 'uploadId', 'uploads', 'versions', 'policyStatus']);

function subresourceOperation(name: string, { method, scope }: RouteRequest): OperationName {
  const row = rowOf(scope, name)!;
  const operation = operationOf(row, method);
  if (operation !== undefined) return operation;
  const other = rowOf(scope === 'object' ? 'bucket' : 'object', name);
  if (other !== undefined && operationOf(other, method) !== undefined) throw foreignSubresource(scope, name);
  if (COMPLETE.has(name) || method === 'HEAD') return refuseMethod(method, row);
  throw new S3Error('NotImplemented', { message: `${method} ?${name} is not implemented.` });
}

function rowOf(scope: Scope, name: string): Row | undefined {
  const rows = SUBRESOURCES[scope];
  return Object.hasOwn(rows, name) ? rows[name] : undefined;
}

function operationOf(row: Row, method: string): OperationName | undefined {
  return Object.hasOwn(row, method) ? row[method as Method] : undefined;
}

function copyOperation(operation: OperationName, method: string): OperationName {
  if (operation === 'PutObject') return 'CopyObject';
  if (operation === 'UploadPart') return 'UploadPartCopy';
  throw new S3Error('InvalidRequest', { message: `x-amz-copy-source is not expected for this ${method} request` });
}

function refuseMethod(method: string, row: Row): never {
  throw new S3Error('MethodNotAllowed', {
    fields: { Method: method },
    headers: { Allow: Object.keys(row).join(', ') },
  });
}
