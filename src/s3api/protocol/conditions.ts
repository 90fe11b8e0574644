/**
 * Conditional requests. Reads are decided here against the walked object; writes are only parsed here and decided
 * inside the publishing script, so that nothing can come between the check and the write.
 */
import { trimOws } from '../../base/byte-string.ts';
import type { Precondition } from '../../meta/meta.ts';
import type { RequestHeaders } from './request-headers.ts';
import { S3Error } from './s3-error.ts';
import { parseHttpDate } from './times.ts';

/** What a read condition looks at. `etag` is without quotes; seconds since the epoch. */
export interface Validators {
  etag: string;
  mtimeSec: number;
}

/** Prefix of the four headers: a plain read, or the source of a copy. */
export type ConditionPrefix = '' | 'x-amz-copy-source-';

/**
 * Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in RFC 9110's order: a matching If-Match
 * makes If-Unmodified-Since void, an If-None-Match makes If-Modified-Since void. What is no HTTP date is ignored, and
 * so is an If-Modified-Since in the future, unless it is the very time that was shown for the object.
 * @returns false when the answer is 304; for a copy source that is PreconditionFailed instead.
 * @throws S3Error PreconditionFailed naming the condition.
 * @see RFC 9110 section 13.2.2; https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 */
export function checkReadConditions(headers: RequestHeaders, prefix: ConditionPrefix, current: Validators): boolean {
  const ifMatch = headers[`${prefix}if-match`];
  if (ifMatch !== undefined) {
    if (!matches(parseEtags(ifMatch, false), current.etag)) throw failed('If-Match');
  } else if (!unmodifiedSince(headers[`${prefix}if-unmodified-since`], current)) {
    throw failed('If-Unmodified-Since');
  }
  const ifNoneMatch = headers[`${prefix}if-none-match`];
  if (ifNoneMatch !== undefined) {
    return !matches(parseEtags(ifNoneMatch, true), current.etag) || notModified(prefix, 'If-None-Match');
  }
  if (modifiedSince(headers[`${prefix}if-modified-since`], current)) return true;
  return notModified(prefix, 'If-Modified-Since');
}

/**
 * Reads the conditions of a write; the publishing script decides them.
 * @throws S3Error InvalidArgument for a condition that cannot be read: ignoring it could overwrite what the client
 * wanted to keep.
 */
export function writePrecondition(headers: RequestHeaders): Precondition {
  const precondition: Precondition = {};
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined) precondition.ifMatch = parseEtags(ifMatch, false);
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined) precondition.ifNoneMatch = parseEtags(ifNoneMatch, true);
  return precondition;
}

/**
 * Reads the conditions of a delete: those of a write, and size and time as for directory buckets.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 */
export function deletePrecondition(headers: RequestHeaders): Precondition {
  const precondition = writePrecondition(headers);
  const size = headers['x-amz-if-match-size'];
  if (size !== undefined) precondition.ifMatchSize = conditionSize(size);
  const time = headers['x-amz-if-match-last-modified-time'];
  if (time !== undefined) precondition.ifMatchMtimeSec = conditionTime(time);
  return precondition;
}

/** A size condition, bytes. @throws S3Error InvalidArgument. */
export function conditionSize(text: string): number {
  if (!/^\d{1,16}$/.test(trimOws(text))) throw invalid('x-amz-if-match-size', text);
  return Number(text);
}

/** A time condition, seconds; HTTP and ISO dates. @throws S3Error InvalidArgument. */
export function conditionTime(text: string): number {
  // SDKs write it as an HTTP date or as ISO 8601.
  const sec = parseHttpDate(trimOws(text)) ?? Math.floor(Date.parse(text) / 1000);
  if (Number.isNaN(sec)) throw invalid('x-amz-if-match-last-modified-time', text);
  return sec;
}

/**
 * Reads a list of entity tags, with or without quotes; `*` stays '*'. A weak tag never equals one in a strong
 * comparison.
 */
export function parseEtags(value: string, weak: boolean): string[] {
  const tags: string[] = [];
  for (const item of value.split(',')) {
    const text = trimOws(item);
    if (text === '') continue;
    const plain = weak && text.startsWith('W/') ? text.slice(2) : text;
    tags.push(unquoteEtag(plain));
  }
  return tags;
}

/** An entity tag without its quotes. */
export function unquoteEtag(text: string): string {
  const trimmed = trimOws(text);
  return trimmed.length >= 2 && trimmed.startsWith('"') && trimmed.endsWith('"') ? trimmed.slice(1, -1) : trimmed;
}

function matches(tags: string[], etag: string): boolean {
  return tags.includes('*') || tags.includes(etag);
}

function unmodifiedSince(header: string | undefined, current: Validators): boolean {
  const until = header === undefined ? undefined : parseHttpDate(header);
  return until === undefined || current.mtimeSec <= until;
}

function modifiedSince(header: string | undefined, current: Validators): boolean {
  const since = header === undefined ? undefined : parseHttpDate(header);
  if (since === undefined || current.mtimeSec > since) return true;
  return since * 1000 > Date.now() && since !== current.mtimeSec;
}

function notModified(prefix: ConditionPrefix, condition: string): false {
  if (prefix !== '') throw failed(`x-amz-copy-source-${condition}`);
  return false;
}

function failed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', { fields: { Condition: condition } });
}

function invalid(name: string, value: string): S3Error {
  return new S3Error('InvalidArgument', {
    message: `${name} is not valid`,
    fields: { ArgumentName: name, ArgumentValue: value },
  });
}
