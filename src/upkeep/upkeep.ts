/**
 * Background work of a session. Each kind is a job with a loop of its own, guarded so that two machines do not do it at
 * once:
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
import { Compactor } from './compactor.ts';
import { Deleter } from './deleter.ts';
import { JobLoop } from './job-loop.ts';
import { DEFAULT_PACKER_OPTIONS, Packer } from './packer.ts';
import { Reaper } from './reaper.ts';
import type { UpkeepOptions } from './upkeep-options.ts';

/** A lease outlives its period by so much that a slow round does not lose it. */
const LEASE_ROUNDS = 3;
const LEASE_MS_MIN = 10_000;
/** How long the end waits for the last packs: small data is as safe where it is. */
const DRAIN_MS_MAX = 10_000;

export class Upkeep {
  readonly #logger: Logger;
  readonly #loops: JobLoop[] = [];
  readonly #packer: Packer | undefined;
  readonly #deleter: Deleter | undefined;

  constructor(meta: Meta, chunks: ChunkStore, slices: SliceIds, logger: Logger, options: UpkeepOptions) {
    this.#logger = logger;
    if (options.packer) {
      const packer = newPacker(meta, chunks, logger, options.packIntervalMs);
      const loop = new JobLoop(packer, logger);
      meta.events.on('inlineStored', (bytes) => {
        if (packer.note(bytes)) loop.wake();
      });
      this.#packer = packer;
      this.#loops.push(loop);
    }
    if (options.deleter) {
      this.#deleter = newDeleter(meta, chunks, options.deleteIntervalMs);
      this.#loops.push(new JobLoop(this.#deleter, logger));
    }
    if (options.reaper) {
      const pauseMs = options.reapIntervalMs;
      this.#loops.push(new JobLoop(new Reaper(meta, { pauseMs, leaseMs: leaseMs(pauseMs) }), logger));
    }
    if (options.compaction) {
      const compactor = new Compactor(meta, chunks, slices, logger, options.compactRecords);
      const loop = new JobLoop(compactor, logger);
      meta.events.on('recordsAppended', ({ ino, counts }) => {
        if (compactor.note(ino, counts)) loop.wake();
      });
      this.#loops.push(loop);
    }
  }

  /** The disk is full: deletes what may go. Answers how many slices went. @throws as Deleter.runOnce(). */
  async freeDisk(): Promise<number> {
    return (await this.#deleter?.runOnce(undefined, true)) ?? 0;
  }

  /** Ends after the rounds under way. `drain`: this session's small data is packed first, for a bounded time. */
  async stop(options: { drain: boolean }): Promise<void> {
    const stopped = Promise.all(this.#loops.map((loop) => loop.stop()));
    const drained = stopped.then(() => (options.drain ? this.#packer?.drain() : undefined));
    await this.#bounded(drained);
  }

  async #bounded(ended: Promise<void>): Promise<void> {
    const timer = new AbortController();
    const late = sleep(DRAIN_MS_MAX, timer.signal).then(
      () => true,
      () => false,
    );
    const isLate = await Promise.race([ended.then(() => false), late]);
    timer.abort();
    if (isLate) this.#logger.warn({}, 'background work is given up: the object store is slow; nothing is lost by it');
  }
}

function leaseMs(pauseMs: number): number {
  return Math.max(LEASE_MS_MIN, pauseMs * LEASE_ROUNDS);
}

function newPacker({ data, upkeep }: Meta, chunks: ChunkStore, logger: Logger, pauseMs: number): Packer {
  const source = {
    candidates: upkeep.inlineSlices.bind(upkeep),
    readInline: data.readInline.bind(data),
    begin: upkeep.packBegin.bind(upkeep),
    swap: upkeep.packSwap.bind(upkeep),
    end: upkeep.packEnd.bind(upkeep),
    fill: data.inlineFill.bind(data),
    lease: () => upkeep.lease('pack', leaseMs(pauseMs)),
  };
  return new Packer(source, chunks, logger, { ...DEFAULT_PACKER_OPTIONS, tickMs: pauseMs });
}

function newDeleter({ upkeep, durability }: Meta, chunks: ChunkStore, pauseMs: number): Deleter {
  const source = {
    deadSlices: async (limit: number, hurry: boolean) =>
      (await upkeep.lease('delete', leaseMs(pauseMs))) ? await upkeep.deadSlices(limit, hurry) : [],
    forget: upkeep.forgetSlices.bind(upkeep),
    durable: durability.reached.bind(durability),
  };
  return new Deleter(source, chunks, { pauseMs });
}
