import type { MetaData } from '../meta.ts';

const BATCH_MAX = 64;
/** An id carries the time it was made; one that was kept for long would let its block look like an old orphan. */
const AGE_MAX_MS = 60_000;

/** Hands out slice ids, reserved in batches that grow with demand, so that most cost no round trip. */
export class SliceIds {
  readonly #meta: Pick<MetaData, 'reserveSlices'>;
  #next = 0;
  #end = 0;
  #reservedMs = 0;
  #batch = 1;
  #waiting = 0;
  #refill: Promise<void> | undefined;

  constructor(meta: Pick<MetaData, 'reserveSlices'>) {
    this.#meta = meta;
  }

  /** Answers a fresh id. Usually no round trip, sometimes one shared by everyone who waits. */
  async take(): Promise<number> {
    this.#waiting += 1;
    try {
      while (this.#next >= this.#end || Date.now() - this.#reservedMs > AGE_MAX_MS) {
        this.#refill ??= this.#reserve();
        await this.#refill;
      }
      return this.#next++;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #reserve(): Promise<void> {
    try {
      // Used up within its time: ask for more; left to age: ask for little.
      const wasUsed = this.#next >= this.#end && Date.now() - this.#reservedMs <= AGE_MAX_MS;
      this.#batch = wasUsed ? Math.min(this.#batch * 2, BATCH_MAX) : 1;
      const count = Math.min(Math.max(this.#batch, this.#waiting), BATCH_MAX);
      const first = await this.#meta.reserveSlices(count);
      this.#next = first;
      this.#end = first + count;
      this.#reservedMs = Date.now();
    } finally {
      this.#refill = undefined;
    }
  }
}
