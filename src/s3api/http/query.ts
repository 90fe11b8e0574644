/** Query strings as S3 reads and signs them: bytes, '+' is a space, names without a value have the value ''. */

import { hexByte } from '../../base/byte-string.ts';
import { S3Error } from '../protocol/s3-error.ts';
import { decodeBytes } from './key-path.ts';

const PARAMETERS_MAX = 100;
const EMPTY: ReadonlyMap<string, string> = new Map();

export interface Query {
  /** First value by name, in order. */
  first: ReadonlyMap<string, string>;
  /** Every pair, in order. */
  pairs: readonly (readonly [string, string])[];
}

/** Decodes a raw query. @throws S3Error InvalidURI (bad percent-encoding, more than 100 parameters). */
export function parseQuery(raw: string): Query {
  if (raw === '') return { first: EMPTY, pairs: [] };
  const first = new Map<string, string>();
  const pairs: (readonly [string, string])[] = [];
  for (const piece of raw.split('&')) {
    if (piece === '') continue;
    const equals = piece.indexOf('=');
    const name = decodeParameter(equals < 0 ? piece : piece.slice(0, equals));
    const value = equals < 0 ? '' : decodeParameter(piece.slice(equals + 1));
    if (pairs.length === PARAMETERS_MAX) throw new S3Error('InvalidURI', { message: 'Too many query parameters.' });
    pairs.push([name, value]);
    if (!first.has(name)) first.set(name, value);
  }
  return { first, pairs };
}

/** The canonical query of a signature: strictly encoded, sorted by name, then value. `omit` is left out. */
export function canonicalQuery(pairs: Query['pairs'], omit?: string): string {
  if (pairs.length === 0) return '';
  const encoded: [string, string][] = [];
  for (const [name, value] of pairs) {
    if (name !== omit) encoded.push([uriEncode(name), uriEncode(value)]);
  }
  encoded.sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
  return encoded.map(([name, value]) => `${name}=${value}`).join('&');
}

/** Percent-encodes bytes but A-Z a-z 0-9 - . _ ~ (RFC 3986 unreserved), and '/' when it is to be kept. */
export function uriEncode(bytes: string, keepSlash = false): string {
  const pattern = keepSlash ? /[^A-Za-z0-9\-._~/]/g : /[^A-Za-z0-9\-._~]/g;
  return bytes.replace(pattern, (one) => `%${hexByte(one.charCodeAt(0))}`);
}

function decodeParameter(raw: string): string {
  return decodeBytes(raw.includes('+') ? raw.replaceAll('+', ' ') : raw);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
