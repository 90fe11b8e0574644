import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LruCache } from '../../src/base/lru.ts';

type Step = { kind: 'set'; key: number; weight: number } | { kind: 'get' | 'delete'; key: number } | { kind: 'clear' };

const keys = fc.integer({ min: 0, max: 12 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('set' as const), key: keys, weight: fc.integer({ min: 0, max: 6 }) }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('get' as const, 'delete' as const), key: keys }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
);

test('entries leave in the order of their last use, whatever was deleted between', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const evicted: number[] = [];
      const cache = new LruCache<number, string>(10, (key) => evicted.push(key));
      let model: { key: number; weight: number }[] = [];
      const gone: number[] = [];
      for (const action of steps) {
        if (action.kind === 'clear') {
          cache.clear();
          model = [];
        } else if (action.kind === 'set') {
          cache.set(action.key, `v${action.key}`, action.weight);
          model = model.filter((entry) => entry.key !== action.key);
          model.push({ key: action.key, weight: action.weight });
          while (model.reduce((sum, entry) => sum + entry.weight, 0) > 10) gone.push(model.shift()!.key);
        } else if (action.kind === 'get') {
          const index = model.findIndex((entry) => entry.key === action.key);
          assert.equal(cache.get(action.key), index < 0 ? undefined : `v${action.key}`);
          if (index >= 0) model.push(...model.splice(index, 1));
        } else {
          assert.equal(
            cache.delete(action.key),
            model.some((entry) => entry.key === action.key),
          );
          model = model.filter((entry) => entry.key !== action.key);
        }
        assert.deepEqual(
          [...cache.keys()],
          model.map((entry) => entry.key),
        );
        assert.deepEqual(evicted, gone);
      }
    }),
    { numRuns: 300 },
  );
});
