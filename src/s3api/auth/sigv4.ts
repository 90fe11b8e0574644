/**
 * AWS Signature Version 4: the strings that are signed and the keys that sign them. Pure; who may sign is
 * authenticate.ts's business.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { bytesOf, trimOws } from '../../base/byte-string.ts';
import { LruCache } from '../../base/lru.ts';
import { uriEncode } from '../http/query.ts';
import type { RequestHeaders } from '../protocol/request-headers.ts';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** `AKID/20261122/us-east-1/s3/aws4_request`, taken apart. */
export interface Credential {
  accessKey: string;
  /** yyyymmdd */
  date: string;
  region: string;
  /** `date/region/s3/aws4_request` */
  scope: string;
}

/**
 * What a client does to spaces and tabs inside a header value before it signs. SigV4 says `spaces`; some libraries fold
 * tabs too and some nothing at all.
 */
export type Folding = 'spaces' | 'blanks' | 'none';

export interface CanonicalParts {
  method: string;
  /** Encoded as it is signed. */
  path: string;
  /** canonicalQuery()'s. */
  query: string;
  headers: RequestHeaders;
  /** Lower case, sorted, as the client listed them. */
  signedHeaders: readonly string[];
  payloadHash: string;
}

/** The canonical request, as latin1 text (header values are bytes). */
export function canonicalRequest(parts: CanonicalParts, folding: Folding = 'spaces'): string {
  let headers = '';
  for (const name of parts.signedHeaders) headers += `${name}:${canonicalValue(parts.headers[name] ?? '', folding)}\n`;
  return `${parts.method}\n${parts.path}\n${parts.query}\n${headers}\n${parts.signedHeaders.join(';')}\n${parts.payloadHash}`;
}

/** The path of a canonical request made from decoded bytes: what a client signs that encodes by the book. */
export function canonicalPath(decoded: string): string {
  return uriEncode(decoded, true);
}

export function stringToSign(amzDate: string, scope: string, canonical: string): string {
  return `${ALGORITHM}\n${amzDate}\n${scope}\n${sha256Hex(canonical)}`;
}

export function sha256Hex(latin1: string): string {
  return createHash('sha256').update(latin1, 'latin1').digest('hex');
}

export function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest();
}

export function hmacHex(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text, 'latin1').digest('hex');
}

/** Compares two signatures in hex in constant time. */
export function sameSignature(expected: string, given: string): boolean {
  const a = bytesOf(expected);
  const b = bytesOf(given);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Derives signing keys and keeps the most recent ones: a derivation is four HMACs, a day's requests share it. */
export class SigningKeys {
  readonly #kept = new LruCache<string, Buffer>(1000);

  /** The key for this secret and scope. */
  get(secretKey: string, credential: Credential): Buffer {
    const name = `${credential.accessKey}\n${credential.scope}\n${secretKey}`;
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept;
    const secret = Buffer.from(`AWS4${secretKey}`, 'utf8');
    const key = hmac(hmac(hmac(hmac(secret, credential.date), credential.region), 's3'), 'aws4_request');
    this.#kept.set(name, key);
    return key;
  }

  /** Forgets everything (users changed). */
  clear(): void {
    this.#kept.clear();
  }
}

/** Foldings beside SigV4's own that would sign these headers differently; none for nearly every request. */
export function otherFoldings({ headers, signedHeaders }: CanonicalParts): Folding[] {
  return signedHeaders.some((name) => /\t| {2}/.test(trimOws(headers[name] ?? ''))) ? ['blanks', 'none'] : [];
}

/** Trimmed, runs made one space. */
function canonicalValue(value: string, folding: Folding): string {
  const trimmed = trimOws(value);
  if (folding === 'none') return trimmed;
  if (folding === 'blanks') return trimmed.replace(/[ \t]+/g, ' ');
  return trimmed.includes('  ') ? trimmed.replace(/ +/g, ' ') : trimmed;
}
