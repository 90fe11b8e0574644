import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { UserError } from '../../base/errors.ts';

/**
 * The path without symbolic links but for the last component: that one is what the user asks about, and a mount that
 * hangs there is not touched. @throws UserError when its directory cannot be found.
 */
export function pathWithoutLinks(path: string): string {
  const full = resolve(path);
  try {
    return full === sep ? full : join(realpathSync(dirname(full)), basename(full));
  } catch (error) {
    throw new UserError(`cannot find ${path}: ${(error as Error).message}`, 1, { cause: error });
  }
}
