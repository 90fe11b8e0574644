/**
 * Attributes by inode number, right until a push says otherwise. What makes that safe is the order of three things: a
 * request takes a token when it is sent; a push or a local change notes the moment it was heard; a reply counts only if
 * nothing was noted for its inode since its token.
 *
 *     request sent   token = 7
 *     push heard                  remote(ino) = 8
 *     reply arrives                              8 > 7: may be older than the push, so it is answered but not kept
 *
 * Local changes come back in the order in which they were executed (one connection), so a later local reply always
 * replaces an earlier one; only a push in between makes it doubtful.
 */
import { LruCache } from '../../base/lru.ts';
import type { Attr, ByteString, Ino } from '../../base/vocabulary.ts';

/** Events remembered by key; once one was forgotten, whoever asks about an older time hears "maybe", which is yes. */
const EVENTS_MAX = 65_536;

class Events<K> {
  #at = new Map<K, number>();
  #floor = 0;

  note(key: K, now: number): void {
    this.#at.delete(key);
    this.#at.set(key, now);
    if (this.#at.size <= EVENTS_MAX) return;
    const [oldest, at] = this.#at.entries().next().value!;
    this.#at.delete(oldest);
    this.#floor = at;
  }

  noteAll(now: number): void {
    this.#at.clear();
    this.#floor = now;
  }

  since(key: K, token: number): boolean {
    const at = this.#at.get(key) ?? this.#floor;
    return at > token || this.#floor > token;
  }
}

/** Key of a name of a directory. */
export function entryKey(parent: Ino, name: ByteString): string {
  return `${parent}/${name}`;
}

/** A moment, as answered by AttrCache.token(). */
export type Token = number;

export class AttrCache {
  #attrs: LruCache<Ino, Attr>;
  #clock = 0;
  #remote = new Events<Ino>();
  #local = new Events<Ino>();
  #entries = new Events<string>();
  #localEntries = new Events<string>();
  #healthy = true;

  /** @param entriesMax attributes kept; the least recently used go first. */
  constructor(entriesMax: number) {
    this.#attrs = new LruCache(entriesMax);
  }

  /** False while pushes may be missed: then nothing is kept. */
  get healthy(): boolean {
    return this.#healthy;
  }

  get size(): number {
    return this.#attrs.size;
  }

  /** Take it before a request is sent; hand it in with the reply. */
  token(): Token {
    return this.#clock;
  }

  get(ino: Ino): Attr | undefined {
    return this.#attrs.get(ino);
  }

  /** The reply of a request that changed nothing. Answers the newest attributes known: these, or the cached ones. */
  fill(attr: Attr, token: Token): Attr {
    const cached = this.#attrs.peek(attr.ino);
    if (cached !== undefined && (cached.version > attr.version || this.#local.since(attr.ino, token))) return cached;
    if (!this.changedSince(attr.ino, token)) this.#store(attr);
    return attr;
  }

  /** The reply of a change made by this process. */
  changed(attr: Attr, token: Token): Attr {
    this.#clock += 1;
    this.#local.note(attr.ino, this.#clock);
    if (this.#remote.since(attr.ino, token)) this.#attrs.delete(attr.ino);
    else this.#store(attr);
    return attr;
  }

  /** Something of this process changed the inode and did not say how. */
  changedUnseen(ino: Ino): void {
    this.#clock += 1;
    this.#local.note(ino, this.#clock);
    this.#attrs.delete(ino);
  }

  /** Another session changed the inode. Answers what was cached until now. */
  pushed(ino: Ino): Attr | undefined {
    this.#clock += 1;
    this.#remote.note(ino, this.#clock);
    const before = this.#attrs.peek(ino);
    this.#attrs.delete(ino);
    return before;
  }

  /** Another session changed what this name of the directory means. */
  pushedEntry(parent: Ino, name: ByteString): void {
    this.pushed(parent);
    this.#entries.note(entryKey(parent, name), this.#clock);
  }

  /** Tells whether anything about the inode was heard after the token was taken. */
  changedSince(ino: Ino, token: Token): boolean {
    return this.#remote.since(ino, token) || this.#local.since(ino, token);
  }

  /** Tells whether another session changed the inode after the token was taken. */
  pushedSince(ino: Ino, token: Token): boolean {
    return this.#remote.since(ino, token);
  }

  /** Tells whether another session changed the entry after the token was taken. */
  entryPushedSince(parent: Ino, name: ByteString, token: Token): boolean {
    return this.#entries.since(entryKey(parent, name), token);
  }

  /** The inode is gone. */
  forget(ino: Ino): void {
    this.#attrs.delete(ino);
  }

  /** This process changed what this name of the directory means. */
  entryChanged(parent: Ino, name: ByteString): void {
    this.#clock += 1;
    this.#localEntries.note(entryKey(parent, name), this.#clock);
  }

  /** Tells whether anybody changed the entry after the token was taken. */
  entryChangedSince(parent: Ino, name: ByteString, token: Token): boolean {
    const key = entryKey(parent, name);
    return this.#entries.since(key, token) || this.#localEntries.since(key, token);
  }

  /** Pushes may have been missed (false) or come again (true); either way nothing from before counts. */
  setHealthy(healthy: boolean): void {
    this.#healthy = healthy;
    this.#clock += 1;
    this.#attrs.clear();
    this.#remote.noteAll(this.#clock);
    this.#local.noteAll(this.#clock);
    this.#entries.noteAll(this.#clock);
    this.#localEntries.noteAll(this.#clock);
  }

  #store(attr: Attr): void {
    if (!this.#healthy) return;
    const cached = this.#attrs.peek(attr.ino);
    // A reply that was overtaken inside this process must not bring older content back.
    if (cached !== undefined && cached.version > attr.version) return;
    this.#attrs.set(attr.ino, attr);
  }
}
