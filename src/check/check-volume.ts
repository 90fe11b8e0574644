/**
 * Checks a volume, and mends it when asked to, while clients use it.
 *
 *     list the store, walk all keys -> rows, sorted on disk -> joined -> suspicions -> looked at again -> findings -> mended
 *
 * Memory is bounded: what grows with the volume is on disk, but for 16 bytes a directory. Only what stands when it is looked at
 * again is told, and every repair is one script that does nothing when something has changed meanwhile. What can be judged only
 * over the whole volume (counters) is judged when nobody wrote during the walk, and said to be left otherwise.
 */
import { readU64 } from '../base/integers.ts';
import type { Logger } from '../base/log.ts';
import { objectBytesOf } from '../chunk/block-format.ts';
import { type Block, blockName } from '../chunk/block-name.ts';
import type { ObjectStore } from '../chunk/chunks.ts';
import { codecOf } from '../chunk/codec/framed-block.ts';
import { DamagedBlockError } from '../chunk/object/store-error.ts';
import { BlockFetcher } from '../chunk/read/block-fetcher.ts';
import { withRetry } from '../chunk/retry.ts';
import type { Meta } from '../meta/meta.ts';
import type { Finding, Suspicion } from './findings.ts';
import { giveUp } from './give-up.ts';
import { judgeNames } from './judge-names.ts';
import { judgeCounters, judgeSessions, judgeUploads } from './judge-rest.ts';
import { judgeSlices, lostBlock, type OrphanSlice, type SlicePlace } from './judge-slices.ts';
import { LocalLook } from './local-look.ts';
import { ScanLease } from './scan-lease.ts';
import { VolumeWalk } from './volume-walk.ts';

export interface FsckOptions {
  repair: boolean;
  /** Lost bytes become zeros, so that the rest of their files can be read. Only with repair. */
  zeroLost: boolean;
  /** Read every block and check it. */
  deep: boolean;
  /** An object that no record names is left alone until it is so old, ms: it may be on its way into a file. */
  orphanAgeMs: number;
  signal: AbortSignal;
  /** Called with a step's name and the fraction of it that is done, as far as that is known. */
  progress(step: string, fraction: number): void;
  /** Called for each finding. */
  found(finding: Finding): void;
}

export interface FsckReport {
  inodes: number;
  objects: number;
  objectBytes: number;
  blocksRead: number;
  /** Nobody wrote during the walk: everything was judged. */
  quiet: boolean;
  /** Objects that no record names and that are too young to be judged. */
  youngOrphans: number;
  /** Objects under chunks/ whose names are no block's. */
  foreignObjects: number;
  found: number;
  mended: number;
  left: number;
}

const DEEP_PARALLEL = 8;
const PATHS_MAX = 1_000;
const HEAD_RETRY = { retryMs: 30_000 };

/** @throws FsError, UserError: what kept it from looking. Everything else is a finding. */
export async function fsck(meta: Meta, store: ObjectStore, logger: Logger, options: FsckOptions): Promise<FsckReport> {
  const lease = await ScanLease.take(meta);
  const walk = new VolumeWalk(meta.session.format);
  try {
    return await new Fsck(meta, store, logger, options, { walk, lease }).run();
  } finally {
    walk.remove();
    await lease.release();
  }
}

class Fsck {
  readonly #meta: Meta;
  readonly #store: ObjectStore;
  readonly #options: FsckOptions;
  readonly #walk: VolumeWalk;
  readonly #lease: ScanLease;
  readonly #look: LocalLook;
  readonly #fetcher: BlockFetcher;
  readonly #report: FsckReport = {
    inodes: 0,
    objects: 0,
    objectBytes: 0,
    blocksRead: 0,
    quiet: false,
    youngOrphans: 0,
    foreignObjects: 0,
    found: 0,
    mended: 0,
    left: 0,
  };
  /** Blocks being read. */
  readonly #reading = new Set<Promise<void>>();
  readonly #damaged: { block: Block; places: readonly SlicePlace[]; what: string }[] = [];
  #readFailure: unknown;
  #queued: Promise<ReadonlySet<number>> | undefined;
  #paths = 0;

  constructor(
    meta: Meta,
    store: ObjectStore,
    logger: Logger,
    options: FsckOptions,
    run: { walk: VolumeWalk; lease: ScanLease },
  ) {
    this.#meta = meta;
    this.#store = store;
    this.#options = options;
    this.#walk = run.walk;
    this.#lease = run.lease;
    this.#look = new LocalLook(meta.scan);
    const limits = { retryMs: HEAD_RETRY.retryMs, downloadParallel: DEEP_PARALLEL };
    this.#fetcher = new BlockFetcher(store, { ...limits, ...codecOf(meta.session.format, undefined) }, logger);
  }

  async run(): Promise<FsckReport> {
    const [meta, walk, options] = [this.#meta, this.#walk, this.#options];
    const { signal, progress } = options;
    const beganMs = Math.floor(meta.clock.nowUs() / 1000);
    const sessions = await meta.session.list();
    const before = await meta.scan.activity(sessions);
    progress('listing objects', 0);
    await walk.listStore(this.#store, signal, () => progress('listing objects', 0));
    const keyCount = Math.max(1, await meta.scan.keyCount());
    await walk.readKeys(meta.scan, signal, (count) => progress('reading metadata', count / keyCount));
    const shared = await this.#lease.shared();
    const after = await meta.scan.activity(await meta.session.list());
    const quiet = before === after;
    this.#report.quiet = quiet;
    this.#report.objects = walk.objectCount;
    this.#report.objectBytes = walk.objectBytes;
    this.#report.foreignObjects = walk.foreignObjects;
    progress('names and inodes', 0);
    await this.#all(judgeCounters(meta, walk, quiet));
    await this.#all(judgeNames(meta, walk, this.#look));
    await this.#all(judgeSessions(meta, walk, this.#look));
    await this.#all(judgeUploads(meta, walk));
    progress('slices and blocks', 0);
    await this.#all(
      judgeSlices({
        meta,
        walk,
        quiet,
        shared,
        beganMs,
        blockStands: (block) => this.#stands(block),
        isQueued: async (id) => (await this.#queue()).has(id),
        isPending: async (id) => (await meta.upkeep.pendingPlace(id)) !== undefined,
        ...(options.deep ? { onBlock: (block, places) => this.#readBlock(block, places) } : {}),
        onOrphan: (slice) => this.#orphan(slice, beganMs),
      }),
    );
    await Promise.all(this.#reading);
    if (this.#readFailure !== undefined) throw this.#readFailure;
    for (const { block, places, what } of this.#damaged) {
      await this.#all(lostBlock(meta, block, places, 'damaged-block', `is damaged: ${what}`));
    }
    for (const _row of walk.inodes.sorted()) this.#report.inodes += 1;
    return this.#report;
  }

  async #all(suspicions: AsyncIterable<Suspicion>): Promise<void> {
    for await (const suspicion of suspicions) {
      this.#options.signal.throwIfAborted();
      await this.#settle(suspicion);
    }
  }

  async #settle(suspicion: Suspicion): Promise<void> {
    const { kind, what, ino, lost, mend, mendBy, why } = suspicion;
    const path = ino === undefined || this.#paths++ >= PATHS_MAX ? undefined : await this.#look.path(ino);
    const told = { kind, what, ...(path === undefined ? {} : { path }) };
    const tell = (state: Finding['state'], reason?: string): void => {
      this.#report.found += 1;
      if (state === 'mended') this.#report.mended += 1;
      if (state === 'left') this.#report.left += 1;
      this.#options.found({ ...told, state, ...(reason === undefined ? {} : { why: reason }) });
    };
    if (!this.#options.repair) return tell('found', why);
    if (lost !== undefined && this.#options.zeroLost) {
      return (await giveUp(this.#meta, lost))
        ? tell('mended')
        : tell('left', 'the file changes all the time, or its chunk has too many records');
    }
    if (mendBy !== undefined)
      return (await mendBy()) ? tell('mended') : tell('left', 'it changed meanwhile; run fsck again');
    if (mend === undefined) return tell('left', why);
    // Not done: it is not so any more. Then it was no fault but a change, unless it comes again.
    if (await this.#meta.scan.apply(mend)) tell('mended');
    else tell('left', 'it changed meanwhile; run fsck again');
  }

  /** Inline slices that wait for the packer now; read once. Inline slices are few: the budget bounds them. */
  #queue(): Promise<ReadonlySet<number>> {
    this.#queued ??= queuedSlices(this.#meta);
    return this.#queued;
  }

  async #stands(block: Block): Promise<boolean> {
    const key = blockName(block.sliceId, block.index, block.blockBytes);
    const found = await withRetry('head', HEAD_RETRY, this.#options.signal, (attempt) =>
      this.#store.head(key, attempt.signal),
    );
    const right = objectBytesOf(this.#meta.session.format, block.blockBytes);
    return found !== undefined && (right === undefined || found.sizeBytes === right);
  }

  async #orphan({ id, blocks, objectBytes: bytes, youngestMs }: OrphanSlice, beganMs: number): Promise<void> {
    if (youngestMs > Math.min(beganMs, Date.now()) - this.#options.orphanAgeMs) {
      this.#report.youngOrphans += blocks.length;
      return;
    }
    const keys = blocks.map((block) => blockName(block.sliceId, block.index, block.blockBytes));
    await this.#settle({
      kind: 'orphan-block',
      what: `${keys.length} object${keys.length === 1 ? '' : 's'} of slice ${id} (${bytes} bytes) belong to no file: ${keys[0]}`,
      mendBy: async () => (await this.#store.deleteMany(keys, this.#options.signal)).length === 0,
    });
  }

  /** Starts reading a block; waits when many are being read. */
  async #readBlock(block: Block, places: readonly SlicePlace[]): Promise<void> {
    this.#options.signal.throwIfAborted();
    while (this.#reading.size >= DEEP_PARALLEL) await Promise.race(this.#reading);
    if (this.#readFailure !== undefined) throw this.#readFailure;
    const reading = this.#fetcher.verify(block).then(
      () => {
        this.#report.blocksRead += 1;
        this.#options.progress('reading blocks', 0);
      },
      async (error: Error) => {
        if (error.cause instanceof DamagedBlockError) this.#damaged.push({ block, places, what: error.cause.what });
        // Deleted since it was listed: then it was overwritten while we read.
        else if (await this.#stands(block)) this.#readFailure ??= error;
      },
    );
    this.#reading.add(reading);
    reading.finally(() => this.#reading.delete(reading));
  }
}

async function queuedSlices({ scan }: Meta): Promise<ReadonlySet<number>> {
  const ids = new Set<number>();
  for await (const page of scan.scored('inq')) for (const [member] of page) ids.add(readU64(member, 0));
  return ids;
}
