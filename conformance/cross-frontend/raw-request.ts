import { createHash, createHmac } from 'node:crypto';
import { request } from 'node:http';
import { ACCESS_KEY, SECRET_KEY } from './running-up.ts';

/**
 * Headers of a SigV4-signed request whose path goes out byte for byte: SDKs and URL parsers fold `//`, `.` and `..`
 * away. Written from the algorithm's description, apart from the gateway's own verifier.
 * @param target the path as it goes on the wire, percent-encoded
 * @param bodyHash hex SHA-256 of the body, or UNSIGNED-PAYLOAD
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function signedHeaders(
  endpoint: string,
  method: string,
  target: string,
  bodyHash: string,
): Record<string, string> {
  const { host } = new URL(endpoint);
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const day = stamp.slice(0, 8);
  const signed = 'host;x-amz-content-sha256;x-amz-date';
  const headers = `host:${host}\nx-amz-content-sha256:${bodyHash}\nx-amz-date:${stamp}\n`;
  const canonical = [method, target, '', headers, signed, bodyHash].join('\n');
  const scope = `${day}/us-east-1/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  let key: Buffer | string = `AWS4${SECRET_KEY}`;
  for (const part of [day, 'us-east-1', 's3', 'aws4_request']) key = createHmac('sha256', key).update(part).digest();
  const signature = createHmac('sha256', key).update(toSign).digest('hex');
  return {
    host,
    'x-amz-date': stamp,
    'x-amz-content-sha256': bodyHash,
    authorization: `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY}/${scope}, SignedHeaders=${signed}, Signature=${signature}`,
  };
}

/** Sends such a request. `path` is not yet encoded. @returns the response's status */
export async function signedRequest(endpoint: string, method: string, path: string, body: string): Promise<number> {
  const target = path.split('/').map(encodeComponent).join('/');
  const headers = signedHeaders(endpoint, method, target, createHash('sha256').update(body).digest('hex'));
  const { hostname, port } = new URL(endpoint);
  return new Promise((resolve, reject) => {
    const options = {
      hostname,
      port,
      method,
      path: target,
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    };
    const sent = request(options, (response) => {
      response.resume().on('end', () => resolve(response.statusCode!));
    });
    sent.on('error', reject).end(body);
  });
}

function encodeComponent(part: string): string {
  const escapeMore = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(part).replaceAll(/[!'()*]/g, escapeMore);
}
