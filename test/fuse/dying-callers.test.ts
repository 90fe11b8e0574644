import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { type CallerState, callerState, DyingCallers, hasFatalSignal } from '../../src/fuse/ops/dying-callers.ts';
import type { Request } from '../../src/fuse/wire/decode.ts';

function status(masks: Record<string, bigint>): string {
  return Object.entries(masks)
    .map(([name, mask]) => `${name}:\t${mask.toString(16).padStart(16, '0')}\n`)
    .join('');
}

const signal = (number: number): bigint => 1n << BigInt(number - 1);

test('a pending signal is fatal unless it is blocked, ignored, caught or harmless', () => {
  const [KILL, TERM, CHLD, URG, ALRM] = [signal(9), signal(15), signal(17), signal(23), signal(14)];
  assert.equal(hasFatalSignal(status({ SigPnd: 0n, ShdPnd: 0n, SigBlk: 0n, SigIgn: 0n, SigCgt: 0n })), false);
  assert.equal(hasFatalSignal(status({ SigPnd: KILL, ShdPnd: 0n, SigBlk: 0n, SigIgn: 0n, SigCgt: 0n })), true);
  assert.equal(hasFatalSignal(status({ SigPnd: 0n, ShdPnd: TERM, SigBlk: 0n, SigIgn: 0n, SigCgt: 0n })), true);
  assert.equal(hasFatalSignal(status({ SigPnd: 0n, ShdPnd: TERM, SigBlk: 0n, SigIgn: 0n, SigCgt: TERM })), false);
  assert.equal(hasFatalSignal(status({ SigPnd: ALRM, ShdPnd: 0n, SigBlk: ALRM, SigIgn: 0n, SigCgt: 0n })), false);
  assert.equal(hasFatalSignal(status({ SigPnd: CHLD | URG, ShdPnd: 0n, SigBlk: 0n, SigIgn: 0n, SigCgt: 0n })), false);
});

test('a living process is alive, pid 0 and a process that is gone are unknown', { timeout: 60_000 }, async () => {
  assert.equal(callerState(process.pid), 'alive');
  assert.equal(callerState(0), 'unknown');
  const child = spawn('true');
  await once(child, 'exit');
  assert.equal(callerState(child.pid!), 'unknown');
});

test('only who is dying, or unknown and interrupted, is let go, and not before the second look', () => {
  const request = (pid: number, interrupted = false): Request => ({ pid, interrupted }) as unknown as Request;
  const pending = new Map([
    [1, request(10)],
    [2, request(20, true)],
    [3, request(0, true)],
    [4, request(0)],
  ]);
  const states = new Map<number, CallerState>([
    [10, 'dying'],
    [20, 'alive'],
    [0, 'unknown'],
  ]);
  const gone: number[] = [];
  const callers = new DyingCallers({
    pending,
    letGo: (key) => {
      gone.push(key);
      pending.delete(key);
    },
    stateOf: (pid) => states.get(pid)!,
  });
  callers.look();
  assert.deepEqual(gone, []);
  callers.look();
  assert.deepEqual(gone, [1, 3]);
  callers.look();
  assert.deepEqual(gone, [1, 3], 'an interrupt of a caught signal leaves the others waiting');
});
