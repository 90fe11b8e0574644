// Compiles src/fuse/native/*.c into build/janusfs.node. Does nothing when the addon there already belongs to this
// source, these flags and this Node ABI. Without a working compiler it says what is lost and exits 0 (the pure transport
// serves). `--require`, for CI, makes that exit 1 and warnings errors.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const native = join(root, 'src', 'fuse', 'native');
const sources = ['janusfs.c', 'mount.c', 'crc64.c'].map((name) => join(native, name));
const target = join(root, 'build', 'janusfs.node');
const stamp = `${target}.sha256`;
const compiler = process.env.CC ?? 'cc';
const includes = [
  join(root, 'node_modules', 'node-api-headers', 'include'),
  join(dirname(dirname(process.execPath)), 'include', 'node'),
].filter((path) => existsSync(join(path, 'node_api.h')));
const required = process.argv.includes('--require');
const flags = ['-O2', '-shared', '-fPIC', '-pthread', '-std=gnu11', '-Wall', '-Wextra'];

if (process.platform !== 'linux') {
  giveUp(`the addon speaks to Linux's /dev/fuse, this is ${process.platform}`);
} else if (readStamp() !== wantedStamp()) {
  compile();
}

function wantedStamp() {
  const hash = createHash('sha256');
  for (const path of [...sources, join(native, 'common.h')]) hash.update(readFileSync(path));
  hash.update(JSON.stringify([flags, compiler, process.arch, process.versions.modules]));
  return hash.digest('hex');
}

function readStamp() {
  return existsSync(target) && existsSync(stamp) ? readFileSync(stamp, 'utf8').trim() : undefined;
}

function compile() {
  if (includes.length === 0) return giveUp('node_api.h is missing: run `npm install`');
  mkdirSync(dirname(target), { recursive: true });
  // Compiled beside its place and renamed, so that a running mount keeps the addon it has loaded.
  const temporary = `${target}.${process.pid}.tmp`;
  const args = [
    ...flags,
    ...(required ? ['-Werror'] : []),
    ...includes.flatMap((path) => ['-I', path]),
    '-o',
    temporary,
    ...sources,
  ];
  const result = spawnSync(compiler, args, { encoding: 'utf8' });
  if (result.error !== undefined || result.status !== 0) {
    rmSync(temporary, { force: true });
    const missing = result.error?.code === 'ENOENT';
    if (!missing) process.stderr.write(`${result.stderr ?? ''}${result.error?.message ?? ''}`);
    return giveUp(
      missing ? `there is no C compiler (\`${compiler}\`): apt-get install gcc libc6-dev` : `\`${compiler}\` failed`,
    );
  }
  renameSync(temporary, target);
  writeFileSync(stamp, `${wantedStamp()}\n`);
}

function giveUp(reason) {
  process.stderr.write(
    `The mount's native addon was not built: ${reason}.\n` +
      'Mounts work without it, with about 4 times the time per kernel request, as root only (no fusermount3).\n',
  );
  if (required) process.exitCode = 1;
}
