/**
 * One open directory: pages of entries with attributes, the next page fetched while this one is being read. Pages are
 * kept for who seeks back (telldir, seekdir), up to a bound. What is kept is served only as long as nothing was heard
 * about the directory or the entry since it was fetched: the kernel believes for a long time what a READDIRPLUS tells it.
 */
import { FsError } from '../../base/errors.ts';
import { type Attr, type ByteString, type Entry, type Ino, S_IFDIR, S_IFMT } from '../../base/vocabulary.ts';
import type { MetaNames } from '../../meta/meta.ts';
import type { AttrCache, Token } from '../cache/attr-cache.ts';
import type { DirEntry, DirHandle } from '../vfs.ts';
import { CookieTable } from './cookie-table.ts';
import { encodeMountName } from './mount-names.ts';

const PAGE_ENTRIES_FIRST = 256;
const PAGE_ENTRIES_MAX = 1024;
/** Entries that a handle keeps of what it has listed; the pages listed longest ago go first. */
const KEPT_ENTRIES_MAX = 16_384;
/** A page that was made stale while it was on its way is read again this often. */
const LOAD_RETRIES = 3;

interface FetchedPage {
  start: ByteString;
  entries: (Entry & { cursor: ByteString })[];
  end: boolean;
  token: Token;
}

interface Page {
  /** Cookie that continues with the page's first entry. */
  after: number;
  first: number;
  entries: DirEntry[];
  lastCursor: ByteString;
  end: boolean;
  token: Token;
}

export interface DirSources {
  names: Pick<MetaNames, 'readdir'>;
  attrs: AttrCache;
  /** Attributes as this process must show them (unflushed writes). */
  shown(attr: Attr): Attr;
  sawShadowed(): void;
  /** An entry was shown although a push made it doubtful: the kernel must drop it again. */
  doubtful(parent: Ino, entry: Entry): void;
}

export class DirStream implements DirHandle {
  readonly id: number;
  readonly ino: Ino;
  readonly #from: DirSources;
  #cookies = new CookieTable();
  /** The page read last. */
  #page: Page | undefined;
  /** Pages that were listed, in that order; the one read last is among them. */
  #kept: Page[] = [];
  #keptEntries = 0;
  #next: Promise<FetchedPage> | undefined;

  constructor(id: number, ino: Ino, from: DirSources) {
    this.id = id;
    this.ino = ino;
    this.#from = from;
  }

  /**
   * Entries after `cookie` (0: from the beginning), at most `limit`; empty at the end.
   * @throws FsError EINVAL for a cookie this handle never gave out.
   */
  read(cookie: number, limit: number): DirEntry[] | Promise<DirEntry[]> {
    return this.#readFrom(this.#page, cookie, limit) ?? this.#readKept(cookie, limit) ?? this.#load(cookie, limit);
  }

  /** Lets go of what is buffered. */
  close(): void {
    this.#page = undefined;
    this.#next = undefined;
    this.#forgetKept();
  }

  /** Undefined when the page is another one, or not right any more. */
  #readFrom(page: Page | undefined, cookie: number, limit: number): DirEntry[] | undefined {
    if (page === undefined || this.#from.attrs.changedSince(this.ino, page.token)) return undefined;
    const index = indexAfter(page, cookie);
    if (index === undefined || (index === page.entries.length && !page.end)) return undefined;
    return this.#serve(page, index, limit);
  }

  /** Somebody seeks to where this handle has been. */
  #readKept(cookie: number, limit: number): DirEntry[] | undefined {
    const { attrs } = this.#from;
    if (!attrs.healthy) return undefined;
    if (this.#kept.some((page) => attrs.changedSince(this.ino, page.token))) {
      this.#forgetKept();
      return undefined;
    }
    for (const page of this.#kept) {
      const found = page === this.#page ? undefined : this.#readFrom(page, cookie, limit);
      if (found === undefined) continue;
      this.#page = page;
      this.#next = undefined;
      return found;
    }
    return undefined;
  }

  #keep(page: Page): void {
    this.#kept.push(page);
    this.#keptEntries += page.entries.length;
    while (this.#keptEntries > KEPT_ENTRIES_MAX && this.#kept.length > 1) {
      this.#keptEntries -= this.#kept.shift()!.entries.length;
    }
  }

  #forgetKept(): void {
    this.#kept = [];
    this.#keptEntries = 0;
  }

  async #load(cookie: number, limit: number): Promise<DirEntry[]> {
    const page = this.#page;
    const followsPage = page !== undefined && !page.end && indexAfter(page, cookie) === page.entries.length;
    if (followsPage && this.#next !== undefined) {
      const fetched = await this.#next;
      if (this.#isFresh(fetched)) return this.#adopt(fetched, cookie, limit);
    }
    const position = this.#cookies.find(cookie);
    if (position === undefined)
      throw new FsError('EINVAL', 'readdir', 'this position was not given out by this handle');
    let { cursor, skip } = position;
    // Who seeks is not reading on.
    const wanted = followsPage ? PAGE_ENTRIES_MAX : PAGE_ENTRIES_FIRST;
    for (let attempt = 0; ; ) {
      const fetched = await this.#fetch(cursor, Math.max(wanted, Math.min(limit, PAGE_ENTRIES_MAX)));
      if (skip > 0 && fetched.entries.length > 0) {
        // A coarse position: leave out what the kernel has had already.
        const left = fetched.entries.splice(0, skip);
        skip -= left.length;
        cursor = left[left.length - 1]!.cursor;
        fetched.start = cursor;
        if (fetched.entries.length === 0 && !fetched.end) continue;
      }
      if (this.#isFresh(fetched) || attempt >= LOAD_RETRIES) return this.#adopt(fetched, cookie, limit);
      attempt += 1;
    }
  }

  async #fetch(cursor: ByteString, limit: number): Promise<FetchedPage> {
    const { names, attrs } = this.#from;
    const token = attrs.token();
    const { entries, end } = await names.readdir(this.ino, cursor, limit);
    for (const entry of entries) attrs.fill(entry.attr, token);
    return { start: cursor, entries, end, token };
  }

  #isFresh(fetched: FetchedPage): boolean {
    return !this.#from.attrs.changedSince(this.ino, fetched.token);
  }

  #adopt(fetched: FetchedPage, after: number, limit: number): DirEntry[] {
    const cursors = fetched.entries.map((entry) => entry.cursor);
    const first = this.#cookies.add(fetched.start, cursors);
    const entries = fetched.entries.map((entry, i) => this.#shownEntry(entry, first + i, fetched.token));
    const page: Page = {
      after,
      first,
      entries,
      lastCursor: cursors[cursors.length - 1] ?? fetched.start,
      end: fetched.end,
      token: fetched.token,
    };
    this.#page = page;
    this.#next = undefined;
    this.#keep(page);
    return this.#serve(page, 0, limit) ?? page.entries.slice(0, limit);
  }

  #shownEntry(entry: Entry, cookie: number, token: Token): DirEntry {
    const isDirectory = (entry.attr.mode & S_IFMT) === S_IFDIR;
    if (entry.shadowed) this.#from.sawShadowed();
    if (this.#from.attrs.pushedSince(entry.attr.ino, token)) this.#from.doubtful(this.ino, entry);
    return { name: encodeMountName(entry.name, entry.shadowed, isDirectory), attr: entry.attr, cookie };
  }

  /** The asked part of a page with attributes as of now; undefined when an entry's were heard to have changed. */
  #serve(page: Page, index: number, limit: number): DirEntry[] | undefined {
    const { attrs, shown } = this.#from;
    const served = page.entries.slice(index, index + limit);
    for (let i = 0; i < served.length; i++) {
      const entry = served[i]!;
      const current = attrs.get(entry.attr.ino);
      if (current === undefined && attrs.changedSince(entry.attr.ino, page.token)) return undefined;
      const attr = shown(current ?? entry.attr);
      if (attr !== entry.attr) served[i] = { name: entry.name, attr, cookie: entry.cookie };
    }
    if (!page.end && this.#next === undefined && index + served.length > page.entries.length / 2) {
      const last = page.first + page.entries.length - 1;
      if (!this.#kept.some((other) => other.after === last)) this.#prefetch(page);
    }
    return served;
  }

  #prefetch(page: Page): void {
    const next = this.#fetch(page.lastCursor, PAGE_ENTRIES_MAX);
    // If it fails, the kernel's next call fetches again and reports.
    next.catch(() => {
      if (this.#next === next) this.#next = undefined;
    });
    this.#next = next;
  }
}

/** Index in the page of the entry after `cookie`; entries.length right behind the page; undefined elsewhere. */
function indexAfter(page: Page, cookie: number): number | undefined {
  if (cookie === page.after) return 0;
  const index = cookie - page.first + 1;
  return index >= 1 && index <= page.entries.length ? index : undefined;
}
