/** Mounts a vfs: the one entry into this layer. */
import { writeFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { tracer } from '../../base/trace.ts';
import type { Vfs } from '../../vfs/vfs.ts';
import { FuseServer } from '../fuse-server.ts';
import { type Addon, loadAddon } from '../transport/addon.ts';
import { NativeTransport } from '../transport/native.ts';
import { PureTransport } from '../transport/pure.ts';
import { TracedTransport } from '../transport/traced-transport.ts';
import type { Transport } from '../transport/transport.ts';
import type { FuseMount, MountOptions } from './fuse-mount.ts';
import { mountDevice, unmountDevice } from './mount-device.ts';
import { abortConnection, mountedAt, prepareMountPoint } from './mount-point.ts';
import { run } from './run-command.ts';

const READY_MS_MAX = 30_000;
/** After a clean unmount the kernel ends the connection at once, unless another mount namespace still has it. */
const END_MS_MAX = 3000;
const UNMOUNT_MS_MAX = 10_000;
const SYNC_MS_MAX = 5000;
/** Largest read-ahead; the kernel starts every FUSE mount with 128 KiB, which INIT can only lower. */
const READ_AHEAD_KIB = 1024;

/**
 * Mounts and serves the vfs until unmounted. Resolves when the kernel is connected. The vfs stays the caller's.
 * @throws UserError, one line each, for a mount point that is missing, not empty, in use; no /dev/fuse; no permission.
 */
export async function mountVfs(vfs: Vfs, options: MountOptions): Promise<FuseMount> {
  if (options.driver === 'fuse-native') {
    const { mountWithFuseNative } = await import('./driver-fuse-native.ts');
    return mountWithFuseNative(vfs, options);
  }
  if (endianness() !== 'LE') throw new UserError('janusfs mounts on little-endian machines only');
  const addon = chooseAddon(options);
  const detach = async (path: string): Promise<void> => {
    await unmountDevice(path, true, addon);
  };
  const mountPoint = await prepareMountPoint(options.mountPoint, detach, options.logger);
  const { fsName, allowOther, readOnly = false } = options;
  const fd = await mountDevice({ mountPoint, fsName, allowOther, readOnly }, addon);
  const device = addon !== undefined ? new NativeTransport(addon, fd) : new PureTransport(fd);
  const transport = tracer === undefined ? device : new TracedTransport(device, tracer);
  const mount = new RawMount(mountPoint, vfs, transport, addon, options);
  await mount.begin();
  return mount;
}

function chooseAddon({ transport, logger }: MountOptions): Addon | undefined {
  if (transport === 'pure') return undefined;
  const loaded = loadAddon();
  if ('addon' in loaded) return loaded.addon;
  if (transport === 'native') throw new UserError(`the native transport is not there: ${loaded.reason}`);
  logger.warn({ reason: loaded.reason }, 'no native addon: kernel requests take about 4 times as long');
  return undefined;
}

class RawMount implements FuseMount {
  readonly mountPoint: string;
  readonly transport: 'native' | 'pure';
  readonly done: Promise<void>;
  readonly #server: FuseServer;
  readonly #addon: Addon | undefined;
  readonly #logger: Logger;
  #deviceMinor: number | undefined;
  #unmounting: Promise<void> | undefined;

  constructor(mountPoint: string, vfs: Vfs, device: Transport, addon: Addon | undefined, options: MountOptions) {
    const { logger, debug } = options;
    this.mountPoint = mountPoint;
    this.transport = device.kind;
    this.#addon = addon;
    this.#logger = logger;
    this.#server = new FuseServer({ vfs, transport: device, logger, debug });
    this.done = this.#server.ended;
  }

  /** Serves until INIT is agreed on. A failure leaves no mount. */
  async begin(): Promise<void> {
    try {
      this.#deviceMinor = (await mountedAt(this.mountPoint))?.deviceMinor;
      this.#server.start();
      await within(READY_MS_MAX, this.#server.ready, `the kernel sent no INIT to the mount on ${this.mountPoint}`);
    } catch (error) {
      await this.#force();
      throw error instanceof UserError ? error : new UserError((error as Error).message, 1, { cause: error });
    }
    await this.#raiseReadAhead();
  }

  unmount(): Promise<void> {
    this.#unmounting ??= this.#unmount();
    return this.#unmounting;
  }

  async #unmount(): Promise<void> {
    const result = await this.#unmountCleanly();
    if (result !== 'busy' && (await this.#endsWithin(END_MS_MAX))) return;
    if (result === 'busy') {
      this.#logger.warn({ mountPoint: this.mountPoint }, 'the mount is in use: detaching it, its users get errors');
      // Pages written through mmap(2) are only in the kernel yet. In a child process: we have to serve their write-back.
      const synced = await run('sync', ['-f', this.mountPoint], { timeoutMs: SYNC_MS_MAX });
      if (synced.status !== 0) this.#logger.warn({ complaint: synced.complaint }, 'sync before detaching failed');
    }
    await this.#force();
    await this.done;
  }

  async #unmountCleanly(): Promise<'done' | 'busy' | 'gone'> {
    // Somebody else may have unmounted ours and mounted another file system here.
    if (!(await this.#isMounted())) return 'gone';
    const attempt = unmountDevice(this.mountPoint, false, this.#addon);
    // It waits for write-back, which the vfs may be unable to take.
    return within(UNMOUNT_MS_MAX, attempt, 'unmounting takes too long').catch((error: Error) => {
      this.#logger.warn({ reason: error.message }, 'no clean unmount');
      return 'busy';
    });
  }

  async #isMounted(): Promise<boolean> {
    const mounted = await mountedAt(this.mountPoint);
    return mounted !== undefined && mounted.deviceMinor === this.#deviceMinor;
  }

  /** Detaches what is mounted and ends the connection, whatever state it is in. */
  async #force(): Promise<void> {
    if (await this.#isMounted()) await unmountDevice(this.mountPoint, true, this.#addon);
    if (this.#deviceMinor !== undefined) {
      await abortConnection(this.#deviceMinor).catch((error: Error) => {
        this.#logger.debug({ reason: error.message }, 'no abort, closing the device instead');
      });
    }
    if (await this.#endsWithin(END_MS_MAX)) return;
    // The last descriptor gone ends the connection too, but not while a thread reads from it.
    this.#server.stop();
  }

  async #endsWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    const ended = await Promise.race([this.done.then(() => true), late]);
    clearTimeout(timer);
    return ended;
  }

  /** Through sysfs, which takes none of the mount's locks. Root only; others keep 128 KiB. */
  async #raiseReadAhead(): Promise<void> {
    if (process.getuid?.() !== 0 || this.#deviceMinor === undefined) return;
    const path = `/sys/class/bdi/0:${this.#deviceMinor}/read_ahead_kb`;
    await writeFile(path, String(READ_AHEAD_KIB)).catch((error: Error) => {
      this.#logger.debug({ reason: error.message }, 'read-ahead stays at 128 KiB');
    });
  }
}

async function within<T>(ms: number, promise: Promise<T>, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
