import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startUp } from '../cross-frontend/running-up.ts';
import { growth, soak } from './soak.ts';

test('R6: under load from many files and connections memory and descriptors level off, and nothing fails', {
  timeout: 170_000,
}, async (t) => {
  const up = await startUp({ flags: ['--cache-size', '16MiB', '--buffer-size', '16MiB'] });
  try {
    const before = Date.now();
    const figures = await soak(up, { ms: 30_000, files: 1_000, connections: 50 });
    assert.deepEqual(figures.failures, []);
    assert.ok(figures.operations > 500, `${figures.operations} operations in ${Date.now() - before} ms`);
    const [rss, descriptors] = [
      figures.samples.map(({ rssMib }) => rssMib),
      figures.samples.map((one) => one.descriptors),
    ];
    t.diagnostic(`${figures.operations} operations, rss ${rss.at(-1)} MiB, ${descriptors.at(-1)} descriptors`);
    assert.ok(growth(rss) < 0.5, `rss ${rss}`);
    assert.ok(growth(descriptors) < 0.2, `descriptors ${descriptors}`);
  } finally {
    await up.end();
  }
});
