import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { replaceFile } from '../../src/base/durable-file.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { filesBelow, ROOT } from '../tidy/source-files.ts';

test('a small file is replaced whole, with its mode, and nothing stays beside it', (t) => {
  const directory = temporaryDirectory(t, 'df');
  const path = join(directory, 'volume');
  replaceFile(path, 'first\n', 0o600);
  const before = statSync(path).ino;
  // Left by a cut long ago, and somebody else's.
  const leftover = join(directory, '.volume.77-0123456789ab');
  writeFileSync(leftover, 'half');
  utimesSync(leftover, 1, 1);
  writeFileSync(join(directory, '.volume.mine'), '');
  replaceFile(path, Buffer.from('second\n'), 0o640);
  assert.equal(readFileSync(path, 'utf8'), 'second\n');
  assert.equal(statSync(path).mode & 0o777, 0o640);
  assert.notEqual(statSync(path).ino, before);
  assert.deepEqual(readdirSync(directory).sort(), ['.volume.mine', 'volume']);
  assert.throws(() => replaceFile(join(directory, 'none', 'x'), '', 0o600), { code: 'ENOENT' });
});

/** The system calls that make a thing durable, in order. */
function traced(t: Parameters<typeof temporaryDirectory>[0], code: string): string[] | undefined {
  const log = join(temporaryDirectory(t, 'st'), 'trace');
  const module = JSON.stringify(new URL('../../src/base/durable-file.js', import.meta.url).href);
  const script = `import * as durable from ${module}; ${code}`;
  const calls = 'openat,open,mkdir,rename,renameat2,fsync,fchmod,write,pwrite64';
  const run = spawnSync('strace', [
    '-f',
    '-y',
    '-e',
    calls,
    '-o',
    log,
    process.execPath,
    '--input-type=module',
    '-e',
    script,
  ]);
  if (run.error !== undefined) return undefined;
  assert.equal(run.status, 0, String(run.stderr));
  return readFileSync(log, 'utf8').split('\n');
}

test('a replacement is written, synced, renamed, and its directory synced; new directories are synced in their parents', (t) => {
  const directory = temporaryDirectory(t, 'df');
  const code = `durable.replaceFile('${directory}/f', 'text', 0o600); durable.makeDirectory('${directory}/a/b', 0o700);`;
  const lines = traced(t, code);
  if (lines === undefined) return t.skip('strace is not installed');
  const order = lines
    .filter((line) => line.includes(directory))
    .map((line) => /\b(fsync|rename|mkdir|fchmod|write|pwrite64)\w*\((?:\d+<([^>]*)>|.*)/.exec(line))
    .filter((match) => match !== null)
    .map(
      (match) =>
        `${match[1]!.replace('pwrite64', 'write')} ${(match[2] ?? '').replace(directory, '').replace(/\.f\..*/, 'aside')}`,
    );
  assert.deepEqual(order, [
    ...['fchmod /aside', 'write /aside', 'fsync /aside', 'rename ', 'fsync '],
    ...['mkdir ', 'mkdir ', 'mkdir ', 'fsync /a', 'fsync '],
  ]);
});

test('no source writes a small file in any other way', () => {
  // Points passed are for tests to read.
  const allowed = [
    'src/base/failpoints.ts',
    'src/base/durable-file.ts',
    'src/fuse/mount/mount-vfs.ts',
    'src/fuse/mount/mount-point.ts',
  ];
  const wrong = filesBelow(['src'], /\.ts$/)
    .filter(({ path, text }) => !allowed.includes(path) && /\bwriteFile(Sync)?\b|\bappendFile/.test(text))
    .map(({ path }) => path);
  assert.deepEqual(wrong, [], `in ${ROOT}: use replaceFile of src/base/durable-file.ts`);
});
