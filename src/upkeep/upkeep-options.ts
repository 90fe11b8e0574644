/** Settings of the background work with their defaults. */
export interface UpkeepOptions {
  packer: boolean;
  deleter: boolean;
  reaper: boolean;
  compaction: boolean;
  /** Pause between two looks of the deleter, ms. */
  deleteIntervalMs: number;
  /** Pause between two looks for freed inodes and ended sessions, ms. */
  reapIntervalMs: number;
  /** Pause between two looks of the packer, ms. */
  packIntervalMs: number;
  /** Records in a chunk beyond which it is compacted, count. */
  compactRecords: number;
  /** How long an unlinked file that is not open waits before it is freed, ms. */
  reapDelayMs: number;
}

export const UPKEEP_DEFAULTS: UpkeepOptions = {
  packer: true,
  deleter: true,
  reaper: true,
  compaction: true,
  deleteIntervalMs: 10_000,
  reapIntervalMs: 5_000,
  packIntervalMs: 1_000,
  compactRecords: 100,
  reapDelayMs: 250,
};
