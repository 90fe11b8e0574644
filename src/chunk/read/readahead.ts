import { BLOCK_BYTES } from '../../base/slice-record.ts';

/** Sequential readers of one file that are told apart. */
const STREAMS_MAX = 4;
/** The kernel's readahead sends requests in parallel: they may arrive this far out of order. */
const DISORDER_BYTES = 1024 * 1024;

interface Stream {
  /** End of the furthest read. */
  nextOffset: number;
  windowBytes: number;
  /** Everything before it has been asked for. */
  fetchedTo: number;
}

/**
 * Finds sequential readers of one file and says what to fetch ahead of them: a window that starts at two blocks when a
 * second read continues a first, doubles as the reader goes on, and is gone when it jumps elsewhere.
 */
export class Readahead {
  readonly #windowMax: number;
  /** Most recent first. */
  readonly #streams: Stream[] = [];

  /** @param windowMax bytes to be ahead at most; 0 turns readahead off. */
  constructor(windowMax: number) {
    this.#windowMax = windowMax;
  }

  /**
   * Notes a read and answers the range to fetch ahead of it, undefined when there is nothing to do. Call advance() with
   * how far the fetching got.
   */
  note(offset: number, length: number): { from: number; to: number; stream: Stream } | undefined {
    if (this.#windowMax === 0) return undefined;
    const end = offset + length;
    const index = this.#streams.findIndex(
      (stream) => offset <= stream.nextOffset + DISORDER_BYTES && offset >= stream.nextOffset - DISORDER_BYTES,
    );
    if (index < 0) {
      this.#streams.unshift({ nextOffset: end, windowBytes: 0, fetchedTo: end });
      if (this.#streams.length > STREAMS_MAX) this.#streams.pop();
      return undefined;
    }
    const stream = this.#streams[index]!;
    if (index > 0) {
      this.#streams.splice(index, 1);
      this.#streams.unshift(stream);
    }
    if (end <= stream.nextOffset) return undefined;
    stream.nextOffset = end;
    if (stream.windowBytes === 0) stream.windowBytes = Math.min(2 * BLOCK_BYTES, this.#windowMax);
    if (stream.fetchedTo - end > stream.windowBytes / 2) return undefined;
    const from = Math.max(stream.fetchedTo, end);
    const range = { from, to: end + stream.windowBytes, stream };
    stream.windowBytes = Math.min(stream.windowBytes * 2, this.#windowMax);
    return range;
  }

  advance(stream: Stream, fetchedTo: number): void {
    stream.fetchedTo = fetchedTo;
  }
}
