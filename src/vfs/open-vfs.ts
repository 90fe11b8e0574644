import type { Logger } from '../base/log.ts';
import type { ChunkStore } from '../chunk/chunks.ts';
import type { Meta } from '../meta/meta.ts';
import { Upkeep } from '../upkeep/upkeep.ts';
import { AttrCache } from './cache/attr-cache.ts';
import { Coherence } from './cache/coherence.ts';
import { EntryCache } from './cache/entry-cache.ts';
import { NegativeDentries } from './cache/negative-dentries.ts';
import { DataPath } from './file/data-path.ts';
import { OpenFiles } from './file/open-files.ts';
import { VolumeFiles } from './file/volume-files.ts';
import { VolumeAttributes } from './name/volume-attributes.ts';
import { VolumeDirectories } from './name/volume-directories.ts';
import { VolumeNames } from './name/volume-names.ts';
import { Publisher } from './object/publisher.ts';
import { VolumeBuckets } from './object/volume-buckets.ts';
import { VolumeObjects } from './object/volume-objects.ts';
import { VolumeUploads } from './object/volume-uploads.ts';
import { WholeObjectMemory } from './object/whole-object-memory.ts';
import { Pushes } from './pushes.ts';
import { Room } from './room.ts';
import type { Validity, Vfs } from './vfs.ts';
import { type VfsSettings, vfsOptions } from './vfs-options.ts';
import type { VfsState } from './vfs-state.ts';

const EXPIRED: Validity = { entrySec: 0, attrSec: 0 };
/** Files flushed at the same time when everything closes. */
const CLOSE_FLUSHES_MAX = 16;

export interface VfsParts {
  meta: Meta;
  chunks: ChunkStore;
  logger: Logger;
  options?: VfsSettings;
}

/**
 * Puts the virtual file system of a process on its session and its data layer, and starts the background work.
 * One per process: both frontends share it. close() ends what it started; meta and chunks are the caller's to close.
 */
export function openVfs({ meta, chunks, logger, options: settings = {} }: VfsParts): Vfs {
  const options = vfsOptions(settings);
  const attrs = new AttrCache(options.attrCacheEntries);
  const entries = new EntryCache(attrs, options.attrCacheEntries);
  const data = new DataPath(meta, attrs, options.inlineBytesMax);
  const coherence = new Coherence(logger, options.notifyWaitMs);
  const upkeep = new Upkeep(meta, chunks, data.slices, logger, options.upkeep);
  const files = new OpenFiles(
    meta,
    chunks,
    data,
    {
      attributesStale: (ino) => coherence.attributesStale(ino),
      pagesStale: (ino) => coherence.pushInode(ino, true),
    },
    logger,
    { idleReaders: options.idleReaders, reapDelayMs: options.upkeep.reapDelayMs },
  );
  const negative = new NegativeDentries();
  const state: VfsState = {
    meta,
    chunks,
    logger,
    options,
    attrs,
    entries,
    data,
    files,
    coherence,
    upkeep,
    negative,
    wholeObjects: new WholeObjectMemory(),
    room: new Room(meta, chunks, logger, options, () => upkeep.freeDisk()),
    fenced: false,
  };
  new Pushes(state);
  const publisher = new Publisher(state);
  const valid: Validity = { entrySec: options.ttlSec, attrSec: options.ttlSec };
  let closing: Promise<void> | undefined;
  return {
    names: new VolumeNames(state),
    attributes: new VolumeAttributes(state),
    files: new VolumeFiles(state),
    directories: new VolumeDirectories(state),
    objects: new VolumeObjects(state, publisher),
    buckets: new VolumeBuckets(state, publisher),
    uploads: new VolumeUploads(state, publisher),
    users: meta.users,
    events: meta.events,
    validity: () => (attrs.healthy && !state.fenced ? valid : EXPIRED),
    setKernelCache: (cache) => coherence.setKernel(cache),
    close() {
      closing ??= closeVfs(state);
      return closing;
    },
  };
}

async function closeVfs(state: VfsState): Promise<void> {
  const failures: unknown[] = [];
  if (!state.fenced) {
    const files = state.files.all();
    const worker = async (): Promise<void> => {
      for (let file = files.pop(); file !== undefined; file = files.pop()) {
        try {
          await file.flush();
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: CLOSE_FLUSHES_MAX }, worker));
    await state.files.reapQueued();
  }
  await state.upkeep.stop({ drain: !state.fenced });
  if (failures.length > 0) throw failures[0];
}
