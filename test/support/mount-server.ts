/**
 * The child process that serves a mount of a volume: node mount-server.js MOUNT_POINT REQUEST_JSON, with an IPC channel. It
 * says {ready} or {failed}, obeys commands, unmounts on SIGTERM and exits 0 when the mount is gone. A process of its own:
 * the one that serves a mount must not use it, and some tests kill it.
 */
import { createLogger } from '../../src/base/log.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import type { MountOptions } from '../../src/fuse/mount/fuse-mount.ts';
import { mountVfs } from '../../src/fuse/mount/mount-vfs.ts';
import type { Vfs } from '../../src/vfs/vfs.ts';
import { MOUNT } from './callers.ts';
import { withFaults } from './faults.ts';
import { HeldCalls, type Holdable } from './held-calls.ts';
import { joinVfs } from './vfs-session.ts';
import { watchHandles } from './watched-handles.ts';

export interface MountRequest {
  url: string;
  storeUrl: string;
  options: Partial<MountOptions>;
}

/** What the parent may ask. `put` and `remove` are what S3 does in the process of a mount. */
export interface Command {
  id: number;
  name: 'put' | 'remove' | 'pushes-again' | 'calls' | 'open-count' | 'hold' | 'resume' | 'unmount';
  file?: string;
  text?: string;
}

async function main(): Promise<void> {
  const [mountPoint = '', json = '{}'] = process.argv.slice(2);
  const { url, storeUrl, options } = JSON.parse(json) as MountRequest;
  const ends: (() => Promise<unknown>)[] = [];
  const session = await joinVfs({ url, storeUrl, beforeEnd: (end) => ends.push(end) });
  const { vfs, faults } = withFaults(session.vfs);
  const handles = watchHandles(faults);
  const held = new HeldCalls(faults);
  const mount = await mountVfs(vfs, {
    mountPoint,
    fsName: 'volume',
    transport: 'auto',
    driver: 'raw',
    allowOther: process.getuid?.() === 0,
    debug: false,
    logger: createLogger('info', false),
    ...options,
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
  const ended = { openCount: handles.open };
  held.resume();
  for (const end of ends.reverse()) await end();
  process.send?.({ ended }, () => process.disconnect?.());

  async function obey({ name, file = '', text = '' }: Command): Promise<unknown> {
    switch (name) {
      case 'put':
        return put(vfs, file, text);
      case 'remove':
        return vfs.objects.removeObject(MOUNT, { root: ROOT_INO, components: [file], directory: false }, {});
      case 'pushes-again':
        vfs.events.emit('channel', true);
        return;
      case 'calls':
        return held.counts;
      case 'open-count':
        return handles.open;
      case 'hold':
        return held.hold(file as Holdable);
      case 'resume':
        return held.resume();
      case 'unmount':
        return mount.unmount();
    }
  }
}

async function put(vfs: Vfs, name: string, text: string): Promise<void> {
  const s3 = { version: 0, etag: '', headers: {}, tags: [], checksums: {}, checksumType: '' as const, parts: [] };
  const path = { root: ROOT_INO, components: [name], directory: false };
  const writer = vfs.objects.beginObject(MOUNT);
  await writer.write(Buffer.from(text));
  await vfs.objects.putObject(MOUNT, writer, { path, precondition: {}, s3, xattrs: new Map() });
}

main().catch((error: Error) => {
  process.send?.({ failed: error.message, name: error.name }, () => process.exit(1));
});
