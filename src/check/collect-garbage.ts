/**
 * Deletes objects that belong to no file, and rewrites packs of which half is dead, while clients use the volume.
 *
 * An object is deleted when no record named its slice during the walk, none was given to it meanwhile (lease `scan`), it waits for
 * no deletion of its own, and it was stored so long ago that nobody can still be about to name it. Whoever reads a file reads
 * what its records name, so no reader loses anything; what was overwritten a moment ago waits in `gc` of the metadata, and is not
 * touched here before its time.
 */
import type { Logger } from '../base/log.ts';
import { type Block, blockName, sliceBlockNames } from '../chunk/block-name.ts';
import type { ObjectStore } from '../chunk/chunks.ts';
import { codecOf } from '../chunk/codec/framed-block.ts';
import { buildPack, readPackDirectory } from '../chunk/pack-format.ts';
import { BlockCache } from '../chunk/read/block-cache.ts';
import { BlockFetcher } from '../chunk/read/block-fetcher.ts';
import { BlockUploader } from '../chunk/write/block-uploader.ts';
import type { Meta } from '../meta/meta.ts';
import { judgeSlices, type NamedPack, type OrphanSlice } from './judge-slices.ts';
import { ScanLease } from './scan-lease.ts';
import { VolumeWalk } from './volume-walk.ts';

export interface GcOptions {
  /** False: only say what would be done. */
  delete: boolean;
  ageMs: number;
  /** Packs with at most this share of live bytes are rewritten, 0..1. */
  liveShare: number;
  /** Of an encrypted volume; without it half-dead packs cannot be rewritten. */
  dataKey?: Buffer | undefined;
  signal: AbortSignal;
  progress(step: string, fraction: number): void;
}

export interface GcReport {
  objects: number;
  objectBytes: number;
  orphans: number;
  orphanBytes: number;
  /** Orphans that are too young: they may be on their way into a file. */
  youngOrphans: number;
  deleted: number;
  /** Packs that are half dead, and the bytes that rewriting them frees. */
  packs: number;
  packDeadBytes: number;
  packsRewritten: number;
  inodesFreed: number;
}

const RETRY_MS = 30_000;
const PARALLEL = 8;
const REAP_LIMIT = 1_000;
const DELETE_LEASE_MS = 30_000;
/** At 16 objects each: within what one request deletes. */
const DEAD_BATCH = 60;
/** Live bytes of old packs that are gathered into one new pack. */
const GATHER_BYTES = 3 * 1024 * 1024;
const GATHER_PACKS = 64;

/** @throws FsError, UserError: what kept it from its work. What was deleted before stays deleted; the next run goes on. */
export async function collectGarbage(
  meta: Meta,
  store: ObjectStore,
  logger: Logger,
  options: GcOptions,
): Promise<GcReport> {
  const lease = await ScanLease.take(meta);
  const walk = new VolumeWalk(meta.session.format);
  try {
    return await new Collector(meta, store, logger, options).run(walk, lease);
  } finally {
    walk.remove();
    await lease.release();
  }
}

class Collector {
  readonly #meta: Meta;
  readonly #store: ObjectStore;
  readonly #options: GcOptions;
  readonly #fetcher: BlockFetcher;
  readonly #uploader: BlockUploader;
  readonly #report: GcReport = {
    objects: 0,
    objectBytes: 0,
    orphans: 0,
    orphanBytes: 0,
    youngOrphans: 0,
    deleted: 0,
    packs: 0,
    packDeadBytes: 0,
    packsRewritten: 0,
    inodesFreed: 0,
  };
  #gathered: NamedPack[] = [];

  constructor(meta: Meta, store: ObjectStore, logger: Logger, options: GcOptions) {
    this.#meta = meta;
    this.#store = store;
    this.#options = options;
    const parallel = { retryMs: RETRY_MS, downloadParallel: PARALLEL, uploadParallel: PARALLEL };
    const limits = { ...parallel, ...codecOf(meta.session.format, options.dataKey) };
    this.#fetcher = new BlockFetcher(store, limits, logger);
    this.#uploader = new BlockUploader(store, new BlockCache(0), limits);
  }

  async run(walk: VolumeWalk, lease: ScanLease): Promise<GcReport> {
    const [meta, options, report] = [this.#meta, this.#options, this.#report];
    const { signal, progress } = options;
    if (options.delete) await this.#reap();
    const beganMs = Math.floor(meta.clock.nowUs() / 1000);
    await walk.listStore(this.#store, signal, () => progress('listing objects', 0));
    const keyCount = Math.max(1, await meta.scan.keyCount());
    await walk.readKeys(meta.scan, signal, (count) => progress('reading metadata', count / keyCount));
    const shared = await lease.shared();
    report.objects = walk.objectCount;
    report.objectBytes = walk.objectBytes;
    progress('slices and blocks', 0);
    const judged = judgeSlices({
      meta,
      walk,
      quiet: false,
      shared,
      beganMs,
      // Missing blocks, and bytes in Redis, are for fsck to tell.
      blockStands: async () => true,
      isQueued: async () => true,
      isPending: async () => false,
      onOrphan: (slice) => this.#orphan(slice, beganMs),
      onPack: (pack) => this.#pack(pack, beganMs),
    });
    for await (const _ of judged) signal.throwIfAborted();
    await this.#rewriteGathered();
    return report;
  }

  async #reap(): Promise<void> {
    await this.#meta.session.cleanSessions();
    for (;;) {
      const { reaped, more } = await this.#meta.upkeep.reap(REAP_LIMIT);
      this.#report.inodesFreed += reaped;
      if (!more || this.#options.signal.aborted) break;
    }
    await this.#deleteDead();
  }

  /** What waits for deletion and whose time has come: as the deleter of a serving process does, unless one is at it. */
  async #deleteDead(): Promise<void> {
    const { upkeep, durability } = this.#meta;
    while (!this.#options.signal.aborted && (await upkeep.lease('delete', DELETE_LEASE_MS))) {
      const dead = await upkeep.deadSlices(DEAD_BATCH);
      if (dead.length === 0) return;
      await durability.reached();
      const keys = dead.flatMap(({ id, sizeBytes }) => sliceBlockNames(id, sizeBytes));
      const failed = await this.#store.deleteMany(keys, this.#options.signal);
      this.#report.deleted += keys.length - failed.length;
      // What could not be deleted is found again by the next run.
      if (failed.length > 0) return;
      await upkeep.forgetSlices(dead.map(({ id }) => id));
    }
  }

  async #orphan({ blocks, objectBytes, youngestMs }: OrphanSlice, beganMs: number): Promise<void> {
    const report = this.#report;
    if (youngestMs > Math.min(beganMs, Date.now()) - this.#options.ageMs) {
      report.youngOrphans += blocks.length;
      return;
    }
    report.orphans += blocks.length;
    report.orphanBytes += objectBytes;
    if (!this.#options.delete) return;
    const keys = blocks.map((block) => blockName(block.sliceId, block.index, block.blockBytes));
    report.deleted += keys.length - (await this.#store.deleteMany(keys, this.#options.signal)).length;
  }

  async #pack(pack: NamedPack, beganMs: number): Promise<void> {
    // A young pack may still be filled.
    if (pack.id / 4096 > beganMs - this.#options.ageMs) return;
    if (pack.liveBytes > pack.sizeBytes * this.#options.liveShare) return;
    this.#report.packs += 1;
    this.#report.packDeadBytes += pack.sizeBytes - pack.liveBytes;
    if (!this.#options.delete) return;
    const live = this.#gathered.reduce((sum, { liveBytes }) => sum + liveBytes, 0);
    if (live + pack.liveBytes > GATHER_BYTES || this.#gathered.length >= GATHER_PACKS) await this.#rewriteGathered();
    this.#gathered.push(pack);
  }

  /** Copies what lives in the gathered packs into a new one, and points the records there. */
  async #rewriteGathered(): Promise<void> {
    const old = this.#gathered;
    this.#gathered = [];
    if (old.length === 0) return;
    const copies: Copy[] = [];
    for (const pack of old) {
      const block: Block = { sliceId: pack.id, index: 0, blockBytes: pack.sizeBytes };
      copies.push(...copiesOf(pack, await this.#fetcher.whole(block)));
    }
    const id = await this.#meta.upkeep.packBegin();
    const { parts, sizeBytes, entries } = buildPack(copies);
    await this.#uploader.putSlice(id, [Buffer.concat(parts, sizeBytes)]);
    for (const pack of old) {
      const runs = copies.flatMap(({ from, bytes, pack: source }, i) =>
        source === pack.id ? [{ from, length: bytes.length, to: entries[i]!.offset }] : [],
      );
      const chunks = new Map(pack.places.map(({ ino, chunkIndex }) => [`${ino}:${chunkIndex}`, { ino, chunkIndex }]));
      await this.#meta.scan.movePack(pack, { id, sizeBytes }, runs, [...chunks.values()]);
      this.#report.packsRewritten += 1;
    }
    await this.#meta.upkeep.packEnd(id);
  }
}

interface Copy {
  /** As the pack's directory tells. */
  id: number;
  ino: number;
  chunkIndex: number;
  bytes: Buffer;
  /** Where they were, in which pack. */
  from: number;
  pack: number;
}

/** The live bytes of a pack as runs that do not touch. */
function copiesOf(pack: NamedPack, bytes: Buffer): Copy[] {
  const entries = readPackDirectory(bytes);
  const places = [...pack.places].sort((a, b) => a.off - b.off);
  const copies: Copy[] = [];
  let run: { from: number; to: number; ino: number; chunkIndex: number } | undefined;
  const close = (): void => {
    if (run === undefined) return;
    const { from, to, ino, chunkIndex } = run;
    const id = entries.find((entry) => entry.offset <= from && from < entry.offset + entry.length)?.inlineId ?? 0;
    copies.push({ id, ino, chunkIndex, bytes: bytes.subarray(from, to), from, pack: pack.id });
  };
  for (const { ino, chunkIndex, off, len } of places) {
    if (run !== undefined && off < run.to) {
      run.to = Math.max(run.to, off + len);
      continue;
    }
    close();
    run = { from: off, to: off + len, ino, chunkIndex };
  }
  close();
  return copies;
}
