import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Semaphore, SingleFlight } from '../../src/base/limits.ts';

const BOUNDED = { timeout: 60_000 };

test('a semaphore lets in what fits and the rest in order', BOUNDED, async () => {
  const semaphore = new Semaphore(10);
  const order: string[] = [];
  assert.equal(semaphore.acquire(6), undefined);
  const second = semaphore.acquire(6)!.then(() => order.push('6'));
  // It would fit, but must not overtake: a heavy request would starve behind light ones.
  const third = semaphore.acquire(1)!.then(() => order.push('1'));
  assert.equal(semaphore.waiting, 2);
  semaphore.release(6);
  await Promise.all([second, third]);
  assert.deepEqual(order, ['6', '1']);
  assert.equal(semaphore.used, 7);
});

test('a request heavier than the limit is let through alone', BOUNDED, async () => {
  const semaphore = new Semaphore(10);
  assert.equal(semaphore.acquire(3), undefined);
  const heavy = semaphore.acquire(50)!;
  semaphore.release(3);
  await heavy;
  const light = semaphore.acquire(1)!;
  assert.equal(semaphore.waiting, 1);
  semaphore.release(50);
  await light;
});

test('a semaphore gives back what a failing task held', BOUNDED, async () => {
  const semaphore = new Semaphore(1);
  await assert.rejects(
    semaphore.with(1, async () => Promise.reject(new Error('task'))),
    /task/,
  );
  assert.equal(semaphore.used, 0);
});

test('single flight runs one task per key at a time and shares its outcome', BOUNDED, async () => {
  const flights = new SingleFlight<string, number>();
  let runs = 0;
  let finish: (value: number) => void = () => {};
  const task = (): Promise<number> => {
    runs++;
    return new Promise((resolve) => {
      finish = resolve;
    });
  };
  const both = Promise.all([flights.do('a', task), flights.do('a', task)]);
  finish(7);
  assert.deepEqual(await both, [7, 7]);
  assert.equal(runs, 1);
  const failing = async (): Promise<number> => Promise.reject(new Error('not kept'));
  await assert.rejects(flights.do('a', failing), /not kept/);
  assert.equal(await flights.do('a', async () => 8), 8);
});
