/**
 * What the server's clock shows, without asking it: this machine's monotonic clock plus the smallest difference that a
 * reply has shown lately.
 *
 *     request sent        server's time in the reply
 *     local  s  ------->  T                            T - s = offset of the clocks + the way there
 *
 * The smallest of these is the offset and the fastest way there. That is right in both directions: what is stamped now
 * is later than everything that happened before, also on other machines, and earlier than whatever this process asks for
 * after it, which takes at least as long to get there.
 *
 * Differences are forgotten after one to two periods, since clocks drift and are set.
 */
import type { Timestamp } from '../../base/vocabulary.ts';

const PERIOD_US = 30_000_000;
/** A clock that went back by more was set; the estimate follows instead of standing still. */
const SET_BACK_US = 1_000_000;

export class ServerClock {
  #now: () => number;
  #best = Number.POSITIVE_INFINITY;
  #bestBefore = Number.POSITIVE_INFINITY;
  #periodUs = 0;
  #lastUs = 0;

  /** @param now this machine's monotonic clock, milliseconds with fractions; tests bring their own. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Milliseconds of this machine's monotonic clock, to be given to learn(). */
  local(): number {
    return this.#now();
  }

  /**
   * A reply carried the server's time.
   * @param serverUs microseconds since 1970, read between the two moments
   * @param sentMs local() before the request was sent (the first time, if it was sent again)
   */
  learn(serverUs: number, sentMs: number): void {
    const answeredUs = this.#now() * 1000;
    const offset = serverUs - sentMs * 1000;
    // The server's clock was set forward: what earlier replies said is wrong.
    if (serverUs - answeredUs > Math.min(this.#best, this.#bestBefore)) {
      this.#best = Number.POSITIVE_INFINITY;
      this.#bestBefore = Number.POSITIVE_INFINITY;
    }
    if (answeredUs - this.#periodUs > PERIOD_US) {
      this.#periodUs = answeredUs;
      this.#bestBefore = this.#best;
      this.#best = offset;
    } else if (offset < this.#best) this.#best = offset;
    // Whoever has seen this reply acts after it.
    if (serverUs >= this.#lastUs) this.#lastUs = serverUs + 1;
  }

  /** Server time now, whole microseconds since 1970; never goes back but when the server's clock was set back. */
  nowUs(): number {
    const offset = Math.min(this.#best, this.#bestBefore);
    const us = offset === Number.POSITIVE_INFINITY ? Date.now() * 1000 : Math.ceil(this.#now() * 1000 + offset);
    if (us > this.#lastUs || this.#lastUs - us > SET_BACK_US) this.#lastUs = us;
    return this.#lastUs;
  }
}

/** Microseconds since 1970 -> seconds and nanoseconds. */
export function timestampOf(us: number): Timestamp {
  const sec = Math.floor(us / 1_000_000);
  return { sec, nsec: (us - sec * 1_000_000) * 1000 };
}
