/** Byte ranges of GetObject, HeadObject and UploadPartCopy. */

/** Bytes [offset, offset + length) of an object. */
export interface ByteRange {
  offset: number;
  length: number;
}

const SINGLE_RANGE = /^bytes=(\d*)-(\d*)$/i;
const COPY_RANGE = /^bytes=(\d+)-(\d+)$/;

/**
 * Reads a Range header against an object's size. A malformed header (white space in it too), another unit and a list of
 * ranges are ignored, as S3 does: the whole object is answered. The last bytes of an empty object are the whole of it,
 * so that a reader of footers needs no case for it.
 * @returns 'whole' when there is nothing to cut, 'unsatisfiable' (416 InvalidRange) when no byte is in the range.
 * @see RFC 9110 section 14.1.2
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | 'whole' | 'unsatisfiable' {
  if (header === undefined) return 'whole';
  const match = SINGLE_RANGE.exec(header);
  if (match === null) return 'whole';
  const [, first = '', last = ''] = match;
  if (first === '') return last === '' ? 'whole' : suffixRange(Number(last), sizeBytes);
  const offset = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && BigInt(last) < BigInt(first)) return 'whole';
  if (offset >= sizeBytes) return 'unsatisfiable';
  return { offset, length: end - offset + 1 };
}

function suffixRange(wanted: number, sizeBytes: number): ByteRange | 'whole' | 'unsatisfiable' {
  if (wanted === 0) return 'unsatisfiable';
  if (sizeBytes === 0) return 'whole';
  const length = Math.min(wanted, sizeBytes);
  return { offset: sizeBytes - length, length };
}

/**
 * Reads x-amz-copy-source-range, which is strict: both ends, and both inside the source.
 * @returns 'malformed' (InvalidArgument) or 'unsatisfiable' (InvalidRange) when it cannot be served.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
 */
export function parseCopyRange(header: string, sizeBytes: number): ByteRange | 'malformed' | 'unsatisfiable' {
  const match = COPY_RANGE.exec(header);
  if (match === null) return 'malformed';
  const offset = Number(match[1]);
  const last = Number(match[2]);
  if (last < offset) return 'malformed';
  if (last >= sizeBytes) return 'unsatisfiable';
  return { offset, length: last - offset + 1 };
}

/** The Content-Range value of a 206 answer. */
export function contentRange(range: ByteRange, sizeBytes: number): string {
  return `bytes ${range.offset}-${range.offset + range.length - 1}/${sizeBytes}`;
}
