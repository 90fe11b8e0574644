import assert from 'node:assert/strict';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { cutRounds } from './cut-rounds.ts';
import { LoopDisk, whyNoPowerCut } from './disk.ts';
import { digestOf, judge } from './oracle.ts';
import { type System, systemOn } from './systems.ts';
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

test('D9: a cut while the disk is full: it starts again, what was acknowledged is there, and deleting makes room', {
  timeout: 170_000,
  skip,
}, async () => {
  const disk = await LoopDisk.make(96);
  const system = systemOn(disk, 'up');
  try {
    await system.start();
    mkdirSync(system.directory);
    const acknowledged = fillUp(system.directory);
    assert.ok(acknowledged.length > 3, `${acknowledged.length} files before the disk was full`);
    disk.cut([]);
    await system.kill();
    await disk.remount();
    await system.start();
    for (const name of acknowledged) {
      const bytes = readFileSync(join(system.directory, name));
      assert.ok(bytes.equals(bytesOf(name, FILL_BYTES)), name);
    }
    for (const name of acknowledged.slice(1)) unlinkSync(join(system.directory, name));
    const { Body } = await putWhenThereIsRoom(system);
    assert.equal(Body, 'room again');
  } finally {
    await system.kill();
    await disk.end();
  }
});

const FILL_BYTES = 3_000_000;

/** Writes synced files until there is no room. @returns those that fsync acknowledged. */
function fillUp(directory: string): string[] {
  const names: string[] = [];
  for (;;) {
    const name = `fill${names.length}`;
    try {
      const descriptor = openSync(join(directory, name), 'w');
      try {
        for (let done = 0; done < FILL_BYTES; ) done += writeSync(descriptor, bytesOf(name, FILL_BYTES), done);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      names.push(name);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      return names;
    }
  }
}

/** What was deleted is freed within seconds. */
async function putWhenThereIsRoom(system: System): Promise<{ Body: string }> {
  const target = { Bucket: 'bkt', Key: 'after' };
  for (let tries = 0; ; tries++) {
    try {
      await system.s3!.send(new PutObjectCommand({ ...target, Body: 'room again' }));
      const reply = await system.s3!.send(new GetObjectCommand(target));
      return { Body: await reply.Body!.transformToString() };
    } catch (error) {
      if (tries > 60) throw error;
      await sleep(1_000);
    }
  }
}

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
