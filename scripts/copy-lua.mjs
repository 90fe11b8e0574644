import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Copies every .lua file below `root`/src to the same place below `out`. */
export function copyLua(root, out) {
  for (const path of readdirSync(join(root, 'src'), { recursive: true })) {
    if (path.endsWith('.lua')) cpSync(join(root, 'src', path), join(out, 'src', path));
  }
}
