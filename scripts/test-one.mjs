// `npm run test:one -- test/base/lru.test.ts [ARGUMENTS OF node --test]`: one test file with the sources as they are now.
//
// The inner loop of a developer: what changed is compiled without type checks (the editor and `npm run lint` do those) and
// nothing is set up. `npm test` builds anew afterwards, since dist is then no build of any state of the sources.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyLua } from './copy-lua.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, 'dist');
const [file, ...rest] = process.argv.slice(2);
if (file === undefined || !file.endsWith('.test.ts') || !existsSync(file)) {
  process.stderr.write(`test:one: name a test file: npm run test:one -- test/base/lru.test.ts\n`);
  process.exit(2);
}

rmSync(join(out, '.stamp'), { force: true });
const buildInfo = join(out, '.test-one.tsbuildinfo');
const tsc = join(root, 'node_modules', '.bin', 'tsc');
const how = ['--noCheck', '--incremental', '--tsBuildInfoFile', buildInfo, '--outDir', out];
const compiled = spawnSync(tsc, ['-p', root, ...how], { stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
copyLua(root, out);

const test = join(out, relative(root, resolve(file)).replace(/\.ts$/, '.js'));
const ran = spawnSync(process.execPath, ['--test', ...rest, test], { stdio: 'inherit' });
process.exit(ran.status ?? 1);
