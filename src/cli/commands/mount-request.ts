import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Settings } from '../../config.ts';
import type { MountRequest } from '../service/open-frontends.ts';
import type { MOUNT_SETTINGS } from './command-spec.ts';

const FUSE_CONFIGURATION = '/etc/fuse.conf';

/**
 * What the mount settings ask for. Where the system does not let an ordinary user open a mount to others, it is not
 * asked for unless the user has said so.
 */
export function mountRequest(
  call: { settings: Settings<(typeof MOUNT_SETTINGS)[number]>; isGiven(name: 'allowOther'): boolean },
  path: string,
  make: boolean,
): MountRequest {
  const { fuseDriver, fuseTransport, allowOther } = call.settings;
  return {
    path: resolve(path),
    make,
    fuseDriver,
    fuseTransport,
    allowOther: allowOther && (call.isGiven('allowOther') || mayAllowOther()),
  };
}

/** @see mount.fuse3(8), user_allow_other */
function mayAllowOther(): boolean {
  if (process.getuid?.() === 0) return true;
  try {
    return /^\s*user_allow_other\s*$/m.test(readFileSync(FUSE_CONFIGURATION, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
