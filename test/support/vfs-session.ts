/** A file system on a volume: what one process of it has, without mount and gateway. */
import { silentLogger } from '../../src/base/log.ts';
import { createChunkStore } from '../../src/chunk/chunk-store.ts';
import type { ChunkOptions, ChunkStore, ObjectStore } from '../../src/chunk/chunks.ts';
import { openStore } from '../../src/chunk/object/open-store.ts';
import type { Meta } from '../../src/meta/meta.ts';
import { openMeta } from '../../src/meta/open-meta.ts';
import { openVfs } from '../../src/vfs/open-vfs.ts';
import type { Vfs } from '../../src/vfs/vfs.ts';
import type { VfsSettings } from '../../src/vfs/vfs-options.ts';
import { CHUNK_OPTIONS } from './chunk-options.ts';
import { countedMeta } from './counted-meta.ts';
import { RecordingKernel } from './recording-kernel.ts';
import { CONNECT } from './redis-server.ts';
import { until } from './until.ts';
import type { TestVolume } from './volume.ts';

/** Nothing happens by itself: each test does what it is about. */
const NO_UPKEEP = { packer: false, deleter: false, reaper: false, compaction: false, reapDelayMs: 1 };

export interface Session {
  meta: Meta;
  chunks: ChunkStore;
  vfs: Vfs;
  /** What its mount was told to drop. */
  kernel: RecordingKernel;
  /** Round trips counted by method since the last reset. */
  trips: Map<string, number>;
}

export interface SessionOptions {
  vfs?: VfsSettings;
  chunks?: Partial<ChunkOptions>;
  /** Puts something between the data layer and its store, to inject faults. */
  store?: (store: ObjectStore) => ObjectStore;
}

/** Joins with a file system of its own, pushes proven to come; closed with the volume. */
export async function joinVfs(
  volume: Pick<TestVolume, 'url' | 'storeUrl' | 'beforeEnd'>,
  options: SessionOptions = {},
): Promise<Session> {
  const { vfs: settings = {}, chunks: chunkOptions = {}, store = (same) => same } = options;
  const meta = await openMeta(volume.url, { ...CONNECT, pingMs: 100 });
  volume.beforeEnd(() => meta.close());
  const objects = store(await openStore(volume.storeUrl, { create: false }));
  const chunks = createChunkStore(objects, { ...CHUNK_OPTIONS, retryMs: 50, ...chunkOptions }, silentLogger);
  volume.beforeEnd(() => chunks.close());
  const trips = new Map<string, number>();
  const upkeep = { ...NO_UPKEEP, ...settings.upkeep };
  const parts = { meta: countedMeta(meta, trips), chunks, logger: silentLogger };
  const vfs = openVfs({ ...parts, options: { ...settings, upkeep } });
  volume.beforeEnd(() => vfs.close());
  const kernel = new RecordingKernel();
  vfs.setKernelCache(kernel);
  await until(() => vfs.validity().attrSec > 0, 'the push channel to be healthy');
  return { meta, chunks, vfs, kernel, trips };
}
