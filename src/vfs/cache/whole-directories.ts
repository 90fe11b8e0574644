/**
 * Directories of which this process knows every name that can exist, so that looking up a name that cannot costs no
 * round trip. Unpacking, building and copying look every new name up before they make it.
 *
 * A directory is known whole when this process made it and has since heard of every name put into it: by its own calls
 * (added before they are sent) and by pushes of other sessions. The names kept are a superset of those that exist:
 * nothing is taken out when a name goes, and a name that is kept is asked for as usual. So a wrong answer needs a push
 * that is still on its way, as for any negative answer that the kernel keeps.
 *
 *     expect()  ->  mkdir is sent  ->  reply: born(birth, ino)    unless a name was put into it meanwhile, which can
 *                                                                 overtake the reply
 */
import { LruCache } from '../../base/lru.ts';
import type { ByteString, Ino } from '../../base/vocabulary.ts';

const DIRECTORIES_MAX = 4_096;
/** Names of one directory; a larger one is looked up as usual. */
const NAMES_MAX = 50_000;
/** Names of all directories together. */
const NAMES_TOTAL_MAX = 250_000;

/** A directory being made. */
export interface Birth {
  /** Directories that names were put into since the call was sent; undefined once everything was forgotten. */
  touched: Set<Ino> | undefined;
}

export class WholeDirectories {
  readonly #directories = new LruCache<Ino, Set<ByteString>>(DIRECTORIES_MAX, (_ino, names) => {
    this.#nameCount -= names.size;
  });
  readonly #births = new Set<Birth>();
  #nameCount = 0;

  /** Before a mkdir is sent. Pair with born() or stillborn(). */
  expect(): Birth {
    const birth: Birth = { touched: new Set() };
    this.#births.add(birth);
    return birth;
  }

  /** The mkdir made this directory. */
  born(birth: Birth, ino: Ino): void {
    this.#births.delete(birth);
    if (birth.touched === undefined || birth.touched.has(ino)) return;
    this.#directories.set(ino, new Set());
  }

  stillborn(birth: Birth): void {
    this.#births.delete(birth);
  }

  /** The name exists, or may soon. Call it before the request that makes it is sent. */
  add(parent: Ino, name: ByteString): void {
    for (const birth of this.#births) birth.touched?.add(parent);
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
    for (const birth of this.#births) birth.touched = undefined;
  }
}
