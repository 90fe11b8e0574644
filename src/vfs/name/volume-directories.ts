/** Open directories: a stream of entries each. */
import { FsError } from '../../base/errors.ts';
import type { Ino } from '../../base/vocabulary.ts';
import type { Context, DirEntry, DirHandle, VfsDirectories } from '../vfs.ts';
import { checkAlive, shownAttr, type VfsState } from '../vfs-state.ts';
import { DirStream } from './dir-stream.ts';

export class VolumeDirectories implements VfsDirectories {
  readonly #state: VfsState;
  #nextId = 1;

  constructor(state: VfsState) {
    this.#state = state;
  }

  opendir(_ctx: Context, ino: Ino): DirHandle {
    checkAlive(this.#state, 'opendir');
    const state = this.#state;
    return new DirStream(this.#nextId++, ino, {
      names: state.meta.names,
      attrs: state.attrs,
      shown: (attr) => shownAttr(state, attr),
      sawShadowed: () => state.coherence.sawShadowed(),
      doubtful: (parent, entry) => {
        state.coherence.pushEntry(parent, entry.name);
        state.coherence.pushInode(entry.attr.ino, false);
      },
    });
  }

  readdir(_ctx: Context, handle: DirHandle, cookie: number, limit: number): DirEntry[] | Promise<DirEntry[]> {
    checkAlive(this.#state, 'readdir');
    return streamOf(handle).read(cookie, limit);
  }

  releasedir(_ctx: Context, handle: DirHandle): void {
    streamOf(handle).close();
  }

  async fsyncdir(_ctx: Context, _handle: DirHandle): Promise<void> {
    checkAlive(this.#state, 'fsyncdir');
    await this.#state.meta.durability.reached();
  }
}

function streamOf(handle: DirHandle): DirStream {
  if (!(handle instanceof DirStream)) throw new FsError('EBADF', 'readdir');
  return handle;
}
