/**
 * Places where two systems must agree, at which a test may end the process or stop it:
 *
 *     send SCRIPT, done SCRIPT             before a script of Redis is sent; when its answer is here
 *     sync log, synced log                 around the wait for the log of Redis
 *     put block, stored block              around an upload, whatever the store is
 *     rename block                         a block file is written, its name is not there
 *     delete blocks, deleted blocks        around a deletion in the store
 *     write NAME, rename NAME, done NAME   a small file of the data directory: begun, written aside, in its place
 *     mend log                             the log of Redis is about to be repaired
 *
 * JANUSFS_FAILPOINTS names a file that the test writes: `kill POINT` or `stop POINT` (SIGKILL, SIGSTOP of this process, when it
 * comes there), with `N ` before it for the N-th time since the file was written; anything else arms nothing. Points that were
 * passed are appended to FILE.passed. Without the variable a point is a comparison with undefined.
 */
import { appendFileSync, readFileSync, rmSync } from 'node:fs';

class Failpoints {
  readonly #file: string;
  #armed = '';
  #count = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** The process has come to the point. */
  pass(point: string): void {
    appendFileSync(`${this.#file}.passed`, `${point}\n`);
    const wanted = /^(?:(\d+) )?(kill|stop) (.+)$/.exec(this.#text());
    if (wanted === null || wanted[3] !== point) return;
    if (wanted[0] !== this.#armed) {
      this.#armed = wanted[0];
      this.#count = 0;
    }
    if (++this.#count < Number(wanted[1] ?? 1)) return;
    // Only once: the next process finds nothing armed.
    rmSync(this.#file, { force: true });
    process.kill(process.pid, wanted[2] === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  }

  #text(): string {
    try {
      return readFileSync(this.#file, 'utf8').trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }
}

/** Undefined unless the program was started with JANUSFS_FAILPOINTS. */
export const failpoints: Failpoints | undefined =
  process.env.JANUSFS_FAILPOINTS === undefined ? undefined : new Failpoints(process.env.JANUSFS_FAILPOINTS);
