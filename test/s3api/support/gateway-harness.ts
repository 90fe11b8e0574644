/** A gateway over a volume in memory, a signer for hand-made requests, and raw sockets. */
import { createHash, createHmac } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { silentLogger } from '../../../src/base/log.ts';
import type { User } from '../../../src/base/vocabulary.ts';
import { canonicalQuery, parseQuery } from '../../../src/s3api/http/query.ts';
import { type Gateway, startGateway } from '../../../src/s3api/start-gateway.ts';
import { ALICE, MemoryVolume } from './memory-vfs.ts';

export interface Harness {
  volume: MemoryVolume;
  gateway: Gateway;
  port: number;
  client(user?: User, config?: S3ClientConfig): S3Client;
  close(): Promise<void>;
}

export async function startHarness(options: { region?: string; domain?: string } = {}): Promise<Harness> {
  const volume = new MemoryVolume();
  const gateway = await startGateway({
    vfs: volume.vfs(),
    listen: { host: '127.0.0.1', port: 0 },
    region: options.region ?? 'us-east-1',
    ...(options.domain === undefined ? {} : { domain: options.domain }),
    logger: silentLogger,
  });
  const clients: S3Client[] = [];
  return {
    volume,
    gateway,
    port: Number(new URL(gateway.url).port),
    client(user = ALICE, config = {}) {
      const client = new S3Client({
        endpoint: gateway.url,
        region: 'us-east-1',
        forcePathStyle: true,
        maxAttempts: 1,
        credentials: { accessKeyId: user.accessKey, secretAccessKey: user.secretKey },
        ...config,
      });
      clients.push(client);
      return client;
    },
    async close() {
      for (const client of clients) client.destroy();
      await gateway.close();
    },
  };
}

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

export interface RawReply {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/** A connection that sends bytes as they are and reads replies one by one. */
export class RawConnection {
  readonly socket: Socket;
  #received = '';
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (data) => {
      this.#received += data.toString('latin1');
      this.#wake?.();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.#closed = true;
      this.#wake?.();
    });
  }

  send(data: string | Buffer): void {
    this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the peer has closed. */
  async ended(): Promise<void> {
    while (!this.#closed) await this.#more();
  }

  /** The next reply, interim ones (100) included. `head`: the request was HEAD, so no body follows. */
  async reply(head = false): Promise<RawReply> {
    let end = this.#received.indexOf('\r\n\r\n');
    while (end < 0) {
      await this.#moreOrThrow();
      end = this.#received.indexOf('\r\n\r\n');
    }
    const [first, ...lines] = this.#received.slice(0, end).split('\r\n');
    const status = Number(first!.split(' ')[1]);
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
    );
    const length = head || status < 200 ? 0 : Number(headers.get('content-length') ?? 0);
    while (this.#received.length < end + 4 + length) await this.#moreOrThrow();
    const body = this.#received.slice(end + 4, end + 4 + length);
    this.#received = this.#received.slice(end + 4 + length);
    return { status, headers, body };
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #moreOrThrow(): Promise<void> {
    if (this.#closed) throw new Error(`connection closed after ${JSON.stringify(this.#received)}`);
    await this.#more();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** One signed request on its own connection. */
export async function rawRequest(harness: Pick<Harness, 'port'>, request: RawRequest): Promise<RawReply> {
  const body = request.body ?? '';
  const length = { 'content-length': String(Buffer.byteLength(body)) };
  const signed = sign({ ...request, headers: { ...(body === '' ? {} : length), ...request.headers } }, harness.port);
  const connection = new RawConnection(harness.port);
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
