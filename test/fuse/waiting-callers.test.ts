import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { type CallerState, callerState, stateBySignals, WaitingCallers } from '../../src/fuse/ops/waiting-callers.ts';
import type { Request } from '../../src/fuse/wire/decode.ts';
import { OP } from '../../src/fuse/wire/protocol.ts';

function status(masks: Record<string, bigint>): string {
  return Object.entries(masks)
    .map(([name, mask]) => `${name}:\t${mask.toString(16).padStart(16, '0')}\n`)
    .join('');
}

const signal = (number: number): bigint => 1n << BigInt(number - 1);

test('a pending signal is fatal unless it is blocked, ignored, caught or harmless', () => {
  const [KILL, TERM, CHLD, URG, ALRM] = [signal(9), signal(15), signal(17), signal(23), signal(14)];
  const none = { SigPnd: 0n, ShdPnd: 0n, SigBlk: 0n, SigIgn: 0n, SigCgt: 0n };
  const state = (masks: Record<string, bigint>) => stateBySignals(status({ ...none, ...masks }));
  assert.equal(state({}), 'alive');
  assert.equal(state({ SigPnd: KILL }), 'dying');
  assert.equal(state({ ShdPnd: TERM }), 'dying');
  assert.equal(state({ SigPnd: ALRM, SigBlk: ALRM }), 'alive');
  assert.equal(state({ ShdPnd: TERM, SigIgn: TERM }), 'alive');
  assert.equal(state({ SigPnd: CHLD | URG }), 'alive');
});

test('a caught signal asks to stop when it is HUP, INT, QUIT or TERM; timers, children and others do not', () => {
  const state = (number: number, masks: Record<string, bigint> = {}) =>
    stateBySignals(
      status({ SigPnd: 0n, ShdPnd: signal(number), SigBlk: 0n, SigIgn: 0n, SigCgt: signal(number), ...masks }),
    );
  for (const number of [1, 2, 3, 15]) assert.equal(state(number), 'stopping');
  for (const number of [10, 12, 14, 17, 18, 20, 23, 26, 27, 28, 29, 32, 34]) assert.equal(state(number), 'alive');
  assert.equal(state(2, { SigBlk: signal(2) }), 'alive');
  assert.equal(state(2, { SigPnd: signal(9) }), 'dying');
});

test('a living process is alive, pid 0 and a process that is gone are unknown', { timeout: 60_000 }, async () => {
  assert.equal(callerState(process.pid), 'alive');
  assert.equal(callerState(0), 'unknown');
  const child = spawn('true');
  await once(child, 'exit');
  assert.equal(callerState(child.pid!), 'unknown');
});

test('who is dying, asked to stop, or unknown and interrupted is let go where it may, not before the second look', () => {
  const [DYING, STOPPING, ALIVE, UNSEEN] = [10, 20, 30, 0];
  const states = new Map<number, CallerState>([
    [DYING, 'dying'],
    [STOPPING, 'stopping'],
    [ALIVE, 'alive'],
    [UNSEEN, 'unknown'],
  ]);
  const request = (pid: number, opcode: number, marks: { interrupted?: boolean; truncates?: boolean } = {}): Request =>
    ({ pid, opcode, interrupted: false, truncates: false, ...marks }) as unknown as Request;
  const interrupted = { interrupted: true };
  const pending = new Map([
    [1, request(DYING, OP.RENAME)],
    [2, request(DYING, OP.FLUSH)],
    [10, request(STOPPING, OP.READ, interrupted)],
    [11, request(STOPPING, OP.FSYNC, interrupted)],
    [12, request(STOPPING, OP.OPEN, interrupted)],
    [13, request(STOPPING, OP.READ)],
    [19, request(STOPPING, OP.GETATTR)],
    [14, request(STOPPING, OP.OPEN, { interrupted: true, truncates: true })],
    [15, request(STOPPING, OP.RENAME, interrupted)],
    [16, request(STOPPING, OP.CREATE, interrupted)],
    [17, request(STOPPING, OP.WRITE, interrupted)],
    [18, request(STOPPING, OP.FLUSH, interrupted)],
    [20, request(ALIVE, OP.READ, interrupted)],
    [30, request(UNSEEN, OP.READ, interrupted)],
    [31, request(UNSEEN, OP.FLUSH, interrupted)],
    [32, request(UNSEEN, OP.RENAME, interrupted)],
    [33, request(UNSEEN, OP.READ)],
  ]);
  const gone: number[] = [];
  const callers = new WaitingCallers({
    pending,
    abandon: (key) => {
      gone.push(key);
      pending.delete(key);
    },
    stateOf: (pid) => states.get(pid)!,
  });
  callers.look();
  assert.deepEqual(gone, []);
  callers.look();
  assert.deepEqual(gone, [1, 2, 10, 11, 12, 13, 30, 31]);
  callers.look();
  assert.deepEqual(gone, [1, 2, 10, 11, 12, 13, 30, 31], 'the others wait for their true answer');
  states.set(ALIVE, 'stopping');
  callers.look();
  assert.deepEqual(gone.slice(8), [20], 'the kernel tells of the first signal only; a later one is found all the same');
});
