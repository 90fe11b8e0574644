/**
 * The store's calls that are not hot (listings, HEAD, multi-object delete), made by the AWS SDK. Blocks go past it, see
 * s3-store.ts. Of the SDK this uses signing, encoding, parsing and correction of the clock; what would change what a caller
 * sees is switched off or mapped:
 *
 *     retries      off: src/chunk/retry.ts retries by time
 *     checksums    Content-MD5 for multi-object delete, none elsewhere: what every S3 server takes
 *     credentials  the store's own cache, asked for each request
 *     errors       s3-failure.ts, the same messages and advice as for blocks
 *
 * The SDK is loaded with the driver, when an S3 store is opened (open-store.ts).
 */
import { createHash } from 'node:crypto';
import {
  DeleteObjectsCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import type { ObjectStore } from '../chunks.ts';
import { ObjectMissingError } from '../chunks.ts';
import type { CachedCredentials } from './s3-credentials.ts';
import { attempted, type ErrorAnswer, isExpiredToken, isRetryableCode, s3Failure, textOf } from './s3-failure.ts';
import { ANSWER_TIMEOUT_MS, CONNECT_TIMEOUT_MS, type S3StoreOptions } from './s3-options.ts';
import type { S3Credentials } from './s3-signer.ts';
import { StoreError } from './store-error.ts';

/** What S3 answers or takes at most. */
const LIST_KEYS_MAX = 1_000;
const DELETE_KEYS_MAX = 1_000;
/** The SDK sets its clock by every answer, which says whole seconds; this much is a wrong clock. */
const CLOCK_CORRECTION_MS_MIN = 60_000;

type Listed = Awaited<ReturnType<ObjectStore['list']>>;
type Failures = Awaited<ReturnType<ObjectStore['deleteMany']>>;

export class S3Control {
  readonly #options: S3StoreOptions;
  readonly #credentials: CachedCredentials;
  readonly #client: S3Client;

  constructor(options: S3StoreOptions, credentials: CachedCredentials) {
    this.#options = options;
    this.#credentials = credentials;
    this.#client = new S3Client(clientConfig(options, credentials));
  }

  async list(prefix: string, after: string, limit: number, signal: AbortSignal | undefined): Promise<Listed> {
    const found: Listed = [];
    const { bucket, prefix: own } = this.#options;
    let startAfter = after;
    while (found.length < limit) {
      const command = new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: own + prefix,
        MaxKeys: Math.min(LIST_KEYS_MAX, limit - found.length),
        ...(startAfter === '' ? {} : { StartAfter: own + startAfter }),
      });
      const page = await this.#call('list', undefined, signal, (call) => this.#client.send(command, call));
      const contents = page.Contents ?? [];
      // A page of somebody else's (a proxy's, a portal's) must not pass for an empty store.
      if (page.IsTruncated === undefined && contents.length === 0) throw this.#unreadable('list', undefined);
      for (const { Key: key = '', Size: sizeBytes = Number.NaN, LastModified: modified } of contents) {
        found.push({ key: key.slice(own.length), sizeBytes, modifiedMs: modified?.getTime() ?? Number.NaN });
      }
      if (page.IsTruncated !== true || contents.length === 0) break;
      startAfter = found[found.length - 1]!.key;
    }
    return found.slice(0, limit);
  }

  async head(key: string, signal: AbortSignal | undefined): Promise<{ sizeBytes: number } | undefined> {
    const { bucket, prefix } = this.#options;
    const command = new HeadObjectCommand({ Bucket: bucket, Key: prefix + key });
    try {
      const answer = await this.#call('look at', key, signal, (call) => this.#client.send(command, call));
      return { sizeBytes: answer.ContentLength ?? Number.NaN };
    } catch (error) {
      if (error instanceof ObjectMissingError) return undefined;
      throw error;
    }
  }

  async deleteMany(keys: readonly string[], signal: AbortSignal | undefined): Promise<Failures> {
    const failures: Failures = [];
    for (let at = 0; at < keys.length; at += DELETE_KEYS_MAX) {
      failures.push(...(await this.#deleteBatch(keys.slice(at, at + DELETE_KEYS_MAX), signal)));
    }
    return failures;
  }

  close(): void {
    this.#client.destroy();
  }

  async #deleteBatch(keys: readonly string[], signal: AbortSignal | undefined): Promise<Failures> {
    const { bucket, prefix } = this.#options;
    const command = new DeleteObjectsCommand({
      Bucket: bucket,
      Delete: { Quiet: true, Objects: keys.map((key) => ({ Key: prefix + key })) },
    });
    useContentMd5(command);
    const answer = await this.#call('delete from', undefined, signal, (call) => this.#client.send(command, call));
    const failures: Failures = [];
    for (const { Key: full = '', Code: code = 'unknown error', Message: reason = '' } of answer.Errors ?? []) {
      if (code === 'NoSuchKey') continue;
      const key = full.slice(prefix.length);
      const message = `cannot delete object ${key}: ${code}: ${reason}`;
      failures.push({ key, error: new StoreError(message, { retryable: isRetryableCode(code) }) });
    }
    return failures;
  }

  /** @throws the signal's reason, or what the driver throws for that failure. */
  async #call<T>(
    verb: string,
    key: string | undefined,
    signal: AbortSignal | undefined,
    send: (call: { abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const clockMs = this.#client.config.systemClockOffset;
    try {
      return await send(signal === undefined ? {} : { abortSignal: signal });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw this.#failure(verb, key, error, Math.abs(this.#client.config.systemClockOffset - clockMs));
    }
  }

  /** @param correctedMs by how much this answer changed the SDK's clock. */
  #failure(verb: string, key: string | undefined, error: unknown, correctedMs: number): Error {
    if (error instanceof StoreError) return error; // From the credentials.
    const answer = errorAnswer(error);
    if (answer === undefined) {
      const reason = error instanceof Error ? error.message : String(error);
      return new StoreError(`no answer: ${reason}`, { retryable: true, cause: error });
    }
    if (answer.status < 300) return this.#unreadable(verb, key, error);
    if (isExpiredToken(answer.code)) this.#credentials.expire();
    const failure = s3Failure(verb, key, answer, this.#options);
    // The answer to HEAD has no body and so no code: a wrong clock is known by what the SDK learnt from it.
    const clockWasWrong = answer.status === 403 && answer.code === '' && correctedMs >= CLOCK_CORRECTION_MS_MIN;
    return clockWasWrong ? new StoreError(failure.message, { retryable: true, cause: error }) : failure;
  }

  #unreadable(verb: string, key: string | undefined, cause?: unknown): StoreError {
    const what = attempted(verb, key, this.#options);
    return new StoreError(`${what}: the answer is none of S3's; is there a proxy in between?`, {
      retryable: true,
      cause,
    });
  }
}

function clientConfig(options: S3StoreOptions, credentials: CachedCredentials): S3ClientConfig {
  const { endpoint, region, style, connections, lookup } = options;
  // It is for whoever pins the SDK's version; a user of the program can do nothing about it.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const agent = { keepAlive: true, maxSockets: connections, ...(lookup === undefined ? {} : { lookup }) };
  return {
    endpoint: endpoint.origin,
    region,
    forcePathStyle: style === 'path',
    // What the SDK would look for in the environment and in files, the store URL says.
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Credentials that are over at once make the SDK ask for each request; the cache behind answers.
    credentials: async () => ({ ...withoutToken(await credentials.get()), expiration: new Date() }),
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: ANSWER_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      socketTimeout: ANSWER_TIMEOUT_MS,
      httpAgent: agent,
      httpsAgent: agent,
    },
  };
}

/** The SDK's types know a token or none, but no undefined one. */
function withoutToken({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials): {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
} {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

/**
 * Many S3 servers want Content-MD5 with multi-object delete and do not know the checksums that the SDK sends since 2025.
 * @see https://github.com/aws/aws-sdk-js-v3/blob/main/supplemental-docs/MD5_FALLBACK.md
 */
function useContentMd5(command: DeleteObjectsCommand): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { headers: Record<string, string>; body: string | Uint8Array };
      const kept = Object.entries(request.headers).filter(([name]) => !/^x-amz-(?:sdk-)?checksum-/i.test(name));
      const md5 = createHash('md5').update(request.body).digest('base64');
      request.headers = Object.fromEntries([...kept, ['content-md5', md5]]);
      return next(args);
    },
    // After the checksums of the same step, before the signature.
    { name: 'contentMd5', step: 'build', priority: 'low' },
  );
}

/** What the server answered, from an error of the SDK; undefined when there was no answer. */
function errorAnswer(error: unknown): ErrorAnswer | undefined {
  if (!(error instanceof Error)) return undefined;
  const { $response: response, message } = error as SdkError;
  if (response === undefined) return undefined;
  const code = textOf((error as SdkError).Code);
  // Without a code, the message is the SDK's own about an answer that it could not read.
  const said = code === '' || message === NO_MESSAGE ? '' : message;
  return { status: response.statusCode, code, message: said, headers: response.headers };
}

/** What the SDK says when an error document says nothing. */
const NO_MESSAGE = 'UnknownError';

/** The SDK puts the response and the code of an error document on what it throws. */
interface SdkError extends Error {
  $response?: { statusCode: number; headers: Record<string, string> };
  Code?: unknown;
}
