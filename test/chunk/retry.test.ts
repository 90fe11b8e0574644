import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FsError, isFsError } from '../../src/base/errors.ts';
import { ObjectMissingError } from '../../src/chunk/chunks.ts';
import { DamagedBlockError, StoreError } from '../../src/chunk/object/store-error.ts';
import { withRetry } from '../../src/chunk/retry.ts';

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

const LIMITS = { retryMs: 50_000 };
const passing = (): Error => new StoreError('busy', { retryable: true });

test('an error that passes is not seen', { timeout: 60_000 }, async () => {
  const task = failing(passing(), new Error('unknown errors may pass too'));
  assert.equal(await withRetry('get', LIMITS, undefined, task.attempt), 'done');
  assert.equal(task.attempts(), 3);
});

test('time bounds the attempts, not their number', { timeout: 60_000 }, async () => {
  const often = failing(...Array.from({ length: 12 }, passing));
  assert.equal(await withRetry('get', { retryMs: 50_000 }, undefined, often.attempt), 'done');
  assert.equal(often.attempts(), 13);
  const late = failing(...Array.from({ length: 1000 }, passing));
  await assert.rejects(withRetry('get', { retryMs: 300 }, undefined, late.attempt), (error: unknown) => {
    assert.ok(isFsError(error, 'EIO') && error.op === 'get' && error.cause instanceof StoreError);
    return true;
  });
  assert.ok(late.attempts() > 2);
  const once = failing(passing(), passing());
  await assert.rejects(withRetry('get', { retryMs: 0 }, undefined, once.attempt));
  assert.equal(once.attempts(), 1);
});

test('a silent attempt is abandoned for the next, one that makes progress is not', { timeout: 60_000 }, async () => {
  const signals: AbortSignal[] = [];
  const answer = await withRetry('get', { retryMs: 30_000 }, undefined, async ({ signal }) => {
    signals.push(signal);
    if (signals.length > 1) return 'second';
    return new Promise<string>(() => {});
  });
  assert.equal(answer, 'second');
  assert.ok(signals[0]!.aborted && !signals[1]!.aborted);
  let attempts = 0;
  const slow = await withRetry('get', { retryMs: 3_000 }, undefined, async ({ progress }) => {
    attempts++;
    for (let i = 0; i < 8; i++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      progress();
    }
    return 'slow';
  });
  assert.deepEqual([slow, attempts], ['slow', 1]);
  await assert.rejects(
    withRetry('put', { retryMs: 1_500 }, undefined, () => new Promise(() => {})),
    /EIO|no answer/,
  );
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
  const torn = failing(...Array.from({ length: 9 }, () => new DamagedBlockError('k', 'it is short')));
  await assert.rejects(withRetry('get', { retryMs: 50_000 }, undefined, torn.attempt));
  assert.equal(torn.attempts(), 3);
});

test('an abort ends the waiting with its own reason', { timeout: 60_000 }, async () => {
  const abort = new AbortController();
  const task = failing(passing(), passing());
  const running = withRetry('get', LIMITS, abort.signal, task.attempt);
  abort.abort(new FsError('EINTR', 'read'));
  await assert.rejects(running, (error: unknown) => isFsError(error, 'EINTR'));
});
