/**
 * Mounting and unmounting: what connects a /dev/fuse descriptor with a directory.
 *
 *     root, addon       mount(2), umount2(2) in a thread
 *     root, no addon    mount(8) with the descriptor as its 3, umount(8)
 *     user, addon       fusermount3, which sends the descriptor over a socket (SCM_RIGHTS)
 *     user, no addon    not possible: Node cannot receive a descriptor
 */
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { UserError } from '../../base/errors.ts';
import type { Addon } from '../transport/addon.ts';
import { IO_BYTES_MAX } from '../wire/protocol.ts';
import { FS_TYPE } from './mount-point.ts';
import { run } from './run-command.ts';

const DEVICE = '/dev/fuse';
const MS_RDONLY = 1;
const MNT_DETACH = 2;
const { errno: ERRNO } = constants;

export interface MountSpec {
  mountPoint: string;
  /** First column of mount(8) and df(1). */
  fsName: string;
  allowOther: boolean;
  readOnly: boolean;
}

/**
 * Mounts and answers the open /dev/fuse descriptor, in blocking mode.
 * @throws UserError with one line that says what is missing.
 */
export async function mountDevice(spec: MountSpec, addon: Addon | undefined): Promise<number> {
  if (process.getuid?.() !== 0) return mountAsUser(spec, addon);
  const fd = openDevice();
  try {
    if (addon !== undefined) await mountBySyscall(spec, addon, fd);
    else await mountByCommand(spec, fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openDevice(): number {
  try {
    return openSync(DEVICE, 'r+');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO') {
      throw new UserError(`there is no ${DEVICE}: modprobe fuse, or run the container with --device ${DEVICE}`);
    }
    if (code === 'EPERM')
      throw new UserError(`${DEVICE} may not be used here: run the container with --device ${DEVICE}`);
    throw new UserError(`${DEVICE} cannot be opened: ${message}`);
  }
}

/** Options for the kernel. Without MS_NODEV and MS_NOSUID devices and set-user-id work, as root expects. */
function kernelOptions(spec: MountSpec, fd: number): string {
  const options = [
    `fd=${fd}`,
    'rootmode=40000',
    `user_id=${process.getuid?.() ?? 0}`,
    `group_id=${process.getgid?.() ?? 0}`,
    'default_permissions',
    `max_read=${IO_BYTES_MAX}`,
  ];
  if (spec.allowOther) options.push('allow_other');
  return options.join(',');
}

async function mountBySyscall(spec: MountSpec, addon: Addon, fd: number): Promise<void> {
  const flags = spec.readOnly ? MS_RDONLY : 0;
  const errno = await addon.mount(spec.fsName, spec.mountPoint, FS_TYPE, flags, kernelOptions(spec, fd));
  if (errno === 0) return;
  if (errno === ERRNO.EPERM) {
    throw new UserError(
      `${spec.mountPoint}: mounting is not permitted here: run the container with --cap-add SYS_ADMIN`,
    );
  }
  throw new UserError(`${spec.mountPoint} cannot be mounted: ${errnoText(errno)}`);
}

async function mountByCommand(spec: MountSpec, fd: number): Promise<void> {
  const options = `${kernelOptions(spec, 3)}${spec.readOnly ? ',ro' : ''}`;
  const args = ['-i', '-t', FS_TYPE, '-o', options, '--', spec.fsName, spec.mountPoint];
  const { status, complaint } = await run('mount', args, { descriptors: [fd] });
  if (status !== 0) throw new UserError(`${spec.mountPoint} cannot be mounted: ${oneLine(complaint)}`);
}

async function mountAsUser(spec: MountSpec, addon: Addon | undefined): Promise<number> {
  if (addon === undefined) {
    throw new UserError(
      'mounting as a user needs the native addon: run `node scripts/build-addon.mjs` (a C compiler), or mount as root',
    );
  }
  // fusermount3 splits options at commas and takes a backslash as escape.
  const fsName = spec.fsName.replace(/[\\,]/g, '\\$&');
  const options = [`fsname=${fsName}`, 'subtype=janusfs', 'default_permissions', `max_read=${IO_BYTES_MAX}`];
  if (spec.allowOther) options.push('allow_other');
  if (spec.readOnly) options.push('ro');
  const [ours, theirs] = addon.socketPair();
  try {
    const args = ['-o', options.join(','), '--', spec.mountPoint];
    const { status, complaint } = await run('fusermount3', args, {
      env: { _FUSE_COMMFD: '3' },
      descriptors: [theirs],
    });
    if (status === undefined) throw new UserError('fusermount3 is missing: apt-get install fuse3, or mount as root');
    if (status !== 0) throw new UserError(`${spec.mountPoint} cannot be mounted: ${oneLine(complaint)}`);
    const fd = addon.receiveDescriptor(ours);
    if (fd < 0) throw new UserError(`fusermount3 sent no descriptor: ${errnoText(-fd)}`);
    return fd;
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}

/**
 * Takes the topmost mount at the path away.
 * @param lazy detach at once, also while it is in use; the file system ends when the last user has gone.
 * @returns 'busy' when it is in use (never when lazy), 'gone' when nothing was mounted there.
 * @throws UserError for anything else.
 */
export async function unmountDevice(
  mountPoint: string,
  lazy: boolean,
  addon: Addon | undefined,
): Promise<'done' | 'busy' | 'gone'> {
  const root = process.getuid?.() === 0;
  if (root && addon !== undefined) {
    const errno = await addon.unmount(mountPoint, lazy ? MNT_DETACH : 0);
    if (errno === 0) return 'done';
    if (errno === ERRNO.EBUSY) return 'busy';
    if (errno === ERRNO.EINVAL || errno === ERRNO.ENOENT) return 'gone';
    throw new UserError(`${mountPoint} cannot be unmounted: ${errnoText(errno)}`);
  }
  const [command, args] = root
    ? ['umount', ['-i', '-n', ...(lazy ? ['-l'] : []), '--', mountPoint]]
    : ['fusermount3', [lazy ? '-uz' : '-u', '--', mountPoint]];
  const { status, complaint } = await run(command, args);
  if (status === 0) return 'done';
  if (/busy/i.test(complaint)) return 'busy';
  if (/not mounted|not found in|no mount point/i.test(complaint)) return 'gone';
  throw new UserError(`${mountPoint} cannot be unmounted: ${oneLine(complaint)}`);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, '; ');
}

function errnoText(errno: number): string {
  return getSystemErrorName(-errno);
}
