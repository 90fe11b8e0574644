/** What S3 operations do with the readers and writers of objects: whether they close and give up what they opened. */
import type { Faults } from './faults.ts';

/** Counts the readers that are open. */
export function watchReaders(faults: Faults): { open: number } {
  const count = { open: 0 };
  faults.replace('objects', 'openObject', (real) => (ctx, walked) => {
    const reader = real(ctx, walked);
    const close = reader.close.bind(reader);
    count.open += 1;
    reader.close = () => {
      count.open -= 1;
      close();
    };
    return reader;
  });
  return count;
}

export interface WatchedWriter {
  readonly sizeBytes: number;
  aborted: boolean;
}

/** The writers that were begun, oldest first. */
export function watchWriters(faults: Faults): WatchedWriter[] {
  const writers: WatchedWriter[] = [];
  faults.replace('objects', 'beginObject', (real) => (ctx) => {
    const writer = real(ctx);
    const abort = writer.abort.bind(writer);
    const watched = {
      aborted: false,
      get sizeBytes() {
        return writer.sizeBytes;
      },
    };
    writers.push(watched);
    writer.abort = () => {
      watched.aborted = true;
      return abort();
    };
    return writer;
  });
  return writers;
}
