/** Calls of a file system that wait until the test lets them go on, and how many came. */
import type { Faults } from './faults.ts';

export type Holdable = 'lookup' | 'mkdir' | 'open' | 'read';

export class HeldCalls {
  /** Calls by name, those that wait included. */
  readonly counts: Record<Holdable, number> = { lookup: 0, mkdir: 0, open: 0, read: 0 };
  readonly #held = new Set<Holdable>();
  #letGo: () => void = () => {};
  #gate = this.#newGate();

  constructor(faults: Faults) {
    faults.replace('names', 'lookup', (real) => (...args) => {
      // One name is held from the start, so that a test can wait in a mount of which nothing else is held.
      if (!args[2].startsWith('hang')) return this.#pass('lookup', () => real(...args));
      this.counts.lookup += 1;
      return this.#gate.then(() => real(...args));
    });
    faults.replace('names', 'mkdir', (real) => this.#holding('mkdir', real));
    faults.replace('files', 'open', (real) => this.#holding('open', real));
    faults.replace('files', 'read', (real) => this.#holding('read', real));
  }

  /** From now on calls of this name wait. */
  hold(call: Holdable): void {
    this.#held.add(call);
  }

  /** Lets all calls go on, and holds no more. */
  resume(): void {
    this.#held.clear();
    this.#letGo();
    this.#gate = this.#newGate();
  }

  #holding<A extends unknown[], T extends object>(call: Holdable, real: (...args: A) => T) {
    return (...args: A) => this.#pass(call, () => real(...args));
  }

  #pass<T extends object>(call: Holdable, body: () => T): T | Promise<Awaited<T>> {
    this.counts[call] += 1;
    return this.#held.has(call) ? this.#gate.then(() => body() as Awaited<T>) : body();
  }

  #newGate(): Promise<void> {
    return new Promise((resolve) => {
      this.#letGo = resolve;
    });
  }
}
