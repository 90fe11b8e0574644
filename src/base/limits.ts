/** Limits on concurrency: a weighted semaphore and single flight. */

/**
 * A first-come, first-served semaphore over `limit` units. A request heavier than the whole limit is let through alone,
 * so that no single buffer can wait for ever.
 */
export class Semaphore {
  readonly limit: number;
  #used = 0;
  #waiting: { weight: number; resolve: () => void }[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes the units at once (undefined) or promises them. Pair each call with one release of the same weight. */
  acquire(weight = 1): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#fits(weight)) {
      this.#used += weight;
      return undefined;
    }
    return new Promise((resolve) => {
      this.#waiting.push({ weight, resolve });
    });
  }

  release(weight = 1): void {
    this.#used -= weight;
    while (this.#waiting.length > 0) {
      const next = this.#waiting[0]!;
      if (!this.#fits(next.weight)) return;
      this.#waiting.shift();
      this.#used += next.weight;
      next.resolve();
    }
  }

  /** Runs `task` while holding `weight` units. */
  async with<T>(weight: number, task: () => Promise<T>): Promise<T> {
    await this.acquire(weight);
    try {
      return await task();
    } finally {
      this.release(weight);
    }
  }

  #fits(weight: number): boolean {
    return this.#used === 0 || this.#used + weight <= this.limit;
  }
}

/** Merges concurrent calls for one key into one. A failure reaches every caller and is not kept. */
export class SingleFlight<K, V> {
  #flying = new Map<K, Promise<V>>();

  do(key: K, task: () => Promise<V>): Promise<V> {
    const flying = this.#flying.get(key);
    if (flying !== undefined) return flying;
    const started = task().finally(() => this.#flying.delete(key));
    this.#flying.set(key, started);
    return started;
  }
}
