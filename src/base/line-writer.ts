import { writeSync } from 'node:fs';

/** How long a line waits for a reader that is slow, once; while it stays so, lines are given up at once. */
const PATIENCE_MS = 50;

/**
 * Lines on a descriptor that may fail: the disk of a log is full, its reader has gone or was stopped. The program goes on
 * whatever happens there and never waits for long; lines that found no room are counted, and the count is
 * written when there is some again.
 *
 * A pipe must not block, or a stopped reader stops the program with it: Node sees to that for standard output and error
 * once `process.stdout` or `process.stderr` has been read.
 */
export class LineWriter {
  readonly #descriptor: number;
  readonly #lostNote: (count: number) => string;
  #lost = 0;
  #isMidLine = false;
  #isStalled = false;

  /** @param lostNote the line, with its end, that tells of lost ones. */
  constructor(descriptor: number, lostNote: (count: number) => string) {
    this.#descriptor = descriptor;
    this.#lostNote = lostNote;
  }

  /** @param line with its end. Never throws. */
  write(line: string): void {
    if (this.#lost > 0 && this.#put(this.#lostNote(this.#lost))) this.#lost = 0;
    if (this.#lost > 0 || !this.#put(line)) this.#lost++;
  }

  #put(line: string): boolean {
    // What was broken off stays a line of its own.
    const bytes = Buffer.from(this.#isMidLine ? `\n${line}` : line);
    const deadlineMs = performance.now() + (this.#isStalled ? 0 : PATIENCE_MS);
    for (let done = 0; done < bytes.length; ) {
      try {
        done += writeSync(this.#descriptor, bytes, done);
      } catch (error) {
        const isBusy = (error as NodeJS.ErrnoException).code === 'EAGAIN';
        if (isBusy && performance.now() < deadlineMs) {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
          continue;
        }
        this.#isStalled = isBusy;
        if (done > 0) this.#isMidLine = true;
        return false;
      }
    }
    this.#isStalled = false;
    this.#isMidLine = false;
    return true;
  }
}
