import { spawnSync } from 'node:child_process';
import { UserError } from '../../base/errors.ts';
import { registeredMounts } from '../service/mount-registry.ts';
import { waitUntilGone } from '../service/process-identity.ts';
import { COMMON_SETTINGS, defineCommand } from './command-spec.ts';
import { pathWithoutLinks } from './mount-path.ts';

const UNMOUNT_TIMEOUT_MS = 60_000;
const SERVER_END_TIMEOUT_MS = 60_000;

export const umountCommand = defineCommand({
  name: 'umount',
  positional: '<mnt>',
  summary: 'unmount; returns when the process that served it has stored everything and ended',
  examples: ['janusfs umount ~/janusfs', 'janusfs umount --lazy /mnt/home'],
  options: [{ flags: '--lazy', text: 'take it out of the tree now, even while programs use it' }],
  settings: [...COMMON_SETTINGS],
  async run(call) {
    const { FS_TYPE, mountedAt } = await import('../../fuse/mount/mount-point.ts');
    const path = pathWithoutLinks(call.args[0]!);
    const mount = await mountedAt(path);
    if (mount === undefined) throw new UserError(`${path} is no mount point`);
    if (mount.type !== FS_TYPE) throw new UserError(`${path} is no janusfs mount (it is ${mount.type})`);
    const server = registeredMounts().find(({ mountPoint }) => mountPoint === path);
    unmount(path, call.options.lazy !== undefined);
    if (server !== undefined && !(await waitUntilGone(server.pid, SERVER_END_TIMEOUT_MS))) {
      throw new UserError(
        `unmounted, but process ${server.pid} still stores data after ${SERVER_END_TIMEOUT_MS / 1000} s`,
      );
    }
  },
});

/** @throws UserError when it is busy or not permitted. */
function unmount(path: string, lazy: boolean): void {
  const [command, ...args] =
    process.getuid?.() === 0
      ? ['umount', ...(lazy ? ['-l'] : []), path]
      : ['fusermount3', '-u', ...(lazy ? ['-z'] : []), path];
  const result = spawnSync(command!, args, { encoding: 'utf8', timeout: UNMOUNT_TIMEOUT_MS });
  if (result.error !== undefined) throw new UserError(`cannot run ${command}: ${result.error.message}`);
  if (result.status === 0) return;
  const said = result.stderr.trim();
  if (/busy/i.test(said)) {
    throw new UserError(`${path} is in use (see: fuser -vm ${path}); close what uses it, or add --lazy`);
  }
  throw new UserError(`cannot unmount ${path}: ${said || `${command} ended with status ${result.status}`}`);
}
