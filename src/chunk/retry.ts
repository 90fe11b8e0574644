/**
 * Requests to the object store, tried again by time. The only place of the data layer that retries.
 *
 *     |-- attempt --x (refused)  pause  |-- attempt ........ silent x (abandoned)  pause  |-- attempt ...|
 *     0                                                                                              retryMs
 *
 * How often is only a matter of pace: ten refused connections within a second do not use anything up. An attempt that is
 * silent is abandoned in time for the next one; one that makes progress may take as long as it needs.
 */
import { FsError, isFsError } from '../base/errors.ts';
import { sleep } from '../base/sleep.ts';
import { ObjectMissingError } from './chunks.ts';
import { DamagedBlockError, StoreError } from './object/store-error.ts';

export interface RetryLimits {
  /** How long a request is tried in all, milliseconds; 0 is one attempt. */
  retryMs: number;
}

/** What an attempt is given. */
export interface Attempt {
  /** Aborted when the attempt is abandoned, or by the caller. */
  signal: AbortSignal;
  /** To be called whenever bytes have gone or come: the attempt is not silent. */
  progress: () => void;
}

const FIRST_DELAY_MS = 20;
const DELAY_MAX_MS = 3_000;
/** An attempt may be silent for this share of the whole time, within these bounds. */
const SILENCE_SHARE = 3;
const SILENCE_MS_MIN = 1_000;
const SILENCE_MS_MAX = 20_000;
/** A damaged block is rarely repaired by waiting: a replica may lag, a wire may have lied, a damaged object stays damaged. */
const DAMAGED_RETRIES = 2;

/**
 * Runs an object request again while it fails for a reason that may pass; waits 20 ms, 40 ms, ... 3 s with jitter
 * between attempts.
 * @throws ObjectMissingError at once; FsError ENOSPC/EDQUOT/EROFS/EIO when the time is over or the error is final, with
 *   the last error as cause; the signal's reason when aborted. An attempt that does not heed its signal is left to
 *   itself: whoever waits is let go all the same.
 */
export async function withRetry<T>(
  op: string,
  limits: RetryLimits,
  signal: AbortSignal | undefined,
  attempt: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const startedMs = performance.now();
  for (let tries = 0; ; tries++) {
    try {
      signal?.throwIfAborted();
      return await tryOnce(silenceMs(limits, performance.now() - startedMs), signal, attempt);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof ObjectMissingError) throw error;
      const delayMs = retryDelayMs(tries, error);
      const timeIsUp = performance.now() - startedMs + delayMs >= limits.retryMs;
      if (isFinal(error, tries) || timeIsUp) throw toFsError(op, error);
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

/** How long the next attempt may be silent: so long that others fit into the time, the last one until its end. */
function silenceMs(limits: RetryLimits, goneMs: number): number {
  if (limits.retryMs === 0) return SILENCE_MS_MAX;
  const share = Math.min(SILENCE_MS_MAX, Math.max(SILENCE_MS_MIN, limits.retryMs / SILENCE_SHARE));
  return Math.max(SILENCE_MS_MIN, Math.min(share, limits.retryMs - goneMs));
}

function tryOnce<T>(
  quietMs: number,
  signal: AbortSignal | undefined,
  attempt: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abandon = new AbortController();
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const giveUp = (reason: unknown): void => {
      finish();
      abandon.abort(reason);
      reject(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const timer = setTimeout(() => {
      giveUp(new StoreError(`no answer for ${Math.round(quietMs / 100) / 10} seconds`, { retryable: true }));
    }, quietMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    attempt({ signal: abandon.signal, progress: () => timer.refresh() }).then(
      (value) => {
        finish();
        resolve(value);
      },
      (error: unknown) => {
        finish();
        reject(error);
      },
    );
  });
}

function isFinal(error: unknown, tries: number): boolean {
  if (isFsError(error)) return true; // Not the store's: a key is missing.
  if (error instanceof DamagedBlockError) return tries >= DAMAGED_RETRIES;
  return error instanceof StoreError && !error.retryable;
}

/** Exponential with jitter in its upper half, so that many clients of a store that came back spread out. */
function retryDelayMs(tries: number, error: unknown): number {
  const full = Math.min(DELAY_MAX_MS, FIRST_DELAY_MS * 2 ** Math.min(tries, 16));
  const delayMs = full / 2 + (Math.random() * full) / 2;
  return error instanceof StoreError ? Math.max(delayMs, error.retryAfterMs) : delayMs;
}
