/** The files of a journal: one for each block, in one directory, named as the last part of its object's name. */
import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Logger } from '../../base/log.ts';
import { type Block, blockName, parseBlockName } from '../block-name.ts';
import { type ByteRange, ObjectMissingError } from '../chunks.ts';
import { DirectorySync } from '../object/directory-sync.ts';
import { DamagedBlockError, StoreError } from '../object/store-error.ts';

/** What is set aside keeps its name behind this. */
const DAMAGED = 'damaged-';

export interface JournaledBlock {
  key: string;
  block: Block;
  sizeBytes: number;
}

export class JournalFiles {
  readonly directory: string;
  readonly #sync = new DirectorySync();
  readonly #verify: (block: Block, object: Buffer) => void;

  private constructor(directory: string, verify: (block: Block, object: Buffer) => void) {
    this.directory = directory;
    this.#verify = verify;
  }

  /** @throws StoreError when the directory cannot be made. */
  static async open(directory: string, verify: (block: Block, object: Buffer) => void): Promise<JournalFiles> {
    const files = new JournalFiles(directory, verify);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await files.#sync.sync(join(directory, '..'));
    } catch (error) {
      throw failure(`cannot make the journal ${directory}`, error);
    }
    return files;
  }

  /**
   * Durable when it resolves: bytes and name are waited for together, so a crash before may leave a name with other bytes.
   * @throws StoreError.
   */
  async put(key: string, object: readonly Buffer[]): Promise<void> {
    try {
      const file = await open(this.#path(key), 'w', 0o600);
      try {
        const named = this.#sync.sync(this.directory);
        named.catch(() => {}); // Awaited below.
        for (let left = object.filter((part) => part.length > 0); left.length > 0; ) {
          const { bytesWritten } = await file.writev(left);
          left = behind(left, bytesWritten);
        }
        await Promise.all([file.datasync(), named]);
      } finally {
        // Nobody waits for it: the bytes are on the disk, or the write has failed.
        file.close().catch(() => {});
      }
    } catch (error) {
      throw failure(`cannot write to the journal ${this.directory}`, error);
    }
  }

  /** @throws ObjectMissingError, StoreError. */
  async get(key: string, range: ByteRange | undefined): Promise<Buffer> {
    try {
      if (range === undefined) return await readFile(this.#path(key));
      const file = await open(this.#path(key), 'r');
      try {
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(range.length), 0, range.length, range.offset);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new ObjectMissingError(key);
      throw failure(`cannot read the journal ${this.directory}`, error);
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await unlink(this.#path(key));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        throw failure(`cannot delete from ${this.directory}`, error);
    }
  }

  /** Whole blocks that are there. What is torn is set aside, with a line in the log. */
  async list(logger: Logger): Promise<JournaledBlock[]> {
    const found: JournaledBlock[] = [];
    for (const name of await readdir(this.directory)) {
      const block = blockOf(name);
      if (block === undefined) continue;
      const key = blockName(block.sliceId, block.index, block.blockBytes);
      const object = await this.get(key, undefined);
      try {
        this.#verify(block, object);
        found.push({ key, block, sizeBytes: object.length });
      } catch (error) {
        if (!(error instanceof DamagedBlockError)) throw error;
        await rename(this.#path(key), join(this.directory, DAMAGED + name));
        logger.warn(
          { file: name, reason: error.what },
          'a torn block in the journal is set aside: its writer was killed before it was acknowledged, or the disk fails',
        );
      }
    }
    return found;
  }

  #path(key: string): string {
    return join(this.directory, basename(key));
  }
}

function blockOf(name: string): Block | undefined {
  const id = Number(/^(\d+)_/.exec(name)?.[1]);
  return parseBlockName(`chunks/${Math.floor(id / 1_000_000)}/${Math.floor(id / 1_000)}/${name}`);
}

/** The rest of a list of buffers behind its first bytes. */
function behind(parts: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes;
  const rest: Buffer[] = [];
  for (const part of parts) {
    if (skip < part.length) rest.push(skip === 0 ? part : part.subarray(skip));
    skip = Math.max(0, skip - part.length);
  }
  return rest;
}

function failure(what: string, error: unknown): StoreError {
  const { code, message } = error as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT' ? { code: code as 'ENOSPC' | 'EDQUOT' } : {};
  return new StoreError(`${what}: ${message}`, { retryable: false, ...full, cause: error });
}
