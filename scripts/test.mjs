// `npm test -- [--limit=SECONDS] [PATTERN...]`: set-up, then every compiled test file in a process group of its own, with a time limit.
//
//     side by side (2)   test/base, test/meta, ...          a file that fails or runs out of time is run
//     one at a time      mounts, faults, cross-frontend         once more ALONE at the end; that result counts
//
// Each file gets its own TMPDIR. What it leaves behind (processes, mounts, files) is removed and reported.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { clearAway } from './leftovers.mjs';
import { root, setUp } from './setup.mjs';

const DEFAULT_LIMIT_SECONDS = 180;
/** [part of the path, limit in seconds, may run beside another file]. The first match counts. */
const FILE_RULES = [
  ['conformance/', 600, false],
  ['test/faults/', 600, false],
  ['fault', 600, false],
  ['test/fuse/', 420, false],
  ['test/cli/', 420, false],
  ['mount', 420, false],
  ['test/tidy/', 300, true],
];
const BESIDE = Math.min(2, availableParallelism());
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

/** Over every other limit: short when a test is being written, long on a machine that is slower than most. */
const LIMIT_GIVEN = /^--limit=(\d+)$/.exec(process.argv.find((argument) => argument.startsWith('--limit=')) ?? '')?.[1];

const running = new Set();

await main();

async function main() {
  const startedMs = Date.now();
  setUp();
  const patterns = process.argv.slice(2).filter((argument) => !argument.startsWith('--limit='));
  const files = findTests(join(root, 'dist')).filter(
    (file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)),
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => stopAll(signal));

  const first = await runAll(files);
  const results = new Map(first.map((result) => [result.file, result]));
  const again = first.filter((result) => !result.ok);
  const warnings = [];
  for (const failed of again) {
    say(`again, alone: ${failed.file}`);
    const alone = await runFile(failed.file);
    report(alone);
    results.set(failed.file, alone);
    if (alone.ok) warnings.push(failed);
  }
  summarise([...results.values()], warnings, patterns, startedMs);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

function findTests(dist) {
  return ['test', 'conformance']
    .flatMap((directory) => walk(join(dist, directory)))
    .filter((path) => path.endsWith('.test.js'))
    .map((path) => relative(dist, path))
    .sort();
}

function walk(directory) {
  let entries;
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

function ruleFor(file) {
  const [, limitSeconds, beside] = FILE_RULES.find(([part]) => file.includes(part)) ?? [
    '',
    DEFAULT_LIMIT_SECONDS,
    true,
  ];
  return { limitSeconds: LIMIT_GIVEN === undefined ? limitSeconds : Number(LIMIT_GIVEN), beside };
}

async function runAll(files) {
  const results = [];
  const lane = async (queue) => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file);
      report(result);
      results.push(result);
    }
  };
  const beside = files.filter((file) => ruleFor(file).beside);
  await Promise.all(Array.from({ length: BESIDE }, () => lane(beside)));
  await lane(files.filter((file) => !ruleFor(file).beside));
  return results;
}

/** Runs one file to its end or its limit, then clears away what it left. */
async function runFile(file) {
  const startedMs = Date.now();
  const { limitSeconds } = ruleFor(file);
  // A short name: Unix socket paths below it must stay under 108 bytes.
  const temporary = mkdtempSync(join(realpathSync(tmpdir()), 'jt-'));
  chmodSync(temporary, 0o1777); // As /tmp is: some tests act as another user.
  const events = join(temporary, '.events');
  const args = [
    '--enable-source-maps',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${join(root, 'scripts', 'test-events.mjs')}`,
    `--test-reporter-destination=${events}`,
    join(root, 'dist', file),
  ];
  const env = { ...process.env, TMPDIR: temporary, JANUSFS_TEST_TMP: temporary, NO_COLOR: '1', FORCE_COLOR: '0' };
  // The terminal or CI job may carry a real volume's settings; a test that wants some sets them itself.
  for (const name of Object.keys(env)) {
    if (name.startsWith('JANUSFS_') && name !== 'JANUSFS_TEST_TMP') delete env[name];
  }
  const child = spawn(process.execPath, args, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collect(child);
  const job = { child, temporary };
  running.add(job);
  const ended = await end(child, limitSeconds);
  const cases = readEvents(events);
  const left = clearAway(temporary, child.pid);
  rmSync(temporary, { recursive: true, force: true, maxRetries: 3 });
  running.delete(job);
  return judge({ file, cases, ended, limitSeconds, left, output: output(), seconds: (Date.now() - startedMs) / 1000 });
}

/** Keeps the newest output only: a runaway test must not fill the memory of the run. */
function collect(child) {
  let kept = '';
  const add = (chunk) => {
    kept = (kept + chunk).slice(-OUTPUT_BYTES_MAX);
  };
  child.stdout.setEncoding('utf8').on('data', add);
  child.stderr.setEncoding('utf8').on('data', add);
  return () => kept;
}

/** How the file's process ended: its status or signal, or `timedOut`. Never waits much past the limit. */
function end(child, limitSeconds) {
  return new Promise((resolve) => {
    let timedOut = false;
    const limit = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid, 'SIGKILL');
      // A process stuck in the kernel does not die of SIGKILL until its mount is gone; clearAway sees to that.
      setTimeout(() => resolve({ timedOut }), 5000).unref();
    }, limitSeconds * 1000);
    child.on('error', (error) => {
      clearTimeout(limit);
      resolve({ timedOut, why: error.message });
    });
    child.on('exit', (status, signal) => {
      clearTimeout(limit);
      // One turn more, so that the last output has been read from the pipes; a grandchild may hold them open.
      setTimeout(() => resolve({ timedOut, status, signal }), 50);
    });
  });
}

function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function readEvents(path) {
  try {
    if (statSync(path).size === 0) return [];
  } catch {
    return [];
  }
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line));
}

function judge(result) {
  const tests = result.cases.filter((one) => !one.suite);
  const failed = result.cases.filter((one) => !one.ok && !one.inner).map((one) => ({ name: one.name, why: one.why }));
  const { ended } = result;
  if (ended.timedOut) failed.push({ name: '(the file)', why: `not finished within ${result.limitSeconds} s` });
  else if (ended.status !== 0 && failed.length === 0) {
    failed.push({ name: '(the file)', why: ended.why ?? `ended with ${ended.signal ?? `status ${ended.status}`}` });
  }
  return {
    ...result,
    failed,
    ok: failed.length === 0,
    passed: tests.filter((one) => one.ok && !isSkipped(one)).length,
    skipped: tests.filter(isSkipped),
  };
}

function isSkipped(one) {
  return one.ok && one.skip !== undefined && one.skip !== false;
}

function report(result) {
  const { file, ok, passed, failed, skipped, seconds, left } = result;
  const counts = [`${passed} passed`];
  if (failed.length > 0) counts.push(`${failed.length} failed`);
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
  say(`${ok ? 'ok    ' : 'FAILED'} ${file} (${counts.join(', ')}, ${seconds.toFixed(1)} s)`);
  for (const { name, why } of failed) say(`         ${name}: ${firstLine(why)}`);
  for (const one of left) say(`         warning: left behind ${one}; removed`);
}

function firstLine(text) {
  return String(text ?? '').split('\n')[0];
}

function summarise(results, warnings, patterns, startedMs) {
  const broken = results.filter((result) => !result.ok);
  for (const first of warnings) {
    banner(`warning: ${first.file} failed beside others, passed alone; its first failure`, first.output);
  }
  for (const result of broken) banner(`failed: ${result.file}`, result.output);
  for (const result of results) {
    for (const one of result.skipped) say(`skipped: ${result.file}: ${one.name}: ${one.skip === true ? '' : one.skip}`);
  }
  for (const first of warnings) say(`warning: failed beside others, passed alone: ${first.file}`);
  for (const result of broken) {
    for (const { name, why } of result.failed) say(`failed: ${result.file}: ${name}: ${firstLine(why)}`);
  }
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed.length, 0);
  const skipped = results.reduce((sum, result) => sum + result.skipped.length, 0);
  if (results.length === 0) say(`no test file matches ${patterns.join(' ') || 'dist/test'}`);
  say(`# tests ${passed + failed + skipped}`);
  say(`# files ${results.length}`);
  say(`# pass ${passed}`);
  say(`# fail ${failed}`);
  say(`# skipped ${skipped}`);
  say(`# duration_ms ${Date.now() - startedMs}`);
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

function banner(title, text) {
  say(`\n==== ${title} ====\n${text.trimEnd()}\n==== end ====`);
}

function stopAll(signal) {
  for (const { child, temporary } of running) {
    killGroup(child.pid, 'SIGKILL');
    clearAway(temporary, child.pid);
    rmSync(temporary, { recursive: true, force: true });
  }
  process.stderr.write(`stopped by ${signal}\n`);
  process.exit(1);
}
