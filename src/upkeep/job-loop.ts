/**
 * The one loop that runs background work. A job says what one round does and how long to pause; the loop repeats rounds
 * until it is stopped, logs failed ones, and can be woken before a pause is over.
 */
import type { Logger } from '../base/log.ts';
import { sleep } from '../base/sleep.ts';

export interface Job {
  /** For the log. */
  readonly name: string;
  /** Pause before the first round and after a failed one, ms. */
  readonly pauseMs: number;
  /**
   * Does one round; what is left when the signal aborts is found again later.
   * @returns how long to pause before the next round, ms.
   * @throws what kept it from its work: logged, and tried again after pauseMs.
   */
  round(signal: AbortSignal): Promise<number>;
}

export class JobLoop {
  readonly #job: Job;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #wake: (() => void) | undefined;
  #woken = false;

  constructor(job: Job, logger: Logger) {
    this.#job = job;
    this.#logger = logger;
    this.#running = this.#run();
  }

  /** Ends the pause: there is something to do. During a round it makes the next one follow at once. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Resolves when the round under way is over; no other follows. Never rejects. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { name, pauseMs } = this.#job;
    const { signal } = this.#stop;
    let wait = pauseMs;
    while (!signal.aborted) {
      if (!this.#woken) await this.#pause(wait);
      this.#woken = false;
      if (signal.aborted) return;
      try {
        wait = await this.#job.round(signal);
      } catch (error) {
        if (!signal.aborted) {
          this.#logger.warn({ task: name, err: String(error) }, 'a background task failed; it is tried again');
        }
        wait = pauseMs;
        this.#woken = false;
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    try {
      await sleep(ms, woken.signal);
    } catch {
      // Woken before its time: that is what the signal is for.
    }
    this.#wake = undefined;
  }
}
