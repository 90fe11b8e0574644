/**
 * Which volume a mount point of this machine belongs to, so that `info PATH` and `status` need no URL. One small file
 * per mount in the user's runtime directory; passwords are not in it. A file whose process is gone counts as absent.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { makeDirectory, replaceFile } from '../../base/durable-file.ts';
import { isRunning } from './process-identity.ts';

export interface RegisteredMount {
  mountPoint: string;
  /** Volume URL without passwords. */
  volumeUrl: string;
  /** Data directory of an embedded volume. */
  data?: string;
  pid: number;
}

/**
 * Records a mount. @returns a function that removes the record.
 * @throws Error when the records would lie on the mount itself: a process that waits for its own mount waits forever.
 */
export function registerMount(mount: RegisteredMount): () => void {
  const directory = registryDirectory();
  if (`${directory}/`.startsWith(`${mount.mountPoint}/`)) throw new Error(`${directory} lies on the mount`);
  makeDirectory(directory, 0o700);
  removeStaleRecords(directory);
  const path = join(directory, `${createHash('sha256').update(mount.mountPoint).digest('hex').slice(0, 32)}.json`);
  replaceFile(path, JSON.stringify(mount), 0o600);
  return () => rmSync(path, { force: true });
}

/** The mounts of this user whose process runs. */
export function registeredMounts(): RegisteredMount[] {
  const directory = registryDirectory();
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => readEntry(join(directory, name)))
    .filter((mount): mount is RegisteredMount => mount !== undefined && isRunning(mount.pid));
}

/** The mount that holds an absolute path without symbolic links: the innermost one. */
export function mountHolding(path: string): RegisteredMount | undefined {
  return registeredMounts()
    .filter(({ mountPoint }) => path === mountPoint || path.startsWith(mountPoint === '/' ? '/' : `${mountPoint}/`))
    .sort((a, b) => b.mountPoint.length - a.mountPoint.length)[0];
}

/** Removes the records of killed processes. */
function removeStaleRecords(directory: string): void {
  for (const name of readdirSync(directory).filter((one) => one.endsWith('.json'))) {
    const path = join(directory, name);
    const mount = readEntry(path);
    if (mount === undefined || !isRunning(mount.pid)) rmSync(path, { force: true });
  }
}

function readEntry(path: string): RegisteredMount | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RegisteredMount;
  } catch (error) {
    // Removed meanwhile, or half written by a process that was killed: in both cases there is no mount.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function registryDirectory(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (process.getuid?.() === 0) return '/run/janusfs';
  return runtime === undefined || runtime === ''
    ? join(tmpdir(), `janusfs-${userInfo().uid}`)
    : join(runtime, 'janusfs');
}
