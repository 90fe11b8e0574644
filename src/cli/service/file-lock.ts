import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { UserError } from '../../base/errors.ts';

/**
 * Locks a file, which is made when it is not there, with flock(2): the kernel drops the lock with the process.
 * @returns a function that gives it back; undefined when another process holds it. @throws UserError when it cannot be opened.
 */
export function tryLock(path: string): (() => void) | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'a+', 0o600);
  } catch (error) {
    throw new UserError(`cannot open ${path}: ${(error as Error).message}`, 1, { cause: error });
  }
  // Node has no flock(2). The lock belongs to the open file description, which flock(1) inherits and locks: it stays
  // ours when flock(1) has ended.
  const flock = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', descriptor], timeout: 30_000 });
  if (flock.status === 0) return () => closeSync(descriptor);
  closeSync(descriptor);
  if (flock.error !== undefined) {
    throw new UserError(`cannot lock ${path}: ${flock.error.message} (flock is part of util-linux)`, 1);
  }
  return undefined;
}
