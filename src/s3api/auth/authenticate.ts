/** Who sent a request: checks SigV4 in the header or in the query (presigned), with S3's errors. */
import { bytesOf, trimOws } from '../../base/byte-string.ts';
import type { User } from '../../base/vocabulary.ts';
import { canonicalQuery, type Query } from '../http/query.ts';
import type { RequestHeaders } from '../protocol/request-headers.ts';
import { S3Error } from '../protocol/s3-error.ts';
import {
  ALGORITHM,
  type CanonicalParts,
  type Credential,
  canonicalPath,
  canonicalRequest,
  type Folding,
  hmacHex,
  otherFoldings,
  sameSignature,
  stringToSign,
  UNSIGNED_PAYLOAD,
} from './sigv4.ts';
import type { UserDirectory } from './user-directory.ts';

const SKEW_MS_MAX = 15 * 60 * 1000;
const PRESIGN_SEC_MAX = 7 * 24 * 3600;
const UNSUPPORTED = 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.';

/** What authentication reads of a request. */
export interface SignedRequest {
  method: string;
  rawPath: string;
  /** The whole path, decoded. */
  decodedPath: string;
  query: Query;
  headers: RequestHeaders;
}

/** What chunk signatures continue from. */
export interface Signing {
  key: Buffer;
  scope: string;
  amzDate: string;
  /** The request's own signature, hex: the first chunk's predecessor. */
  signature: string;
}

export interface Authenticated {
  user: User;
  presigned: boolean;
  /** The one that the client signs for. */
  region: string;
  /** x-amz-content-sha256 as signed: a hash, UNSIGNED-PAYLOAD or STREAMING-... */
  payloadHash: string;
  signing: Signing;
}

interface Claim {
  credential: Credential;
  amzDate: string;
  signedHeaders: string[];
  signature: string;
  payloadHash: string;
  presigned: boolean;
}

/**
 * Answers the user who signed the request.
 * @throws S3Error AccessDenied (anonymous, expired, unsigned x-amz-* headers), AuthorizationHeaderMalformed,
 * AuthorizationQueryParametersError, InvalidAccessKeyId, RequestTimeTooSkewed, SignatureDoesNotMatch (with the strings
 * the server signed), InvalidRequest (Signature V2, SigV4A), InvalidToken (session tokens).
 */
export async function authenticate(request: SignedRequest, users: UserDirectory): Promise<Authenticated> {
  const claim = readClaim(request);
  const found = users.find(claim.credential.accessKey);
  const user = found instanceof Promise ? await found : found;
  if (user === undefined) {
    throw new S3Error('InvalidAccessKeyId', { fields: { AWSAccessKeyId: claim.credential.accessKey } });
  }
  checkTime(claim, request, Date.now());
  checkAllSigned(claim, request);
  const key = users.signingKeys.get(user.secretKey, claim.credential);
  checkSignature(claim, request, key);
  const { signature, amzDate, payloadHash, presigned } = claim;
  const { region } = claim.credential;
  return { user, presigned, region, payloadHash, signing: { key, scope: claim.credential.scope, amzDate, signature } };
}

function readClaim(request: SignedRequest): Claim {
  const authorization = request.headers.authorization;
  const query = request.query.first;
  const inQuery = query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature');
  if (query.has('X-Amz-Security-Token') || request.headers['x-amz-security-token'] !== undefined) {
    throw new S3Error('InvalidToken', { message: 'Session tokens are not supported: use a permanent access key.' });
  }
  if (authorization !== undefined && inQuery) {
    throw new S3Error('InvalidArgument', {
      message:
        'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
      fields: { ArgumentName: 'Authorization', ArgumentValue: authorization },
    });
  }
  if (inQuery) return queryClaim(query, request.headers);
  if (query.has('AWSAccessKeyId') && query.has('Signature'))
    throw new S3Error('InvalidRequest', { message: UNSUPPORTED });
  if (authorization === undefined || trimOws(authorization) === '') throw new S3Error('AccessDenied');
  return headerClaim(authorization, request.headers);
}

function headerClaim(authorization: string, headers: RequestHeaders): Claim {
  if (authorization.startsWith('AWS ') || authorization.startsWith('AWS4-ECDSA-P256-SHA256')) {
    throw new S3Error('InvalidRequest', { message: UNSUPPORTED });
  }
  if (!authorization.startsWith(`${ALGORITHM} `)) {
    throw new S3Error('InvalidArgument', {
      message: 'Unsupported Authorization Type',
      fields: { ArgumentName: 'Authorization', ArgumentValue: authorization },
    });
  }
  const parts = headerComponents(authorization.slice(ALGORITHM.length + 1));
  const malformed = (detail: string, fields?: Record<string, string>): S3Error =>
    new S3Error('AuthorizationHeaderMalformed', {
      message: `The authorization header is malformed; ${detail}`,
      ...(fields === undefined ? {} : { fields }),
    });
  const named = parts.get('Credential');
  const signedHeaders = parts.get('SignedHeaders');
  const signature = parts.get('Signature');
  if (named === undefined || signedHeaders === undefined || signature === undefined) {
    throw malformed('the authorization header requires three components: Credential, SignedHeaders, and Signature.');
  }
  const credential = parseCredential(named, malformed);
  const amzDate = headerDate(headers);
  if (amzDate.slice(0, 8) !== credential.date) {
    throw malformed(
      `Invalid credential date "${credential.date}". This date is not the same as X-Amz-Date: "${amzDate.slice(0, 8)}".`,
    );
  }
  const payloadHash = headers['x-amz-content-sha256'];
  if (payloadHash === undefined) {
    throw new S3Error('InvalidRequest', {
      message: 'Missing required header for this request: x-amz-content-sha256',
    });
  }
  return {
    credential,
    amzDate,
    signedHeaders: signedHeaders.split(';'),
    signature,
    payloadHash,
    presigned: false,
  };
}

function headerComponents(text: string): Map<string, string> {
  const parts = new Map<string, string>();
  for (const piece of text.split(',')) {
    const equals = piece.indexOf('=');
    if (equals > 0) parts.set(trimOws(piece.slice(0, equals)), trimOws(piece.slice(equals + 1)));
  }
  return parts;
}

/** x-amz-date, or Date (RFC 9110) in the same form. */
function headerDate(headers: RequestHeaders): string {
  const amzDate = headers['x-amz-date'];
  if (amzDate !== undefined && parseAmzDate(amzDate) !== undefined) return amzDate;
  const date = amzDate === undefined ? Date.parse(headers.date ?? '') : Number.NaN;
  if (Number.isNaN(date)) {
    throw new S3Error('AccessDenied', { message: 'AWS authentication requires a valid Date or x-amz-date header' });
  }
  return new Date(date).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

const PRESIGN_PARAMETERS = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-Date',
  'X-Amz-SignedHeaders',
  'X-Amz-Expires',
] as const;

function queryClaim(query: ReadonlyMap<string, string>, headers: RequestHeaders): Claim {
  const malformed = (detail: string, fields?: Record<string, string>): S3Error =>
    new S3Error('AuthorizationQueryParametersError', { message: detail, ...(fields === undefined ? {} : { fields }) });
  if (PRESIGN_PARAMETERS.some((name) => !query.get(name))) {
    throw malformed(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    );
  }
  if (query.get('X-Amz-Algorithm') !== ALGORITHM) throw malformed(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  const credential = parseCredential(query.get('X-Amz-Credential')!, (detail, fields) =>
    malformed(`Error parsing the X-Amz-Credential parameter; ${detail}`, fields),
  );
  const amzDate = query.get('X-Amz-Date')!;
  if (parseAmzDate(amzDate) === undefined) {
    throw malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  }
  if (amzDate.slice(0, 8) !== credential.date) {
    throw malformed(
      `Invalid credential date "${credential.date}". This date is not the same as X-Amz-Date: "${amzDate.slice(0, 8)}".`,
    );
  }
  checkExpires(query.get('X-Amz-Expires')!, malformed);
  return {
    credential,
    amzDate,
    signedHeaders: query.get('X-Amz-SignedHeaders')!.split(';'),
    signature: query.get('X-Amz-Signature')!,
    payloadHash: headers['x-amz-content-sha256'] ?? query.get('X-Amz-Content-Sha256') ?? UNSIGNED_PAYLOAD,
    presigned: true,
  };
}

function checkExpires(text: string, malformed: (detail: string) => S3Error): void {
  if (!/^[+-]?\d+$/.test(text)) throw malformed('X-Amz-Expires should be a number');
  const seconds = Number(text);
  if (seconds < 0) throw malformed('X-Amz-Expires must be non-negative');
  if (seconds === 0) throw malformed('X-Amz-Expires must be at least 1 second');
  if (seconds > PRESIGN_SEC_MAX) {
    throw malformed(
      'X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds',
    );
  }
}

type Malformed = (detail: string, fields?: Record<string, string>) => S3Error;

/** Any region is accepted; service and terminator are not. An access key may hold slashes. */
function parseCredential(text: string, malformed: Malformed): Credential {
  const parts = text.split('/');
  if (parts.length < 5) {
    throw malformed('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  }
  const [date, region, service, terminal] = parts.slice(-4) as [string, string, string, string];
  const accessKey = parts.slice(0, -4).join('/');
  if (accessKey === '') throw malformed('the Credential is mal-formed; it names no access key.');
  if (!/^\d{8}$/.test(date)) {
    throw malformed(`incorrect date format "${date}". This date in the credential must be in the format "yyyyMMdd".`);
  }
  if (region === '') throw malformed('a non-empty region must be provided in the credential.');
  if (service !== 's3') throw malformed(`incorrect service "${service}". This endpoint belongs to "s3".`);
  if (terminal !== 'aws4_request') {
    throw malformed(`incorrect terminal "${terminal}". This endpoint uses "aws4_request".`);
  }
  return { accessKey, date, region, scope: `${date}/${region}/s3/aws4_request` };
}

/** yyyymmddThhmmssZ -> milliseconds. */
function parseAmzDate(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const ms = Date.parse(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

function checkTime(claim: Claim, request: SignedRequest, nowMs: number): void {
  const sentMs = parseAmzDate(claim.amzDate)!;
  if (!claim.presigned) {
    if (Math.abs(nowMs - sentMs) <= SKEW_MS_MAX) return;
    throw new S3Error('RequestTimeTooSkewed', {
      fields: {
        RequestTime: claim.amzDate,
        ServerTime: new Date(nowMs).toISOString(),
        MaxAllowedSkewMilliseconds: SKEW_MS_MAX,
      },
    });
  }
  const expires = request.query.first.get('X-Amz-Expires')!;
  const expiresMs = sentMs + Number(expires) * 1000;
  const fields = {
    'X-Amz-Expires': expires,
    Expires: new Date(expiresMs).toISOString(),
    ServerTime: new Date(nowMs).toISOString(),
  };
  if (nowMs > expiresMs) throw new S3Error('AccessDenied', { message: 'Request has expired', fields });
  if (sentMs - nowMs > SKEW_MS_MAX) {
    throw new S3Error('AccessDenied', { message: 'Request is not yet valid', fields });
  }
}

/**
 * Host and every x-amz-* header must be signed: else whoever relays a request could add a meaning to it. The value of
 * x-amz-content-sha256 stands in the canonical request itself, listed or not.
 */
function checkAllSigned(claim: Claim, request: SignedRequest): void {
  const signed = claim.signedHeaders;
  const missing: string[] = [];
  if (!signed.includes('host')) missing.push('host');
  for (const name in request.headers) {
    if (!name.startsWith('x-amz-') || name === 'x-amz-content-sha256') continue;
    if (!signed.includes(name)) missing.push(name);
  }
  if (missing.length === 0) return;
  throw new S3Error('AccessDenied', {
    message: 'There were headers present in the request which were not signed',
    fields: { HeadersNotSigned: missing.join(', ') },
  });
}

function checkSignature(claim: Claim, request: SignedRequest, key: Buffer): void {
  const query = canonicalQuery(request.query.pairs, claim.presigned ? 'X-Amz-Signature' : undefined);
  const { method, headers, rawPath } = request;
  const { signedHeaders, payloadHash } = claim;
  const parts = { method, path: rawPath, query, headers, signedHeaders, payloadHash };
  const canonical = canonicalRequest(parts);
  const text = stringToSign(claim.amzDate, claim.credential.scope, canonical);
  if (sameSignature(hmacHex(key, text), claim.signature)) return;
  if (otherForms(parts, request.decodedPath).some((form) => isSigned(claim, key, form))) return;
  throw new S3Error('SignatureDoesNotMatch', {
    fields: {
      AWSAccessKeyId: claim.credential.accessKey,
      StringToSign: text,
      SignatureProvided: claim.signature,
      StringToSignBytes: spacedHex(text),
      CanonicalRequest: canonical,
      CanonicalRequestBytes: spacedHex(canonical),
    },
  });
}

/**
 * Canonical requests that other readings of the specification sign for the same bytes: some clients send `(` or `~` in
 * another encoding than the one they sign, some fold white space in header values in their own way.
 */
function otherForms(parts: CanonicalParts, decodedPath: string): string[] {
  const strict = canonicalPath(decodedPath);
  const paths = strict === parts.path ? [parts.path] : [parts.path, strict];
  const foldings: Folding[] = ['spaces', ...otherFoldings(parts)];
  const forms = paths.flatMap((path) => foldings.map((folding) => canonicalRequest({ ...parts, path }, folding)));
  return forms.slice(1);
}

function isSigned(claim: Claim, key: Buffer, canonical: string): boolean {
  const text = stringToSign(claim.amzDate, claim.credential.scope, canonical);
  return sameSignature(hmacHex(key, text), claim.signature);
}

function spacedHex(text: string): string {
  return bytesOf(text)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ');
}
