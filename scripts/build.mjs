// Compiles TypeScript from scratch, with all checks, and copies what tsc does not (.lua). `--out DIR` builds into another
// directory than dist.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyLua } from './copy-lua.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const outFlag = process.argv.indexOf('--out');
const out = join(root, outFlag < 0 ? 'dist' : process.argv[outFlag + 1]);

rmSync(out, { recursive: true, force: true });
const tsc = join(root, 'node_modules', '.bin', 'tsc');
const compiled = spawnSync(tsc, ['-p', root, '--outDir', out], { stdio: 'inherit' });
copyLua(root, out);
process.exitCode = compiled.status ?? 1;
