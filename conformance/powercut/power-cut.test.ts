import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutRounds } from './cut-rounds.ts';
import { LoopDisk, whyNoPowerCut } from './disk.ts';
import { digestOf, judge } from './oracle.ts';
import { systemOn } from './systems.ts';
import { bytesOf, Workload } from './workload.ts';

const skip = await whyNoPowerCut();
const seed = Number(process.env.JANUSFS_TEST_SEED ?? Math.floor(Math.random() * 1e6));

test('D9: ten power cuts under both doors, from the first second on: nothing acknowledged is lost, nothing is torn', {
  timeout: 500_000,
  skip,
}, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const disk = await LoopDisk.make(1024);
  const system = systemOn(disk, 'up');
  try {
    const figures = await cutRounds(disk, system, { seed, cuts: 10, earlyCuts: 3 });
    assert.deepEqual(figures.wrong, [], `seed ${seed}`);
    assert.equal(figures.cuts, 10);
    assert.ok(figures.bound > 20, `seed ${seed}: only ${figures.bound} operations were acknowledged`);
  } finally {
    await system.kill();
    await disk.end();
  }
});

test('the oracle sees what is lost, torn or from another time', () => {
  const plan = { kind: 'mount', seed: 7, lazyShare: 0 } as const;
  const workload = new Workload(plan);
  const seen = new Map<string, string>();
  const digests = (): void => {
    seen.clear();
    for (const [name, { bytes }] of workload.tree) seen.set(name, digestOf(bytes));
  };
  for (let i = 0; i < 50; i++) workload.apply(workload.next());
  digests();
  assert.equal(judge(seen, { plan, begun: 52, bound: 50 }).wrong, undefined);
  assert.equal(judge(seen, { plan, begun: 50, bound: 40 }).operations, 50);
  assert.notEqual(judge(seen, { plan, begun: 60, bound: 51 }).wrong, undefined, 'an acknowledged operation is lost');
  assert.notEqual(judge(seen, { plan, begun: 49, bound: 40 }).wrong, undefined, 'what was not asked for is there');
  const [name] = seen.keys();
  seen.set(name!, digestOf(bytesOf('other', 10)));
  assert.notEqual(judge(seen, { plan, begun: 60, bound: 40 }).wrong, undefined, 'other bytes');
});
