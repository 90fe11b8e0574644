import type { Logger } from '../base/log.ts';
import type { ChunkStore } from '../chunk/types.ts';
import type { Meta } from '../meta/api.ts';
import { AttrCache } from './attr-cache.ts';
import { Coherence } from './coherence.ts';
import { DataPath } from './data-path.ts';
import { EntryCache } from './entry-cache.ts';
import { OpenFiles } from './open-files.ts';
import type { Vfs } from './types.ts';
import { Upkeep } from './upkeep.ts';
import { type VfsSettings, vfsOptions } from './vfs-options.ts';
import type { VfsState } from './vfs-state.ts';
import { VolumeVfs } from './volume-vfs.ts';
import { WholeDirectories } from './whole-directories.ts';

export interface VfsParts {
  meta: Meta;
  chunks: ChunkStore;
  logger: Logger;
  options?: VfsSettings;
}

/**
 * Puts the virtual file system of a process on its session and its data layer, and starts the background work.
 * One per process: both doors share it. close() ends what it started; meta and chunks are the caller's to close.
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
      committed: (ino, pieces, counts) => upkeep.committed(ino, pieces, counts),
      attributesStale: (ino) => coherence.attributesStale(ino),
      pagesStale: (ino) => coherence.pushInode(ino, true),
    },
    logger,
    { idleReaders: options.idleReaders, reapDelayMs: options.upkeep.reapDelayMs },
  );
  const whole = new WholeDirectories();
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
    whole,
    fenced: false,
  };
  return new VolumeVfs(state);
}
