/** One reading of S3's errors, whichever half of the driver met them. */
import { XMLParser } from 'fast-xml-parser';
import { ObjectMissingError } from '../chunks.ts';
import type { S3StoreOptions } from './s3-options.ts';
import { StoreError } from './store-error.ts';

/** An answer that is no success. */
export interface ErrorAnswer {
  status: number;
  /** S3's word for it, '' when the answer names none: no body (HEAD), or not S3's (a proxy's page). */
  code: string;
  message: string;
  /** Lower-case names. */
  headers: Record<string, string | string[] | undefined>;
}

interface Elements {
  Code?: unknown;
  Message?: unknown;
  Error?: Elements;
}

/** Error documents of S3 are a few hundred bytes; what is longer is something else. */
const ERROR_BYTES_MAX = 64 * 1024;
const NO_ERROR = { code: '', message: '' };

// Options are spelled out so that a release of the parser cannot change what an error means.
const parser = new XMLParser({
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: true,
  processEntities: true,
  htmlEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: 16,
});

/**
 * Reads Code and Message of an error document. Never throws: what is no such document has an empty code. Entities are
 * XML's own five; a document that declares others is none of S3's.
 */
export function readErrorBody(body: Buffer): { code: string; message: string } {
  if (body.length === 0 || body.length > ERROR_BYTES_MAX) return NO_ERROR;
  const text = body.toString('utf8');
  if (text.includes('<!DOCTYPE')) return NO_ERROR;
  try {
    const [root] = Object.values(parser.parse(text) as Record<string, Elements | undefined>);
    const error = root?.Error ?? root; // Some servers wrap it into an ErrorResponse.
    return { code: textOf(error?.Code), message: textOf(error?.Message) };
  } catch {
    return NO_ERROR;
  }
}

/** An element's text; an element that is missing, repeated or holds others has none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The store's session token is over: new credentials must be fetched before the next request. */
export function isExpiredToken(code: string): boolean {
  return code === 'ExpiredToken' || code === 'ExpiredTokenException';
}

/** What was tried, as the start of a message. @param key undefined: with the bucket itself. */
export function attempted(verb: string, key: string | undefined, options: S3StoreOptions): string {
  return `cannot ${verb} ${key === undefined ? `bucket ${options.bucket}` : `object ${key}`} at ${options.endpoint.host}`;
}

/**
 * Turns an error answer into what retry and people need to know.
 * @returns ObjectMissingError for a key that is not there, StoreError for everything else.
 */
export function s3Failure(
  verb: string,
  key: string | undefined,
  answer: ErrorAnswer,
  options: S3StoreOptions,
): ObjectMissingError | StoreError {
  const { status, code, message, headers } = answer;
  if (status === 404 && key !== undefined && code !== 'NoSuchBucket') return new ObjectMissingError(key);
  const actual = headers['x-amz-bucket-region'];
  const advice =
    status === 301 || code === 'AuthorizationHeaderMalformed'
      ? `; it is not in region ${options.region}${actual === undefined ? '' : ` but in ${String(actual)}`}`
      : (ADVICE.get(code) ?? '');
  const text = `${attempted(verb, key, options)}: ${status} ${code} ${message}${advice}`.trim();
  const retryable = isRetryableStatus(status) || isRetryableCode(code);
  return new StoreError(text, { retryable, retryAfterMs: retryAfterMs(headers['retry-after']) });
}

const ADVICE: ReadonlyMap<string, string> = new Map([
  ['NoSuchBucket', '; create the bucket or correct the store URL'],
  ['InvalidAccessKeyId', '; the access key is unknown there: check AWS_ACCESS_KEY_ID'],
  ['SignatureDoesNotMatch', '; the secret key is wrong: check AWS_SECRET_ACCESS_KEY'],
  ['AccessDenied', '; the credentials lack s3:GetObject, PutObject, DeleteObject or ListBucket'],
]);

const RETRYABLE_CODES: ReadonlySet<string> = new Set([
  'SlowDown',
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'OperationAborted',
  'ExpiredToken',
  'ExpiredTokenException',
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
]);

export function isRetryableCode(code: string): boolean {
  return RETRYABLE_CODES.has(code);
}

function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501);
}

/** Retry-After in milliseconds (RFC 9110 10.2.3): seconds or a date. 0 when there is none. */
function retryAfterMs(value: string | string[] | undefined): number {
  if (typeof value !== 'string') return 0;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : 0;
}
