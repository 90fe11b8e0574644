/** What a service has opened, closed again in reverse order: properly, or at once when time is up. */
import type { Logger } from '../../base/log.ts';

interface Step {
  name: string;
  close: () => Promise<void>;
  force: () => void;
}

export class Teardown {
  readonly #steps: Step[] = [];
  #closing: Step | undefined;
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * @param close ends it properly. @param force leaves no mount and no process behind, without waiting; it may be
   * called while `close` is still at work, and must not throw.
   */
  add(name: string, close: () => Promise<void>, force: () => void = () => {}): void {
    this.#steps.push({ name, close, force });
  }

  /** Closes everything, newest first. A step that fails is logged and the others still run. @returns the failures. */
  async close(): Promise<Error[]> {
    const failures: Error[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      this.#closing = step;
      try {
        await step.close();
      } catch (error) {
        failures.push(error as Error);
        this.#logger.error({ what: step.name, error: (error as Error).message }, 'closing failed');
        step.force();
      }
      this.#closing = undefined;
    }
    return failures;
  }

  /** Ends everything that is still open, without waiting. */
  force(): void {
    const steps = this.#closing === undefined ? [] : [this.#closing];
    while (this.#steps.length > 0) steps.push(this.#steps.pop()!);
    for (const step of steps) step.force();
  }
}
