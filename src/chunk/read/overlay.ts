/**
 * A chunk's records in commit order -> what a reader sees: sorted segments that do not overlap.
 *
 *     records   1: [=========]          segments   [==1==][=3=][1][==2==]   (a gap before 2 would read as zeros)
 *               2:           [=====]
 *               3:      [===]
 */
import type { SliceRecord } from '../../base/slice-record.ts';

/** A visible run of bytes of one slice; positions are relative to the chunk's start. */
export type Segment = SliceRecord;

/** Later records hide earlier ones; ranges of zeros (slice id 0) and gaps have no segment. O(records x segments) worst. */
export function visibleSegments(records: readonly SliceRecord[]): Segment[] {
  const segments: Segment[] = [];
  for (const record of records) overlayRecord(segments, record);
  return segments;
}

/** Puts one more record over the segments. O(1) behind the last one, O(segments) elsewhere. */
export function overlayRecord(segments: Segment[], record: SliceRecord): void {
  if (record.len === 0) return;
  const last = segments[segments.length - 1];
  if (last === undefined || last.pos + last.len <= record.pos) {
    if (record.id !== 0) segments.push(record); // Files are mostly written front to back.
    return;
  }
  const end = record.pos + record.len;
  const from = firstSegmentAfter(segments, record.pos);
  let to = from;
  while (to < segments.length && segments[to]!.pos < end) to++;
  const replacement: Segment[] = [];
  if (to > from) {
    const left = segments[from]!;
    if (left.pos < record.pos) replacement.push({ ...left, len: record.pos - left.pos });
  }
  if (record.id !== 0) replacement.push(record);
  if (to > from) {
    const right = segments[to - 1]!;
    const hidden = end - right.pos;
    if (hidden < right.len) {
      replacement.push({ ...right, pos: end, off: right.off + hidden, len: right.len - hidden });
    }
  }
  segments.splice(from, to - from, ...replacement);
}

/** Index of the first segment that ends after `pos` (segments.length when none). O(log n). */
export function firstSegmentAfter(segments: readonly Segment[], pos: number): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const segment = segments[middle]!;
    if (segment.pos + segment.len > pos) high = middle;
    else low = middle + 1;
  }
  return low;
}
