import type { DiskRoom } from '../chunk/chunks.ts';
import { UPKEEP_DEFAULTS, type UpkeepOptions } from '../upkeep/upkeep-options.ts';

/** Settings of the virtual file system with their defaults. */
export interface VfsOptions {
  /** How long the kernel may keep names and attributes while pushes are healthy, seconds. */
  ttlSec: number;
  /** Attributes kept in memory, count. */
  attrCacheEntries: number;
  /** Slice maps of closed files kept in memory, count. */
  idleReaders: number;
  /** A commit of at most this many bytes travels inside the metadata, while the volume's inline budget allows. */
  inlineBytesMax: number;
  /** The disk of our own Redis' log; undefined: Redis is none of ours. */
  logDisk?: () => Promise<DiskRoom>;
  /** What statfs tells as the volume's size where neither a limit nor a disk bounds it, bytes. */
  capacityBytes: number;
  /** What statfs tells as the number of inodes. */
  capacityInodes: number;
  /** Permission bits of objects and of the directories that S3 makes. */
  objectMode: number;
  directoryMode: number;
  /** How long an S3 call waits at most for the kernel of this process's mount to drop what it made stale, ms. */
  notifyWaitMs: number;
  /** Background work: packing, deleting, reaping, compaction. */
  upkeep: UpkeepOptions;
}

/** Options as openVfs takes them: everything may be left out. */
export type VfsSettings = Partial<Omit<VfsOptions, 'upkeep'>> & { upkeep?: Partial<UpkeepOptions> };

const DEFAULTS: VfsOptions = {
  ttlSec: 60,
  attrCacheEntries: 100_000,
  idleReaders: 1_024,
  inlineBytesMax: 64 * 1024,
  capacityBytes: 2 ** 50,
  capacityInodes: 2 ** 40,
  objectMode: 0o644,
  directoryMode: 0o755,
  notifyWaitMs: 2_000,
  upkeep: UPKEEP_DEFAULTS,
};

/** Fills in the defaults. */
export function vfsOptions(settings: VfsSettings): VfsOptions {
  return { ...DEFAULTS, ...settings, upkeep: { ...DEFAULTS.upkeep, ...settings.upkeep } };
}
