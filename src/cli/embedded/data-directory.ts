/**
 * The data directory of an embedded volume (`up`):
 *
 *     DIR/lock          held with flock(2) by the one process that serves DIR; names that process and its mount point
 *     DIR/credentials   root's S3 keys in the AWS shared-credentials format, mode 0600
 *     DIR/volume        name of the volume
 *     DIR/redis/        redis.conf, redis.sock, redis.log, redis.pid, the append-only log and durable-length
 *     DIR/blocks/       the object store
 *     DIR/ballast       room for a start on a full disk (ballast.ts)
 *     DIR/janusfs.log   log of a --background process
 */
import { closeSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { makeDirectory, replaceFile } from '../../base/durable-file.ts';
import { UserError } from '../../base/errors.ts';
import { endDeadMount } from '../../fuse/mount/mount-point.ts';
import { isVolumeName } from '../../meta/redis/redis-url.ts';
import { tryLock } from '../service/file-lock.ts';
import { isRunning } from '../service/process-identity.ts';

/** Time in which a killed process is gone once its mount has ended. */
const DEAD_HOLDER_MS_MAX = 10_000;

export interface DataDirectory {
  path: string;
  redis: string;
  credentials: string;
  log: string;
  /** file: URL of the object store. */
  storeUrl: string;
}

/** Names what a data directory holds; touches nothing. */
export function dataDirectory(path: string): DataDirectory {
  return {
    path,
    redis: join(path, 'redis'),
    credentials: join(path, 'credentials'),
    log: join(path, 'janusfs.log'),
    storeUrl: pathToFileURL(join(path, 'blocks')).href,
  };
}

/** Makes the directory, open to its owner only, so that a power cut leaves it. @throws UserError when it cannot be made or written. */
export function makeDataDirectory(directory: DataDirectory): void {
  try {
    makeDirectory(directory.path, 0o700);
    makeDirectory(directory.redis, 0o700);
  } catch (error) {
    throw new UserError(`cannot make the data directory ${directory.path}: ${(error as Error).message}`, 1, {
      cause: error,
    });
  }
}

/**
 * Takes the directory's lock. The kernel drops it with the process, however that ends, so there is no stale lock, with
 * one exception: a thread of a killed process can hang in the kernel, in the mount that the process served, and keeps
 * the process's files open until that mount is ended.
 * @returns a function that gives it back. @throws UserError when another process holds it.
 */
export async function lockDataDirectory(directory: DataDirectory): Promise<() => void> {
  const path = join(directory.path, 'lock');
  const unlock = tryHold(path);
  if (unlock !== undefined) return unlock;
  const { pid, mountPoint } = holder(path);
  if (pid !== undefined && !isRunning(pid)) {
    if (mountPoint !== undefined) await endDeadMount(mountPoint);
    for (const deadline = performance.now() + DEAD_HOLDER_MS_MAX; performance.now() < deadline; await delay(50)) {
      const unlockLate = tryHold(path);
      if (unlockLate !== undefined) return unlockLate;
    }
  }
  const process = pid === undefined ? '' : ` (process ${pid})`;
  throw new UserError(
    `${directory.path} is in use by another janusfs${process}; stop that one, or choose another --data`,
  );
}

/** Undefined when the lock is held. */
function tryHold(path: string): (() => void) | undefined {
  const unlock = tryLock(path);
  if (unlock !== undefined) recordHolder(path);
  return unlock;
}

/** Length of the lock file's first line, which holds the process number. */
const HOLDER_LINE_BYTES = 21;

function recordHolder(path: string): void {
  writeAt(path, 0, `${String(process.pid).padEnd(HOLDER_LINE_BYTES - 1)}\n`);
}

/** Notes where the holder of the lock has mounted: whoever comes after a kill -9 may have to end that mount. */
export function recordMount(directory: DataDirectory, mountPoint: string): void {
  const path = join(directory.path, 'lock');
  truncateSync(path, HOLDER_LINE_BYTES);
  writeAt(path, HOLDER_LINE_BYTES, `${mountPoint}\n`);
}

function writeAt(path: string, offset: number, text: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    writeSync(descriptor, text, offset);
  } finally {
    closeSync(descriptor);
  }
}

function holder(path: string): { pid: number | undefined; mountPoint: string | undefined } {
  const [first = '', mountPoint = ''] = readFileSync(path, 'utf8').split('\n');
  const pid = /^\d+$/.test(first.trim()) ? Number(first) : undefined;
  return { pid, mountPoint: mountPoint === '' ? undefined : mountPoint };
}

/**
 * The recorded name of the directory's volume.
 * @returns undefined when none is recorded (no volume was ever made here), or what is there is no name (a power cut).
 */
export function recordedVolume(directory: DataDirectory): string | undefined {
  const path = volumeFile(directory);
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError(`cannot read ${path}: ${(error as Error).message}`, 1, { cause: error });
  }
  const name = text.trim();
  return isVolumeName(name) ? name : undefined;
}

/** Records the name of the directory's volume, durably. */
export function recordVolume(directory: DataDirectory, volume: string): void {
  replaceFile(volumeFile(directory), `${volume}\n`, 0o600);
}

/** @throws UserError when another name is asked for than the directory's. */
export function checkVolume(directory: DataDirectory, volume: string, wanted: string): void {
  if (volume === wanted) return;
  throw new UserError(`${directory.path} holds the volume '${volume}', not '${wanted}'`, 1);
}

/** Whether a file holds nothing but what a power cut leaves of bytes that were never written: nothing, or zeros. */
export function isBlank(text: string): boolean {
  return /^[\0\s]*$/.test(text);
}

function volumeFile(directory: DataDirectory): string {
  return join(directory.path, 'volume');
}
