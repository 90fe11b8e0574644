/**
 * Background work of a session, each kind guarded so that two machines do not do it at once:
 *
 *     pack       small data of many files from the metadata into packs     own: none needed; others': lease `pack`
 *     delete     objects of slices that nothing names any more             lease `delete`
 *     reap       frees inodes whose grace is over, ends lost sessions      lease `reap`
 *     compact    rewrites chunks that this session's writes left with      the script compares what it replaces
 *                many records
 */
import type { Logger } from '../base/log.ts';
import { sleep } from '../base/sleep.ts';
import type { ChunkStore } from '../chunk/chunks.ts';
import type { Meta } from '../meta/meta.ts';
import type { SliceIds } from '../meta/ops/slice-ids.ts';
import { BackgroundLoop } from './background-loop.ts';
import { Compactor } from './compactor.ts';
import { Deleter } from './deleter.ts';
import { DEFAULT_PACKER_OPTIONS, Packer } from './packer.ts';
import type { UpkeepOptions } from './upkeep-options.ts';

/** Inodes freed by one script. */
const REAP_LIMIT = 100;
/** A lease outlives its period by so much that a slow round does not lose it. */
const LEASE_ROUNDS = 3;
const LEASE_MS_MIN = 10_000;
/** With nothing to compact the loop sleeps until it is woken. */
const COMPACT_IDLE_MS = 60_000;
/** How long the end waits for the last packs: small data is as safe where it is. */
const DRAIN_MS_MAX = 10_000;

export class Upkeep {
  readonly #meta: Meta;
  readonly #logger: Logger;
  readonly #options: UpkeepOptions;
  readonly #compactor: Compactor;
  readonly #loops: BackgroundLoop[] = [];
  #packer: Packer | undefined;
  #deleter: Deleter | undefined;

  constructor(meta: Meta, chunks: ChunkStore, slices: SliceIds, logger: Logger, options: UpkeepOptions) {
    this.#meta = meta;
    this.#logger = logger;
    this.#options = options;
    this.#compactor = new Compactor(meta, chunks, slices, logger, options.compactRecords);
    if (options.packer) this.#packer = this.#startPacker(chunks);
    if (options.deleter) this.#deleter = this.#startDeleter(chunks);
    if (options.reaper) {
      this.#loops.push(new BackgroundLoop('reap', logger, options.reapIntervalMs, (signal) => this.#reap(signal)));
    }
    if (options.compaction) {
      const loop = new BackgroundLoop('compact', logger, COMPACT_IDLE_MS, (signal) => this.#compact(signal));
      this.#loops.push(loop);
      meta.events.on('recordsAppended', ({ ino, counts }) => {
        if (this.#compactor.note(ino, counts)) loop.wake();
      });
    }
  }

  /** Ends after the rounds under way. `drain`: this session's small data is packed first, for a bounded time. */
  async stop(options: { drain: boolean }): Promise<void> {
    const packed = this.#packer?.stop(options) ?? Promise.resolve();
    await Promise.all([...this.#loops.map((loop) => loop.stop()), this.#deleter?.stop(), this.#bounded(packed)]);
  }

  async #bounded(packed: Promise<void>): Promise<void> {
    const timer = new AbortController();
    const late = sleep(DRAIN_MS_MAX, timer.signal).then(
      () => true,
      () => false,
    );
    const isLate = await Promise.race([packed.then(() => false), late]);
    timer.abort();
    if (isLate) this.#logger.warn({}, 'small data stays in the metadata store: the object store is slow');
  }

  #startPacker(chunks: ChunkStore): Packer {
    const meta = this.#meta;
    const { packIntervalMs } = this.#options;
    const packer = new Packer(
      {
        candidates: (scope, olderThanMs, limit) => meta.upkeep.inlineSlices(scope, olderThanMs, limit),
        readInline: (ids) => meta.data.readInline(ids),
        begin: () => meta.upkeep.packBegin(),
        swap: (packId, packBytes, swaps) => meta.upkeep.packSwap(packId, packBytes, swaps),
        end: (packId) => meta.upkeep.packEnd(packId),
        fill: () => meta.data.inlineFill(),
        lease: () => meta.upkeep.lease('pack', Math.max(LEASE_MS_MIN, packIntervalMs * LEASE_ROUNDS)),
      },
      chunks,
      this.#logger,
      { ...DEFAULT_PACKER_OPTIONS, tickMs: packIntervalMs },
    );
    meta.events.on('inlineStored', (bytes) => packer.note(bytes));
    packer.start();
    return packer;
  }

  #startDeleter(chunks: ChunkStore): Deleter {
    const meta = this.#meta;
    const { deleteIntervalMs } = this.#options;
    const leaseMs = Math.max(LEASE_MS_MIN, deleteIntervalMs * LEASE_ROUNDS);
    const deleter = new Deleter(
      {
        deadSlices: async (limit) =>
          (await meta.upkeep.lease('delete', leaseMs)) ? await meta.upkeep.deadSlices(limit) : [],
        forget: (ids) => meta.upkeep.forgetSlices(ids),
        durable: () => meta.durability.reached(),
      },
      chunks,
      this.#logger,
      { periodMs: deleteIntervalMs },
    );
    deleter.start();
    return deleter;
  }

  async #reap(signal: AbortSignal): Promise<number> {
    const { reapIntervalMs } = this.#options;
    if (!(await this.#meta.upkeep.lease('reap', Math.max(LEASE_MS_MIN, reapIntervalMs * LEASE_ROUNDS))))
      return reapIntervalMs;
    await this.#meta.session.cleanSessions();
    while (!signal.aborted && (await this.#meta.upkeep.reap(REAP_LIMIT)).more);
    return reapIntervalMs;
  }

  async #compact(signal: AbortSignal): Promise<number> {
    while (!signal.aborted && (await this.#compactor.next()));
    return COMPACT_IDLE_MS;
  }
}
