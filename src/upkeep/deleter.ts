import type { ChunkStore } from '../chunk/chunks.ts';
import type { Job } from './job-loop.ts';

/** What the deletion queue needs from the metadata. */
export interface DeadSource {
  deadSlices(limit: number, hurry: boolean): Promise<{ id: number; sizeBytes: number }[]>;
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
export class Deleter implements Job {
  readonly name = 'delete';
  readonly pauseMs: number;
  readonly #source: DeadSource;
  readonly #store: ChunkStore;
  readonly #failpoint: ((name: DeleteFailpoint) => void | Promise<void>) | undefined;
  #running: Promise<number> | undefined;

  constructor(
    source: DeadSource,
    store: ChunkStore,
    options: { pauseMs: number },
    failpoint?: (name: DeleteFailpoint) => void | Promise<void>,
  ) {
    this.#source = source;
    this.#store = store;
    this.pauseMs = options.pauseMs;
    this.#failpoint = failpoint;
  }

  async round(signal: AbortSignal): Promise<number> {
    await this.runOnce(signal);
    return this.pauseMs;
  }

  /**
   * Deletes what is due, at most 10,000 slices. Concurrent calls share one run.
   * @param hurry the disk is full (MetaUpkeep.deadSlices).
   * @returns slices whose objects are gone. @throws what the metadata or the store threw; the rest is found again.
   */
  runOnce(signal?: AbortSignal, hurry = false): Promise<number> {
    this.#running ??= this.#run(signal, hurry).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(signal: AbortSignal | undefined, hurry: boolean): Promise<number> {
    let deleted = 0;
    for (let batch = 0; batch < BATCHES_PER_RUN && signal?.aborted !== true; batch++) {
      const dead = await this.#source.deadSlices(SLICES_PER_BATCH, hurry);
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
