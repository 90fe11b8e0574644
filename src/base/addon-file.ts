/** Where the native addon is (src/fuse/native, built by scripts/build-addon.mjs). */
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** This file is <root>/<out>/src/base/addon-file.js. */
export const ADDON_PATH = join(import.meta.dirname, '..', '..', '..', 'build', 'janusfs.node');

/** Answers what the addon exports; Node loads it once per process. @throws Error when it is not built or does not load. */
export function requireAddon(): unknown {
  return createRequire(import.meta.url)(ADDON_PATH);
}
