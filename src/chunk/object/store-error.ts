import type { ErrnoCode } from '../../base/errors.ts';

/**
 * A failed request to an object store. `retryable` tells whether the same request may succeed in a moment (network,
 * throttling, a server's own trouble) or will fail until somebody acts (permission, full disk, wrong bucket).
 */
export class StoreError extends Error {
  readonly retryable: boolean;
  /** What a program should see when this is why its write was lost. */
  readonly code: Extract<ErrnoCode, 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EROFS'>;
  /** How long the store asks to be left alone (Retry-After), milliseconds. */
  readonly retryAfterMs: number;

  /** @param message what was wrong and what to do; must name no secret. */
  constructor(
    message: string,
    options: {
      retryable: boolean;
      code?: 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EROFS';
      retryAfterMs?: number;
      cause?: unknown;
    },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StoreError';
    this.retryable = options.retryable;
    this.code = options.code ?? 'EIO';
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** A block is not in the store yet: it waits in another client's journal (write-back). */
export class PendingBlockError extends StoreError {
  constructor(key: string, place: string) {
    super(`object ${key} waits in the journal ${place}`, { retryable: true });
    this.name = 'PendingBlockError';
  }
}

/** A block came back otherwise than it was stored: torn, damaged, under a wrong name, or still being replaced. */
export class DamagedBlockError extends Error {
  /** What is wrong with it. */
  readonly what: string;

  constructor(key: string, what: string) {
    super(`object ${key} is damaged: ${what}`);
    this.name = 'DamagedBlockError';
    this.what = what;
  }
}
