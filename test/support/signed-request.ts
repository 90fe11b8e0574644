/** Requests that no SDK makes: a signer that does not share the server's code, and their way over a raw connection. */
import { createHash, createHmac } from 'node:crypto';
import type { User } from '../../src/base/vocabulary.ts';
import { canonicalQuery, parseQuery } from '../../src/s3api/http/query.ts';
import { ALICE } from './callers.ts';
import { RawConnection, type RawReply } from './raw-connection.ts';

export interface RawRequest {
  method: string;
  /** As on the request line. */
  target: string;
  headers?: Record<string, string>;
  user?: User;
  /** x-amz-content-sha256; the body's hash when left out. */
  payloadHash?: string;
  body?: string | Buffer;
  /** yyyymmddThhmmssZ; now when left out. */
  amzDate?: string;
  /** Region of the scope. */
  region?: string;
  /** What the client makes of a header's value before it signs; without blanks at the ends when left out. */
  signedForm?: (value: string) => string;
  /** Headers that are sent and not signed. */
  unsigned?: string[];
}

export interface Signed {
  head: string;
  signature: string;
  key: Buffer;
  scope: string;
  amzDate: string;
}

export function amzNow(offsetMs = 0): string {
  return new Date(Date.now() + offsetMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

export function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

export function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest();
}

/** Signs independently of the server's code (but for the canonical query) and writes the request's head. */
export function sign(request: RawRequest, port: number): Signed {
  const { method, target, user = ALICE, body = '', amzDate = amzNow(), region = 'us-east-1' } = request;
  const [path, rawQuery = ''] = target.split(/\?(.*)/s) as [string, string?];
  const payloadHash = request.payloadHash ?? sha256(body);
  const headers: Record<string, string> = {
    host: `127.0.0.1:${port}`,
    'x-amz-date': amzDate,
    'x-amz-content-sha256': payloadHash,
    ...request.headers,
  };
  const { signedForm = (value) => value.replace(/^[ \t]+|[ \t]+$/g, ''), unsigned = [] } = request;
  const names = Object.keys(headers)
    .map((name) => name.toLowerCase())
    .filter((name) => !['content-length', 'expect', 'transfer-encoding', 'connection', ...unsigned].includes(name))
    .sort();
  const byName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const canonicalHeaders = names.map((name) => `${name}:${signedForm(byName.get(name)!)}\n`).join('');
  const canonical = [
    method,
    path,
    canonicalQuery(parseQuery(rawQuery).pairs),
    canonicalHeaders,
    names.join(';'),
    payloadHash,
  ];
  const date = amzDate.slice(0, 8);
  const scope = `${date}/${region}/s3/aws4_request`;
  const key = hmac(hmac(hmac(hmac(`AWS4${user.secretKey}`, date), region), 's3'), 'aws4_request');
  const hashed = createHash('sha256').update(canonical.join('\n'), 'latin1').digest('hex');
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${hashed}`).toString('hex');
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${user.accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return { head: `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`, signature, key, scope, amzDate };
}

/** One signed request on its own connection. */
export async function rawRequest(to: { port: number }, request: RawRequest): Promise<RawReply> {
  const body = request.body ?? '';
  const length = { 'content-length': String(Buffer.byteLength(body)) };
  const signed = sign({ ...request, headers: { ...(body === '' ? {} : length), ...request.headers } }, to.port);
  const connection = new RawConnection(to.port);
  connection.send(signed.head);
  connection.send(body);
  try {
    return await connection.reply(request.method === 'HEAD');
  } finally {
    connection.destroy();
  }
}

/** `<name>...</name>` of a body, undefined when there is none. */
export function xmlText(body: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1];
}
