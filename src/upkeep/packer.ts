/**
 * Moves inline bytes of many files out of the metadata store into packs.
 *
 *     candidates -> bytes (cache, else metadata) -> begin: pack id -> PUT -> swap, swap, ... -> end
 *
 * Each step may be the last before a crash: bytes are in the metadata store until the swap that names their place in
 * a pack, and the pack is stored before its first swap. What is left over is at most an object whose id the metadata
 * keeps from begin() until end(); therefore a failed pack is not ended.
 */
import type { Logger } from '../base/log.ts';
import { BLOCK_BYTES } from '../base/slice-record.ts';
import type { InlineSlice, PackSwap } from '../base/slices.ts';
import type { ChunkStore } from '../chunk/chunks.ts';
import { buildPack, PACK_ENTRY_BYTES, PACK_TRAILER_BYTES, type PackEntry } from '../chunk/pack-format.ts';
import type { Job } from './job-loop.ts';

/** What the packer needs from the metadata. */
export interface PackSource {
  candidates(scope: 'own' | 'any', olderThanMs: number, limit: number): Promise<InlineSlice[]>;
  readInline(ids: number[]): Promise<(Buffer | undefined)[]>;
  begin(): Promise<number>;
  swap(packId: number, packBytes: number, swaps: PackSwap[]): Promise<number>;
  end(packId: number): Promise<void>;
  /** 0..1: inline bytes against the volume's budget. */
  fill(): number;
  lease(): Promise<boolean>;
}

export interface PackerOptions {
  /** How often the queue is looked at, ms. */
  tickMs: number;
  /** Largest pack; own inline slices that fill one are packed at once. */
  packBytes: number;
  /** While commits go on: what has waited so long is packed, if it is at least busyBytesMin. */
  busyAgeMs: number;
  busyBytesMin: number;
  /** Whatever has waited so long is packed. */
  idleAgeMs: number;
  /** Slices of other sessions that waited so long are packed by the holder of the lease. */
  foreignAgeMs: number;
  /** Above this share of the inline budget everything is packed at once. */
  fillHigh: number;
  /** Packs in flight. */
  parallel: number;
}

export const DEFAULT_PACKER_OPTIONS: PackerOptions = {
  tickMs: 1_000,
  packBytes: BLOCK_BYTES,
  busyAgeMs: 1_000,
  busyBytesMin: 1024 * 1024,
  idleAgeMs: 10_000,
  foreignAgeMs: 30_000,
  fillHigh: 0.5,
  parallel: 4,
};

/** Where a test may stop the packer by throwing. */
export type PackFailpoint = 'before-id' | 'after-id' | 'after-put' | 'between-swaps' | 'before-end';

const CANDIDATES_MAX = 8_192;
const SWAPS_MAX = 256;
/** Ids of one readInline call. */
const READ_IDS_MAX = 256;
/** Rounds of one run, and of the drain at the end: bounds how long stop() may take. */
const ROUNDS_MAX = 16;

export class Packer implements Job {
  readonly name = 'pack';
  readonly pauseMs: number;
  readonly #source: PackSource;
  readonly #store: ChunkStore;
  readonly #log: Logger;
  readonly #options: PackerOptions;
  readonly #failpoint: ((name: PackFailpoint) => void | Promise<void>) | undefined;
  #running: Promise<number> | undefined;
  /** Inline bytes committed since the queue was last read. */
  #notedBytes = 0;
  /** The queue was not empty when last read. */
  #leftover = false;
  /** Oldest own slice when last looked, and since when it has been the oldest we know. */
  #oldestId = -1;
  #oldestSinceMs = 0;
  #ownReadMs = 0;
  #foreignReadMs = 0;

  constructor(
    source: PackSource,
    store: ChunkStore,
    log: Logger,
    options: PackerOptions = DEFAULT_PACKER_OPTIONS,
    failpoint?: (name: PackFailpoint) => void | Promise<void>,
  ) {
    this.#source = source;
    this.#store = store;
    this.#log = log;
    this.#options = options;
    this.pauseMs = options.tickMs;
    this.#failpoint = failpoint;
  }

  /** This session committed inline bytes. Costs nothing. @returns true when a pack is full: a round is due now. */
  note(bytes: number): boolean {
    this.#notedBytes += bytes;
    return this.#notedBytes >= this.#options.packBytes && this.#running === undefined;
  }

  async round(): Promise<number> {
    if (this.#isDue()) await this.runOnce();
    return this.pauseMs;
  }

  /** Packs what this session has left (unmount). Never rejects. */
  async drain(): Promise<void> {
    try {
      await this.#packOwn('all');
    } catch (error) {
      this.#log.warn({ reason: String(error) }, 'small data stays in the metadata store: packing failed at the end');
    }
  }

  /**
   * Looks at the queue and packs what is due. Concurrent calls share one run.
   * @returns packs stored. @throws what the metadata or the store threw; everything unfinished is found again.
   */
  runOnce(): Promise<number> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Spares the round trip when nothing can have come in. */
  #isDue(): boolean {
    if (this.#notedBytes > 0 || this.#leftover || this.#source.fill() > this.#options.fillHigh) return true;
    return Date.now() - this.#ownReadMs >= this.#options.idleAgeMs;
  }

  async #run(): Promise<number> {
    let packs = await this.#packOwn('due');
    const nowMs = Date.now();
    const pressed = this.#source.fill() > this.#options.fillHigh;
    if (nowMs - this.#foreignReadMs >= this.#options.idleAgeMs || pressed) {
      this.#foreignReadMs = nowMs;
      if (await this.#source.lease()) packs += await this.#packForeign();
    }
    return packs;
  }

  async #packOwn(scope: 'due' | 'all'): Promise<number> {
    let packs = 0;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const busy = this.#notedBytes > 0;
      this.#notedBytes = 0;
      this.#ownReadMs = Date.now();
      const queue = await this.#source.candidates('own', 0, CANDIDATES_MAX);
      this.#leftover = queue.length > 0;
      const groups = cutIntoPacks(queue, this.#options.packBytes);
      // The last group is not full: its slices may still be overwritten or deleted at no cost.
      if (scope === 'due' && !this.#lastIsDue(queue, busy)) groups.pop();
      if (groups.length === 0) break;
      const done = await this.#pack(groups);
      packs += done.packs;
      // Nothing moved: the candidates are overtaken or unreadable, and would be chosen again at once.
      if (done.moved === 0 || queue.length < CANDIDATES_MAX) break;
    }
    return packs;
  }

  async #packForeign(): Promise<number> {
    const queue = await this.#source.candidates('any', this.#options.foreignAgeMs, CANDIDATES_MAX);
    return (await this.#pack(cutIntoPacks(queue, this.#options.packBytes))).packs;
  }

  /** Tells whether own slices (oldest first) are packed although they fill no pack. */
  #lastIsDue(queue: readonly InlineSlice[], busy: boolean): boolean {
    const oldest = queue[0];
    if (oldest === undefined) return false;
    const nowMs = Date.now();
    if (oldest.id !== this.#oldestId) {
      this.#oldestId = oldest.id;
      this.#oldestSinceMs = nowMs;
    }
    const { busyAgeMs, busyBytesMin, idleAgeMs, fillHigh } = this.#options;
    const ageMs = nowMs - this.#oldestSinceMs;
    if (ageMs >= idleAgeMs || this.#source.fill() > fillHigh) return true;
    if (!busy || ageMs < busyAgeMs) return false;
    return queue.reduce((sum, candidate) => sum + candidate.sizeBytes, 0) >= busyBytesMin;
  }

  async #pack(groups: InlineSlice[][]): Promise<{ packs: number; moved: number }> {
    const count = groups.length;
    let moved = 0;
    let failure: unknown;
    const worker = async (): Promise<void> => {
      for (let group = groups.shift(); group !== undefined && failure === undefined; group = groups.shift()) {
        try {
          moved += await this.#packGroup(group);
        } catch (error) {
          failure = error;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#options.parallel, count) }, worker));
    if (failure !== undefined) throw failure;
    return { packs: count, moved };
  }

  /** One pack from begin to end; answers how many slices found their record. */
  async #packGroup(group: InlineSlice[]): Promise<number> {
    const slices = await this.#load(group);
    if (slices.length === 0) return 0;
    await this.#failpoint?.('before-id');
    const packId = await this.#source.begin();
    await this.#failpoint?.('after-id');
    const pack = buildPack(slices);
    // As one buffer: it goes into the block cache as it is, and its slices' buffers need not live on.
    await this.#store.putSlice(packId, [Buffer.concat(pack.parts, pack.sizeBytes)]);
    await this.#failpoint?.('after-put');
    let moved = 0;
    for (let at = 0; at < pack.entries.length; at += SWAPS_MAX) {
      if (at > 0) await this.#failpoint?.('between-swaps');
      const swaps = pack.entries.slice(at, at + SWAPS_MAX).map(toSwap);
      moved += await this.#source.swap(packId, pack.sizeBytes, swaps);
    }
    await this.#failpoint?.('before-end');
    await this.#source.end(packId);
    this.#log.debug({ packId, bytes: pack.sizeBytes, slices: slices.length, moved }, 'packed small data');
    return moved;
  }

  /** The slices' bytes: from the cache of the machine that wrote them, else from the metadata; what is gone is left out. */
  async #load(group: InlineSlice[]): Promise<(InlineSlice & { bytes: Buffer })[]> {
    const bytesById = new Map<number, Buffer>();
    const missing: number[] = [];
    for (const { id } of group) {
      const bytes = this.#store.cachedInline(id);
      if (bytes === undefined) missing.push(id);
      else bytesById.set(id, bytes);
    }
    for (let at = 0; at < missing.length; at += READ_IDS_MAX) {
      const ids = missing.slice(at, at + READ_IDS_MAX);
      const found = await this.#source.readInline(ids);
      ids.forEach((id, i) => {
        const bytes = found[i];
        if (bytes !== undefined) bytesById.set(id, bytes);
      });
    }
    const loaded: (InlineSlice & { bytes: Buffer })[] = [];
    for (const candidate of group) {
      const bytes = bytesById.get(candidate.id);
      if (bytes === undefined) continue;
      if (bytes.length === candidate.sizeBytes) loaded.push({ ...candidate, bytes });
      else {
        const { id, sizeBytes } = candidate;
        this.#log.error({ id, sizeBytes, actualBytes: bytes.length }, 'an inline slice has a wrong length; not packed');
      }
    }
    return loaded;
  }
}

function toSwap(entry: PackEntry): PackSwap {
  const { ino, chunkIndex, inlineId, offset, length } = entry;
  return { ino, chunkIndex, inlineId, packOffset: offset, sizeBytes: length };
}

/**
 * Groups that fit one pack each, directory and trailer included. Cut by age, so that only the youngest group is not
 * full; inside a group by inode, for inodes of one directory are mostly made, and will be read, one after another.
 */
function cutIntoPacks(candidates: readonly InlineSlice[], packBytes: number): InlineSlice[][] {
  const groups: InlineSlice[][] = [];
  let group: InlineSlice[] = [];
  let bytes = PACK_TRAILER_BYTES;
  for (const candidate of candidates) {
    const needed = candidate.sizeBytes + PACK_ENTRY_BYTES;
    if (group.length > 0 && bytes + needed > packBytes) {
      groups.push(group);
      group = [];
      bytes = PACK_TRAILER_BYTES;
    }
    group.push(candidate);
    bytes += needed;
  }
  if (group.length > 0) groups.push(group);
  for (const each of groups) each.sort((a, b) => a.ino - b.ino || a.chunkIndex - b.chunkIndex || a.id - b.id);
  return groups;
}
