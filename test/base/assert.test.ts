import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNever, assert as assume, BrokenAssumptionError } from '../../src/base/assert.ts';
import { isFsError } from '../../src/base/errors.ts';

test('a broken assumption is an EIO at both doors', () => {
  assume(true, 'holds');
  assert.throws(
    () => assume(false, 'two owners of one slot'),
    (error) => error instanceof BrokenAssumptionError && isFsError(error, 'EIO') && /two owners/.test(error.message),
  );
  assert.throws(() => assertNever('surprise' as never, 'kind'), /kind: unexpected "surprise"/);
});
