/**
 * S3's failures: one literal table (code -> status -> AWS's message), and the one place where an errno of the file
 * system becomes a code, given what was missing.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
import { type ErrnoCode, FsError } from '../../base/errors.ts';

const TABLE = {
  AccessControlListNotSupported: [400, 'The bucket does not allow ACLs.'],
  AccessDenied: [403, 'Access Denied'],
  AuthorizationHeaderMalformed: [400, 'The authorization header that you provided is not valid.'],
  AuthorizationQueryParametersError: [400, 'The authorization query parameters that you provided are not valid.'],
  BadDigest: [400, 'The Content-MD5 you specified did not match what we received.'],
  BadRequest: [400, 'An error occurred when parsing the HTTP request.'],
  BucketAlreadyExists: [
    409,
    'The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.',
  ],
  BucketAlreadyOwnedByYou: [409, 'Your previous request to create the named bucket succeeded and you already own it.'],
  BucketNotEmpty: [409, 'The bucket you tried to delete is not empty'],
  ConditionalRequestConflict: [
    409,
    'The conditional request cannot succeed due to a conflicting operation against this resource.',
  ],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed size'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed size'],
  ExpiredToken: [400, 'The provided token has expired.'],
  IncompleteBody: [400, 'You did not provide the number of bytes specified by the Content-Length HTTP header'],
  InsufficientStorage: [507, 'The volume has no space left. Delete data or enlarge the volume and try again.'],
  InternalError: [500, 'We encountered an internal error. Please try again.'],
  InvalidAccessKeyId: [403, 'The AWS Access Key Id you provided does not exist in our records.'],
  InvalidArgument: [400, 'Invalid Argument'],
  InvalidBucketName: [400, 'The specified bucket is not valid.'],
  InvalidChunkSizeError: [400, 'Only the last chunk is allowed to have a size less than 8192 bytes'],
  InvalidDigest: [400, 'The Content-MD5 you specified was invalid.'],
  InvalidLocationConstraint: [400, 'The specified location-constraint is not valid'],
  InvalidObjectState: [403, 'The operation is not valid for the current state of the object.'],
  InvalidPart: [
    400,
    "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
  ],
  InvalidPartNumber: [416, 'The requested partnumber is not satisfiable'],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order. Parts must be ordered by part number.'],
  InvalidRange: [416, 'The requested range is not satisfiable'],
  InvalidRedirectLocation: [400, "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."],
  InvalidRequest: [400, 'The request is not valid.'],
  InvalidStorageClass: [400, 'The storage class you specified is not valid'],
  InvalidTag: [400, 'The tag that you provided is not valid.'],
  InvalidToken: [400, 'The provided token is malformed or otherwise invalid.'],
  InvalidURI: [400, "Couldn't parse the specified URI."],
  KeyTooLongError: [400, 'Your key is too long'],
  MalformedACLError: [400, 'The XML you provided was not well-formed or did not validate against our published schema'],
  MalformedTrailerError: [
    400,
    'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  ],
  MalformedXML: [400, 'The XML you provided was not well-formed or did not validate against our published schema'],
  MaxMessageLengthExceeded: [400, 'Your request was too big.'],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  MissingRequestBodyError: [400, 'Request Body is empty'],
  NoSuchBucket: [404, 'The specified bucket does not exist'],
  NoSuchBucketPolicy: [404, 'The bucket policy does not exist'],
  NoSuchCORSConfiguration: [404, 'The CORS configuration does not exist'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchLifecycleConfiguration: [404, 'The lifecycle configuration does not exist'],
  NoSuchPublicAccessBlockConfiguration: [404, 'The public access block configuration was not found'],
  NoSuchTagSet: [404, 'The TagSet does not exist'],
  NoSuchUpload: [
    404,
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
  ],
  NoSuchVersion: [404, 'The specified version does not exist.'],
  NoSuchWebsiteConfiguration: [404, 'The specified bucket does not have a website configuration'],
  NotImplemented: [501, 'A header you provided implies functionality that is not implemented'],
  NotModified: [304, 'Not Modified'],
  ObjectLockConfigurationNotFoundError: [404, 'Object Lock configuration does not exist for this bucket'],
  OperationAborted: [
    409,
    'A conflicting conditional operation is currently in progress against this resource. Try again.',
  ],
  OwnershipControlsNotFoundError: [404, 'The bucket ownership controls were not found'],
  PreconditionFailed: [412, 'At least one of the pre-conditions you specified did not hold'],
  QuotaExceeded: [403, 'The quota of this volume is used up. Delete data and try again.'],
  ReplicationConfigurationNotFoundError: [404, 'The replication configuration was not found'],
  RequestHeaderSectionTooLarge: [431, 'Your request header section exceeds the maximum allowed size.'],
  RequestTimeTooSkewed: [403, 'The difference between the request time and the current time is too large.'],
  RequestTimeout: [
    400,
    'Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.',
  ],
  ServerSideEncryptionConfigurationNotFoundError: [404, 'The server side encryption configuration was not found'],
  ServiceUnavailable: [503, 'Service is unable to handle request.'],
  SignatureDoesNotMatch: [
    403,
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  ],
  SlowDown: [503, 'Please reduce your request rate.'],
  TooManyTags: [400, 'The number of tags exceeds the limit.'],
  UnexpectedContent: [400, 'This request contains unsupported content.'],
  XAmzContentChecksumMismatch: [400, 'The provided checksum does not match the computed checksum.'],
  XAmzContentSHA256Mismatch: [400, "The provided 'x-amz-content-sha256' header does not match what was computed."],
} as const satisfies Record<string, readonly [number, string]>;

export type S3ErrorCode = keyof typeof TABLE;

export interface S3ErrorOptions {
  /** Replaces AWS's message; must name no secret. */
  message?: string;
  /** Further elements of the error document (ArgumentName, Condition, ...), in order. Byte strings. */
  fields?: Record<string, string | number>;
  /** Further response headers. */
  headers?: Record<string, string>;
  /** Why, for the log only. */
  reason?: string;
  cause?: unknown;
}

/** A request that S3 refuses: thrown anywhere behind the gateway, answered by the server as the error document. */
export class S3Error extends Error {
  readonly code: S3ErrorCode;
  readonly status: number;
  readonly fields: Record<string, string | number>;
  readonly headers: Record<string, string>;
  readonly reason: string | undefined;

  constructor(code: S3ErrorCode, options: S3ErrorOptions = {}) {
    super(options.message ?? TABLE[code][1], options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'S3Error';
    this.code = code;
    this.status = TABLE[code][0];
    this.fields = options.fields ?? {};
    this.headers = options.headers ?? {};
    this.reason = options.reason;
  }
}

/** Tells whether an error is an S3Error with this code. */
export function isS3Error(error: unknown, code?: S3ErrorCode): error is S3Error {
  return error instanceof S3Error && (code === undefined || error.code === code);
}

/** What an ENOENT of an operation means. */
export type Absent = 'bucket' | 'key' | 'upload';

const ABSENT_CODE: Record<Absent, S3ErrorCode> = { bucket: 'NoSuchBucket', key: 'NoSuchKey', upload: 'NoSuchUpload' };

/** errno -> code. ENOENT is decided by what was missing; a code left out is an InternalError. */
const ERRNO_CODE: Partial<Record<ErrnoCode, S3ErrorCode>> = {
  EACCES: 'AccessDenied',
  EPERM: 'AccessDenied',
  EROFS: 'AccessDenied',
  // A precondition that did not hold inside the publishing script.
  ECANCELED: 'PreconditionFailed',
  EDQUOT: 'QuotaExceeded',
  ENOSPC: 'InsufficientStorage',
  EFBIG: 'EntityTooLarge',
  EINVAL: 'InvalidArgument',
  ENAMETOOLONG: 'KeyTooLongError',
  ENOTEMPTY: 'BucketNotEmpty',
  EEXIST: 'BucketAlreadyExists',
  EAGAIN: 'SlowDown',
  EBUSY: 'OperationAborted',
  EDEADLK: 'OperationAborted',
  ETIMEDOUT: 'ServiceUnavailable',
  ENOSYS: 'NotImplemented',
  EOPNOTSUPP: 'NotImplemented',
};

/**
 * Turns whatever an operation threw into the S3Error to answer. ENOENT (and ENOTDIR, ELOOP on the way to a key) become
 * NoSuchBucket, NoSuchKey or NoSuchUpload by `absent`; unknown errors become InternalError with the cause attached.
 */
export function toS3Error(error: unknown, absent: Absent): S3Error {
  if (error instanceof S3Error) return error;
  if (!(error instanceof FsError)) return new S3Error('InternalError', { cause: error });
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ELOOP' || error.code === 'ESTALE') {
    return new S3Error(ABSENT_CODE[absent], { cause: error });
  }
  return new S3Error(ERRNO_CODE[error.code] ?? 'InternalError', { cause: error });
}
