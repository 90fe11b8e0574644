/**
 * Signature Version 4 for GET and PUT of blocks: headers only, no query. Why not the SDK's: see s3-store.ts.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHash, createHmac } from 'node:crypto';

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface UnsignedRequest {
  method: string;
  host: string;
  /** Path as it goes on the wire, already encoded by encodeS3Path. */
  path: string;
  /** Further headers to sign, lower-case names. */
  headers: Record<string, string>;
  /** Hex SHA-256 of the body, or UNSIGNED-PAYLOAD. */
  payloadHash: string;
}

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Signs requests of one region. The day's key is derived once a day, so a signature costs two hashes. */
export class S3Signer {
  readonly #region: string;
  #keyFor = '';
  #key: Buffer = Buffer.alloc(0);

  constructor(region: string) {
    this.#region = region;
  }

  /**
   * Answers all headers of the request, authorization among them.
   * @param nowMs time of the request; the server allows 15 minutes of difference.
   */
  sign(request: UnsignedRequest, credentials: S3Credentials, nowMs: number): Record<string, string> {
    const amzDate = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
    const day = amzDate.slice(0, 8);
    const headers: Record<string, string> = {
      ...request.headers,
      host: request.host,
      'x-amz-content-sha256': request.payloadHash,
      'x-amz-date': amzDate,
    };
    if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken;
    const names = Object.keys(headers).sort();
    const canonical = [
      request.method,
      request.path,
      '', // No query.
      ...names.map((name) => `${name}:${headers[name]!.trim().replace(/ +/g, ' ')}`),
      '',
      names.join(';'),
      request.payloadHash,
    ].join('\n');
    const scope = `${day}/${this.#region}/s3/aws4_request`;
    const toSign = `AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
    const signature = createHmac('sha256', this.#dayKey(credentials, day)).update(toSign).digest('hex');
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
    return headers;
  }

  #dayKey(credentials: S3Credentials, day: string): Buffer {
    const keyFor = `${day} ${credentials.accessKeyId} ${credentials.secretAccessKey}`;
    if (keyFor !== this.#keyFor) {
      let key: Buffer = Buffer.from(`AWS4${credentials.secretAccessKey}`);
      for (const part of [day, this.#region, 's3', 'aws4_request'])
        key = createHmac('sha256', key).update(part).digest();
      this.#key = key;
      this.#keyFor = keyFor;
    }
    return this.#key;
  }
}

/** Percent-encodes all but unreserved characters (RFC 3986), as the signature wants it. */
function encodeComponent(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Encodes a path once; slashes stay. */
export function encodeS3Path(path: string): string {
  return path.split('/').map(encodeComponent).join('/');
}
