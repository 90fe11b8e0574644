/** What a request's headers say about its payload, decided before a byte is read. */
import { lowerAscii, trimOws } from '../../base/byte-string.ts';
import { CHECKSUM_ALGORITHMS, CHECKSUM_BYTES, type ChecksumAlgorithm } from '../../base/checksums.ts';
import { lookupTable, wordSet } from '../../base/lookup-table.ts';
import { UNSIGNED_PAYLOAD } from '../auth/sigv4.ts';
import type { RequestHeaders } from '../protocol/request-headers.ts';
import { S3Error } from '../protocol/s3-error.ts';
import { algorithmNamed } from './checksum-headers.ts';

/** How the payload travels and what proves it. */
export interface PayloadForm {
  /** The literal SHA-256 the payload must have, hex. */
  sha256: string | undefined;
  /** aws-chunked framing. */
  chunked: { signed: boolean; trailers: boolean } | undefined;
  /** Decoded length, bytes; undefined when not announced. */
  lengthBytes: number | undefined;
}

/** Digests the client declared for the payload. */
export interface DeclaredDigests {
  md5: Buffer | undefined;
  /** The announced checksum; `value` is undefined when it comes as the trailer `trailerName`. */
  checksum: { algorithm: ChecksumAlgorithm; value: Buffer | undefined; trailerName: string | undefined } | undefined;
  /** Which algorithm the client would like, whether or not it declared a value. */
  algorithm: ChecksumAlgorithm | undefined;
}

const STREAMING = lookupTable({
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD': { signed: true, trailers: false },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER': { signed: true, trailers: true },
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER': { signed: false, trailers: true },
});

/**
 * Reads x-amz-content-sha256 and the lengths.
 * @throws S3Error InvalidArgument (no such form), NotImplemented (SigV4A), MissingContentLength (chunked without
 * x-amz-decoded-content-length).
 */
export function payloadForm(payloadHash: string, headers: RequestHeaders): PayloadForm {
  if (payloadHash === UNSIGNED_PAYLOAD)
    return { sha256: undefined, chunked: undefined, lengthBytes: plainLength(headers) };
  const chunked = STREAMING.get(payloadHash);
  if (chunked !== undefined) {
    const decoded = lengthHeader(headers, 'x-amz-decoded-content-length');
    if (decoded === undefined) {
      throw new S3Error('MissingContentLength', {
        message: 'You must provide the x-amz-decoded-content-length HTTP header with an aws-chunked body.',
      });
    }
    return { sha256: undefined, chunked, lengthBytes: decoded };
  }
  if (payloadHash.startsWith('STREAMING-AWS4-ECDSA')) {
    throw new S3Error('NotImplemented', {
      message: 'SigV4A payloads are not implemented. Please use AWS4-HMAC-SHA256.',
    });
  }
  if (!/^[0-9a-fA-F]{64}$/.test(payloadHash)) {
    throw new S3Error('InvalidArgument', {
      message:
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
      fields: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: payloadHash },
    });
  }
  return { sha256: lowerAscii(payloadHash), chunked: undefined, lengthBytes: plainLength(headers) };
}

/**
 * Reads Content-MD5, x-amz-checksum-*, x-amz-trailer and x-amz-sdk-checksum-algorithm.
 * @param form says whether trailers follow
 * @throws S3Error InvalidDigest (Content-MD5), InvalidRequest (several checksums, an unknown one, one that is no value of
 * its algorithm, an algorithm without a value).
 */
export function declaredDigests(
  headers: RequestHeaders,
  query: ReadonlyMap<string, string>,
  form: PayloadForm,
): DeclaredDigests {
  const md5 = contentMd5(headers);
  const header = checksumInHeaders(headers);
  const inHeader =
    header === undefined ? undefined : { algorithm: header.algorithm, value: header.value, trailerName: undefined };
  const inTrailer = form.chunked?.trailers === true ? trailerChecksum(headers['x-amz-trailer']) : undefined;
  if (inHeader !== undefined && inTrailer !== undefined) throw severalChecksums();
  const checksum = inHeader ?? inTrailer;
  // A presigned URL may carry the SDK's default checksum of an empty body: only the choice of algorithm counts there.
  const hoisted = query.get('x-amz-sdk-checksum-algorithm') ?? query.get('X-Amz-Sdk-Checksum-Algorithm');
  const wanted = sdkAlgorithm(headers['x-amz-sdk-checksum-algorithm'], checksum?.algorithm);
  const algorithm = checksum?.algorithm ?? wanted ?? (hoisted === undefined ? undefined : algorithmNamed(hoisted));
  return { md5, checksum, algorithm };
}

function contentMd5(headers: RequestHeaders): Buffer | undefined {
  const text = headers['content-md5'];
  if (text === undefined) return undefined;
  const md5 = strictBase64(text, 16);
  if (md5 === undefined) throw new S3Error('InvalidDigest', { message: 'The Content-MD5 you specified was invalid.' });
  return md5;
}

const CHECKSUM_HEADER = 'x-amz-checksum-';
/** RequestHeaders of that prefix that name a manner, not a value. */
const NOT_VALUES = wordSet(['algorithm', 'type', 'mode']);

export interface HeaderChecksum {
  algorithm: ChecksumAlgorithm;
  value: Buffer;
  /** As it was sent: with the count of a composite. */
  text: string;
}

/**
 * The one checksum value among the headers.
 * @param composite whether the value may end in the count of parts (`-3`)
 * @throws S3Error InvalidRequest: several, an unknown one, or not base64 of the algorithm's length.
 */
export function checksumInHeaders(headers: RequestHeaders, composite = false): HeaderChecksum | undefined {
  let found: HeaderChecksum | undefined;
  for (const name in headers) {
    if (!name.startsWith(CHECKSUM_HEADER)) continue;
    const suffix = name.slice(CHECKSUM_HEADER.length);
    if (NOT_VALUES.has(suffix)) continue;
    const algorithm = supported(suffix);
    if (found !== undefined) throw severalChecksums();
    const text = headers[name] ?? '';
    const value = strictBase64(composite ? text.replace(/-\d{1,5}$/, '') : text, CHECKSUM_BYTES[algorithm]);
    if (value === undefined) throw new S3Error('InvalidRequest', { message: `Value for ${name} header is invalid.` });
    found = { algorithm, value, text };
  }
  return found;
}

function trailerChecksum(announced: string | undefined): DeclaredDigests['checksum'] {
  if (announced === undefined) return undefined;
  const name = lowerAscii(trimOws(announced));
  if (!name.startsWith(CHECKSUM_HEADER)) {
    throw new S3Error('InvalidRequest', {
      message: 'The value specified in the x-amz-trailer header is not supported',
    });
  }
  return { algorithm: supported(name.slice(CHECKSUM_HEADER.length)), value: undefined, trailerName: name };
}

function sdkAlgorithm(
  text: string | undefined,
  declared: ChecksumAlgorithm | undefined,
): ChecksumAlgorithm | undefined {
  if (text === undefined) return undefined;
  const algorithm = supported(lowerAscii(text));
  if (declared === undefined) {
    throw new S3Error('InvalidRequest', {
      message:
        'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    });
  }
  if (declared !== algorithm) {
    throw new S3Error('InvalidRequest', { message: 'Value for x-amz-sdk-checksum-algorithm header is invalid.' });
  }
  return algorithm;
}

function supported(suffix: string): ChecksumAlgorithm {
  const algorithm = algorithmNamed(suffix);
  if (algorithm !== undefined) return algorithm;
  throw new S3Error('InvalidRequest', {
    message: `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
  });
}

function severalChecksums(): S3Error {
  return new S3Error('InvalidRequest', {
    message: 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
  });
}

/**
 * Without Content-Length and without Transfer-Encoding there is no body (RFC 9112), yet its length was not announced.
 */
function plainLength(headers: RequestHeaders): number | undefined {
  return lengthHeader(headers, 'content-length');
}

function lengthHeader(headers: RequestHeaders, name: string): number | undefined {
  const text = headers[name];
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw new S3Error('InvalidArgument', {
      message: `The ${name} header is not a length.`,
      fields: { ArgumentName: name, ArgumentValue: text },
    });
  }
  return Number(text);
}

/** Decodes base64 of exactly `bytes` bytes; undefined for anything else. */
export function strictBase64(text: string, bytes: number): Buffer | undefined {
  const value = Buffer.from(text, 'base64');
  return value.length === bytes && value.toString('base64') === trimOws(text) ? value : undefined;
}
