/** The contract between what every request passes (server, authentication, routing, payload) and the S3 operations. */
import type { ByteString } from '../../base/byte-string.ts';
import type { ChecksumAlgorithm } from '../../base/checksums.ts';
import type { Logger } from '../../base/log.ts';
import type { Entry, User } from '../../base/vocabulary.ts';
import type { Context, Vfs } from '../../vfs/vfs.ts';
import type { RequestHeaders } from '../protocol/request-headers.ts';
import type { Absent } from '../protocol/s3-error.ts';

/** What a fully read and verified payload was. */
export interface PayloadSummary {
  /** Decoded bytes. */
  sizeBytes: number;
  /** 16 bytes; there when want({ md5: true }) was called or the request carried Content-MD5. */
  md5: Buffer | undefined;
  /** The checksum the client declared (header or trailer), verified; undefined when it declared none. */
  declared: { algorithm: ChecksumAlgorithm; value: string } | undefined;
  /** Everything that was computed, base64, by algorithm: the declared one and those asked for. */
  checksums: Partial<Record<ChecksumAlgorithm, string>>;
}

/**
 * A request's decoded payload. Hashes, signatures, lengths and trailers are verified on the way; a mismatch is an
 * S3Error from read() or, at the latest, from finish(). Publish nothing before finish() has resolved.
 * Reading is what answers `Expect: 100-continue`, so refuse what can be refused before the first read.
 */
export interface Payload extends AsyncIterable<Buffer> {
  /** Decoded length the client announced, bytes; undefined when it announced none (chunked XML bodies). */
  readonly lengthBytes: number | undefined;
  /** The checksum algorithm the client announced (x-amz-checksum-X, x-amz-trailer or x-amz-sdk-checksum-algorithm). */
  readonly algorithm: ChecksumAlgorithm | undefined;
  /** Asks for digests beyond those the request declares. Call before the first read. */
  want(digests: { md5?: boolean; checksums?: readonly ChecksumAlgorithm[] }): void;
  /**
   * The next bytes (never empty), undefined at the end. The caller owns the buffer. A plain value when bytes are at
   * hand.
   */
  read(): Buffer | undefined | Promise<Buffer | undefined>;
  /** Checks everything; call after read() answered undefined (it reads and drops what is left otherwise). */
  finish(): Promise<PayloadSummary>;
  /** The whole payload, verified. @throws MaxMessageLengthExceeded beyond limitBytes (EntityTooLarge when so asked). */
  readAll(limitBytes: number): Promise<Buffer>;
}

export interface GatewaySettings {
  region: string;
  /** Virtual-host domain: `bucket.domain` names a bucket. Undefined: path style only. */
  domain: string | undefined;
  /** Largest object that one PutObject or UploadPart may carry, bytes. */
  objectBytesMax: number;
  /** Requests handled at the same time; more are asked to come later. */
  requestsMax: number;
}

export interface S3Request {
  readonly method: string;
  /** The target's path as it came, before '?'. */
  readonly rawPath: string;
  /** Decoded bytes (latin1); undefined for the service. */
  readonly bucket: ByteString | undefined;
  /** Decoded bytes (latin1), never empty; undefined for bucket operations. Length limits are checked already. */
  readonly key: ByteString | undefined;
  /** First value of each query parameter, decoded bytes (latin1), in order. `?acl` and `?acl=` are both ''. */
  readonly query: ReadonlyMap<string, string>;
  /** Lower-case names; values are latin1 bytes; repeated headers are joined with ','. */
  readonly headers: RequestHeaders;
  readonly user: User;
  readonly context: Context;
  readonly vfs: Vfs;
  readonly body: Payload;
  readonly requestId: string;
  readonly logger: Logger;
  readonly settings: GatewaySettings;
  /** The region that the client signs for, which is where it finds every bucket; the gateway's for us-east-1. */
  readonly region: string;
  readonly operation: Operation;
  /** True when the signature came in the query (presigned URL). */
  readonly presigned: boolean;
  /** The bucket's directory, looked up once per request. @throws S3Error NoSuchBucket, AccessDenied. */
  bucketEntry(): Promise<Entry>;
}

/**
 * What an operation answers. Content-Length is set by the server for a string or Buffer body (and needs to be given for
 * an iterable, and for HEAD); a string body is UTF-8 text. Content-Type defaults to application/xml when there is a
 * body. The server calls return() of an iterable's iterator exactly once, also when it sends nothing because the client
 * is gone.
 */
export interface S3Response {
  status: number;
  headers?: Record<string, string | number>;
  body?: Buffer | string | AsyncIterable<Buffer> | undefined;
}

export type Scope = 'service' | 'bucket' | 'object';

/** Methods that name operations, in the order in which answers list them. */
export const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'] as const;
export type Method = (typeof METHODS)[number];

/** What a request for an operation looks like; all there is to say of operations that are not implemented. */
export interface Binding {
  /** AWS's name of the operation, e.g. PutObject. */
  readonly name: string;
  readonly scope: Scope;
  readonly method: Method;
  /** The query parameter that names a resource of the bucket or object; left out: the bucket or object itself. */
  readonly subresource?: string;
  /**
   * What a request has beside method and resource (a query parameter: this value, or any); others mean the operation
   * without a variant.
   */
  readonly variant?: { readonly header: string } | { readonly query: string; readonly value?: string };
  /** By which policies allow and deny it. */
  readonly action: `s3:${string}` | `s3express:${string}`;
}

/** An operation: how it is asked for, what it needs before it runs, and the function that does it. */
export interface Operation extends Binding {
  /** S3 has nothing more on this subresource: another method is MethodNotAllowed there, not NotImplemented. */
  readonly complete?: true;
  /** 'document': XML, read whole by the handler. 'stream': stored as it comes; needs a length and has a limit. */
  readonly payload: 'none' | 'document' | 'stream';
  /**
   * Left out: checksum headers are the payload's and verified. 'object': they speak of the object; the handler reads
   * them.
   */
  readonly checksumsOf?: 'object';
  /**
   * What is known of the bucket before handle() runs. 'nothing': there may be none. 'ino': which directory it is, which
   * may come from memory. 'attributes': its owner and mode of now, by a lookup.
   */
  readonly bucket: 'nothing' | 'ino' | 'attributes';
  /** Left out: who may search the bucket's directory; scripts and handlers decide what else there is to decide. */
  readonly allowed?: 'bucket owner';
  /** What an FsError ENOENT thrown by handle() means. */
  readonly absent: Absent;
  handle(request: S3Request): Promise<S3Response>;
}
