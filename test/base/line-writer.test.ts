import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LineWriter } from '../../src/base/line-writer.ts';
import { afterwards } from '../support/clean-up.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
/** Longer than what a pipe takes in one piece, so that a line may be cut. */
const LINE = `${'x'.repeat(6_000)}\n`;

test('lines for a reader that stands still are counted, and never joined to others', (t) => {
  const path = join(temporaryDirectory(t, 'lw'), 'pipe');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  const reader = openSync(path, O_RDONLY | O_NONBLOCK);
  const writer = openSync(path, O_WRONLY | O_NONBLOCK);
  afterwards(t, () => {
    closeSync(writer);
  });
  const lines = new LineWriter(writer, (count) => `${count} lost\n`);
  for (let i = 0; i < 100; i++) lines.write(LINE);
  const first = drain(reader).split('\n');
  const whole = first.filter((line) => `${line}\n` === LINE).length;
  assert.ok(whole >= 5 && whole < 100, `${whole} whole lines`);
  lines.write('after\n');
  const rest = drain(reader);
  assert.equal(rest.replace(/^\n/, ''), `${100 - whole} lost\nafter\n`);
  closeSync(reader);
  lines.write('nobody reads this\n');
});

test('lines for a full disk are counted', () => {
  const full = openSync('/dev/full', 'w');
  const notes: number[] = [];
  const lines = new LineWriter(full, (count) => {
    notes.push(count);
    return '';
  });
  lines.write('one\n');
  lines.write('two\n');
  closeSync(full);
  lines.write('three\n');
  assert.deepEqual(notes, [1, 1]);
});

function drain(descriptor: number): string {
  const parts: Buffer[] = [];
  for (;;) {
    const part = Buffer.alloc(1 << 16);
    try {
      const length = readSync(descriptor, part);
      if (length === 0) break;
      parts.push(part.subarray(0, length));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      break;
    }
  }
  return Buffer.concat(parts).toString();
}
