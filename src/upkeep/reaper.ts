/** Frees inodes whose grace is over and ends sessions that were lost. One session of the volume does it: lease `reap`. */
import type { Meta } from '../meta/meta.ts';
import type { Job } from './job-loop.ts';

/** Inodes freed by one script. */
const REAP_LIMIT = 100;

export class Reaper implements Job {
  readonly name = 'reap';
  readonly pauseMs: number;
  readonly #meta: Pick<Meta, 'upkeep' | 'session'>;
  readonly #leaseMs: number;

  constructor(meta: Pick<Meta, 'upkeep' | 'session'>, options: { pauseMs: number; leaseMs: number }) {
    this.#meta = meta;
    this.pauseMs = options.pauseMs;
    this.#leaseMs = options.leaseMs;
  }

  async round(signal: AbortSignal): Promise<number> {
    const { upkeep, session } = this.#meta;
    if (!(await upkeep.lease('reap', this.#leaseMs))) return this.pauseMs;
    await session.cleanSessions();
    while (!signal.aborted && (await upkeep.reap(REAP_LIMIT)).more);
    return this.pauseMs;
  }
}
