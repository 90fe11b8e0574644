/**
 * Objects as files below a directory, by key. An object is there whole or not at all, and durable once put() resolves:
 *
 *     .tmp/<random>  write  fdatasync  --rename-->  chunks/0/1/1234_0_4096   fsync of chunks/0/1
 *
 * New directories on the way are made durable before the rename. What a crash leaves in .tmp is removed by a later
 * open, by age: other processes may share the directory.
 */
import { randomBytes } from 'node:crypto';
import { close, fstat, open, read } from 'node:fs';
import { mkdir, open as openHandle, readdir, rename, rm, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failpoints } from '../../base/failpoints.ts';
import type { ByteRange, DiskRoom, ObjectStore } from '../chunks.ts';
import { ObjectMissingError } from '../chunks.ts';
import { DirectorySync } from './directory-sync.ts';
import { StoreError } from './store-error.ts';

const TEMP_DIRECTORY = '.tmp';
/** A temporary file this old belongs to no running upload (an upload is given up after minutes). */
const TEMP_AGE_MS = 60 * 60 * 1000;
const DELETE_PARALLEL = 16;
/** Directories whose existence is remembered. */
const DIRECTORIES_MAX = 10_000;
/** Buffers of one writev (IOV_MAX is 1024). */
const WRITEV_MAX = 512;

export class FileStore implements ObjectStore {
  readonly url: string;
  readonly #root: string;
  readonly #sync = new DirectorySync();
  /** Directories that exist and are durable, so that a put need not look. */
  readonly #directories = new Map<string, Promise<void>>();
  readonly #tempPrefix = `${process.pid}-${randomBytes(6).toString('hex')}`;
  #tempCount = 0;

  private constructor(root: string) {
    this.#root = root;
    this.url = `file://${root}`;
  }

  /**
   * Opens the directory, makes it when `create` says so, and removes what old crashes left behind.
   * @throws StoreError when it is not there or not a directory that can be written.
   */
  static async open(root: string, options: { create: boolean }): Promise<FileStore> {
    const store = new FileStore(root);
    try {
      if (options.create) await store.#makeRoot();
      else await stat(root);
      await mkdir(join(root, TEMP_DIRECTORY), { recursive: true });
      await store.#cleanTemp(Date.now() - TEMP_AGE_MS);
    } catch (error) {
      throw fileError(`cannot open the object store in ${root}`, error);
    }
    return store;
  }

  async get(key: string, range: ByteRange | undefined, signal?: AbortSignal): Promise<Buffer> {
    signal?.throwIfAborted();
    try {
      return await readFileRange(this.#path(key), range);
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) throw new ObjectMissingError(key);
      throw fileError(`cannot read object ${key}`, error);
    }
  }

  async put(key: string, data: readonly Buffer[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const path = this.#path(key);
    const temp = join(this.#root, TEMP_DIRECTORY, `${this.#tempPrefix}-${this.#tempCount++}`);
    try {
      await writeDurably(temp, data, signal);
      failpoints?.pass('rename block');
      await this.#moveInto(temp, path);
      await this.#sync.sync(dirname(path));
    } catch (error) {
      await rm(temp, { force: true }).catch(() => {}); // The clean-up at a later open finds it.
      if (signal?.aborted) throw signal.reason;
      throw fileError(`cannot store object ${key}`, error);
    }
  }

  async deleteMany(keys: readonly string[], signal?: AbortSignal): Promise<{ key: string; error: Error }[]> {
    const failures: { key: string; error: Error }[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < keys.length) {
        signal?.throwIfAborted();
        const key = keys[next++]!;
        try {
          await unlink(this.#path(key));
        } catch (error) {
          if (!isCode(error, 'ENOENT', 'ENOTDIR')) {
            failures.push({ key, error: fileError(`cannot delete object ${key}`, error) });
          }
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(DELETE_PARALLEL, keys.length) }, worker));
    return failures;
  }

  async list(
    prefix: string,
    after: string,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ key: string; sizeBytes: number; modifiedMs: number }[]> {
    const found: { key: string; sizeBytes: number; modifiedMs: number }[] = [];
    try {
      await this.#walk('', { prefix, after, limit, signal, found });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw fileError(`cannot list ${this.#root}`, error);
    }
    return found;
  }

  async head(key: string, signal?: AbortSignal): Promise<{ sizeBytes: number } | undefined> {
    signal?.throwIfAborted();
    try {
      const found = await stat(this.#path(key));
      return found.isFile() ? { sizeBytes: found.size } : undefined;
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw fileError(`cannot look at object ${key}`, error);
    }
  }

  diskRoom(): Promise<DiskRoom> {
    return diskRoomOf(this.#root);
  }

  async close(): Promise<void> {}

  #path(key: string): string {
    const bad = key.split('/').some((part) => part === '' || part === '.' || part === '..' || part === TEMP_DIRECTORY);
    if (bad || key.includes('\0')) throw new StoreError(`"${key}" is no object name`, { retryable: false });
    return join(this.#root, key);
  }

  /** Makes the store's directory so that it survives a power cut: every new name on its path is made durable. */
  async #makeRoot(): Promise<void> {
    const made = await mkdir(this.#root, { recursive: true });
    // Also when it was there: whoever made it may not have come to its fsync. Its parent may be closed to us.
    if (made === undefined) return this.#sync.sync(dirname(this.#root)).catch(ignoreClosed);
    const top = dirname(made);
    for (let parent = dirname(this.#root); ; parent = dirname(parent)) {
      await this.#sync.sync(parent);
      if (parent === top || parent === dirname(parent)) return;
    }
  }

  async #moveInto(temp: string, path: string): Promise<void> {
    const directory = dirname(path);
    await this.#ensureDirectory(directory);
    try {
      await rename(temp, path);
    } catch (error) {
      // Somebody removed the directory since we last saw it.
      if (!isCode(error, 'ENOENT')) throw error;
      this.#directories.clear();
      await this.#ensureDirectory(directory);
      await rename(temp, path);
    }
  }

  /** Makes a directory and its parents durably. Concurrent callers share the work. */
  #ensureDirectory(directory: string): Promise<void> {
    if (directory === this.#root) return Promise.resolve();
    const known = this.#directories.get(directory);
    if (known !== undefined) return known;
    if (this.#directories.size >= DIRECTORIES_MAX) this.#directories.clear();
    const made = this.#makeDirectory(directory);
    this.#directories.set(directory, made);
    made.catch(() => this.#directories.delete(directory));
    return made;
  }

  async #makeDirectory(directory: string): Promise<void> {
    const parent = dirname(directory);
    await this.#ensureDirectory(parent);
    try {
      await mkdir(directory);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
    // Also when it was there: whoever made it may not have come to its fsync yet.
    await this.#sync.sync(parent);
  }

  /** Depth first in byte order of keys: a directory sorts as its name with a slash. */
  async #walk(directory: string, page: ListPage): Promise<void> {
    const entries = await readdir(join(this.#root, directory), { withFileTypes: true }).catch((error) => {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return []; // Removed while we list.
      throw error;
    });
    const keys = entries
      .filter((entry) => directory !== '' || entry.name !== TEMP_DIRECTORY)
      .map((entry) => `${directory}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .sort((a, b) => (a < b ? -1 : 1));
    for (const key of keys) {
      if (page.found.length >= page.limit) return;
      page.signal?.throwIfAborted();
      if (key.endsWith('/')) {
        const mayMatch = key.startsWith(page.prefix) || page.prefix.startsWith(key);
        const allBefore = key < page.after && !page.after.startsWith(key);
        if (mayMatch && !allBefore) await this.#walk(key, page);
      } else if (key.startsWith(page.prefix) && key > page.after) {
        const found = await stat(join(this.#root, key)).catch(() => undefined);
        if (found?.isFile()) page.found.push({ key, sizeBytes: found.size, modifiedMs: Math.floor(found.mtimeMs) });
      }
    }
  }

  async #cleanTemp(beforeMs: number): Promise<void> {
    const directory = join(this.#root, TEMP_DIRECTORY);
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && found.mtimeMs < beforeMs) await rm(path, { force: true });
    }
  }
}

/** The disk under a directory. @throws StoreError. */
export async function diskRoomOf(directory: string): Promise<DiskRoom> {
  try {
    const { bavail, blocks, bsize } = await statfs(directory);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch (error) {
    throw fileError(`cannot look at the disk of ${directory}`, error);
  }
}

interface ListPage {
  prefix: string;
  after: string;
  limit: number;
  signal: AbortSignal | undefined;
  found: { key: string; sizeBytes: number; modifiedMs: number }[];
}

/** Writes a new file and waits until its bytes are on the disk. */
async function writeDurably(path: string, data: readonly Buffer[], signal: AbortSignal | undefined): Promise<void> {
  const handle = await openHandle(path, 'wx', 0o600);
  try {
    let left = data.filter((part) => part.length > 0);
    while (left.length > 0) {
      signal?.throwIfAborted();
      const { bytesWritten } = await handle.writev(left.slice(0, WRITEV_MAX));
      left = withoutFirst(left, bytesWritten);
    }
    signal?.throwIfAborted();
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

function withoutFirst(parts: Buffer[], bytes: number): Buffer[] {
  let skipped = bytes;
  let index = 0;
  while (index < parts.length && skipped >= parts[index]!.length) skipped -= parts[index++]!.length;
  const left = parts.slice(index);
  if (skipped > 0) left[0] = left[0]!.subarray(skipped);
  return left;
}

/** Reads with plain descriptors: a FileHandle per small read costs more than the read. */
function readFileRange(path: string, range: ByteRange | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    open(path, 'r', (openError, fd) => {
      if (openError !== null) return reject(openError);
      const finish = (error: Error | null, bytes: Buffer): void => {
        // Nobody waits for the close of a file that was only read.
        close(fd, () => {});
        if (error !== null) reject(error);
        else resolve(bytes);
      };
      if (range !== undefined) {
        readFully(fd, Buffer.allocUnsafe(range.length), range.offset, 0, finish);
        return;
      }
      fstat(fd, (statError, found) => {
        if (statError !== null) finish(statError, EMPTY);
        else readFully(fd, Buffer.allocUnsafe(found.size), 0, 0, finish);
      });
    });
  });
}

const EMPTY = Buffer.alloc(0);

function readFully(
  fd: number,
  out: Buffer,
  offset: number,
  done: number,
  finish: (error: Error | null, bytes: Buffer) => void,
): void {
  if (done === out.length) {
    finish(null, out);
    return;
  }
  read(fd, out, done, out.length - done, offset + done, (error, bytesRead) => {
    if (error !== null) finish(error, EMPTY);
    else if (bytesRead === 0) finish(null, out.subarray(0, done));
    else readFully(fd, out, offset, done + bytesRead, finish);
  });
}

function ignoreClosed(error: unknown): void {
  if (!isCode(error, 'EACCES', 'EPERM')) throw error;
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Says what a system error means for the store and what to do about it. */
function fileError(what: string, error: unknown): Error {
  if (error instanceof StoreError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const final = (advice: string, errno: 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EROFS'): StoreError =>
    new StoreError(`${what}: ${advice}`, { retryable: false, code: errno, cause: error });
  switch (code) {
    case 'ENOSPC':
      return final('its disk is full; free space or move the store', 'ENOSPC');
    case 'EDQUOT':
      return final('the disk quota is used up; raise it or free space', 'EDQUOT');
    case 'EROFS':
      return final('its file system is read-only; remount it writable', 'EROFS');
    case 'EACCES':
    case 'EPERM':
      return final('permission denied; give this process read and write access to the store directory', 'EIO');
    case 'ENOENT':
      return final('the directory does not exist; is its disk mounted?', 'EIO');
    case 'ENOTDIR':
      return final('a file is where a directory should be', 'EIO');
    default:
      return new StoreError(`${what}: ${message}`, { retryable: true, cause: error });
  }
}
