/** Connects what happens to the volume (pushes of other sessions, the channel's health, fencing) with all that caches. */
import type { Invalidation } from '../base/vocabulary.ts';
import type { VfsState } from './vfs-state.ts';

export class Pushes {
  readonly #state: VfsState;
  #wasHealthy = false;

  constructor(state: VfsState) {
    this.#state = state;
    const { events } = state.meta;
    events.on('invalidated', (batch) => this.#pushed(batch));
    events.on('channel', (healthy) => this.#channel(healthy));
    events.on('fenced', () => this.#fenced());
  }

  #pushed(batch: readonly Invalidation[]): void {
    const { attrs, entries, files, coherence, negative } = this.#state;
    for (const invalidation of batch) {
      switch (invalidation.kind) {
        case 'inode': {
          const before = attrs.pushed(invalidation.ino);
          // The same content version: only attributes changed, and what was read of the content stays right.
          const contentChanged = before === undefined || before.version !== invalidation.version;
          if (contentChanged) files.contentChanged(invalidation.ino, invalidation.version);
          coherence.pushInode(invalidation.ino, contentChanged);
          break;
        }
        case 'entry':
          negative.add(invalidation.parent, invalidation.name);
          attrs.pushedEntry(invalidation.parent, invalidation.name);
          entries.pushed(invalidation.parent, invalidation.name);
          coherence.pushEntry(invalidation.parent, invalidation.name);
          break;
        case 'unlinked':
          attrs.pushed(invalidation.ino);
          files.pushedUnlinked(invalidation.ino);
          coherence.pushInode(invalidation.ino, false);
          break;
        case 'users':
          break; // The S3 frontend listens for itself.
      }
    }
  }

  #channel(healthy: boolean): void {
    const { attrs, entries, files, coherence, logger, negative } = this.#state;
    attrs.setHealthy(healthy);
    entries.clear();
    negative.forgetAll();
    files.dropAll();
    coherence.expireAll();
    if (!healthy) {
      // At the start the channel has yet to prove itself.
      if (!this.#wasHealthy) return;
      logger.warn({}, 'pushes from other sessions may be missed: nothing is cached until they come again');
      return;
    }
    if (this.#wasHealthy) logger.info({}, 'pushes from other sessions come again');
    this.#wasHealthy = true;
    void files.revalidate();
  }

  #fenced(): void {
    const { attrs, files, coherence, logger } = this.#state;
    this.#state.fenced = true;
    logger.error({}, 'this session was suspended past its lease and is fenced: nothing more is written; mount again');
    attrs.setHealthy(false);
    for (const file of files.all()) file.discard();
    files.dropAll();
    coherence.expireAll();
  }
}
