import { type ByteString, lowerAscii, upperAscii } from '../../../base/byte-string.ts';
import { DEFAULT_CHECKSUM } from '../../../base/checksums.ts';
import { isFsError } from '../../../base/errors.ts';
import type { Entry, S3Record } from '../../../base/vocabulary.ts';
import type { Part, Precondition, Upload } from '../../../meta/meta.ts';
import { decideUpload, enforce } from '../../auth/authorize.ts';
import { keyPath } from '../../http/key-path.ts';
import {
  type ChecksumType,
  checksumElements,
  isChecksumAlgorithm,
  joinedChecksum,
  joinedEtag,
  xmlChecksums,
} from '../../payload/checksum-headers.ts';
import { checksumInHeaders, type HeaderChecksum } from '../../payload/form.ts';
import { unquoteEtag, writePrecondition } from '../../protocol/conditions.ts';
import { objectChecksums } from '../../protocol/etag.ts';
import type { RequestHeaders } from '../../protocol/request-headers.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { childrenOf, childText, childToken, element, parseXml, xmlDocument } from '../../protocol/xml.ts';
import { findObject } from '../object/find-object.ts';
import { effectiveHeaders } from '../object/headers.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { etagElement, PART_BYTES_MIN, PART_NUMBER_MAX, UPLOAD_BYTES_MAX, uploadIdOf } from './part-request.ts';

/** 10,000 parts with number, quoted ETag and a checksum each. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;
const PAGE_PARTS = 1000;
/** Tries while parts are being replaced under the Complete. */
const ATTEMPTS_MAX = 5;

/**
 * Joins parts into the object: metadata only, published in one script together with the end of the upload. A repeated
 * Complete of the same upload answers the same again.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
 */
export const completeMultipartUpload: Operation = {
  name: 'CompleteMultipartUpload',
  scope: 'object',
  method: 'POST',
  subresource: 'uploadId',
  complete: true,
  action: 's3:PutObject',
  payload: 'document',
  checksumsOf: 'object',
  bucket: 'ino',
  absent: 'upload',
  handle,
};

interface ListedPart {
  number: number;
  etag: string;
  checksums: Record<string, string>;
}

interface StoredUpload {
  upload: Upload;
  parts: Part[];
}

interface Outcome {
  etag: string;
  checksums: Record<string, string>;
  checksumType: S3Record['checksumType'];
}

async function handle(request: S3Request): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  const precondition = writePrecondition(headers);
  const uploadId = uploadIdOf(request);
  const bucket = await request.bucketEntry();
  const declared = checksumInHeaders(headers, true);
  const listed = parseListedParts(await request.body.readAll(BODY_BYTES_MAX));
  for (let attempt = 1; ; attempt++) {
    const stored = await collectParts(request, bucket, uploadId);
    if (stored === undefined) break;
    enforce(decideUpload(request.context, stored.upload, bucket.attr));
    const plan = planObject(listed, stored, headers, declared);
    try {
      await publish(request, bucket, stored.upload, plan, precondition);
      return answer(request, plan.outcome);
    } catch (error) {
      if (!isFsError(error, 'ENOENT') && !isFsError(error, 'ESTALE')) throw error;
      // Another Complete was first, the upload was aborted, If-Match had no object, or a part was replaced meanwhile.
      if (!(await uploadExists(request, bucket, uploadId))) break;
      if (isFsError(error, 'ENOENT') && precondition.ifMatch !== undefined) throw new S3Error('NoSuchKey');
      if (attempt === ATTEMPTS_MAX) throw new S3Error('OperationAborted', { cause: error });
    }
  }
  return answer(request, await earlierOutcome(request, bucket, uploadId));
}

/** The object that the listed parts make. */
interface Plan {
  parts: Part[];
  outcome: Outcome;
}

/** @throws S3Error InvalidPart, EntityTooSmall, EntityTooLarge, InvalidRequest, BadDigest. */
function planObject(
  listed: ListedPart[],
  stored: StoredUpload,
  headers: RequestHeaders,
  declared: HeaderChecksum | undefined,
): Plan {
  requirePartChecksums(listed, stored.upload);
  const parts = chooseParts(listed, stored.parts, stored.upload);
  checkSize(parts, headers['x-amz-mp-object-size']);
  return { parts, outcome: { etag: joinedEtag(parts), ...objectChecksum(headers, declared, stored.upload, parts) } };
}

async function publish(
  request: S3Request,
  bucket: Entry,
  upload: Upload,
  plan: Plan,
  precondition: Precondition,
): Promise<void> {
  const parts = plan.parts.map(({ number, sizeBytes, checksums }) => ({
    number,
    sizeBytes,
    checksums: sameKind(checksums, plan.outcome.checksums),
  }));
  const s3: S3Record = { ...upload.s3, ...plan.outcome, version: 0, parts };
  const path = keyPath(bucket.attr.ino, upload.key);
  const options = { path, precondition, s3, xattrs: upload.xattrs };
  await request.vfs.uploads.complete(request.context, upload, plan.parts, options);
}

function parseListedParts(body: Buffer): ListedPart[] {
  const nodes = childrenOf(parseXml(body, 'CompleteMultipartUpload'), 'Part');
  if (nodes.length === 0 || nodes.length > PART_NUMBER_MAX) throw new S3Error('MalformedXML');
  const parts = nodes.map((node): ListedPart => {
    const text = childToken(node, 'PartNumber') ?? '';
    const number = Number(text);
    const etag = childText(node, 'ETag');
    if (!/^-?\d{1,15}$/.test(text) || etag === undefined) throw new S3Error('MalformedXML');
    if (number < 1 || number > PART_NUMBER_MAX) {
      throw new S3Error('InvalidArgument', {
        message: `PartNumber must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`,
        fields: { ArgumentName: 'PartNumber', ArgumentValue: number },
      });
    }
    return { number, etag: unquoteEtag(etag), checksums: xmlChecksums(node) };
  });
  for (let index = 1; index < parts.length; index++) {
    if (parts[index]!.number <= parts[index - 1]!.number) throw new S3Error('InvalidPartOrder');
  }
  return parts;
}

/** Those of a part's checksums that the object's own was made of; all of them when it has none. */
function sameKind(checksums: Record<string, string>, ofObject: Record<string, string>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const algorithm in ofObject) {
    const value = checksums[algorithm];
    if (value !== undefined) kept[algorithm] = value;
  }
  return Object.keys(kept).length === 0 ? checksums : kept;
}

/**
 * A composite is made of what the client knows of each part. @throws S3Error InvalidRequest naming the first part
 * without.
 */
function requirePartChecksums(listed: ListedPart[], upload: Upload): void {
  const algorithm = upload.checksumAlgorithm;
  if (algorithm === '' || upload.s3.checksumType !== 'COMPOSITE') return;
  const bare = listed.find((part) => part.checksums[algorithm] === undefined);
  if (bare === undefined) return;
  throw new S3Error('InvalidRequest', {
    message: `The upload was created using a ${lowerAscii(algorithm)} checksum. The complete request must include the checksum for each part. It was missing for part ${bare.number} in the request.`,
  });
}

/** Every stored part of the upload; undefined when there is no such upload (any more). One trip per 1000 parts. */
async function collectParts(request: S3Request, bucket: Entry, uploadId: string): Promise<StoredUpload | undefined> {
  const { uploads } = request.vfs;
  const upload = { uploadId, root: bucket.attr.ino, key: request.key! };
  const parts: Part[] = [];
  try {
    for (;;) {
      const afterNumber = parts.at(-1)?.number ?? 0;
      const page = await uploads.listParts(request.context, { ...upload, afterNumber, limit: PAGE_PARTS });
      parts.push(...page.parts);
      if (!page.truncated || page.parts.length === 0) return { upload: page.upload, parts };
    }
  } catch (error) {
    if (isFsError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** The stored parts that the request lists, in its order. @throws S3Error InvalidPart, EntityTooSmall. */
function chooseParts(listed: ListedPart[], stored: Part[], upload: Upload): Part[] {
  const byNumber = new Map(stored.map((part) => [part.number, part]));
  const parts = listed.map((one) => {
    const part = byNumber.get(one.number);
    if (part === undefined || part.etag !== one.etag || !sameChecksums(one.checksums, part.checksums)) {
      throw new S3Error('InvalidPart', {
        fields: { UploadId: upload.uploadId, PartNumber: one.number, ETag: one.etag },
      });
    }
    return part;
  });
  const small = parts.slice(0, -1).find((part) => part.sizeBytes < PART_BYTES_MIN);
  if (small !== undefined) {
    throw new S3Error('EntityTooSmall', {
      fields: {
        ProposedSize: small.sizeBytes,
        MinSizeAllowed: PART_BYTES_MIN,
        PartNumber: small.number,
        ETag: small.etag,
      },
    });
  }
  return parts;
}

function sameChecksums(listed: Record<string, string>, stored: Record<string, string>): boolean {
  for (const algorithm in listed) {
    if (listed[algorithm] !== stored[algorithm]) return false;
  }
  return true;
}

function checkSize(parts: Part[], expected: string | undefined): void {
  let sizeBytes = 0;
  for (const part of parts) sizeBytes += part.sizeBytes;
  if (sizeBytes > UPLOAD_BYTES_MAX) {
    throw new S3Error('EntityTooLarge', { fields: { ProposedSize: sizeBytes, MaxSizeAllowed: UPLOAD_BYTES_MAX } });
  }
  if (expected === undefined || (/^\d+$/.test(expected) && Number(expected) === sizeBytes)) return;
  throw new S3Error('InvalidRequest', {
    message: `The provided 'x-amz-mp-object-size' header value ${expected} does not match what was computed: ${sizeBytes}`,
  });
}

/**
 * Joins the parts' checksums and compares what the request declares for the whole object.
 * @throws S3Error BadDigest, InvalidRequest (another type, or a value that cannot be checked).
 */
function objectChecksum(
  headers: RequestHeaders,
  declared: HeaderChecksum | undefined,
  upload: Upload,
  parts: Part[],
): { checksums: Record<string, string>; checksumType: S3Record['checksumType'] } {
  // An upload for which nothing was asked gets what S3 gives it, where every part has it.
  const algorithm = upload.checksumAlgorithm === '' ? DEFAULT_CHECKSUM : upload.checksumAlgorithm;
  const type = upload.s3.checksumType === '' ? 'FULL_OBJECT' : upload.s3.checksumType;
  const askedType = headers['x-amz-checksum-type'];
  if (askedType !== undefined && upperAscii(askedType) !== type) {
    throw new S3Error('InvalidRequest', {
      message: `The upload was created with the ${type} checksum type; the complete request says ${askedType}.`,
    });
  }
  const computed: Record<string, string> = {};
  if (isChecksumAlgorithm(algorithm)) {
    const value = joinedChecksum(algorithm, type, parts);
    if (value !== undefined) computed[algorithm] = value;
  }
  if (declared !== undefined) checkDeclared(declared, computed, type, parts);
  return { checksums: computed, checksumType: Object.keys(computed).length === 0 ? '' : type };
}

function checkDeclared(
  declared: HeaderChecksum,
  computed: Record<string, string>,
  type: ChecksumType,
  parts: Part[],
): void {
  const { algorithm, text } = declared;
  const own = computed[algorithm] ?? joinedChecksum(algorithm, type, parts);
  if (own === undefined) {
    throw new S3Error('InvalidRequest', {
      message: `The upload's parts carry no ${algorithm} checksums, so that of the object cannot be verified.`,
    });
  }
  if (text === own || text === own.split('-')[0]) return;
  throw new S3Error('BadDigest', { message: `The ${algorithm} you specified did not match the calculated checksum.` });
}

async function uploadExists(request: S3Request, bucket: Entry, uploadId: string): Promise<boolean> {
  try {
    await request.vfs.uploads.get(request.context, { uploadId, root: bucket.attr.ino, key: request.key! });
    return true;
  } catch (error) {
    if (isFsError(error, 'ENOENT')) return false;
    throw error;
  }
}

/** What the Complete that succeeded answered. @throws S3Error NoSuchUpload when none is remembered. */
async function earlierOutcome(request: S3Request, bucket: Entry, uploadId: string): Promise<Outcome> {
  const completed = await request.vfs.uploads.completed(uploadId);
  if (completed === undefined) throw new S3Error('NoSuchUpload');
  const outcome: Outcome = { etag: completed.etag, checksums: {}, checksumType: '' };
  try {
    const found = await findObject(request, bucket, request.key!, { data: false, xattrs: false });
    const { attr, s3 } = found.walked;
    // Checksums are answered while the object is still the one that was completed.
    if (found.etag === completed.etag && s3 !== undefined) {
      return { ...outcome, checksums: objectChecksums(attr, s3), checksumType: s3.checksumType };
    }
  } catch (error) {
    if (!isFsError(error) && !(error instanceof S3Error)) throw error;
  }
  return outcome;
}

function answer(request: S3Request, outcome: Outcome): S3Response {
  const inner =
    element('Location', location(request)) +
    element('Bucket', request.bucket!) +
    element('Key', request.key!) +
    etagElement(outcome.etag) +
    checksumElements(outcome.checksums, outcome.checksumType);
  return { status: 200, body: xmlDocument('CompleteMultipartUploadResult', inner) };
}

function location(request: S3Request): ByteString {
  const { host } = request.headers;
  return host === undefined ? request.rawPath : `http://${host}${request.rawPath}`;
}
