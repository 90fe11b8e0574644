/**
 * Keeps the event loop from sleeping while requests come densely. A sleeping CPU takes 50 to 300 us to wake up on a
 * virtual machine, several times the work of an operation, and a program that waits for one request after another pays
 * it at every step: for the answer of Redis and for its next request.
 *
 *     request   < DENSE_MS after the one before:  the loop turns without sleeping for POLL_MS, then sleeps as usual
 *     request   later than that:                  nothing; a mount that is used now and then costs no CPU
 *
 * Turning ends with the burst: at most POLL_MS of one CPU is spent after the last request.
 */

/** Requests this close together count as dense, ms. */
const DENSE_MS = 1;
/** How long to look for more before sleeping, ms. */
const POLL_MS = 0.3;

export interface BusyPollClock {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Runs a callback in the next turn of the loop and keeps that turn from sleeping. */
  nextTurn(callback: () => void): void;
}

const REAL_CLOCK: BusyPollClock = { now: () => performance.now(), nextTurn: (callback) => void setImmediate(callback) };

export class BusyPoll {
  readonly #clock: BusyPollClock;
  #lastMs = Number.NEGATIVE_INFINITY;
  #untilMs = 0;
  #turning = false;

  constructor(clock: BusyPollClock = REAL_CLOCK) {
    this.#clock = clock;
  }

  /** A request has come. */
  note(): void {
    const now = this.#clock.now();
    const dense = now - this.#lastMs < DENSE_MS;
    this.#lastMs = now;
    if (!dense) return;
    this.#untilMs = now + POLL_MS;
    if (this.#turning) return;
    this.#turning = true;
    this.#clock.nextTurn(this.#turn);
  }

  readonly #turn = (): void => {
    this.#turning = this.#clock.now() < this.#untilMs;
    if (this.#turning) this.#clock.nextTurn(this.#turn);
  };
}
