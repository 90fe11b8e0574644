/** Frees inodes whose grace is over, takes old files out of the trash, and ends sessions that were lost. One session of the volume does it: lease `reap`. */
import type { Meta } from '../meta/meta.ts';
import type { Job } from './job-loop.ts';

/** For so long Redis must have answered before sessions are called lost and what they may have open is freed. */
const STEADY_MS = 10_000;
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
    // When Redis was away, every session's lease may have run out: all get the time to say that they are there.
    if (session.steadyMs < STEADY_MS) return this.pauseMs;
    await session.cleanSessions();
    while (!signal.aborted && (await upkeep.expireTrash(undefined, REAP_LIMIT)).more);
    while (!signal.aborted && (await upkeep.reap(REAP_LIMIT)).more);
    return this.pauseMs;
  }
}
