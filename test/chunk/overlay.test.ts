import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SliceRecord } from '../../src/base/slice-record.ts';
import { firstSegmentAfter, overlayRecord, visibleSegments } from '../../src/chunk/read/overlay.ts';

const CHUNK = 64;

/** Which slice byte a reader sees at each position: later records win, id 0 is zeros. */
function naive(records: readonly SliceRecord[]): string[] {
  const bytes = new Array<string>(CHUNK).fill('zero');
  for (const record of records) {
    for (let i = 0; i < record.len; i++) {
      bytes[record.pos + i] = record.id === 0 ? 'zero' : `${record.id}@${record.off + i}`;
    }
  }
  return bytes;
}

function shown(segments: readonly SliceRecord[]): string[] {
  const bytes = new Array<string>(CHUNK).fill('zero');
  let end = 0;
  for (const segment of segments) {
    assert.ok(segment.pos >= end, 'segments are sorted and do not overlap');
    assert.ok(segment.len > 0, 'no segment is empty');
    assert.notEqual(segment.id, 0, 'zeros have no segment');
    end = segment.pos + segment.len;
    for (let i = 0; i < segment.len; i++) bytes[segment.pos + i] = `${segment.id}@${segment.off + i}`;
  }
  return bytes;
}

const recordArbitrary: fc.Arbitrary<SliceRecord> = fc
  .record({
    pos: fc.integer({ min: 0, max: CHUNK - 1 }),
    len: fc.integer({ min: 0, max: 24 }),
    id: fc.integer({ min: 0, max: 5 }),
    off: fc.integer({ min: 0, max: 100 }),
    inline: fc.boolean(),
  })
  .map((r) => ({ ...r, len: Math.min(r.len, CHUNK - r.pos), size: 200 }));

test('visible segments show exactly what writing the records one after another would', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.array(recordArbitrary, { maxLength: 40 }), (records) => {
      assert.deepEqual(shown(visibleSegments(records)), naive(records));
    }),
    { numRuns: 500 },
  );
});

test('laying one more record over the segments equals building them anew', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.array(recordArbitrary, { maxLength: 20 }), recordArbitrary, (records, last) => {
      const segments = visibleSegments(records);
      overlayRecord(segments, last);
      assert.deepEqual(shown(segments), naive([...records, last]));
    }),
    { numRuns: 300 },
  );
});

test('a position finds the first segment that ends after it', { timeout: 60_000 }, () => {
  const segment = (pos: number, len: number): SliceRecord => ({ pos, len, id: 1, off: 0, size: 100, inline: false });
  const segments = [segment(0, 4), segment(8, 4), segment(20, 1)];
  assert.deepEqual(
    [0, 3, 4, 8, 12, 20, 21].map((pos) => firstSegmentAfter(segments, pos)),
    [0, 0, 1, 1, 2, 2, 3],
  );
});
