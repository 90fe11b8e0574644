/**
 * Negative dentries: names that are known not to exist, so that looking one up costs no round trip. Unpacking, building
 * and copying look every new name up before they make it.
 *
 * They are known for directories that this process made, if it has since heard of every name put into them: by its own
 * calls (added before they are sent) and by pushes of other sessions. The names kept are a superset of those that exist:
 * nothing is taken out when a name goes, and a name that is kept is asked for as usual. So a wrong answer needs a push
 * that is still on its way, as for any negative dentry that the kernel keeps.
 *
 *     begin()  ->  mkdir is sent  ->  reply: made(mkdir, ino)    unless a name was put into it meanwhile, which can
 *                                     end(mkdir)                 overtake the reply
 */
import { LruCache } from '../../base/lru.ts';
import type { ByteString, Ino } from '../../base/vocabulary.ts';

const DIRECTORIES_MAX = 4_096;
/** Names of one directory; a larger one is looked up as usual. */
const NAMES_MAX = 50_000;
/** Names of all directories together. */
const NAMES_TOTAL_MAX = 250_000;

/** A mkdir under way. */
export interface PendingMkdir {
  /** Directories that names were put into since the call was sent; undefined once everything was forgotten. */
  touched: Set<Ino> | undefined;
}

export class NegativeDentries {
  readonly #directories = new LruCache<Ino, Set<ByteString>>(DIRECTORIES_MAX, (_ino, names) => {
    this.#nameCount -= names.size;
  });
  readonly #pending = new Set<PendingMkdir>();
  #nameCount = 0;

  /** Before a mkdir is sent. Pair with end(). */
  begin(): PendingMkdir {
    const mkdir: PendingMkdir = { touched: new Set() };
    this.#pending.add(mkdir);
    return mkdir;
  }

  /** The mkdir made this directory. */
  made(mkdir: PendingMkdir, ino: Ino): void {
    if (mkdir.touched === undefined || mkdir.touched.has(ino)) return;
    this.#directories.set(ino, new Set());
  }

  /** The mkdir is over. */
  end(mkdir: PendingMkdir): void {
    this.#pending.delete(mkdir);
  }

  /** The name exists, or may soon. Call it before the request that makes it is sent. */
  add(parent: Ino, name: ByteString): void {
    for (const mkdir of this.#pending) mkdir.touched?.add(parent);
    const names = this.#directories.peek(parent);
    if (names === undefined || names.has(name)) return;
    names.add(name);
    this.#nameCount++;
    if (names.size > NAMES_MAX || this.#nameCount > NAMES_TOTAL_MAX) this.forget(parent);
  }

  /** True when no entry of that name can be in the directory. */
  lacks(parent: Ino, name: ByteString): boolean {
    const names = this.#directories.get(parent);
    return names !== undefined && !names.has(name);
  }

  /** The directory is gone, or no longer worth its memory. */
  forget(ino: Ino): void {
    const names = this.#directories.peek(ino);
    if (names === undefined) return;
    this.#nameCount -= names.size;
    this.#directories.delete(ino);
  }

  /** Pushes may have been missed. */
  forgetAll(): void {
    this.#directories.clear();
    this.#nameCount = 0;
    for (const mkdir of this.#pending) mkdir.touched = undefined;
  }
}
