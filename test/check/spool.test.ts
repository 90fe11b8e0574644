import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinByKey, Spool } from '../../src/check/spool.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const compare = (a: readonly number[], b: readonly number[]): number => a[0]! - b[0]! || a[1]! - b[1]!;

test('rows come sorted, each once, whatever the size of the runs', { timeout: 60_000 }, (t) => {
  const directory = temporaryDirectory(t, 'spool');
  const rows = fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { maxLength: 300 });
  let count = 0;
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 40 }), (given, runRows) => {
      const spool = new Spool(directory, `s${count++}`, 2, runRows);
      for (const row of given) spool.add(...row);
      const unique = [...new Map(given.map((row) => [row.join(), row])).values()].sort(compare);
      assert.deepEqual([...spool.sorted()], unique);
      assert.deepEqual([...spool.sorted()], unique, 'it can be read again');
      spool.remove();
    }),
    { numRuns: 60 },
  );
});

test('spools are joined by their first number', { timeout: 60_000 }, (t) => {
  const directory = temporaryDirectory(t, 'join');
  const a = new Spool(directory, 'a', 2, 3);
  const b = new Spool(directory, 'b', 2, 3);
  for (const row of [
    [5, 1],
    [2, 9],
    [5, 0],
    [1, 1],
  ] as const)
    a.add(...row);
  for (const row of [
    [5, 7],
    [3, 3],
  ] as const)
    b.add(...row);
  assert.deepEqual(
    [...joinByKey({ a, b })],
    [
      { key: 1, rows: { a: [[1, 1]], b: [] } },
      { key: 2, rows: { a: [[2, 9]], b: [] } },
      { key: 3, rows: { a: [], b: [[3, 3]] } },
      {
        key: 5,
        rows: {
          a: [
            [5, 0],
            [5, 1],
          ],
          b: [[5, 7]],
        },
      },
    ],
  );
});
