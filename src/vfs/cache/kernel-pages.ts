/**
 * Which bytes of a file the mount's kernel may hold in its page cache: one range that covers them all, since most files
 * have none or all. It tells whether a direct write has anything to invalidate; a database that reads and writes
 * directly pays nothing.
 */
export class KernelPages {
  /** At first unknown: pages may be left from an earlier open. */
  #from = 0;
  #to = Number.POSITIVE_INFINITY;
  #filledSince = true;

  /** A buffered read or write went through the page cache. */
  filled(offset: number, length: number): void {
    this.#filledSince = true;
    if (offset < this.#from) this.#from = offset;
    if (offset + length > this.#to) this.#to = offset + length;
  }

  /** The kernel has dropped all of them. */
  dropped(): void {
    this.#from = Number.POSITIVE_INFINITY;
    this.#to = 0;
  }

  /**
   * A range was written past the page cache. @returns what to invalidate, in bytes (length 0: to the end of file), or
   * undefined. When nobody has filled pages since the write before, all go, and the writes after it find nothing to do.
   */
  overwritten(offset: number, length: number): { offset: number; length: number } | undefined {
    if (offset >= this.#to || offset + length <= this.#from) return undefined;
    if (this.#filledSince) {
      this.#filledSince = false;
      return { offset, length };
    }
    this.dropped();
    return { offset: 0, length: 0 };
  }
}
