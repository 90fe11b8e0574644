/**
 * Objects in an S3 bucket. Blocks (GET and PUT) go over own signatures (s3-signer.ts) and an undici pool; every other
 * call is the AWS SDK's (s3-control.ts). Measured with bench/store-cpu.ts (2 virtual CPUs, Node 20.20), CPU of this
 * process per block of 4 KiB:
 *
 *                16 in flight       1 in flight
 *                own      SDK       own      SDK
 *     GET       39 us   490 us    110 us   510 us
 *     PUT       44 us   510 us    120 us   535 us
 *
 * Everything here runs on one thread, so half a millisecond for each small block would be what a mount waits for.
 */
import { createHash } from 'node:crypto';
import { Pool } from 'undici';
import type { ByteRange, ObjectStore } from '../chunks.ts';
import { S3Control } from './s3-control.ts';
import { CachedCredentials } from './s3-credentials.ts';
import { isExpiredToken, readErrorBody, s3Failure } from './s3-failure.ts';
import { ANSWER_TIMEOUT_MS, CONNECT_TIMEOUT_MS, type S3StoreOptions } from './s3-options.ts';
import { type S3Response, sendRequest } from './s3-request.ts';
import { EMPTY_SHA256, encodeS3Path, S3Signer, UNSIGNED_PAYLOAD } from './s3-signer.ts';

interface Call {
  method: 'GET' | 'PUT';
  key: string;
  headers: Record<string, string>;
  body?: readonly Buffer[];
  signal: AbortSignal | undefined;
  progress?: (() => void) | undefined;
}

/** Bodies are handed to the connection in pieces of at most this: as it takes one, the request makes progress. */
const PIECE_BYTES = 256 * 1024;
/** Bodies up to this long are sent as one buffer: joining them is cheaper than several writes. */
const JOIN_BYTES_MAX = 256 * 1024;

export class S3Store implements ObjectStore {
  readonly url: string;
  readonly #options: S3StoreOptions;
  readonly #pool: Pool;
  readonly #host: string;
  readonly #signer: S3Signer;
  readonly #credentials: CachedCredentials;
  readonly #control: S3Control;
  /** Server clock minus ours, learnt when the server calls our time wrong. */
  #clockSkewMs = 0;

  constructor(options: S3StoreOptions) {
    const { endpoint, bucket, prefix, region, style, lookup } = options;
    this.#options = options;
    this.#host = style === 'virtual' ? `${bucket}.${endpoint.host}` : endpoint.host;
    this.#pool = new Pool(`${endpoint.protocol}//${this.#host}`, {
      connections: options.connections,
      pipelining: 1,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...(lookup === undefined ? {} : { lookup }) },
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 300_000,
    });
    this.#signer = new S3Signer(region);
    this.#credentials = new CachedCredentials(options.credentials);
    this.#control = new S3Control(options, this.#credentials);
    this.url = `s3://${bucket}/${prefix}?endpoint=${endpoint.origin}&region=${region}&style=${style}`;
  }

  async get(key: string, range: ByteRange | undefined, signal?: AbortSignal, progress?: () => void): Promise<Buffer> {
    const headers: Record<string, string> = {};
    if (range !== undefined) headers.range = `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const response = await this.#send({ method: 'GET', key, headers, signal, progress });
    if (response.status === 416) return Buffer.alloc(0); // The object ends before the range.
    if (response.status !== 200 && response.status !== 206) throw this.#failure('read', key, response);
    if (range !== undefined && response.status === 200) {
      // A server that ignores Range: legal in HTTP.
      return response.body.subarray(range.offset, range.offset + range.length);
    }
    return response.body;
  }

  async put(key: string, data: readonly Buffer[], signal?: AbortSignal, progress?: () => void): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream' };
    const response = await this.#send({ method: 'PUT', key, headers, body: data, signal, progress });
    if (response.status !== 200) throw this.#failure('store', key, response);
  }

  deleteMany: ObjectStore['deleteMany'] = (keys, signal) => this.#control.deleteMany(keys, signal);

  list: ObjectStore['list'] = (prefix, after, limit, signal) => this.#control.list(prefix, after, limit, signal);

  head: ObjectStore['head'] = (key, signal) => this.#control.head(key, signal);

  async close(): Promise<void> {
    await this.#pool.close();
    this.#control.close();
  }

  async #send(call: Call): Promise<S3Response> {
    const pending = this.#credentials.get();
    const credentials = pending instanceof Promise ? await pending : pending;
    const { bucket, prefix, style, payload } = this.#options;
    const object = prefix + call.key;
    const path = encodeS3Path(style === 'virtual' ? `/${object}` : `/${bucket}/${object}`);
    const bytes = call.body === undefined ? 0 : call.body.reduce((sum, part) => sum + part.length, 0);
    const { headers } = call;
    if (call.body !== undefined) headers['content-length'] = String(bytes);
    const unsigned = {
      method: call.method,
      host: this.#host,
      path,
      headers,
      payloadHash: payloadHash(call.body, payload),
    };
    const signed = this.#signer.sign(unsigned, credentials, Date.now() + this.#clockSkewMs);
    const body = call.body === undefined ? null : wireBody(call.body, bytes, call.progress);
    // undici takes any iterable of buffers with a content-length header; its types do not say so.
    const options = { method: call.method, path, headers: signed, body: body as Buffer | null };
    return sendRequest(this.#pool, options, call.signal, call.progress);
  }

  #failure(verb: string, key: string, response: S3Response): Error {
    const { code, message } = readErrorBody(response.body);
    if (isExpiredToken(code)) this.#credentials.expire();
    if (code === 'RequestTimeTooSkewed') this.#learnClock(response);
    return s3Failure(verb, key, { status: response.status, code, message, headers: response.headers }, this.#options);
  }

  #learnClock(response: S3Response): void {
    const serverMs = Date.parse(String(response.headers.date));
    if (!Number.isNaN(serverMs)) this.#clockSkewMs = serverMs - Date.now();
  }
}

function payloadHash(body: readonly Buffer[] | undefined, payload: 'unsigned' | 'signed'): string {
  if (body === undefined) return EMPTY_SHA256;
  if (payload === 'unsigned') return UNSIGNED_PAYLOAD;
  const hash = createHash('sha256');
  for (const part of body) hash.update(part);
  return hash.digest('hex');
}

function wireBody(
  parts: readonly Buffer[],
  bytes: number,
  progress: (() => void) | undefined,
): Buffer | Iterable<Buffer> {
  if (bytes <= JOIN_BYTES_MAX) return parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes);
  return progress === undefined ? parts : pieces(parts, progress);
}

/** The parts in pieces; asking for one tells that the connection has taken the one before. */
function* pieces(parts: readonly Buffer[], progress: () => void): Generator<Buffer> {
  for (const part of parts) {
    for (let at = 0; at < part.length; at += PIECE_BYTES) {
      yield part.subarray(at, Math.min(part.length, at + PIECE_BYTES));
      progress();
    }
  }
}
