/**
 * The child process that serves a MemoryVfs: node memory-server.js MOUNT_POINT OPTIONS_JSON, with an IPC channel. It says
 * {ready} or {failed}, obeys commands, unmounts on SIGTERM and exits 0 when the mount is gone.
 */
import { createLogger } from '../../src/base/log.ts';
import type { MountOptions } from '../../src/fuse/mount/fuse-mount.ts';
import { mountVfs } from '../../src/fuse/mount/mount-vfs.ts';
import { MemoryVfs } from './memory-vfs.ts';

export interface Command {
  id: number;
  name: 'remote-write' | 'remote-remove' | 'expire-all' | 'calls' | 'open-count' | 'hold' | 'resume' | 'unmount';
  file?: string;
  text?: string;
}

async function main(): Promise<void> {
  const [mountPoint = '', json = '{}'] = process.argv.slice(2);
  const vfs = new MemoryVfs();
  const extra = JSON.parse(json) as Partial<MountOptions>;
  const mount = await mountVfs(vfs, {
    mountPoint,
    fsName: 'memory',
    transport: 'auto',
    driver: 'raw',
    allowOther: process.getuid?.() === 0,
    debug: false,
    logger: createLogger('info', false),
    ...extra,
  });
  process.on('SIGTERM', () => void mount.unmount());
  const commands = new Set<Promise<void>>();
  process.on('message', (command: Command) => {
    const obeyed = obey(command)
      .then((result) => ({ result }))
      .catch((error: Error) => ({ error: error.message }))
      .then((reply) => {
        process.send?.({ id: command.id, ...reply });
        commands.delete(obeyed);
      });
    commands.add(obeyed);
  });
  process.send?.({ ready: mount.transport, mountPoint: mount.mountPoint });
  await mount.done;
  await Promise.all(commands);
  process.send?.({ ended: { openCount: vfs.openCount } }, () => process.disconnect?.());

  async function obey(command: Command): Promise<unknown> {
    switch (command.name) {
      case 'remote-write':
        return vfs.remoteWrite(command.file ?? '', command.text ?? '');
      case 'remote-remove':
        return vfs.remoteRemove(command.file ?? '');
      case 'expire-all':
        return vfs.cache?.expireAll();
      case 'calls':
        return Object.fromEntries(vfs.calls);
      case 'open-count':
        return vfs.openCount;
      case 'hold':
        vfs.held.add(command.file ?? '');
        return;
      case 'resume':
        return vfs.resume();
      case 'unmount':
        return mount.unmount();
    }
  }
}

main().catch((error: Error) => {
  process.send?.({ failed: error.message, name: error.name }, () => process.exit(1));
});
