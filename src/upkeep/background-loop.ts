import type { Logger } from '../base/log.ts';
import { sleep } from '../base/sleep.ts';

/** A task repeated with pauses until it is stopped. A failed round is logged and the next one comes after its pause. */
export class BackgroundLoop {
  readonly #name: string;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #running: Promise<void>;
  #wake: (() => void) | undefined;

  /**
   * @param round does one round; answers how long to pause before the next, ms.
   * @param pauseMs pause before the first round and after a failed one.
   */
  constructor(name: string, logger: Logger, pauseMs: number, round: (signal: AbortSignal) => Promise<number>) {
    this.#name = name;
    this.#logger = logger;
    this.#running = this.#run(pauseMs, round);
  }

  /** Ends the pause: there is something to do. */
  wake(): void {
    this.#wake?.();
  }

  /** Resolves when the round under way is over; no other follows. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake?.();
    await this.#running;
  }

  async #run(pauseMs: number, round: (signal: AbortSignal) => Promise<number>): Promise<void> {
    const { signal } = this.#stop;
    let wait = pauseMs;
    while (!signal.aborted) {
      await this.#pause(wait);
      if (signal.aborted) return;
      try {
        wait = await round(signal);
      } catch (error) {
        if (!signal.aborted) this.#logger.warn({ task: this.#name, err: String(error) }, 'a background task failed');
        wait = pauseMs;
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
