/** What a mount is asked for and what it offers, whichever driver makes it. */
import type { Logger } from '../../base/log.ts';

export interface MountOptions {
  mountPoint: string;
  /** First column of mount(8) and df(1). */
  fsName: string;
  /** 'auto': native when the addon is there, else pure. */
  transport: 'auto' | 'native' | 'pure';
  /** 'raw': the kernel protocol. 'fuse-native': the npm package of that name (see driver-fuse-native.ts for its limits). */
  driver: 'raw' | 'fuse-native';
  /** Other users than the one who mounts may use it; permissions are checked either way. */
  allowOther: boolean;
  readOnly?: boolean;
  logger: Logger;
  /** Log every request. */
  debug: boolean;
}

export interface FuseMount {
  /** Absolute, without symbolic links. */
  readonly mountPoint: string;
  readonly transport: 'native' | 'pure' | 'fuse-native';
  /**
   * Unmounts cleanly; when it is in use, writes out what the kernel holds, detaches it and ends the connection, so that
   * processes which still use it get errors and this process can exit. Resolves when `done` does. May be called again.
   */
  unmount(): Promise<void>;
  /** Resolves when the mount is gone, whoever unmounted it, and every handle is released. */
  readonly done: Promise<void>;
}
