import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from '../../src/base/crc32c.ts';
import { BLOCK_BYTES } from '../../src/base/slice-record.ts';
import { encodeTrailer, FRAME_BYTES, frameSpan, objectBytes, openObject } from '../../src/chunk/block-format.ts';
import { pattern } from './fake-volume.ts';

test('the checksums of a block do not depend on where its parts are cut', { timeout: 60_000 }, () => {
  const data = pattern(5 * FRAME_BYTES + 77, 1);
  const block = { sliceId: 2 ** 52 + 3, index: 15, blockBytes: data.length };
  const whole = encodeTrailer(block, [data]);
  for (let frame = 0; frame < 6; frame++) {
    assert.equal(whole.readUInt32LE(frame * 4), crc32c(data.subarray(frame * FRAME_BYTES, (frame + 1) * FRAME_BYTES)));
  }
  const cuts = fc.array(fc.nat(data.length), { maxLength: 12 });
  fc.assert(
    fc.property(cuts, (at) => {
      const edges = [0, ...at.sort((a, b) => a - b), data.length];
      const parts = edges.slice(1).map((end, i) => data.subarray(edges[i], end));
      assert.ok(encodeTrailer(block, parts).equals(whole));
    }),
    { numRuns: 50 },
  );
  const object = Buffer.concat([data, whole]);
  assert.equal(object.length, objectBytes(data.length, true));
  assert.ok(openObject(block, object).equals(data));
});

test('D6: no change of one byte of an object goes unnoticed', { timeout: 60_000 }, () => {
  const data = pattern(FRAME_BYTES + 9, 2);
  const block = { sliceId: 7, index: 0, blockBytes: data.length };
  const object = Buffer.concat([data, encodeTrailer(block, [data])]);
  fc.assert(
    fc.property(fc.nat(object.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      object[at]! ^= flip;
      assert.throws(() => openObject(block, object), { name: 'DamagedBlockError' });
      object[at]! ^= flip;
    }),
    { numRuns: 300 },
  );
});

test('a range is read in whole frames, the last of which may be short', { timeout: 60_000 }, () => {
  const at = (offset: number, length: number) => frameSpan(BLOCK_BYTES - 5, { offset, length });
  assert.deepEqual(at(0, 1), { offset: 0, length: FRAME_BYTES });
  assert.deepEqual(at(FRAME_BYTES - 1, 2), { offset: 0, length: 2 * FRAME_BYTES });
  assert.deepEqual(at(BLOCK_BYTES - 10, 5), { offset: BLOCK_BYTES - FRAME_BYTES, length: FRAME_BYTES - 5 });
});
