/** Loads the native addon (src/fuse/native, built by scripts/build-addon.mjs). */
import { ADDON_PATH, requireAddon } from '../../base/addon-file.ts';

const API_VERSION = 1;

export interface NativeSession {
  send(length: number): number;
  sendWith(length: number, data: Buffer): number;
  notify(id: number, messages: Buffer): number;
  close(): void;
}

/** The addon's functions; janusfs.c describes each. Errnos are positive. */
export interface Addon {
  readonly apiVersion: number;
  serve(
    fd: number,
    input: Buffer,
    output: Buffer,
    onRequest: (length: number) => void,
    onEnd: (errno: number) => void,
    onNotified: (id: number, errno: number) => void,
  ): NativeSession;
  mount(source: string, target: string, type: string, flags: number, data: string): Promise<number>;
  unmount(target: string, flags: number): Promise<number>;
  socketPair(): [number, number];
  /** Answers a descriptor, or a negative errno. */
  receiveDescriptor(socket: number): number;
}

/** Returns the addon, or the reason why it cannot be used. Loaded once per process by Node. */
export function loadAddon(): { addon: Addon } | { reason: string } {
  try {
    const addon = requireAddon() as Addon;
    if (addon.apiVersion === API_VERSION) return { addon };
    return { reason: `${ADDON_PATH} is of another version: run \`node scripts/build-addon.mjs\`` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'MODULE_NOT_FOUND') return { reason: 'it is not built: run `node scripts/build-addon.mjs`' };
    return { reason: message };
  }
}
