/**
 * Kernel cookies (numbers) of one open directory and the metadata's cursors (byte strings) they stand for. Cookies grow
 * with every entry shown, page by page; the last pages are kept entry by entry, older ones by their start only.
 *
 *     cookie   3 4 5 6 | 7 8 9 | 10 11 12 13
 *     page     start = cursor before the page, then one cursor per entry (recent pages)
 */
import type { ByteString } from '../../base/vocabulary.ts';

/** 0 is the beginning, 1 and 2 are "." and ".." of the frontend. */
export const FIRST_COOKIE = 3;
const DETAILED_PAGES = 64;
const PAGES_MAX = 4096;

interface Page {
  first: number;
  count: number;
  start: ByteString;
  cursors: ByteString[] | undefined;
}

/** Where to go on reading for a cookie: after `cursor`, leaving out `skip` entries. */
export interface Position {
  cursor: ByteString;
  skip: number;
}

export class CookieTable {
  #pages: Page[] = [];
  #next = FIRST_COOKIE;

  /** Numbers a page of entries that was read from `start`. Answers the cookie of its first entry. */
  add(start: ByteString, cursors: ByteString[]): number {
    const first = this.#next;
    if (cursors.length === 0) return first;
    this.#next += cursors.length;
    this.#pages.push({ first, count: cursors.length, start, cursors });
    const coarse = this.#pages[this.#pages.length - 1 - DETAILED_PAGES];
    if (coarse !== undefined) coarse.cursors = undefined;
    if (this.#pages.length > PAGES_MAX) this.#pages.shift();
    return first;
  }

  /** Finds where the entry with this cookie ends; undefined for a cookie that was never given out or is too old. */
  find(cookie: number): Position | undefined {
    if (cookie === 0) return { cursor: '', skip: 0 };
    let low = 0;
    let high = this.#pages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pages[middle]!.first <= cookie) low = middle + 1;
      else high = middle;
    }
    const page = this.#pages[low - 1];
    if (page === undefined || cookie >= page.first + page.count) return undefined;
    const cursor = page.cursors?.[cookie - page.first];
    return cursor === undefined ? { cursor: page.start, skip: cookie - page.first + 1 } : { cursor, skip: 0 };
  }
}
