/**
 * Small files that a power cut leaves old or new, never empty or half:
 *
 *     .NAME.<pid>-<random>   write all, mode set  fsync  --rename-->  NAME   fsync of its directory
 *
 * What a cut leaves aside has a name that nobody reads; the next replacement of the same file removes it.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { failpoints } from './failpoints.ts';

/** An aside file this old belongs to no running replacement. */
const ASIDE_AGE_MS = 60_000;

/**
 * Replaces or makes a file, atomically and durably.
 * @param mode permission bits, set whatever the umask is.
 * @throws the system's error; the file is then as it was.
 */
export function replaceFile(path: string, content: string | Uint8Array, mode: number): void {
  const replacement = new Replacement(path, mode);
  try {
    replacement.write(typeof content === 'string' ? Buffer.from(content) : content);
    replacement.commit();
  } catch (error) {
    replacement.discard();
    throw error;
  }
}

/** What takes the place of a file when it is complete. Methods throw the system's error; the file is then as it was. */
export class Replacement {
  readonly #descriptor: number;
  readonly #path: string;
  readonly #aside: string;
  #isOpen = true;

  constructor(path: string, mode: number) {
    const prefix = `.${basename(path)}.`;
    removeLeftovers(dirname(path), prefix);
    this.#path = path;
    this.#aside = join(dirname(path), `${prefix}${process.pid}-${randomBytes(6).toString('hex')}`);
    failpoints?.pass(`write ${basename(path)}`);
    this.#descriptor = openSync(this.#aside, 'wx', mode);
    try {
      fchmodSync(this.#descriptor, mode);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  write(bytes: Uint8Array): void {
    writeAll(this.#descriptor, bytes);
  }

  /** The file is what was written, and stays so after a power cut. */
  commit(): void {
    fsyncSync(this.#descriptor);
    this.#close();
    failpoints?.pass(`rename ${basename(this.#path)}`);
    renameSync(this.#aside, this.#path);
    syncDirectory(dirname(this.#path));
    failpoints?.pass(`done ${basename(this.#path)}`);
  }

  /** The file stays as it was; without effect behind commit(). */
  discard(): void {
    if (this.#isOpen) this.#close();
    rmSync(this.#aside, { force: true });
  }

  #close(): void {
    this.#isOpen = false;
    closeSync(this.#descriptor);
  }
}

/** Writes a file that must not be there yet and waits until its bytes are on the disk; its name is not, yet. @throws EEXIST. */
export function writeNewFile(path: string, parts: Iterable<Uint8Array>, mode: number): void {
  const descriptor = openSync(path, 'wx', mode);
  try {
    fchmodSync(descriptor, mode);
    for (const part of parts) writeAll(descriptor, part);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
}

/**
 * Makes a directory with the parents that it needs; every new name on its path is on the disk when it returns, and so
 * is its own when it was there: whoever made it may not have come to its fsync.
 */
export function makeDirectory(path: string, mode: number): void {
  const made = mkdirSync(path, { recursive: true, mode });
  const top = dirname(made ?? path);
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    // The parent of a directory that was there may be closed to us: then it is not ours to make durable.
    if (made !== undefined || isReadable(parent)) syncDirectory(parent);
    if (parent === top || parent === dirname(parent)) return;
  }
}

/** The entries of the directory are on the disk when it returns. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!isNoDirectorySync(error)) throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Some file systems (FUSE, SMB) know no fsync of directories; their renames are as durable as they make them. */
export function isNoDirectorySync(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EINVAL' || code === 'ENOTSUP';
}

function isReadable(directory: string): boolean {
  try {
    closeSync(openSync(directory, 'r'));
    return true;
  } catch {
    return false;
  }
}

function removeLeftovers(directory: string, prefix: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(prefix) || !/^\d+-[0-9a-f]{12}$/.test(name.slice(prefix.length))) continue;
    const path = join(directory, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && found.mtimeMs < Date.now() - ASIDE_AGE_MS) rmSync(path, { force: true });
  }
}
