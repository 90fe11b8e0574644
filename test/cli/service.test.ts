import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { Teardown } from '../../src/cli/service/teardown.ts';

const BOUNDED = { timeout: 60_000 };

test('what was opened last is closed first, and a failure stops nothing', BOUNDED, async () => {
  const order: string[] = [];
  const teardown = new Teardown(silentLogger);
  teardown.add('first', async () => void order.push('first'));
  teardown.add(
    'second',
    async () => Promise.reject(new Error('stuck')),
    () => order.push('second by force'),
  );
  teardown.add('third', async () => void order.push('third'));
  const failures = await teardown.close();
  assert.deepEqual(order, ['third', 'second by force', 'first']);
  assert.deepEqual(
    failures.map((failure) => failure.message),
    ['stuck'],
  );
  assert.deepEqual(await teardown.close(), []);
});

test('force ends what is still open, also the step that close is stuck in', BOUNDED, async () => {
  const forced: string[] = [];
  const teardown = new Teardown(silentLogger);
  let unstick: () => void = () => {};
  teardown.add(
    'redis',
    async () => {},
    () => forced.push('redis'),
  );
  teardown.add(
    'mount',
    () =>
      new Promise((resolve) => {
        unstick = resolve;
      }),
    () => forced.push('mount'),
  );
  const closing = teardown.close();
  teardown.force();
  assert.deepEqual(forced, ['mount', 'redis']);
  unstick();
  await closing;
});
