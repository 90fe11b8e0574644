/**
 * One memory budget for all write buffers of the process. Bytes are taken before anybody asks whether there is room
 * (a write copies its data before it returns), so the overshoot is bounded by the writes in flight; who finds the
 * budget exhausted waits until commits have given bytes back.
 *
 *     used = open (still growing) + frozen (being stored and committed) + failed (kept for a retry)
 *
 * Above three quarters of the limit writers are asked to freeze until open bytes are at most half of it: frozen bytes
 * come back by themselves, open ones would not.
 */
export class WriteBudget {
  readonly limitBytes: number;
  /** Frozen bytes that are on their way to a commit. */
  #frozenBytes = 0;
  #usedBytes = 0;
  #waiting: (() => void)[] = [];
  #relieve: (() => void) | undefined;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** Sets what frees memory: freezes open slices, and gives up failed ones when nothing else helps. */
  onPressure(relieve: () => void): void {
    this.#relieve = relieve;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** True while open slices must be frozen. */
  get pressed(): boolean {
    return this.#usedBytes * 4 > this.limitBytes * 3 && (this.#usedBytes - this.#frozenBytes) * 2 > this.limitBytes;
  }

  take(bytes: number): void {
    this.#usedBytes += bytes;
  }

  /** So many bytes more (or fewer, when negative) are on their way. */
  freeze(bytes: number): void {
    this.#frozenBytes += bytes;
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes;
    if (this.#waiting.length === 0 || this.#usedBytes > this.limitBytes) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  /** Undefined when there is room; else resolves when there is. Call after take(). */
  room(): Promise<void> | undefined {
    if (this.pressed) this.#relieve?.();
    if (this.#usedBytes <= this.limitBytes) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Looks again whether failed bytes must be given up for those who wait. */
  recheck(): void {
    if (this.#waiting.length > 0) this.#relieve?.();
  }
}
