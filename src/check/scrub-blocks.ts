/**
 * Reads every block of the store and checks it, at a bounded rate, so that damage is found while there is still a copy elsewhere.
 * Plan and state are the volume's (hash `scrub`, docs/FORMAT.md), so any session goes on where another stopped.
 */
import { isFsError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { sleep } from '../base/sleep.ts';
import { type Block, parseBlockName } from '../chunk/block-name.ts';
import { ObjectMissingError, type ObjectStore } from '../chunk/chunks.ts';
import { codecOf } from '../chunk/codec/framed-block.ts';
import { DamagedBlockError } from '../chunk/object/store-error.ts';
import { BlockFetcher } from '../chunk/read/block-fetcher.ts';
import { withRetry } from '../chunk/retry.ts';
import type { MendStep, Meta } from '../meta/meta.ts';
import type { Job } from '../upkeep/job-loop.ts';

const KEY = 'scrub';
const BAD = 'bad:';
/** Damaged blocks that are remembered by name; more are counted by fsck --deep. */
const BAD_MAX = 1_000;
const LIST_PAGE = 200;
const LOOK_MS = 30_000;
const SAVE_MS = 10_000;
const LEASE_MS = 120_000;
const RETRY = { retryMs: 60_000 };
const BLOCKS = 'chunks/';

export interface ScrubState {
  /** Bytes per second; 0: nothing is scrubbed in the background. */
  rate: number;
  /** From the beginning of one pass to that of the next. */
  everyMs: number;
  /** Last object that was read in the pass under way; empty between passes. */
  cursor: string;
  /** The pass under way, or the last one. */
  beganMs: number;
  blocks: number;
  bytes: number;
  /** When the last whole pass ended; 0: never. */
  endedMs: number;
  /** Damaged blocks by name, and what is wrong with each. */
  bad: Map<string, string>;
}

export async function readScrub(meta: Meta): Promise<ScrubState> {
  const state: ScrubState = {
    rate: 0,
    everyMs: 0,
    cursor: '',
    beganMs: 0,
    blocks: 0,
    bytes: 0,
    endedMs: 0,
    bad: new Map(),
  };
  for await (const page of meta.scan.fields(KEY)) {
    for (const [field, value] of page) {
      const text = value.toString();
      if (field.startsWith(BAD)) state.bad.set(field.slice(BAD.length), text);
      else if (field === 'cursor') state.cursor = text;
      else if (isNumber(field)) state[field] = Number(text);
    }
  }
  return state;
}

const NUMBERS = ['rate', 'everyMs', 'beganMs', 'blocks', 'bytes', 'endedMs'] as const;

function isNumber(field: string): field is (typeof NUMBERS)[number] {
  return (NUMBERS as readonly string[]).includes(field);
}

/** Begins or changes the plan; undefined ends it. What was found stays known. */
export async function setScrub(meta: Meta, plan: Pick<ScrubState, 'rate' | 'everyMs'> | undefined): Promise<void> {
  await meta.scan.apply([
    ['set-field', KEY, 'rate', plan?.rate ?? 0],
    ['set-field', KEY, 'everyMs', plan?.everyMs ?? 0],
  ]);
}

export interface ScrubOptions {
  /** Bytes per second; Infinity: as fast as it goes. */
  rate: number;
  signal: AbortSignal;
  /** After each block. */
  onBlock?: (state: ScrubState) => void;
}

/**
 * Reads blocks from the pass's cursor on, to the end of the store or until the signal aborts.
 * @throws FsError EIO when the store is out of reach; the cursor stays where it was saved.
 */
export class Scrubber {
  readonly #meta: Meta;
  readonly #store: ObjectStore;
  readonly #fetcher: BlockFetcher;

  constructor(meta: Meta, store: ObjectStore, logger: Logger) {
    this.#meta = meta;
    this.#store = store;
    const codec = codecOf(meta.session.format, undefined);
    this.#fetcher = new BlockFetcher(store, { ...RETRY, downloadParallel: 1, ...codec }, logger);
  }

  async run(state: ScrubState, options: ScrubOptions): Promise<void> {
    if (state.cursor === '') Object.assign(state, { beganMs: this.#nowMs(), blocks: 0, bytes: 0 });
    let savedMs = performance.now();
    try {
      for (;;) {
        const page = await withRetry('list', RETRY, options.signal, ({ signal }) =>
          this.#store.list(BLOCKS, state.cursor, LIST_PAGE, signal),
        );
        for (const { key } of page) {
          options.signal.throwIfAborted();
          await this.#one(key, state, options);
          state.cursor = key;
          if (performance.now() - savedMs < SAVE_MS) continue;
          await this.#save(state);
          savedMs = performance.now();
        }
        if (page.length === LIST_PAGE) continue;
        state.cursor = '';
        state.endedMs = this.#nowMs();
        return;
      }
    } finally {
      await this.#save(state);
    }
  }

  async #one(key: string, state: ScrubState, options: ScrubOptions): Promise<void> {
    const block = parseBlockName(key);
    if (block === undefined) return;
    const beganMs = performance.now();
    const found = await this.#check(block);
    if (found === 'gone') {
      await this.#forget(key, state);
      return;
    }
    state.blocks += 1;
    state.bytes += block.blockBytes;
    if (found === undefined) await this.#forget(key, state);
    else if (state.bad.has(key) || state.bad.size < BAD_MAX) {
      state.bad.set(key, found);
      await this.#meta.scan.apply([['set-field', KEY, BAD + key, found]]);
    }
    options.onBlock?.(state);
    const dueMs = (block.blockBytes / options.rate) * 1000 - (performance.now() - beganMs);
    if (dueMs > 0) await sleep(dueMs, options.signal);
  }

  /** What is wrong with a block; undefined when it is sound, 'gone' when it was deleted since it was listed. */
  async #check(block: Block): Promise<string | undefined> {
    try {
      await this.#fetcher.verify(block);
      return undefined;
    } catch (error) {
      const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      if (error instanceof ObjectMissingError || reason instanceof ObjectMissingError) return 'gone';
      if (reason instanceof DamagedBlockError) return reason.what;
      throw error;
    }
  }

  /** It was bad once, and was mended or deleted since. */
  async #forget(key: string, state: ScrubState): Promise<void> {
    if (!state.bad.delete(key)) return;
    await this.#meta.scan.apply([['delete-field', KEY, BAD + key]]);
  }

  async #save(state: ScrubState): Promise<void> {
    const { cursor, beganMs, blocks, bytes, endedMs } = state;
    const fields = Object.entries({ cursor, beganMs, blocks, bytes, endedMs });
    await this.#meta.scan.apply(fields.map(([field, value]): MendStep => ['set-field', KEY, field, value]));
  }

  #nowMs(): number {
    return Math.floor(this.#meta.clock.nowUs() / 1000);
  }

  close(): void {
    this.#fetcher.close();
  }
}

/** Names that the last pass found damaged and that are gone from the store since are dropped. */
export async function forgetGone(meta: Meta, store: ObjectStore, state: ScrubState): Promise<void> {
  for (const key of [...state.bad.keys()]) {
    const there = await withRetry('head', RETRY, undefined, ({ signal }) => store.head(key, signal));
    if (there !== undefined) continue;
    state.bad.delete(key);
    await meta.scan.apply([['delete-field', KEY, BAD + key]]);
  }
}

/** Scrubs when it is due. One session of the volume does it: lease `scrub`. */
export class ScrubJob implements Job {
  readonly name = 'scrub';
  readonly pauseMs = LOOK_MS;
  readonly #meta: Meta;
  readonly #store: ObjectStore;
  readonly #logger: Logger;

  constructor(meta: Meta, store: ObjectStore, logger: Logger) {
    this.#meta = meta;
    this.#store = store;
    this.#logger = logger;
  }

  async round(stop: AbortSignal): Promise<number> {
    const state = await readScrub(this.#meta);
    if (state.rate === 0 || !this.#isDue(state)) return LOOK_MS;
    if (!(await this.#meta.upkeep.lease('scrub', LEASE_MS))) return LOOK_MS;
    // A plan that changes meanwhile ends this round; the next one heeds it.
    const changed = new AbortController();
    const renew = setInterval(() => void this.#keep(state, changed), LEASE_MS / 4);
    const signal = AbortSignal.any([stop, changed.signal]);
    const scrubber = new Scrubber(this.#meta, this.#store, this.#logger);
    try {
      await forgetGone(this.#meta, this.#store, state);
      await scrubber.run(state, { rate: state.rate, signal });
      const { blocks, bytes, bad } = state;
      const sums = { blocks, bytes, damaged: bad.size };
      if (bad.size > 0) this.#logger.error(sums, 'scrubbed the store and found damaged blocks; see janusfs scrub');
      else this.#logger.info(sums, 'scrubbed the store; every block is sound');
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      clearInterval(renew);
      scrubber.close();
    }
    return LOOK_MS;
  }

  #isDue({ cursor, beganMs, everyMs }: ScrubState): boolean {
    return cursor !== '' || Math.floor(this.#meta.clock.nowUs() / 1000) >= beganMs + everyMs;
  }

  async #keep(begun: ScrubState, changed: AbortController): Promise<void> {
    try {
      const { rate, everyMs } = await readScrub(this.#meta);
      const isHeld = await this.#meta.upkeep.lease('scrub', LEASE_MS);
      if (!isHeld || rate !== begun.rate || everyMs !== begun.everyMs) changed.abort();
    } catch (error) {
      // The next renewal tells; the lease is four times as long.
      if (!isFsError(error)) this.#logger.warn({ err: String(error) }, 'the lease of the scrub was not renewed');
    }
  }
}
