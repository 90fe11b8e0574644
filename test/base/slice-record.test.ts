import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CHUNK_BYTES, packSliceRecords, SLICE_RECORD_BYTES, unpackSliceRecords } from '../../src/base/slice-record.ts';

const record = fc.record(
  {
    pos: fc.integer({ min: 0, max: CHUNK_BYTES - 1 }),
    id: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    size: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    off: fc.integer({ min: 0, max: CHUNK_BYTES }),
    len: fc.integer({ min: 0, max: CHUNK_BYTES }),
    inline: fc.boolean(),
  },
  { noNullPrototype: true },
);

test('packed slice records read back as they were', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 20 }), (records) => {
      const packed = packSliceRecords(records);
      assert.equal(packed.length, records.length * SLICE_RECORD_BYTES);
      assert.deepEqual(unpackSliceRecords(packed), records);
    }),
  );
});

test('the layout of a packed record is the one in the documentation', () => {
  const packed = packSliceRecords([{ pos: 1, id: 2 ** 32 + 2, size: 3, off: 4, len: 5, inline: true }]);
  assert.equal(packed.toString('hex'), '010000000200000001000000030000800400000005000000');
});

test('a slice map of a wrong length is refused', () => {
  assert.throws(() => unpackSliceRecords(Buffer.alloc(SLICE_RECORD_BYTES + 1)), /25 bytes is damaged/);
});
