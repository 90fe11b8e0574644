import { FsError, isFsError } from '../base/errors.ts';
import { sleep } from '../base/sleep.ts';
import { StoreError, WrongLengthError } from './object/store-error.ts';
import { ObjectMissingError } from './types.ts';

export interface RetryLimits {
  /** Retries after the first attempt. */
  retryMax: number;
  /** No retry starts later than this after the first attempt, milliseconds. */
  retryMs: number;
}

const FIRST_DELAY_MS = 20;
const DELAY_MAX_MS = 3_000;
/** A block of the wrong length is rarely repaired by waiting: a replica may lag, a damaged object stays damaged. */
const WRONG_LENGTH_RETRIES = 2;

/**
 * Runs an object request again while it fails for a reason that may pass; waits 20 ms, 40 ms, ... 3 s with jitter
 * between attempts. This is the only place of the data layer that retries requests.
 * @throws ObjectMissingError at once; FsError ENOSPC/EDQUOT/EROFS/EIO when the limits are reached or the error is
 *   final, with the last error as cause; the signal's reason when aborted.
 */
export async function withRetry<T>(
  op: string,
  limits: RetryLimits,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  const startedMs = Date.now();
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof ObjectMissingError) throw error;
      const delayMs = retryDelayMs(tries);
      const timeIsUp = Date.now() - startedMs + delayMs > limits.retryMs;
      if (tries >= retriesFor(error, limits) || timeIsUp) throw toFsError(op, error);
      await sleep(delayMs, signal);
    }
  }
}

/** The FsError a program sees for a failed request of the data layer; an FsError stays what it is. */
export function toFsError(op: string, error: unknown): FsError {
  if (isFsError(error)) return error;
  const code = error instanceof StoreError ? error.code : 'EIO';
  return new FsError(code, op, error instanceof Error ? error.message : String(error), { cause: error });
}

function retriesFor(error: unknown, limits: RetryLimits): number {
  if (error instanceof WrongLengthError) return Math.min(WRONG_LENGTH_RETRIES, limits.retryMax);
  if (error instanceof StoreError && !error.retryable) return 0;
  return limits.retryMax;
}

/** Exponential with full jitter in its upper half, so that many clients of a store that came back spread out. */
function retryDelayMs(tries: number): number {
  const full = Math.min(DELAY_MAX_MS, FIRST_DELAY_MS * 2 ** tries);
  return full / 2 + (Math.random() * full) / 2;
}
