import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FsError, isFsError } from '../../src/base/errors.ts';
import { StoreError, WrongLengthError } from '../../src/chunk/object/store-error.ts';
import { withRetry } from '../../src/chunk/retry.ts';
import { ObjectMissingError } from '../../src/chunk/types.ts';

/** Fails with the errors in turn, then answers 'done'; counts attempts. */
function failing(...errors: Error[]): { attempt: () => Promise<string>; attempts: () => number } {
  let attempts = 0;
  return {
    attempt: async () => {
      attempts++;
      const error = errors.shift();
      if (error !== undefined) throw error;
      return 'done';
    },
    attempts: () => attempts,
  };
}

const LIMITS = { retryMax: 3, retryMs: 50_000 };
const passing = (): Error => new StoreError('busy', { retryable: true });

test('an error that passes is not seen', { timeout: 60_000 }, async () => {
  const task = failing(passing(), new Error('unknown errors may pass too'));
  assert.equal(await withRetry('get', LIMITS, undefined, task.attempt), 'done');
  assert.equal(task.attempts(), 3);
});

test('attempts are bounded in count and in time', { timeout: 60_000 }, async () => {
  const often = failing(passing(), passing(), passing(), passing(), passing());
  await assert.rejects(withRetry('get', LIMITS, undefined, often.attempt), (error: unknown) => {
    assert.ok(isFsError(error, 'EIO') && error.op === 'get' && error.cause instanceof StoreError);
    return true;
  });
  assert.equal(often.attempts(), 4);
  const late = failing(passing(), passing());
  await assert.rejects(withRetry('get', { retryMax: 100, retryMs: 0 }, undefined, late.attempt));
  assert.equal(late.attempts(), 1);
});

test('what will not pass is not tried again', { timeout: 60_000 }, async () => {
  const missing = failing(new ObjectMissingError('k'));
  await assert.rejects(withRetry('get', LIMITS, undefined, missing.attempt), ObjectMissingError);
  const full = failing(new StoreError('full', { retryable: false, code: 'ENOSPC' }));
  await assert.rejects(withRetry('put', LIMITS, undefined, full.attempt), (error: unknown) =>
    isFsError(error, 'ENOSPC'),
  );
  assert.deepEqual([missing.attempts(), full.attempts()], [1, 1]);
});

test('a wrong length is tried only briefly', { timeout: 60_000 }, async () => {
  const torn = failing(...Array.from({ length: 9 }, () => new WrongLengthError('k', 5, 4)));
  await assert.rejects(withRetry('get', { retryMax: 8, retryMs: 50_000 }, undefined, torn.attempt));
  assert.equal(torn.attempts(), 3);
});

test('an abort ends the waiting with its own reason', { timeout: 60_000 }, async () => {
  const abort = new AbortController();
  const task = failing(passing(), passing());
  const running = withRetry('get', LIMITS, abort.signal, task.attempt);
  abort.abort(new FsError('EINTR', 'read'));
  await assert.rejects(running, (error: unknown) => isFsError(error, 'EINTR'));
});
