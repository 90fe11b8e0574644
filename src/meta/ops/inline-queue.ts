/**
 * What this session has committed inline and not packed yet, oldest first: the packer of the machine that wrote still has
 * the bytes in its cache. Held here, since Redis has it too (`inq`): what does not fit is found there by its age.
 */
import type { InlineSlice } from '../meta.ts';
import type { Engine } from '../redis/engine.ts';

const SLICES_MAX = 100_000;

export class InlineQueue {
  readonly #slices = new Map<string, InlineSlice>();

  get size(): number {
    return this.#slices.size;
  }

  add(slice: InlineSlice): void {
    if (this.#slices.size < SLICES_MAX) this.#slices.set(keyOf(slice), slice);
  }

  oldest(limit: number): InlineSlice[] {
    const found: InlineSlice[] = [];
    for (const slice of this.#slices.values()) {
      if (found.length === limit) break;
      found.push(slice);
    }
    return found;
  }

  remove(slice: Pick<InlineSlice, 'id' | 'ino' | 'chunkIndex'>): void {
    this.#slices.delete(keyOf(slice));
  }
}

const queues = new WeakMap<Engine, InlineQueue>();

/** The queue of an engine's session: commits fill it, the packer empties it. */
export function inlineQueueOf(engine: Engine): InlineQueue {
  let queue = queues.get(engine);
  if (queue === undefined) {
    queue = new InlineQueue();
    queues.set(engine, queue);
  }
  return queue;
}

function keyOf(slice: Pick<InlineSlice, 'id' | 'ino' | 'chunkIndex'>): string {
  return `${slice.id}:${slice.ino}:${slice.chunkIndex}`;
}
