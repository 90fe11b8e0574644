/** First come, first served exclusion over the operations of one inode that must not mix with writes. */
export class InodeLock {
  #tail: Promise<void> | undefined;

  get held(): boolean {
    return this.#tail !== undefined;
  }

  /** Runs the task when everyone before has finished. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    const before = this.#tail;
    let done!: () => void;
    const mine = new Promise<void>((resolve) => {
      done = resolve;
    });
    this.#tail = mine;
    try {
      if (before !== undefined) await before;
      return await task();
    } finally {
      if (this.#tail === mine) this.#tail = undefined;
      done();
    }
  }

  /** Resolves when nobody holds the lock; the caller must go on without waiting for anything else. */
  async idle(): Promise<void> {
    while (this.#tail !== undefined) await this.#tail;
  }
}
