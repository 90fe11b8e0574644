/** What requests and answers say about checksums beyond the payload itself: algorithm, type, parts, joined values. */

import { createHash } from 'node:crypto';
import { lowerAscii, upperAscii } from '../../base/byte-string.ts';
import {
  CHECKSUM_ALGORITHMS,
  CHECKSUM_BYTES,
  type ChecksumAlgorithm,
  CrcJoiner,
  createChecksum,
  isCrc,
} from '../../base/checksums.ts';
import { wordSet } from '../../base/lookup-table.ts';
import type { S3Record } from '../../base/vocabulary.ts';
import type { Part } from '../../meta/meta.ts';
import type { RequestHeaders } from '../protocol/request-headers.ts';
import { S3Error } from '../protocol/s3-error.ts';
import { childToken, element, type XmlNode } from '../protocol/xml.ts';

const TYPES = wordSet(['FULL_OBJECT', 'COMPOSITE']);
export type ChecksumType = (typeof TYPES)['words'][number];
const ALGORITHMS = wordSet(CHECKSUM_ALGORITHMS);
type Checksums = S3Record['checksums'];

/** What a multipart upload computes; '' when the client asked for nothing. */
export interface UploadChecksum {
  algorithm: ChecksumAlgorithm | '';
  type: ChecksumType | '';
}

/** The request and response header of an algorithm's value. */
export function checksumHeader(algorithm: string): string {
  return `x-amz-checksum-${lowerAscii(algorithm)}`;
}

/** Narrows a stored or sent name. */
export function isChecksumAlgorithm(name: string): name is ChecksumAlgorithm {
  return ALGORITHMS.has(name);
}

/** The algorithm by its name in any case; undefined when there is none such. */
export function algorithmNamed(name: string): ChecksumAlgorithm | undefined {
  return ALGORITHMS.find(upperAscii(name));
}

/**
 * x-amz-checksum-algorithm of CopyObject and CreateMultipartUpload. @throws S3Error InvalidRequest for unknown names.
 */
export function requestedAlgorithm(headers: RequestHeaders): ChecksumAlgorithm | '' {
  const name = headers['x-amz-checksum-algorithm'];
  if (name === undefined || name === '') return '';
  const algorithm = algorithmNamed(name);
  if (algorithm !== undefined) return algorithm;
  throw new S3Error('InvalidRequest', {
    message: `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
  });
}

/**
 * Algorithm and type of a new upload. CRC64NVME exists for whole objects only, the other CRCs as both (composite unless
 * asked), everything else only as a composite: its value over joined parts does not follow from the parts' values.
 * @throws S3Error InvalidRequest for combinations that cannot be.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */
export function uploadChecksum(headers: RequestHeaders): UploadChecksum {
  const algorithm = requestedAlgorithm(headers);
  const given = headers['x-amz-checksum-type'];
  const asked = given === undefined ? undefined : TYPES.find(upperAscii(given));
  if (given !== undefined && asked === undefined) {
    throw new S3Error('InvalidRequest', { message: 'Value for x-amz-checksum-type header is invalid.' });
  }
  if (algorithm === '') {
    if (asked === undefined) return { algorithm, type: '' };
    throw new S3Error('InvalidRequest', {
      message: 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    });
  }
  const only = algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : isCrc(algorithm) ? undefined : 'COMPOSITE';
  if (asked !== undefined && only !== undefined && asked !== only) {
    throw new S3Error('InvalidRequest', {
      message: `The ${asked} checksum type cannot be used with the ${lowerAscii(algorithm)} checksum algorithm.`,
    });
  }
  return { algorithm, type: asked ?? only ?? 'COMPOSITE' };
}

/** Response headers for stored or computed checksums; none for none. */
export function checksumHeaders(checksums: Checksums, type: S3Record['checksumType']): Record<string, string> {
  const headers: Record<string, string> = {};
  let some = false;
  for (const algorithm in checksums) {
    headers[checksumHeader(algorithm)] = checksums[algorithm]!;
    some = true;
  }
  if (some && type !== '') headers['x-amz-checksum-type'] = type;
  return headers;
}

/** The same as XML: `<ChecksumCRC32>...`, and `<ChecksumType>` where a type is given. */
export function checksumElements(checksums: Checksums, type: S3Record['checksumType']): string {
  let xml = '';
  for (const algorithm in checksums) xml += element(`Checksum${algorithm}`, checksums[algorithm]!);
  return xml !== '' && type !== '' ? xml + element('ChecksumType', type) : xml;
}

/** Checksums named in a part of a CompleteMultipartUpload document. */
export function xmlChecksums(node: XmlNode): Checksums {
  const checksums: Checksums = {};
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = childToken(node, `Checksum${algorithm}`);
    if (value !== undefined && value !== '') checksums[algorithm] = value;
  }
  return checksums;
}

/**
 * The checksum of a completed upload from its parts: CRCs are joined, composites are hashes of the parts' hashes with
 * the count. Costs about 20 us per part, reads no data.
 * @returns undefined when a part has no checksum of that algorithm.
 */
export function joinedChecksum(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: readonly Part[],
): string | undefined {
  const values: Buffer[] = [];
  for (const part of parts) {
    const value = Buffer.from(part.checksums[algorithm] ?? '', 'base64');
    if (value.length !== CHECKSUM_BYTES[algorithm]) return undefined;
    values.push(value);
  }
  if (type === 'COMPOSITE') {
    const checksum = createChecksum(algorithm);
    checksum.update(Buffer.concat(values));
    return `${checksum.digest().toString('base64')}-${parts.length}`;
  }
  if (!isCrc(algorithm)) return undefined;
  const joiner = new CrcJoiner(algorithm);
  for (const [index, value] of values.entries()) joiner.append(value, parts[index]!.sizeBytes);
  return joiner.digest().toString('base64');
}

/** The ETag of a completed upload: MD5 of the parts' MD5s, and their count. @see AWS, "Checking object integrity" */
export function joinedEtag(parts: readonly Part[]): string {
  const hash = createHash('md5');
  for (const part of parts) hash.update(Buffer.from(part.etag, 'hex'));
  return `${hash.digest('hex')}-${parts.length}`;
}
