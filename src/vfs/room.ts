/**
 * How much may still be made and written, and a refusal before something is full that must not be:
 *
 *     limits of the volume       what was set by `format --capacity` and `limit`     EDQUOT
 *     the store's disk           free space less a reserve                            ENOSPC
 *     Redis                      maxmemory less a reserve                             ENOSPC
 *
 * The reserves are there so that deleting always works. Nothing is asked on the way of a write: a look is taken at most once a second
 * while something grows, and what this process takes meanwhile is counted against it. Before a refusal there is a fresh look.
 */
import { FsError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { sleep } from '../base/sleep.ts';
import type { VolumeUsage } from '../base/vocabulary.ts';
import type { ChunkStore, DiskRoom } from '../chunk/chunks.ts';
import type { Meta } from '../meta/meta.ts';

const MIB = 2 ** 20;
const LOOK_MS = 1_000;
/** How often, and at which intervals, deleted blocks are waited for before a full disk is told. */
const FREE_TRIES = 4;
const FREE_PAUSE_MS = 500;
/** Of the disk that also holds the log of our own Redis: share of its size, within bounds. */
const LOG_RESERVE = { share: 0.05, leastBytes: 8 * MIB, mostBytes: 512 * MIB };
/** Of any other disk: what is on its way to it must find room. */
const STORE_RESERVE = { share: 0.01, leastBytes: MIB, mostBytes: 64 * MIB };
/** Of Redis' maxmemory. */
const MEMORY_RESERVE = { share: 0.05, leastBytes: MIB, mostBytes: 64 * MIB };

export interface Space extends VolumeUsage {
  totalBytes: number;
  totalInodes: number;
}

interface Refusal {
  code: 'ENOSPC' | 'EDQUOT';
  reason: string;
}

interface Look {
  takenMs: number;
  usage: VolumeUsage;
  disk: (DiskRoom & { reserveBytes: number }) | undefined;
  /** Bytes of content that may still be added. */
  bytes: number;
  bytesRefusal: Refusal;
  inodes: number;
  /** Why nothing may grow at all. */
  full: Refusal | undefined;
}

export class Room {
  readonly #meta: Pick<Meta, 'session'>;
  readonly #chunks: Pick<ChunkStore, 'diskRoom' | 'stats'>;
  readonly #logger: Logger;
  readonly #nominal: { capacityBytes: number; capacityInodes: number };
  readonly #logDisk: (() => Promise<DiskRoom>) | undefined;
  readonly #freeDisk: () => Promise<number>;
  #look: Look | undefined;
  #looking: Promise<Look> | undefined;
  #wasFull = '';

  /**
   * @param options logDisk: the disk of our own Redis' log. @param freeDisk deletes what waits to be deleted.
   */
  constructor(
    meta: Pick<Meta, 'session'>,
    chunks: Pick<ChunkStore, 'diskRoom' | 'stats'>,
    logger: Logger,
    options: { capacityBytes: number; capacityInodes: number; logDisk?: (() => Promise<DiskRoom>) | undefined },
    freeDisk: () => Promise<number>,
  ) {
    this.#freeDisk = freeDisk;
    this.#meta = meta;
    this.#chunks = chunks;
    this.#logger = logger;
    this.#nominal = options;
    this.#logDisk = options.logDisk;
  }

  /**
   * Takes room for `bytes` of content and `inodes`. Undefined when there is plenty, which costs nothing.
   * @throws (as a rejection) FsError EDQUOT, ENOSPC saying what is full.
   */
  admit(op: string, bytes: number, inodes = 0): Promise<void> | undefined {
    const look = this.#look;
    if (look === undefined) return this.#admitSlowly(op, bytes, inodes);
    if (performance.now() - look.takenMs > LOOK_MS) this.#takeLook().catch(() => {});
    if (look.full !== undefined || bytes > look.bytes || inodes > look.inodes)
      return this.#admitSlowly(op, bytes, inodes);
    look.bytes -= bytes;
    look.inodes -= inodes;
    return undefined;
  }

  /** What statfs tells: limits and disk where there are any, else nominal totals. */
  async space(): Promise<Space> {
    const { usage, disk } = await this.#takeLook();
    const { capacityBytes, capacityInodes } = this.#nominal;
    const onDisk =
      disk === undefined ? capacityBytes : usage.usedBytes + Math.max(0, disk.freeBytes - disk.reserveBytes);
    return {
      ...usage,
      totalBytes: Math.min(onDisk, usage.maxBytes ?? Number.POSITIVE_INFINITY),
      totalInodes: usage.maxInodes ?? capacityInodes,
    };
  }

  /** @throws FsError ENOSPC when so much could not be stored now. */
  async checkSpace(op: string, bytes: number): Promise<void> {
    const { usedBytes, totalBytes } = await this.space();
    if (bytes > totalBytes - usedBytes) throw new FsError('ENOSPC', op);
  }

  async #admitSlowly(op: string, bytes: number, inodes: number): Promise<void> {
    // A look that is under way may have read before something was deleted.
    await this.#looking?.catch(() => {});
    let look = await this.#takeLook();
    // What was removed a moment ago may be the room that is missing: it is freed and deleted before anybody is refused.
    for (let tries = 0; tries < FREE_TRIES && isShortOfDisk(look, bytes); tries++) {
      await this.#freeDisk().catch(() => 0);
      await sleep(FREE_PAUSE_MS);
      look = await this.#takeLook();
    }
    if (look.full !== undefined) throw new FsError(look.full.code, op, look.full.reason);
    if (inodes > look.inodes) throw new FsError('EDQUOT', op, 'the volume has as many files as its limit allows');
    if (bytes > look.bytes) throw new FsError(look.bytesRefusal.code, op, look.bytesRefusal.reason);
    look.bytes -= bytes;
    look.inodes -= inodes;
  }

  /** Those who ask at the same time share one. */
  #takeLook(): Promise<Look> {
    this.#looking ??= this.#readAll().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #readAll(): Promise<Look> {
    const [usage, memory, storeDisk, logDisk] = await Promise.all([
      this.#meta.session.usage(),
      this.#meta.session.memory(),
      this.#chunks.diskRoom(),
      this.#logDisk?.(),
    ]);
    const pendingBytes = this.#chunks.stats().bufferBytes;
    const disk =
      storeDisk === undefined
        ? undefined
        : withReserve(storeDisk, this.#logDisk === undefined ? STORE_RESERVE : LOG_RESERVE);
    const look: Look = {
      takenMs: performance.now(),
      usage,
      disk,
      bytes: Number.POSITIVE_INFINITY,
      bytesRefusal: { code: 'ENOSPC', reason: '' },
      inodes: usage.maxInodes === undefined ? Number.POSITIVE_INFINITY : usage.maxInodes - usage.usedInodes,
      full: undefined,
    };
    const bound = (bytes: number, code: Refusal['code'], reason: string): void => {
      if (bytes >= look.bytes) return;
      look.bytes = bytes;
      look.bytesRefusal = { code, reason };
    };
    if (disk !== undefined) {
      const left = disk.freeBytes - disk.reserveBytes - pendingBytes;
      bound(left, 'ENOSPC', "the store's disk is full but for a reserve; free space, or delete files");
    }
    if (logDisk !== undefined) {
      const { freeBytes, reserveBytes } = withReserve(logDisk, LOG_RESERVE);
      if (freeBytes < reserveBytes) {
        look.full = {
          code: 'ENOSPC',
          reason: 'the disk of the log of Redis is full but for a reserve; free space, or delete files',
        };
      }
    }
    if (usage.maxBytes !== undefined)
      bound(usage.maxBytes - usage.usedBytes - pendingBytes, 'EDQUOT', 'the volume is as large as its limit allows');
    if (memory.maxBytes > 0) {
      const reserveBytes = reserveOf(memory.maxBytes, MEMORY_RESERVE);
      if (memory.usedBytes > memory.maxBytes - reserveBytes) {
        look.full = {
          code: 'ENOSPC',
          reason: 'Redis has reached its maxmemory but for a reserve; raise it, or delete files',
        };
      }
    }
    this.#look = look;
    this.#tell(look.full?.reason ?? (look.bytes <= 0 ? look.bytesRefusal.reason : ''));
    return look;
  }

  /** Once when it begins, once when it is over. */
  #tell(reason: string): void {
    if (reason === this.#wasFull) return;
    if (reason !== '') this.#logger.warn({ reason }, 'no room: what would grow is refused');
    else this.#logger.info({}, 'there is room again');
    this.#wasFull = reason;
  }
}

function isShortOfDisk(look: Look, bytes: number): boolean {
  return look.disk !== undefined && bytes > look.bytes && look.bytesRefusal.code === 'ENOSPC';
}

function reserveOf(total: number, { share, leastBytes, mostBytes }: typeof LOG_RESERVE): number {
  return Math.min(mostBytes, Math.max(leastBytes, total * share));
}

function withReserve(disk: DiskRoom, reserve: typeof LOG_RESERVE): DiskRoom & { reserveBytes: number } {
  return { ...disk, reserveBytes: reserveOf(disk.totalBytes, reserve) };
}
