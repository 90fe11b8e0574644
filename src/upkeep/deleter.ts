import type { Logger } from '../base/log.ts';
import type { ChunkStore } from '../chunk/chunks.ts';

/** What the deletion queue needs from the metadata. */
export interface DeadSource {
  deadSlices(limit: number): Promise<{ id: number; sizeBytes: number }[]>;
  forget(ids: number[]): Promise<void>;
  /** The scripts that dropped the last records are durable when this resolves. */
  durable(): Promise<void>;
}

export type DeleteFailpoint = 'before-durable' | 'before-delete' | 'after-delete';

const SLICES_PER_BATCH = 500;
const BATCHES_PER_RUN = 20;

/**
 * Deletes the objects of slices that nothing names any more and whose grace is over. The order is what keeps data: the
 * scripts that dropped the last records are durable BEFORE an object goes (else a power cut revives a record to a
 * missing object), and a slice is forgotten only AFTER its objects are gone (else they are never found again).
 */
export class Deleter {
  readonly #source: DeadSource;
  readonly #store: ChunkStore;
  readonly #log: Logger;
  readonly #periodMs: number;
  readonly #failpoint: ((name: DeleteFailpoint) => void | Promise<void>) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<number> | undefined;
  #stopped = false;

  constructor(
    source: DeadSource,
    store: ChunkStore,
    log: Logger,
    options: { periodMs: number },
    failpoint?: (name: DeleteFailpoint) => void | Promise<void>,
  ) {
    this.#source = source;
    this.#store = store;
    this.#log = log;
    this.#periodMs = options.periodMs;
    this.#failpoint = failpoint;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#tick(), this.#periodMs);
    this.#timer.unref();
  }

  /** Stops after the batch under way. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#running?.catch(() => {});
  }

  /**
   * Deletes what is due, at most 10,000 slices. Concurrent calls share one run.
   * @returns slices whose objects are gone. @throws what the metadata or the store threw; the rest is found again.
   */
  runOnce(): Promise<number> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #tick(): Promise<void> {
    try {
      await this.runOnce();
    } catch (error) {
      this.#log.warn({ reason: String(error) }, 'deleting dead objects failed; it is tried again');
    }
  }

  async #run(): Promise<number> {
    let deleted = 0;
    for (let batch = 0; batch < BATCHES_PER_RUN && !this.#stopped; batch++) {
      const dead = await this.#source.deadSlices(SLICES_PER_BATCH);
      if (dead.length === 0) break;
      await this.#failpoint?.('before-durable');
      await this.#source.durable();
      await this.#failpoint?.('before-delete');
      const gone = await this.#store.deleteSlices(dead);
      await this.#failpoint?.('after-delete');
      if (gone.length > 0) await this.#source.forget(gone);
      deleted += gone.length;
      // Some could not be deleted: they would come back at once, so the next run looks again.
      if (gone.length < dead.length || dead.length < SLICES_PER_BATCH) break;
    }
    return deleted;
  }
}
