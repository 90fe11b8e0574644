import { test } from 'node:test';
import fc from 'fast-check';
import { FourDoors } from './four-doors.ts';
import { compareWithModel, steps } from './random-doors.ts';

const RUNS = Number(process.env.JANUSFS_TEST_RUNS ?? 100);
const seed = Number(process.env.JANUSFS_TEST_SEED ?? Date.now() % 1e9);

test(`V12: ${RUNS} random runs through two mounts and two gateways, with faults: every door shows one and the same volume`, {
  timeout: Math.max(500_000, RUNS * 5_000),
}, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const doors = await FourDoors.open();
  let count = 0;
  try {
    await fc.assert(
      fc.asyncProperty(steps, async (list) => compareWithModel(doors, `run-${count++}`, list)),
      { seed, numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: Math.max(400_000, RUNS * 4_500) },
    );
    await doors.fsck();
  } finally {
    await doors.end();
  }
});
