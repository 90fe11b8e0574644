/**
 * Checks and clears the mount point without touching a mount that might hang: what is mounted where comes from
 * /proc/self/mountinfo, and a child process tries whether a mount answers.
 */
import { lstat, readdir, readFile, readlink, realpath, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { run } from './run-command.ts';

export const FS_TYPE = 'fuse.janusfs';
const PROBE_MS_MAX = 5000;
const STALE_LAYERS_MAX = 8;
const SYMLINKS_MAX = 8;
const CONNECTIONS = '/sys/fs/fuse/connections';

export interface MountedAt {
  type: string;
  source: string;
  /** Minor device number: the connection's name in sysfs. */
  deviceMinor: number;
}

/** Unmounts one layer lazily. */
export type Detach = (mountPoint: string) => Promise<void>;

/** The topmost mount at exactly this path, or undefined. Reads /proc only. */
export async function mountedAt(path: string): Promise<MountedAt | undefined> {
  const lines = (await readFile('/proc/self/mountinfo', 'latin1')).split('\n');
  let found: MountedAt | undefined;
  for (const line of lines) {
    // id parent major:minor root mount-point options [optional...] - type source super-options
    const [left, right] = line.split(' - ');
    if (left === undefined || right === undefined) continue;
    const fields = left.split(' ');
    if (unescapePath(fields[4] ?? '') !== path) continue;
    const [type = '', source = ''] = right.split(' ');
    found = { type, source: unescapePath(source), deviceMinor: Number(fields[2]?.split(':')[1]) };
  }
  return found;
}

/** mountinfo writes space, tab, newline and backslash as octal. */
function unescapePath(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/**
 * Resolves the path and makes sure that it is an empty directory with nothing mounted on it. A mount that a crash left
 * behind is detached first.
 * @throws UserError with one line that says what to do.
 */
export async function prepareMountPoint(path: string, detach: Detach, logger: Logger): Promise<string> {
  let target = resolve(path);
  for (let links = 0; links <= SYMLINKS_MAX; links++) {
    target = join(await realParent(path, target), basename(target));
    await takeOverStale(target, detach, logger);
    const stat = await lstat(target).catch((error: NodeJS.ErrnoException) => {
      throw unusable(path, error);
    });
    if (!stat.isSymbolicLink()) {
      if (!stat.isDirectory()) throw new UserError(`mount point ${path} is not a directory`);
      await refuseNonEmpty(path, target);
      return target;
    }
    target = resolve(dirname(target), await readlink(target));
  }
  throw new UserError(`mount point ${path} leads through too many symbolic links`);
}

async function realParent(path: string, target: string): Promise<string> {
  try {
    return await realpath(dirname(target));
  } catch (error) {
    throw unusable(path, error as NodeJS.ErrnoException);
  }
}

function unusable(path: string, error: NodeJS.ErrnoException): UserError {
  if (error.code === 'ENOENT') return new UserError(`mount point ${path} does not exist: mkdir -p ${path}`);
  return new UserError(`mount point ${path} cannot be used: ${error.message}`);
}

async function refuseNonEmpty(path: string, target: string): Promise<void> {
  const names = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    throw unusable(path, error);
  });
  if (names.length > 0) throw new UserError(`mount point ${path} is not empty: choose an empty directory`);
}

async function takeOverStale(target: string, detach: Detach, logger: Logger): Promise<void> {
  for (let layer = 0; layer < STALE_LAYERS_MAX; layer++) {
    const mounted = await mountedAt(target);
    if (mounted === undefined) return;
    if (!mounted.type.startsWith('fuse')) {
      throw new UserError(`mount point ${target} is already the mount point of a ${mounted.type} file system`);
    }
    const state = await probe(target);
    if (state === 'alive') {
      throw new UserError(
        `${target} is already mounted (${mounted.source}): unmount it first, or choose another place`,
      );
    }
    if (state === 'hangs') await abortOrphan(target, mounted.deviceMinor);
    logger.warn({ mountPoint: target, source: mounted.source }, 'taking over a mount that a crash left behind');
    await detach(target);
  }
  throw new UserError(`mount point ${target} has too many dead mounts on it: umount -l ${target}`);
}

/**
 * Asks in a child process, since the answer may never come. statfs(2) always reaches the server; attributes would come
 * from the kernel's cache long after the server is gone.
 */
export async function probe(path: string): Promise<'alive' | 'dead' | 'hangs'> {
  const { status, complaint } = await run('stat', ['-f', '-c', '%i', '--', path], { timeoutMs: PROBE_MS_MAX });
  if (status === undefined) return 'hangs';
  // ENOTCONN: nobody has the connection's device open any more; ECONNABORTED: it was aborted.
  return /not connected|connection abort/i.test(complaint) ? 'dead' : 'alive';
}

/**
 * A mount that does not answer is aborted only when no process serves it: its server was killed, but one of its threads
 * hangs in the kernel and keeps the connection open. A living server that is slow, or stopped, keeps its mount.
 */
async function abortOrphan(target: string, deviceMinor: number): Promise<void> {
  const pid = await findServer(deviceMinor);
  if (pid !== undefined) {
    throw new UserError(
      `${target} is mounted and does not answer; process ${pid} may be serving it: stop that, then umount -l ${target}`,
    );
  }
  await abortConnection(deviceMinor);
}

/** A living process that has this connection's /dev/fuse open. Before Linux 6.11 any process with /dev/fuse counts. */
async function findServer(deviceMinor: number): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const fds = await readdir(`/proc/${name}/fd`).catch(() => []);
    for (const fd of fds) {
      const link = await readlink(`/proc/${name}/fd/${fd}`).catch(() => '');
      if (link !== '/dev/fuse') continue;
      const info = await readFile(`/proc/${name}/fdinfo/${fd}`, 'latin1').catch(() => '');
      const connection = /^fuse_connection:\s*(\d+)/m.exec(info)?.[1];
      if (connection === undefined || Number(connection) === deviceMinor) return pid;
    }
  }
  return undefined;
}

/** Ends the janusfs mount that a killed process left at exactly this path, if it is still there. */
export async function endDeadMount(mountPoint: string): Promise<void> {
  const mounted = await mountedAt(mountPoint);
  if (mounted?.type === FS_TYPE && (await findServer(mounted.deviceMinor)) === undefined) {
    await abortConnection(mounted.deviceMinor);
  }
}

/**
 * Ends a connection: every request under way fails, readers wake up.
 * @throws UserError when the kernel's control directory cannot be reached or written.
 */
export async function abortConnection(deviceMinor: number): Promise<void> {
  const control = join(CONNECTIONS, String(deviceMinor), 'abort');
  try {
    await writeFile(control, '1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && (await abortInNamespace(control))) return;
    throw new UserError(`the FUSE connection cannot be aborted through ${control}: ${(error as Error).message}`);
  }
}

/** In many containers the control file system is not mounted; root can see it in a mount namespace of its own. */
async function abortInNamespace(control: string): Promise<boolean> {
  const script = `mount -t fusectl fusectl ${CONNECTIONS} && echo 1 > "$0"`;
  const result = await run('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script, control]);
  return result.status === 0;
}
