import type { ChunkOptions } from '../../src/chunk/chunks.ts';

const MIB = 1024 * 1024;

/** What the command line's defaults amount to. */
export const CHUNK_OPTIONS: ChunkOptions = {
  bufferBytes: 256 * MIB,
  cacheBytes: 256 * MIB,
  uploadParallel: 16,
  downloadParallel: 32,
  retryMs: 60_000,
  idleFlushMs: 5_000,
  readaheadBytesMax: 32 * MIB,
  checked: true,
};
