import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export const TEST_KEY = 'TESTKEY';
export const TEST_SECRET = 'test/secret+key';
export const TEST_REGION = 'test-region-1';
export const TEST_BUCKET = 'bucket';

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: Buffer | string;
  /** The answer waits for this. */
  after?: Promise<void>;
}

/** How far a client's clock may be off. */
const SKEW_MS_MAX = 15 * 60 * 1000;

/**
 * Enough of S3 for the driver: GET with Range, PUT, HEAD, ListObjectsV2, DeleteObjects. Checks the signature of every
 * request with its own reading of the specification, from the request as it arrived.
 */
export class S3TestServer {
  readonly objects = new Map<string, { data: Buffer; modified: Date }>();
  /** Answers given instead of serving, first in first out. */
  readonly planned: Answer[] = [];
  readonly requests: {
    method: string;
    url: string;
    host: string;
    payload: string;
    token: string | undefined;
    headers: IncomingHttpHeaders;
  }[] = [];
  secret = TEST_SECRET;
  /** The server's clock minus the true one. */
  clockOffsetMs = 0;
  pageKeysMax = 1000;
  /** Keys that DeleteObjects refuses. */
  readonly undeletable = new Set<string>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error) => {
        response.writeHead(500).end(String(error));
      });
    });
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const payload = String(request.headers['x-amz-content-sha256']);
    this.requests.push({
      method: request.method!,
      url: request.url!,
      host: request.headers.host!,
      payload,
      token: request.headers['x-amz-security-token'] as string | undefined,
      headers: request.headers,
    });
    const wrong = this.#checkSignature(request, body);
    const answer = wrong !== undefined ? errorAnswer(403, wrong) : (this.planned.shift() ?? this.#serve(request, body));
    await answer.after;
    const bytes = Buffer.from(answer.body ?? '');
    const length = request.method === 'HEAD' ? undefined : String(bytes.length);
    response.writeHead(answer.status, {
      date: new Date(Date.now() + this.clockOffsetMs).toUTCString(),
      ...(length === undefined ? {} : { 'content-length': length }),
      ...answer.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  /** @returns the error code, undefined when the signature is right. */
  #checkSignature(request: IncomingMessage, body: Buffer): string | undefined {
    const { authorization = '' } = request.headers;
    const match =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
        authorization,
      );
    if (match === null) return 'AccessDenied';
    const [, accessKey, day, region, signedHeaders, signature] = match as unknown as string[];
    if (accessKey !== TEST_KEY) return 'InvalidAccessKeyId';
    if (region !== TEST_REGION) return 'AuthorizationHeaderMalformed';
    if (Math.abs(requestTimeMs(request) - Date.now() - this.clockOffsetMs) > SKEW_MS_MAX) return 'RequestTimeTooSkewed';
    const payload = String(request.headers['x-amz-content-sha256']);
    const actual = createHash('sha256').update(body).digest('hex');
    if (payload !== 'UNSIGNED-PAYLOAD' && payload !== actual) return 'XAmzContentSHA256Mismatch';
    const names = signedHeaders!.split(';');
    for (const name of Object.keys(request.headers)) {
      const mustBeSigned = name === 'host' || name.startsWith('x-amz-') || name === 'content-md5';
      if (mustBeSigned && !names.includes(name)) return 'AccessDenied';
    }
    const [path, query = ''] = request.url!.split('?') as [string, string?];
    const canonical = [
      request.method,
      path,
      query.split('&').sort().join('&'),
      names.map((name) => `${name}:${String(request.headers[name]).trim()}\n`).join(''),
      names.join(';'),
      payload,
    ].join('\n');
    const date = String(request.headers['x-amz-date']);
    const scope = `${day}/${region}/s3/aws4_request`;
    const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
    const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();
    const key = hmac(hmac(hmac(hmac(`AWS4${this.secret}`, day!), region!), 's3'), 'aws4_request');
    return hmac(key, toSign).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch';
  }

  #serve(request: IncomingMessage, body: Buffer): Answer {
    const url = new URL(request.url!, 'http://x');
    const virtual = request.headers.host!.startsWith(`${TEST_BUCKET}.`);
    const path = decodeURIComponent(url.pathname).slice(1);
    const [bucket, ...rest] = virtual ? [TEST_BUCKET, path] : path.split('/');
    if (bucket !== TEST_BUCKET) return errorAnswer(404, 'NoSuchBucket');
    const key = rest.join('/');
    if (key === '') return url.searchParams.has('delete') ? this.#delete(request, body) : this.#list(url);
    if (request.method === 'PUT') {
      this.objects.set(key, { data: body, modified: new Date() });
      return { status: 200 };
    }
    const object = this.objects.get(key);
    if (object === undefined) return errorAnswer(404, 'NoSuchKey');
    const headers = { 'last-modified': object.modified.toUTCString() };
    if (request.method === 'HEAD') {
      return { status: 200, headers: { ...headers, 'content-length': String(object.data.length) } };
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (range === null) return { status: 200, headers, body: object.data };
    if (Number(range[1]) >= object.data.length) return errorAnswer(416, 'InvalidRange');
    return { status: 206, headers, body: object.data.subarray(Number(range[1]), Number(range[2]) + 1) };
  }

  #list(url: URL): Answer {
    const prefix = url.searchParams.get('prefix') ?? '';
    const after = url.searchParams.get('start-after') ?? '';
    const limit = Math.min(this.pageKeysMax, Number(url.searchParams.get('max-keys') ?? 1000));
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, limit).map((key) => {
      const { data, modified } = this.objects.get(key)!;
      return `<Contents><Key>${escapeXml(key)}</Key><LastModified>${modified.toISOString()}</LastModified><ETag>&quot;x&quot;</ETag><Size>${data.length}</Size></Contents>`;
    });
    const xml = `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>${keys.length > limit}</IsTruncated>${page.join('')}</ListBucketResult>`;
    return { status: 200, body: xml };
  }

  #delete(request: IncomingMessage, body: Buffer): Answer {
    const md5 = createHash('md5').update(body).digest('base64');
    if (request.headers['content-md5'] !== md5) return errorAnswer(400, 'BadDigest');
    const keys = [...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => unescapeXml(match[1]!));
    if (keys.length > 1000) return errorAnswer(400, 'MalformedXML');
    const errors = keys.filter((key) => this.undeletable.has(key));
    for (const key of keys) if (!this.undeletable.has(key)) this.objects.delete(key);
    const xml = errors.map(
      (key) => `<Error><Key>${escapeXml(key)}</Key><Code>AccessDenied</Code><Message>no</Message></Error>`,
    );
    return { status: 200, body: `<DeleteResult>${xml.join('')}</DeleteResult>` };
  }
}

/** x-amz-date, 20130524T000000Z. */
function requestTimeMs(request: IncomingMessage): number {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(request.headers['x-amz-date']));
  if (parts === null) return Number.NaN;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [number, ...number[]];
  return Date.UTC(year, month! - 1, day, hour, minute, second);
}

const REFERENCES = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&#34;'],
  ["'", '&#39;'],
]);

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => REFERENCES.get(character)!);
}

function unescapeXml(text: string): string {
  const named = new Map([...REFERENCES].map(([character, reference]) => [reference, character]));
  return text.replace(/&#x([0-9a-fA-F]+);|&#(\d+);|&\w+;/g, (reference, hex?: string, decimal?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return named.get(reference) ?? { '&quot;': '"', '&apos;': "'" }[reference] ?? reference;
  });
}

export function errorAnswer(status: number, code: string, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers,
    body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said by the test</Message></Error>`,
  };
}
