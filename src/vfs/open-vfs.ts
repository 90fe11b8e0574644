import type { Logger } from '../base/log.ts';
import type { ChunkStore } from '../chunk/chunks.ts';
import type { Meta } from '../meta/meta.ts';
import { Upkeep } from '../upkeep/upkeep.ts';
import { AttrCache } from './cache/attr-cache.ts';
import { Coherence } from './cache/coherence.ts';
import { EntryCache } from './cache/entry-cache.ts';
import { WholeDirectories } from './cache/whole-directories.ts';
import { DataPath } from './file/data-path.ts';
import { OpenFiles } from './file/open-files.ts';
import type { Vfs } from './vfs.ts';
import { type VfsSettings, vfsOptions } from './vfs-options.ts';
import type { VfsState } from './vfs-state.ts';
import { VolumeVfs } from './volume-vfs.ts';

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
