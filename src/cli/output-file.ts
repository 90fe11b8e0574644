/** The file that a command was told to write, or standard output. */
import { createWriteStream, realpathSync, statSync } from 'node:fs';
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Replacement } from '../base/durable-file.ts';
import { UserError } from '../base/errors.ts';

export interface Output {
  readonly stream: NodeJS.WritableStream;
  /** Rejects as soon as nothing can be written any more. */
  readonly failed: Promise<never>;
  /** Ends it: what was written is there, durably where that is a file. */
  complete(): Promise<void>;
  /** Leaves a file as it was; what was written elsewhere (a pipe, a device) is out. */
  discard(): void;
}

/**
 * Opens what `--output` names: a file is replaced when the new one is complete, through a symbolic link at its target; a pipe
 * or a device is written as it is. New files are their owner's only.
 * @param path standard output when undefined. @throws UserError when it cannot be written.
 */
export function openOutput(path: string | undefined): Output {
  if (path === undefined)
    return { ...streamed(process.stdout, 'to standard output'), complete: async () => {}, discard() {} };
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw new Error('it is a directory');
    return found === undefined || found.isFile()
      ? replacing(found === undefined ? path : realpathSync(path))
      : throughout(path);
  } catch (error) {
    throw unwritable(path, error as Error);
  }
}

function replacing(path: string): Output {
  const replacement = new Replacement(path, 0o600);
  const stream = new Writable({
    write(bytes: Buffer, _encoding, done) {
      try {
        replacement.write(bytes);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
  return {
    ...streamed(stream, path),
    async complete() {
      stream.end();
      await finished(stream);
      replacement.commit();
    },
    discard: () => replacement.discard(),
  };
}

function throughout(path: string): Output {
  const stream = createWriteStream(path, { flags: 'r+' });
  return {
    ...streamed(stream, path),
    async complete() {
      stream.end();
      await finished(stream);
    },
    discard: () => void stream.destroy(),
  };
}

function streamed(stream: NodeJS.WritableStream, target: string): Pick<Output, 'stream' | 'failed'> {
  const failed = new Promise<never>((_resolve, reject) => {
    stream.once('error', (error: Error) => reject(unwritable(target, error)));
  });
  failed.catch(() => {}); // Whoever writes waits for it, too.
  return { stream, failed };
}

function unwritable(target: string, error: Error): UserError {
  return new UserError(`cannot write ${target}: ${error.message}`, 1, { cause: error });
}
