/** Random operations through random doors with faults between and during them, against one map from names to bytes. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { DOORS, type Door, type DoorIndex, type FourDoors } from './four-doors.ts';

/** A mount of another process hears of a change by push. */
const SEEN_MS = 3_000;

const name = fc.constantFrom('a', 'b', 'c.txt', 'ü ä', 'z+%20');
const door = fc.constantFrom<DoorIndex>(...DOORS);
const length = fc.oneof(
  { weight: 6, arbitrary: fc.nat(5_000) },
  { weight: 2, arbitrary: fc.integer({ min: 60_000, max: 200_000 }) },
  { weight: 1, arbitrary: fc.constant(4_300_000) },
);
const seed = fc.nat(1_000_000);
/** What happens while the operation is under way, or before it. */
const fault = fc.oneof(
  { weight: 40, arbitrary: fc.constant('none' as const) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('pause redis', 'restart redis', 'kill 0', 'kill 1', 'suspend 0', 'suspend 1'),
  },
);

const step = fc.record({
  kind: fc.oneof(
    { weight: 5, arbitrary: fc.constant('write' as const) },
    { weight: 2, arbitrary: fc.constantFrom('append', 'truncate', 'remove', 'rename', 'copy') },
    { weight: 2, arbitrary: fc.constantFrom('race writes', 'race write and remove') },
  ),
  at: door,
  other: door,
  name,
  to: name,
  seed,
  length,
  fault,
});
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

export const steps = fc.array(step, { minLength: 1, maxLength: 14 });

type Model = Map<string, Buffer>;

function bytesOf(of: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, createHash('sha256').update(String(of)).digest());
}

/** Does the steps and compares. @throws Error with what differs, at which door. */
export async function compareWithModel(doors: FourDoors, bucket: string, list: readonly Step[]): Promise<void> {
  await doors.fresh(bucket);
  const model: Model = new Map();
  for (const one of list) {
    await during(doors, one.fault, () => apply(doors, model, one));
    for (const touched of new Set([one.name, one.to])) await shows(doors.door(one.other), one.other, model, touched);
  }
  for (const index of DOORS) {
    for (const touched of ['a', 'b', 'c.txt', 'ü ä', 'z+%20']) await shows(doors.door(index), index, model, touched);
    await lists(doors.door(index), index, model);
  }
}

async function during(doors: FourDoors, what: Step['fault'], run: () => Promise<void>): Promise<void> {
  const [verb, which] = what.split(' ') as [string, string | undefined];
  if (verb === 'kill') await doors.killAndStart(Number(which));
  if (verb === 'restart') {
    await doors.redis.kill();
    await doors.redis.start();
  }
  if (verb === 'suspend') await Promise.all([doors.suspend(Number(which), 200), run()]);
  else if (verb === 'pause') {
    doors.redis.pause();
    const running = run();
    await sleep(200);
    doors.redis.resume();
    await running;
  } else await run();
}

async function apply(doors: FourDoors, model: Model, one: Step): Promise<void> {
  const at = doors.door(one.at);
  const bytes = bytesOf(one.seed, one.length);
  const there = model.get(one.name);
  // A mount may not have heard yet of what another door has done: what it answers is compared when it has.
  if (at.kind === 'mount') await shows(at, one.at, model, one.name);
  switch (one.kind) {
    case 'write':
      await at.write(one.name, bytes);
      model.set(one.name, bytes);
      return;
    case 'append':
      await at.append(one.name, bytes.subarray(0, 3_000));
      model.set(one.name, Buffer.concat([there ?? Buffer.alloc(0), bytes.subarray(0, 3_000)]));
      return;
    case 'truncate': {
      expect(one, await at.truncate(one.name, one.length), there === undefined ? 'missing' : 'done');
      if (there === undefined) return;
      const cut = Buffer.alloc(one.length);
      there.copy(cut);
      model.set(one.name, cut);
      return;
    }
    case 'remove':
      expect(one, await at.remove(one.name), there === undefined && at.kind === 'mount' ? 'missing' : 'done');
      model.delete(one.name);
      return;
    case 'rename':
    case 'copy':
      expect(one, await at[one.kind](one.name, one.to), there === undefined ? 'missing' : 'done');
      if (there === undefined) return;
      model.set(one.to, there);
      if (one.kind === 'rename' && one.to !== one.name) model.delete(one.name);
      return;
    case 'race writes':
    case 'race write and remove':
      await race(doors, model, one, bytes);
  }
}

/** Two at once on one name: afterwards it is as if one had come after the other, and every door agrees which. */
async function race(doors: FourDoors, model: Model, one: Step, bytes: Buffer): Promise<void> {
  const [first, second] = [doors.door(one.at), doors.door(one.other)];
  const rival = bytesOf(one.seed + 1, Math.max(1, one.length >> 1));
  await Promise.all([
    first.write(one.name, bytes),
    one.kind === 'race writes' ? second.write(one.name, rival) : second.remove(one.name),
  ]);
  const outcomes = [bytes, one.kind === 'race writes' ? rival : undefined];
  const is = await doors.door(2).read(one.name);
  const isAllowed =
    outcomes.some((outcome) => isSame(outcome, is)) || isTruncationRace(first, second, one, is, outcomes);
  if (!isAllowed)
    throw new Error(`after ${JSON.stringify(one)}: ${one.name} is ${summary(is)}, of ${outcomes.map(summary)}`);
  if (is === undefined) model.delete(one.name);
  else model.set(one.name, is);
}

/**
 * Two programs that open one file with O_TRUNC and write share it, as on any disk: its bytes may be of both, and it is as long as the longer.
 * Close-to-open makes no other promise of that.
 */
function isTruncationRace(
  first: Door,
  second: Door,
  one: Step,
  is: Buffer | undefined,
  outcomes: readonly (Buffer | undefined)[],
): boolean {
  if (one.kind !== 'race writes' || first.kind !== 'mount' || second.kind !== 'mount' || is === undefined) return false;
  return outcomes.some((outcome) => outcome!.length >= is.length) || is.length === 0;
}

function expect(one: Step, is: string, wanted: string): void {
  if (is !== wanted) throw new Error(`${JSON.stringify(one)} answered ${is}, not ${wanted}`);
}

/** The door shows what the model says of the name: S3 at once, a mount within SEEN_MS. */
async function shows(at: Door, index: DoorIndex, model: Model, of: string): Promise<void> {
  const wanted = model.get(of);
  for (const end = Date.now() + (at.kind === 'mount' ? SEEN_MS : 0); ; await sleep(5)) {
    const is = await at.read(of);
    if (isSame(is, wanted)) return;
    if (Date.now() >= end) throw new Error(`door ${index} shows ${of} as ${summary(is)}, not ${summary(wanted)}`);
  }
}

async function lists(at: Door, index: DoorIndex, model: Model): Promise<void> {
  const wanted = [...model.keys()].sort().join();
  for (const end = Date.now() + (at.kind === 'mount' ? SEEN_MS : 0); ; await sleep(5)) {
    const is = (await at.list()).sort().join();
    if (is === wanted) return;
    if (Date.now() >= end) throw new Error(`door ${index} lists ${is}, not ${wanted}`);
  }
}

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

function summary(bytes: Buffer | undefined): string {
  return bytes === undefined
    ? 'nothing'
    : `${bytes.length} bytes ${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}`;
}
