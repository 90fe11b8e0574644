/** Memory that all objects of up to one block may hold together; who finds it taken goes through the write pipeline. */
import { BLOCK_BYTES } from '../../base/slice-record.ts';

const BYTES_MAX = 64 * 1024 * 1024;

export class WholeObjectMemory {
  #bytes = 0;

  /** Takes a block's worth. @returns false when it is all taken. */
  take(): boolean {
    if (this.#bytes + BLOCK_BYTES > BYTES_MAX) return false;
    this.#bytes += BLOCK_BYTES;
    return true;
  }

  /** Gives a block's worth back. */
  give(): void {
    this.#bytes -= BLOCK_BYTES;
  }
}
