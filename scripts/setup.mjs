// Brings a fresh clone to the point where it runs: system packages, npm packages, the addon, the TypeScript build.
// Every step first looks whether there is anything to do, so that a repeated run costs well under two seconds.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, run } from './processes.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const REDIS_MIN = [6, 2];
const NODE_MIN = [20, 19];
const APT_TIMEOUT_MS = 15 * 60_000;
const NPM_TIMEOUT_MS = 15 * 60_000;
const BUILD_TIMEOUT_MS = 10 * 60_000;

class SetupError extends Error {}

/** Does all of it. On failure it says on stderr what to do and ends the process with status 1. */
export function setUp() {
  try {
    checkNode();
    installSystemPackages();
    installNpmPackages();
    buildAddon();
    buildTypeScript();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exit(1);
  }
}

function say(message) {
  process.stderr.write(`set-up: ${message}\n`);
}

function atLeast(version, minimum) {
  const [major, minor] = version;
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1]);
}

function checkNode() {
  const version = process.versions.node.split('.').map(Number);
  if (atLeast(version, NODE_MIN)) return;
  throw new SetupError(
    `Node.js ${process.versions.node} is too old; install ${NODE_MIN.join('.')} or newer (nodejs.org)`,
  );
}

/** What the system lacks: [Debian packages, what for, whether nothing works without it]. */
function missingPackages() {
  const missing = [];
  const redis = redisVersion();
  if (redis === undefined || !atLeast(redis, REDIS_MIN)) {
    missing.push({ packages: ['redis-server'], what: `redis-server ${REDIS_MIN.join('.')} or newer`, required: true });
  }
  if (process.platform === 'linux' && findProgram('fusermount3') === undefined) {
    missing.push({ packages: ['fuse3'], what: 'fusermount3', required: true });
  }
  if (compiler() === undefined && !existsSync(join(root, 'build', 'janusfs.node'))) {
    missing.push({ packages: ['gcc', 'libc6-dev'], what: 'a C compiler', required: false });
  }
  return missing;
}

function redisVersion() {
  const program = findProgram('redis-server');
  if (program === undefined) return undefined;
  const match = /v=(\d+)\.(\d+)/.exec(run(program, ['--version'], { timeoutMs: 20_000 }).output);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

function compiler() {
  return findProgram('cc') ?? findProgram('gcc') ?? findProgram('clang');
}

function installSystemPackages() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  say(`missing: ${missing.map((one) => one.what).join(', ')}`);
  const packages = missing.flatMap((one) => one.packages);
  const why = aptInstall(packages);
  const still = missingPackages();
  const required = still.filter((one) => one.required);
  if (required.length > 0) {
    throw new SetupError(
      `${required.map((one) => one.what).join(' and ')} must be there, and ${why ?? 'the packages did not bring it'}.\n` +
        `  Run this, then start again:\n  ${installCommand(required.flatMap((one) => one.packages))}`,
    );
  }
  if (still.length > 0) {
    say(`no C compiler (${why ?? 'not installed'}): the mount uses the slower transport without the addon.`);
    say(`to change that: ${installCommand(still.flatMap((one) => one.packages))}`);
  }
}

function installCommand(packages) {
  return findProgram('apt-get') === undefined
    ? `install these with your system's package manager: ${packages.join(' ')}`
    : `sudo apt-get update && sudo apt-get install -y ${packages.join(' ')}`;
}

/** Installs Debian packages without ever asking anything. Answers why it could not, or undefined. */
function aptInstall(packages) {
  const apt = findProgram('apt-get');
  if (apt === undefined) return 'this is no Debian-like system (no apt-get)';
  const prefix = rootPrefix();
  if (prefix === undefined) return 'installing needs root (no sudo without a password)';
  // NEEDRESTART_MODE: on Ubuntu its hook asks which services to restart.
  const env = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'NEEDRESTART_MODE=l', apt];
  const options = ['-y', '-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Options::=--force-confold'];
  say(`apt-get install ${packages.join(' ')}`);
  const update = apply(env, [...options, 'update']);
  if (update !== undefined) say(`apt-get update ${update}; trying with the package lists at hand`);
  const install = apply(env, [...options, '--no-install-recommends', 'install', ...packages]);
  return install === undefined ? undefined : `apt-get install ${install}`;
}

function apply([command, ...first], args) {
  return run(command, [...first, ...args], { timeoutMs: APT_TIMEOUT_MS, show: true }).why;
}

function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  const sudo = findProgram('sudo');
  if (sudo === undefined || !run(sudo, ['-n', 'true'], { timeoutMs: 20_000 }).ok) return undefined;
  return [sudo, '-n'];
}

function installNpmPackages() {
  if (npmPackagesMatch()) return;
  say('npm ci');
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = run('npm', args, { timeoutMs: NPM_TIMEOUT_MS, show: true, cwd: root });
  if (!result.ok) throw new SetupError(`npm ci ${result.why}; run \`npm ci\` in ${root} and see what it says`);
}

/**
 * npm writes what it has installed into node_modules/.package-lock.json as its last step, so that file is the stamp:
 * it also recognises an installation made by hand. Optional packages of other platforms are absent there.
 */
function npmPackagesMatch() {
  const wanted = readJson(join(root, 'package-lock.json'));
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'));
  if (wanted === undefined) throw new SetupError('package-lock.json is missing; this is no complete clone');
  if (installed === undefined) return false;
  return Object.entries(wanted.packages).every(([path, entry]) => {
    if (path === '') return true;
    const there = installed.packages[path];
    return there === undefined ? entry.optional === true || entry.peer === true : there.version === entry.version;
  });
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The script looks itself whether there is anything to do; without the addon a slower transport serves. */
function buildAddon() {
  const result = run(process.execPath, [join(root, 'scripts', 'build-addon.mjs')], { timeoutMs: BUILD_TIMEOUT_MS });
  if (!result.ok) say(`scripts/build-addon.mjs ${result.why}`);
  if (result.output.trim() !== '') say(result.output.trim());
}

function buildTypeScript() {
  const inputs = ['src', 'test', 'conformance', 'bench', 'tsconfig.json', 'package-lock.json', 'scripts/build.mjs'];
  const stampPath = join(root, 'dist', '.stamp');
  const stamp = hashTree(
    inputs.map((input) => join(root, input)),
    process.versions.node,
  );
  if (stampAt(stampPath) === stamp) return;
  say('compiling TypeScript');
  const script = join(root, 'scripts', 'build.mjs');
  const result = run(process.execPath, [script], { timeoutMs: BUILD_TIMEOUT_MS, show: true });
  if (!result.ok) throw new SetupError(`the build ${result.why}; its messages are above`);
  writeFileSync(stampPath, stamp);
}

function stampAt(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

const HASHED = /\.(ts|lua|json|mjs|c|h|gyp)$/;

/** One hash over names and contents of source files. */
function hashTree(paths, extra) {
  const hash = createHash('sha256').update(extra);
  const visit = (path) => {
    if (!existsSync(path)) return;
    let names;
    try {
      names = readdirSync(path).sort();
    } catch (error) {
      if (error.code !== 'ENOTDIR') throw error;
      if (HASHED.test(path)) hash.update(path.slice(root.length)).update('\0').update(readFileSync(path));
      return;
    }
    for (const name of names) visit(join(path, name));
  };
  for (const path of paths) visit(path);
  return hash.digest('hex');
}
