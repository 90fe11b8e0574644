/**
 * Which inode a name of a directory means, right until this process changes it or a push says that another session did.
 * Together with cached attributes it answers lookups of the mount without a round trip after the kernel has dropped its
 * own caches. Only primary entries are kept: what the mount shows under a plain name.
 */
import { LruCache } from '../../base/lru.ts';
import type { ByteString, Entry, Ino } from '../../base/vocabulary.ts';
import { type AttrCache, entryKey, type Token } from './attr-cache.ts';

export class EntryCache {
  readonly #attrs: AttrCache;
  readonly #inos: LruCache<string, Ino>;

  /** @param entriesMax entries kept; the least recently used go first. */
  constructor(attrs: AttrCache, entriesMax: number) {
    this.#attrs = attrs;
    this.#inos = new LruCache(entriesMax);
  }

  /** The entry, if it and the attributes it leads to are known to be right. */
  get(parent: Ino, name: ByteString): Entry | undefined {
    const ino = this.#inos.get(entryKey(parent, name));
    const attr = ino === undefined ? undefined : this.#attrs.get(ino);
    return attr === undefined ? undefined : { name, attr, shadowed: false };
  }

  /** Keeps what a reply said, unless something was heard of the name since the request was sent. */
  keep(parent: Ino, entry: Entry, token: Token): void {
    if (entry.shadowed || !this.#attrs.healthy || this.#attrs.entryChangedSince(parent, entry.name, token)) return;
    this.#inos.set(entryKey(parent, entry.name), entry.attr.ino);
  }

  /** This process changed what the name means. Call it when the reply is there, before anything else is done with it. */
  changed(parent: Ino, name: ByteString): void {
    this.#attrs.entryChanged(parent, name);
    this.#inos.delete(entryKey(parent, name));
  }

  /** Another session changed it; AttrCache.pushedEntry has noted so. */
  pushed(parent: Ino, name: ByteString): void {
    this.#inos.delete(entryKey(parent, name));
  }

  /** Pushes may have been missed. */
  clear(): void {
    this.#inos.clear();
  }
}
