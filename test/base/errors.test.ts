import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokenAssumptionError, ERRNO, FsError, isFsError } from '../../src/base/errors.ts';

test('an error carries its errno by name and number, what was tried and why', () => {
  const cause = new Error('disk');
  const error = new FsError('ENOSPC', 'write', 'the store is full', { cause });
  assert.deepEqual([error.code, error.errno, error.op, error.cause], ['ENOSPC', ERRNO.ENOSPC, 'write', cause]);
  assert.equal(error.message, 'write: ENOSPC: the store is full');
  assert.equal(isFsError(error, 'ENOSPC'), true);
  assert.equal(isFsError(error, 'EIO'), false);
});

test('a broken assumption is EIO: one request fails and the process goes on', () => {
  const error = new BrokenAssumptionError('a slice ends before it begins');
  assert.equal(isFsError(error, 'EIO'), true);
  assert.match(error.message, /a slice ends/);
  assert.match(error.stack ?? '', /errors\.test/, 'with a stack, as it is a bug to be found');
});
