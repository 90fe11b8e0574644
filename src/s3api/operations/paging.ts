/** What all operations that answer page by page read: counts, and the token that continues a listing. */
import { type ByteString, byteStringOf, bytesOf } from '../../base/byte-string.ts';
import { S3Error } from '../protocol/s3-error.ts';
import type { S3Request } from './operation.ts';

const INT32_MAX = 2 ** 31 - 1;
/** Tells tokens of this form from others, should the form ever change. */
const TOKEN_FORM = '1';

/**
 * Reads a count. Values above valueMax mean valueMax.
 * @throws S3Error InvalidArgument when it is no number or below valueMin.
 */
export function countParameter(
  request: S3Request,
  name: string,
  limits: { valueMin: number; valueMax: number; absent: number },
): number {
  const text = request.query.get(name);
  if (text === undefined || text === '') return limits.absent;
  const value = /^[+-]?\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw invalidArgument(name, text, `Provided ${name} not an integer or within integer range`);
  if (value < limits.valueMin || value > INT32_MAX) {
    throw invalidArgument(
      name,
      text,
      `Argument ${name} must be an integer between ${limits.valueMin} and ${INT32_MAX}`,
    );
  }
  return Math.min(value, limits.valueMax);
}

export function invalidArgument(name: string, value: string, message: string): S3Error {
  return new S3Error('InvalidArgument', { message, fields: { ArgumentName: name, ArgumentValue: value } });
}

/** The token that continues a listing behind a name or key. It says all there is to know: no listing keeps state. */
export function writeToken(after: ByteString): string {
  return TOKEN_FORM + bytesOf(after).toString('base64url');
}

/** Reads a token of writeToken(). @throws S3Error InvalidArgument. */
export function readToken(token: string): ByteString {
  const bytes = Buffer.from(token.slice(1), 'base64url');
  if (token[0] !== TOKEN_FORM || bytes.length === 0 || bytes.toString('base64url') !== token.slice(1)) {
    throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect');
  }
  return byteStringOf(bytes);
}
