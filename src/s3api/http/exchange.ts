/**
 * One request on its way: who asks, which operation, which bucket, which payload; and what becomes of an unread body.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ByteString } from '../../base/byte-string.ts';
import type { Logger } from '../../base/log.ts';
import { type Entry, NAME_BYTES_MAX, type User } from '../../base/vocabulary.ts';
import type { Context, Vfs } from '../../vfs/vfs.ts';
import { type Authenticated, authenticate } from '../auth/authenticate.ts';
import { authorize, enforce } from '../auth/authorize.ts';
import { FIRST_REGION } from '../auth/region.ts';
import type { UserDirectory } from '../auth/user-directory.ts';
import type { GatewaySettings, Operation, Payload, S3Request, S3Response, Scope } from '../operations/operation.ts';
import { declaredDigests, payloadForm } from '../payload/form.ts';
import { VerifiedPayload } from '../payload/verified.ts';
import { joinedHeaders, type RequestHeaders } from '../protocol/request-headers.ts';
import { type Absent, S3Error, toS3Error } from '../protocol/s3-error.ts';
import type { BucketCache } from './bucket-cache.ts';
import { decodeBytes, parseTarget, type Target } from './key-path.ts';
import { parseQuery } from './query.ts';
import { RawBody } from './raw-body.ts';
import { type Router, refuseUnknownMethod } from './router.ts';

/** A client that sends nothing of its body for this long is given up. */
const BODY_IDLE_MS = 60_000;
/** What is left of a refused body is read and dropped up to this much, so that the client gets to read the answer. */
const LINGER_BYTES_MAX = 16 * 1024 * 1024;
const LINGER_MS_MAX = 5_000;
/** An unread body up to this length costs less to drop than a new connection. */
const DROP_BYTES_MAX = 64 * 1024;

/** Says whose bucket the client means. */
const EXPECTED_OWNER = 'x-amz-expected-bucket-owner';

/** What all requests of a gateway share. */
export interface ExchangeOptions {
  vfs: Vfs;
  settings: GatewaySettings;
  router: Router;
  buckets: BucketCache;
  logger: Logger;
}

/** The state of one request on its way. */
export class Exchange implements S3Request {
  readonly method: string;
  readonly headers: RequestHeaders;
  readonly vfs: Vfs;
  readonly settings: GatewaySettings;
  readonly logger: Logger;
  readonly requestId: string;
  rawPath: string;
  bucket: ByteString | undefined;
  key: ByteString | undefined;
  query: ReadonlyMap<string, string> = new Map();
  presigned = false;
  region: string;
  readonly #options: ExchangeOptions;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #expectsContinue: boolean;
  #operation: Operation | undefined;
  #user: User | undefined;
  #context: Context | undefined;
  #body: Payload | undefined;
  #bucketEntry: Promise<Entry> | undefined;
  #continued = false;
  /** The operation needs to know which directory the bucket is, not its present owner and mode. */
  #cachedBucket = false;

  constructor(
    options: ExchangeOptions,
    message: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    expectsContinue: boolean,
  ) {
    this.#options = options;
    this.#message = message;
    this.#response = response;
    this.#expectsContinue = expectsContinue;
    this.vfs = options.vfs;
    this.settings = options.settings;
    this.region = options.settings.region;
    this.logger = options.logger;
    this.requestId = requestId;
    this.method = message.method ?? '';
    this.rawPath = message.url ?? '/';
    this.headers = joinedHeaders(message.rawHeaders);
  }

  get operation(): Operation {
    return this.#operation!;
  }

  /** '' before routing. */
  get operationName(): string {
    return this.#operation?.name ?? '';
  }

  /** What an ENOENT means. */
  get absent(): Absent {
    return this.#operation?.absent ?? 'bucket';
  }

  get user(): User {
    return this.#user!;
  }

  get context(): Context {
    return this.#context!;
  }

  get body(): Payload {
    return this.#body!;
  }

  /** Path of the resource for error documents, decoded. */
  get resource(): ByteString {
    try {
      return decodeBytes(this.rawPath);
    } catch {
      return this.rawPath;
    }
  }

  async answer(users: UserDirectory): Promise<S3Response> {
    refuseUnknownMethod(this.method);
    const target = parseTarget(this.#message.url ?? '', this.headers.host, this.settings.domain);
    this.rawPath = target.rawPath;
    this.bucket = target.bucket;
    this.key = target.key;
    const query = parseQuery(target.rawQuery);
    this.query = query.first;
    const authenticated = await authenticate(
      {
        method: this.method,
        rawPath: target.rawPath,
        decodedPath: decodeBytes(target.rawPath),
        query,
        headers: this.headers,
      },
      users,
    );
    this.#admit(authenticated);
    const { method, headers } = this;
    const operation = this.#options.router.route({ method, scope: scopeOf(target), query: this.query, headers });
    this.#operation = operation;
    this.#body = this.#payload(authenticated, operation);
    const expectedOwner = headers[EXPECTED_OWNER] ?? (this.presigned ? this.query.get(EXPECTED_OWNER) : undefined);
    this.#cachedBucket = operation.bucket === 'ino' && expectedOwner === undefined;
    const bucket = operation.bucket === 'nothing' ? undefined : (await this.bucketEntry()).attr;
    enforce(authorize(operation, this.context, bucket, expectedOwner));
    return operation.handle(this);
  }

  bucketEntry(): Promise<Entry> {
    this.#bucketEntry ??= this.#findBucket(this.bucket!);
    return this.#bucketEntry;
  }

  async #findBucket(name: ByteString): Promise<Entry> {
    if (name.length > NAME_BYTES_MAX) throw new S3Error('InvalidBucketName');
    const { buckets } = this.#options;
    const cached = this.#cachedBucket ? buckets.get(this.vfs, this.context, name) : undefined;
    if (cached !== undefined) return cached;
    return buckets.find(this.vfs, this.context, name).catch((error) => {
      throw toS3Error(error, 'bucket');
    });
  }

  /** Adds to an error what the request knows about it. */
  describe(error: S3Error): S3Error {
    if (error.code === 'NoSuchBucket' || error.code === 'BucketNotEmpty') error.fields.BucketName ??= this.bucket ?? '';
    if (error.code === 'NoSuchKey') error.fields.Key ??= this.key ?? '';
    if (error.code === 'NoSuchUpload') error.fields.UploadId ??= this.query.get('uploadId') ?? '';
    return error;
  }

  /**
   * Decides what becomes of a body that nobody read to its end: a short one is dropped and the connection kept; of a
   * long one a bounded part is dropped (the promise resolves then) before the connection closes.
   */
  unreadBody(): Promise<void> | undefined {
    const message = this.#message;
    if (message.complete || message.destroyed || !hasBody(this.headers)) return undefined;
    const waits = this.#expectsContinue && !this.#continued;
    const short =
      this.headers['transfer-encoding'] === undefined && Number(this.headers['content-length']) <= DROP_BYTES_MAX;
    if (short && !waits) return undefined;
    this.#response.setHeader('Connection', 'close');
    // A client that still waits for 100 sends nothing: the final status is all it needs.
    return waits ? undefined : dropBody(message);
  }

  #admit(authenticated: Authenticated): void {
    const { user } = authenticated;
    this.#user = user;
    this.presigned = authenticated.presigned;
    // us-east-1 is what clients sign for that were told no region: they learn the gateway's own.
    if (authenticated.region !== FIRST_REGION) this.region = authenticated.region;
    this.#context = { uid: user.uid, gid: user.gid, groups: user.groups, pid: process.pid, check: true };
  }

  #payload(authenticated: Authenticated, operation: Operation): Payload {
    const form = payloadForm(authenticated.payloadHash, this.headers);
    if (operation.payload === 'stream') this.#checkLength(form.lengthBytes);
    const declared = operation.checksumsOf === 'object' ? undefined : declaredDigests(this.headers, this.query, form);
    const source = new RawBody(this.#message, { idleMs: BODY_IDLE_MS, onStart: () => this.#continue() });
    return new VerifiedPayload({
      source,
      form,
      ...(declared === undefined ? {} : { declared }),
      signing: authenticated.signing,
    });
  }

  #checkLength(lengthBytes: number | undefined): void {
    if (lengthBytes === undefined) {
      // HTTP chunks say where the body ends: the limit is then checked as bytes arrive.
      if (this.headers['transfer-encoding'] !== undefined) return;
      throw new S3Error('MissingContentLength');
    }
    const max = this.settings.objectBytesMax;
    if (lengthBytes > max) {
      throw new S3Error('EntityTooLarge', { fields: { ProposedSize: lengthBytes, MaxSizeAllowed: max } });
    }
  }

  #continue(): void {
    if (!this.#expectsContinue || this.#continued) return;
    this.#continued = true;
    this.#response.writeContinue();
  }
}

function scopeOf(target: Target): Scope {
  if (target.bucket === undefined) return 'service';
  return target.key === undefined ? 'bucket' : 'object';
}

function hasBody(headers: RequestHeaders): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Reads on and drops, for a bounded while. */
function dropBody(message: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, LINGER_MS_MAX);
    message.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > LINGER_BYTES_MAX) done();
    });
    message.once('end', done);
    message.once('close', done);
    message.on('error', done);
    message.resume();
  });
}
