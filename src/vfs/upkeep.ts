/**
 * Background work of a session, each kind guarded so that two machines do not do it at once:
 *
 *     reap       frees inodes whose grace is over, ends sessions whose lease ran out     lease `reap`
 *     compact    rewrites chunks that this session's writes left with many records       prefix compare
 */
import type { Logger } from '../base/log.ts';
import type { ChunkStore } from '../chunk/types.ts';
import type { CommitReply, Meta } from '../meta/api.ts';
import type { Ino } from '../meta/types.ts';
import { BackgroundLoop } from './background-loop.ts';
import { Compactor } from './compactor.ts';
import type { SliceIds } from './slice-ids.ts';
import type { UpkeepOptions } from './vfs-options.ts';

/** Inodes freed by one script. */
const REAP_LIMIT = 100;
/** A lease outlives a round by so much that a slow round does not lose it. */
const LEASE_ROUNDS = 3;
const LEASE_MS_MIN = 10_000;
/** With nothing to compact the loop sleeps until it is woken. */
const COMPACT_IDLE_MS = 60_000;

export class Upkeep {
  readonly #meta: Meta;
  readonly #options: UpkeepOptions;
  readonly #compactor: Compactor;
  readonly #loops: BackgroundLoop[] = [];
  #compactLoop: BackgroundLoop | undefined;

  constructor(meta: Meta, chunks: ChunkStore, slices: SliceIds, logger: Logger, options: UpkeepOptions) {
    this.#meta = meta;
    this.#options = options;
    this.#compactor = new Compactor(meta, chunks, slices, logger, options.compactRecords);
    if (options.reaper) {
      this.#loops.push(new BackgroundLoop('reap', logger, options.reapIntervalMs, (signal) => this.#reap(signal)));
    }
    if (options.compaction) {
      this.#compactLoop = new BackgroundLoop('compact', logger, COMPACT_IDLE_MS, (signal) => this.#compact(signal));
      this.#loops.push(this.#compactLoop);
    }
  }

  /** Record counts as a commit's reply tells them. */
  committed(ino: Ino, counts: CommitReply['recordCounts']): void {
    if (this.#compactLoop !== undefined && this.#compactor.note(ino, counts)) this.#compactLoop.wake();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
  }

  async #reap(signal: AbortSignal): Promise<number> {
    const { reapIntervalMs } = this.#options;
    if (!(await this.#meta.lease('reap', Math.max(LEASE_MS_MIN, reapIntervalMs * LEASE_ROUNDS)))) return reapIntervalMs;
    await this.#meta.cleanSessions();
    while (!signal.aborted && (await this.#meta.reap(REAP_LIMIT)).more);
    return reapIntervalMs;
  }

  async #compact(signal: AbortSignal): Promise<number> {
    while (!signal.aborted && (await this.#compactor.next()));
    return COMPACT_IDLE_MS;
  }
}
