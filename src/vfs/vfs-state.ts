import { SessionLostError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Attr, Ino } from '../base/vocabulary.ts';
import type { ChunkStore } from '../chunk/chunks.ts';
import type { Meta } from '../meta/meta.ts';
import type { Upkeep } from '../upkeep/upkeep.ts';
import type { AttrCache } from './cache/attr-cache.ts';
import type { Coherence } from './cache/coherence.ts';
import type { EntryCache } from './cache/entry-cache.ts';
import type { NegativeDentries } from './cache/negative-dentries.ts';
import type { DataPath } from './file/data-path.ts';
import type { OpenFiles } from './file/open-files.ts';
import type { WholeObjectMemory } from './object/whole-object-memory.ts';
import type { Room } from './room.ts';
import type { VfsOptions } from './vfs-options.ts';

/** What the parts of one virtual file system share. */
export interface VfsState {
  readonly meta: Meta;
  readonly chunks: ChunkStore;
  readonly logger: Logger;
  readonly options: VfsOptions;
  readonly attrs: AttrCache;
  readonly entries: EntryCache;
  readonly data: DataPath;
  readonly files: OpenFiles;
  readonly coherence: Coherence;
  readonly upkeep: Upkeep;
  readonly negative: NegativeDentries;
  readonly wholeObjects: WholeObjectMemory;
  readonly room: Room;
  /** The session was fenced: nothing works any more. */
  fenced: boolean;
}

/** @throws SessionLostError once the session is fenced, also for what caches could still answer. */
export function checkAlive(state: VfsState, op: string): void {
  if (state.fenced) throw new SessionLostError(op);
}

/** Attributes as this process must show them: with what is written here but not committed. */
export function shownAttr(state: VfsState, attr: Attr): Attr {
  const file = state.files.get(attr.ino);
  return file === undefined ? attr : file.shown(attr);
}

/** Committed attributes: a plain value from the cache, else 1 round trip. */
export function storedAttr(state: VfsState, ino: Ino): Attr | Promise<Attr> {
  return state.attrs.get(ino) ?? fetchAttr(state, ino);
}

async function fetchAttr(state: VfsState, ino: Ino): Promise<Attr> {
  const token = state.attrs.token();
  return state.attrs.fill(await state.meta.names.getattr(ino), token);
}
