/**
 * The one way in which "this changed" travels inside a process. Who learns something emits it; who must act listens:
 *
 *     push channel   invalidated, channel          -> caches of the vfs, users of the S3 frontend
 *     engine         fenced                        -> vfs, service
 *     data, objects  inlineStored, recordsAppended -> packer, compactor
 *
 * Listeners run in the order in which they came, before emit() returns, and must not throw.
 */
import type { Ino, Invalidation } from './vocabulary.ts';

export interface VolumeEventMap {
  /** What another session made stale. */
  invalidated: readonly Invalidation[];
  /** false: pushes may have been missed, everything cached must expire; true: healthy again. */
  channel: boolean;
  /** This session is lost: every call fails from now on. */
  fenced: true;
  /** A commit or publish of this session left so many bytes inline. */
  inlineStored: number;
  /** How many records the chunks of an inode have after a commit. */
  recordsAppended: { ino: Ino; counts: readonly { chunkIndex: number; count: number }[] };
}

type Listener<E extends keyof VolumeEventMap> = (value: VolumeEventMap[E]) => void;

export class VolumeEvents {
  readonly #listeners: { [E in keyof VolumeEventMap]: Listener<E>[] } = {
    invalidated: [],
    channel: [],
    fenced: [],
    inlineStored: [],
    recordsAppended: [],
  };
  #healthy = false;
  #fenced = false;

  /** Hears every event of that name from now on. A channel that is broken, or a session lost, is told at once. */
  on<E extends keyof VolumeEventMap>(name: E, listener: Listener<E>): void {
    this.#listeners[name].push(listener);
    if (name === 'channel' && !this.#healthy) (listener as Listener<'channel'>)(false);
    if (name === 'fenced' && this.#fenced) (listener as Listener<'fenced'>)(true);
  }

  emit<E extends keyof VolumeEventMap>(name: E, value: VolumeEventMap[E]): void {
    if (name === 'channel') this.#healthy = value as boolean;
    if (name === 'fenced') this.#fenced = true;
    for (const listener of this.#listeners[name]) listener(value);
  }
}
