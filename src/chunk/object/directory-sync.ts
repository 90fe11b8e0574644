import { open } from 'node:fs/promises';
import { isNoDirectorySync } from '../../base/durable-file.ts';

/**
 * fsync of directories, grouped: everybody who asks while an fsync of the same directory runs shares the next one (the
 * running one may have begun before their rename).
 */
export class DirectorySync {
  readonly #running = new Map<string, { current: Promise<void>; next: Promise<void> | undefined }>();

  /** Entries of the directory made before the call are durable when this resolves. */
  sync(directory: string): Promise<void> {
    const running = this.#running.get(directory);
    if (running === undefined) return this.#start(directory);
    running.next ??= running.current.then(
      () => this.#start(directory),
      () => this.#start(directory),
    );
    return running.next;
  }

  #start(directory: string): Promise<void> {
    const current = fsyncDirectory(directory);
    const entry = { current, next: undefined };
    this.#running.set(directory, entry);
    const done = (): void => {
      // A follower has put its own entry in place, or will when its turn comes.
      if (this.#running.get(directory) === entry && entry.next === undefined) this.#running.delete(directory);
    };
    current.then(done, done);
    return current;
  }
}

async function fsyncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (!isNoDirectorySync(error)) throw error;
  } finally {
    await handle.close();
  }
}
