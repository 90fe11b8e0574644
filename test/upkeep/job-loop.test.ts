import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { type Job, JobLoop } from '../../src/upkeep/job-loop.ts';

const timeout = 30_000;
const LONG_MS = 3_600_000;

/** A job whose rounds the test counts and holds. */
class CountedJob implements Job {
  readonly name = 'counted';
  readonly pauseMs: number;
  rounds = 0;
  fail = false;
  #waiting: (() => void)[] = [];
  hold: Promise<void> | undefined;

  constructor(pauseMs: number) {
    this.pauseMs = pauseMs;
  }

  async round(): Promise<number> {
    this.rounds += 1;
    for (const resolve of this.#waiting.splice(0)) resolve();
    await this.hold;
    if (this.fail) throw new Error('this round failed');
    return LONG_MS;
  }

  /** Resolves when another round begins. */
  begun(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}

test('a round is repeated after its pause, and a failed one is tried again', { timeout }, async () => {
  const job = new CountedJob(1);
  job.fail = true;
  const loop = new JobLoop(job, silentLogger);
  await job.begun();
  await job.begun();
  await loop.stop();
  assert.ok(job.rounds >= 2);
});

test('waking ends a pause; during a round it makes the next one follow at once', { timeout }, async () => {
  const job = new CountedJob(LONG_MS);
  const loop = new JobLoop(job, silentLogger);
  let letGo: () => void = () => {};
  job.hold = new Promise((resolve) => {
    letGo = resolve;
  });
  const first = job.begun();
  loop.wake();
  await first;
  const second = job.begun();
  loop.wake();
  letGo();
  await second;
  await loop.stop();
  assert.equal(job.rounds, 2);
});

test('stop waits for the round under way, and none follows', { timeout }, async () => {
  const job = new CountedJob(LONG_MS);
  const loop = new JobLoop(job, silentLogger);
  let letGo: () => void = () => {};
  job.hold = new Promise((resolve) => {
    letGo = resolve;
  });
  const begun = job.begun();
  loop.wake();
  await begun;
  let isStopped = false;
  const stopped = loop.stop().then(() => {
    isStopped = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isStopped, false);
  letGo();
  await stopped;
  assert.equal(job.rounds, 1);
});
