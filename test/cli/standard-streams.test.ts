import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MAIN, type Started, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { janusfs, readyFields, serving } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const BOUNDED = { timeout: 240_000 };

interface Up extends Started {
  data: string;
  mnt: string;
}

async function up(t: TestContext, more: string[] = [], env: Record<string, string> = {}): Promise<Up> {
  const root = temporaryDirectory(t, 'ss');
  const [data, mnt] = [join(root, 'data'), join(root, 'mnt')];
  const started = await serving(t, ['up', '--data', data, '--mount', mnt, '--listen', '127.0.0.1:0', ...more], env);
  return { ...started, data, mnt };
}

/** Both doors work, and so does a proper stop. */
async function worksAndStops({ child, ready, mnt }: Up): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const answer = await fetch(`${readyFields(ready).endpoint}/bkt/nothing-${i}`);
    assert.equal(answer.status, 403);
  }
  mkdirSync(join(mnt, 'bkt'), { recursive: true });
  writeFileSync(join(mnt, 'bkt', 'file'), 'text');
  assert.equal(readFileSync(join(mnt, 'bkt', 'file'), 'utf8'), 'text');
  assert.equal(child.exitCode, null);
  assert.equal(await stopChild(child), 0);
}

test('R7: a serving process goes on when nobody reads its log any more', BOUNDED, async (t) => {
  const started = await up(t, ['--log-level', 'debug'], { JANUSFS_TRACE: '1' });
  started.child.stderr!.destroy();
  started.child.stdout!.destroy();
  await worksAndStops(started);
});

test('R7: it goes on when its log is on a full disk', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'ss');
  const paths = ['--data', join(root, 'data'), '--mount', join(root, 'mnt')];
  const given = ['up', ...paths, '--listen', '127.0.0.1:0', '--background', '--log-level', 'debug'];
  const { status, stdout, stderr } = await janusfs([...given, '--log-file', '/dev/full'], { JANUSFS_TRACE: '1' });
  assert.equal(status, 0, stderr);
  const answer = await fetch(`${readyFields(stdout).endpoint}/_janusfs/health`);
  assert.equal(answer.status, 200);
  writeFileSync(join(root, 'mnt', 'file'), 'text');
  const stopped = await janusfs(['umount', join(root, 'mnt')]);
  assert.equal(stopped.status, 0, stopped.stderr);
});

test(
  'R7: a reader of the log that stands still stops nothing, and is told how many lines it missed',
  BOUNDED,
  async (t) => {
    const started = await up(t, [], { JANUSFS_TRACE: '1' });
    started.child.stderr!.pause();
    // Each is a line of some 80 bytes; what the kernel takes for a reader that stands still is a fraction of it.
    for (let i = 0; i < 8000; i++) assert.equal(existsSync(join(started.mnt, `absent-${i}`)), false);
    started.child.stderr!.resume();
    const text = (): string => started.stderr.join('');
    await until(() => {
      existsSync(join(started.mnt, `absent-${Math.random()}`));
      return /^trace lines=\d+ could not be written$/m.test(text());
    }, 'a line that tells of lost ones');
    await worksAndStops(started);
  },
);

test('a command whose output goes nowhere says so in one line, and its exit status does', BOUNDED, async (t) => {
  const { data } = await up(t);
  const full = openSync('/dev/full', 'w');
  for (const [command, failed] of [
    [['status'], 1],
    [['dump'], 1],
    [['fsck'], 8],
    [['fsck', '--json'], 8],
    [['user', 'list'], 1],
  ] as const) {
    const run = runTo(full, [...command, '--data', data]);
    assert.equal(run.status, failed, `${command.join(' ')}: ${run.stderr}`);
    assert.match(run.stderr, /^janusfs: cannot write to standard output: ENOSPC.*\n$/);
  }
  assert.equal(runTo(full, ['--help']).status, 1);
  assert.equal(runTo(full, ['version']).status, 1);
  closeSync(full);
  // Whoever has read enough has no wish to be told.
  const piped = spawnSync('sh', [
    '-c',
    '{ "$@"; echo "status $?" >&2; } | true',
    'sh',
    process.execPath,
    MAIN,
    'status',
    '--data',
    data,
  ]);
  assert.equal(String(piped.stderr), 'status 1\n');
  // Nor is a failure hidden by a standard error that goes nowhere.
  const deaf = spawnSync('sh', ['-c', '"$@" 2>/dev/full', 'sh', process.execPath, MAIN, 'nonsense']);
  assert.equal(deaf.status, 2);
});

function runTo(descriptor: number, args: string[]): { status: number | null; stderr: string } {
  const run = spawnSync(process.execPath, [MAIN, ...args], { stdio: ['ignore', descriptor, 'pipe'], timeout: 60_000 });
  return { status: run.status, stderr: String(run.stderr) };
}

test('what --output names is replaced when it is a file, and written to when it is none', BOUNDED, async (t) => {
  const { data } = await up(t);
  const root = temporaryDirectory(t, 'so');
  const at = (name: string): string => join(root, name);
  const dump = (path: string): ReturnType<typeof janusfs> => janusfs(['dump', '--data', data, '--output', path]);

  writeFileSync(at('file'), 'older', { mode: 0o644 });
  symlinkSync('file', at('link'));
  assert.equal((await dump(at('link'))).status, 0);
  assert.equal(readFileSync(at('file')).readUInt16BE(0), 0x1f8b, 'the target of the link holds the dump');
  assert.equal(statSync(at('file')).mode & 0o777, 0o600);

  assert.equal(spawnSync('mkfifo', [at('pipe')]).status, 0);
  const [written, bytes] = await Promise.all([dump(at('pipe')), bytesOf(at('pipe'))]);
  assert.equal(written.status, 0, written.stderr);
  assert.equal(bytes.readUInt16BE(0), 0x1f8b);
  assert.ok(statSync(at('pipe')).isFIFO());

  assert.equal((await dump('/dev/null')).status, 0);
  assert.ok(statSync('/dev/null').isCharacterDevice());
  const refused: [string, RegExp][] = [
    ['/dev/full', /^janusfs: cannot write \/dev\/full: ENOSPC/],
    [root, /^janusfs: cannot write .*: it is a directory\n$/],
    [at('none/x'), /^janusfs: cannot write .*none\/x: ENOENT/],
  ];
  for (const [path, message] of refused) {
    const run = await dump(path);
    assert.equal(run.status, 1);
    assert.match(run.stderr, message);
  }
  assert.ok(statSync('/dev/full').isCharacterDevice());
  assert.deepEqual(readdirSync(root).sort(), ['file', 'link', 'pipe']);
});

async function bytesOf(fifo: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  const stream = createReadStream(fifo).on('data', (part) => parts.push(part as Buffer));
  await once(stream, 'end');
  return Buffer.concat(parts);
}
