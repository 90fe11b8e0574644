import { upperAscii } from '../../../base/byte-string.ts';
import type { Entry } from '../../../base/vocabulary.ts';
import { checksumHeaders } from '../../payload/checksum-headers.ts';
import { checkReadConditions, unquoteEtag } from '../../protocol/conditions.ts';
import { objectChecksums } from '../../protocol/etag.ts';
import { type ByteRange, contentRange, parseRange } from '../../protocol/ranges.ts';
import type { RequestHeaders } from '../../protocol/request-headers.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { parseHttpDate, shownSec } from '../../protocol/times.ts';
import { partNumberOf } from '../multipart/part-request.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { readBody } from './body.ts';
import { type FoundObject, findObject, refuseVersion, walkAgainWhenStale } from './find-object.ts';
import { applyOverrides, effectiveHeaders, objectHeaders } from './headers.ts';

/**
 * Answers an object's bytes, whole or one range or one part. One round trip for small objects: the walk brings the
 * attributes, the S3 record, the metadata and the data.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 */
export const getObject: Operation = {
  name: 'GetObject',
  scope: 'object',
  method: 'GET',
  action: 's3:GetObject',
  payload: 'none',
  bucket: 'ino',
  absent: 'key',
  handle: (request) => answerObject(request, false),
};

/** Which bytes are answered, and how. */
interface Selection {
  range: ByteRange;
  /** 206 instead of 200. */
  partial: boolean;
  /** Number of parts, when a part was asked for of an object that has parts. */
  partsCount: number | undefined;
  /** Checksums of exactly these bytes; undefined for a plain range. */
  checksums: Record<string, string> | undefined;
}

/** GetObject, or HeadObject when `head`: the same answer without the bytes. */
export async function answerObject(request: S3Request, head: boolean): Promise<S3Response> {
  refuseVersion(request.query.get('versionId'), request.key!);
  const partNumber = requestedPart(request);
  const bucket = await request.bucketEntry();
  return walkAgainWhenStale(() => answerOnce(request, bucket, head, partNumber));
}

/**
 * The part that is asked for. A request that cannot be is refused whether or not there is such a key.
 * @throws S3Error InvalidArgument (no number from 1 to 10000), InvalidRequest (a range too).
 */
function requestedPart(request: S3Request): number | undefined {
  if (!request.query.has('partNumber')) return undefined;
  const number = partNumberOf(request);
  if (effectiveHeaders(request).range === undefined) return number;
  throw new S3Error('InvalidRequest', {
    message: 'Cannot specify both Range header and partNumber query parameter',
  });
}

async function answerOnce(
  request: S3Request,
  bucket: Entry,
  head: boolean,
  partNumber: number | undefined,
): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  const found = await findObject(request, bucket, request.key!, { data: !head, xattrs: true });
  const answer = objectHeaders(found.walked, found.etag, found.directory);
  const validators = { etag: found.etag, mtimeSec: shownSec(found.walked.attr.mtimeSec) };
  if (!checkReadConditions(headers, '', validators)) return notModified(answer);
  const selection = select(found, headers, partNumber);
  applyOverrides(answer, request.query);
  describeSelection(answer, selection, found);
  if (selection.checksums !== undefined && upperAscii(headers['x-amz-checksum-mode'] ?? '') === 'ENABLED') {
    Object.assign(answer, checksumHeaders(selection.checksums, found.walked.s3?.checksumType ?? ''));
  }
  const status = selection.partial ? 206 : 200;
  if (head) return { status, headers: answer };
  if (selection.range.length === 0) return { status, headers: answer, body: Buffer.alloc(0) };
  const body = await readBody(request.vfs.objects, request.context, found.walked, selection.range);
  return { status, headers: answer, body };
}

/** @see RFC 9110 section 15.4.5 */
function notModified(answer: Record<string, string | number>): S3Response {
  const headers: Record<string, string | number> = {};
  for (const name of ['ETag', 'Last-Modified', 'cache-control', 'expires']) {
    if (answer[name] !== undefined) headers[name] = answer[name];
  }
  return { status: 304, headers };
}

function describeSelection(answer: Record<string, string | number>, selection: Selection, found: FoundObject): void {
  answer['Content-Length'] = selection.range.length;
  if (selection.partial && selection.range.length > 0) {
    answer['Content-Range'] = contentRange(selection.range, found.sizeBytes);
  }
  if (selection.partsCount !== undefined) answer['x-amz-mp-parts-count'] = selection.partsCount;
}

function select(found: FoundObject, headers: RequestHeaders, partNumber: number | undefined): Selection {
  if (partNumber !== undefined) return selectPart(found, partNumber);
  const rangeHeader = headers.range;
  const range = rangeApplies(headers, found) ? parseRange(rangeHeader, found.sizeBytes) : 'whole';
  if (range === 'whole') return selectWhole(found);
  if (range === 'unsatisfiable') throw invalidRange(rangeHeader!, found.sizeBytes);
  return { range, partial: true, partsCount: undefined, checksums: undefined };
}

function selectWhole(found: FoundObject): Selection {
  return {
    range: { offset: 0, length: found.sizeBytes },
    partial: false,
    partsCount: undefined,
    checksums: objectChecksums(found.walked.attr, found.walked.s3),
  };
}

/** A resumed download gets the rest only of what it began. @see RFC 9110 section 13.1.5 */
function rangeApplies(headers: RequestHeaders, found: FoundObject): boolean {
  const ifRange = headers['if-range'];
  if (ifRange === undefined) return true;
  const sec = parseHttpDate(ifRange);
  if (sec === undefined) return unquoteEtag(ifRange) === found.etag;
  return shownSec(found.walked.attr.mtimeSec) === sec;
}

function selectPart(found: FoundObject, number: number): Selection {
  const { attr, s3 } = found.walked;
  const parts = s3 !== undefined && s3.version === attr.version ? s3.parts : [];
  // An object that no multipart upload made is its own first part.
  if (parts.length === 0 && number === 1) return { ...selectWhole(found), partial: found.sizeBytes > 0 };
  const part = parts[number - 1];
  if (part === undefined) {
    throw new S3Error('InvalidPartNumber', {
      fields: { PartNumberRequested: number, ActualPartCount: Math.max(parts.length, 1) },
    });
  }
  let offset = 0;
  for (let index = 0; index < number - 1; index++) offset += parts[index]!.sizeBytes;
  return {
    range: { offset, length: part.sizeBytes },
    partial: true,
    partsCount: parts.length,
    checksums: part.checksums,
  };
}

function invalidRange(header: string, sizeBytes: number): S3Error {
  return new S3Error('InvalidRange', {
    fields: { RangeRequested: header, ActualObjectSize: sizeBytes },
    headers: { 'Content-Range': `bytes */${sizeBytes}` },
  });
}
