/**
 * For each operation of both doors: which points it passes, and, with the process killed at each of them, whether what is there after
 * a restart is a state between what was acknowledged and what was asked for.
 */
import { open, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { look, type Operation, type Place } from './operations.ts';
import type { ServedAgain } from './served.ts';

/** A process that failed an operation has died by then. */
const DEATH_MS = 5_000;
/** Work of the session itself, which goes on beside any operation. */
const BESIDE =
  /session-renew|session-open|describe|sessions$|lease$|reap$|reap-now|dead-slices|inline-slices|mounts?$|\.json$/;

/** The states of a bucket before the operation and after each of its steps, and the points on the way. */
export interface Course {
  states: string[];
  points: string[];
}

export async function recordCourse(served: ServedAgain, operation: Operation, bucket: string): Promise<Course> {
  const place = await prepared(served, operation, bucket);
  const states = [await look(place)];
  const points = new Set<string>();
  for (const step of operation.steps) {
    served.passed();
    await step.run(place);
    for (const point of served.passed()) if (!BESIDE.test(point)) points.add(point);
    states.push(await look(place));
  }
  return { states, points: [...points] };
}

/**
 * Kills at one point.
 * @returns what is wrong afterwards, and whether the point was come to; a state that must not be is described by its difference.
 */
export async function killAt(
  served: ServedAgain,
  operation: Operation,
  course: Course,
  point: string,
  bucket: string,
): Promise<{ reached: boolean; wrong: string | undefined }> {
  let place = await prepared(served, operation, bucket);
  served.arm(point);
  let bound = 0;
  let begun = 0;
  for (const step of operation.steps) {
    begun += 1;
    try {
      await step.run(place);
    } catch (error) {
      if (!(await served.died(DEATH_MS))) return { reached: false, wrong: `failed and did not die: ${error}` };
      break;
    }
    if (step.binds !== false) bound = begun;
  }
  await place.handle?.close().catch(() => {});
  const reached = served.isDead || (await served.died(100));
  if (reached) await served.again();
  else served.disarm();
  place = placeOf(served, bucket);
  const state = await look(place);
  const allowed = course.states.slice(bound, begun + 1);
  if (allowed.includes(state)) return { reached, wrong: undefined };
  const wrong = `is\n${state}\nand may be\n${allowed.join('\nor\n')}`;
  return { reached, wrong };
}

async function prepared(served: ServedAgain, operation: Operation, bucket: string): Promise<Place> {
  const place = placeOf(served, bucket);
  await place.s3.send(new CreateBucketCommand({ Bucket: bucket }));
  await operation.prepare?.(place);
  return place;
}

function placeOf(served: ServedAgain, bucket: string): Place {
  return { s3: served.s3, bucket, dir: join(served.mount, bucket) };
}

/** Background work that rewrites what the operations left, and its points. */
export const BACKGROUND_POINTS: readonly string[] = [
  'send pack-begin',
  'done pack-begin',
  'send pack-swap',
  'done pack-swap',
  'send pack-end',
  'done pack-end',
  'send compact-chunk',
  'done compact-chunk',
  'send reap',
  'done reap',
  'send session-end',
  'done session-end',
  'send reap-now',
  'done reap-now',
  'send dead-slices',
  'done dead-slices',
  'delete blocks',
  'deleted blocks',
  'send forget-slices',
  'done forget-slices',
];

/** Files that stay and one that goes: something to pack, to free and to delete. */
export async function giveWork(served: ServedAgain, bucket: string): Promise<void> {
  const { s3, dir } = placeOf(served, bucket);
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  await writeFile(join(dir, 'gone'), Buffer.alloc(9_000_000, 1));
  await writeFile(join(dir, 'patched'), Buffer.alloc(300_000, 1));
  await Promise.all(Array.from({ length: 400 }, (_, i) => writeFile(join(dir, `f${i}`), Buffer.alloc(3000, i))));
  await unlink(join(dir, 'gone'));
}

/** Something to compact: many small writes of the bytes that are there. Ends when the process is killed. */
export async function patchAtRandom(served: ServedAgain, bucket: string): Promise<void> {
  const handle = await open(join(placeOf(served, bucket).dir, 'patched'), 'r+');
  try {
    for (let i = 0; i < 150; i++) {
      await handle.write(Buffer.alloc(700, 1), 0, 700, i * 1500);
      await handle.sync();
    }
  } catch (error) {
    if (!(await served.died(DEATH_MS))) throw error;
  } finally {
    await handle.close().catch(() => {}); // Its mount may be gone.
  }
}

/** Waits for the kill of an armed point of the background. */
export async function diesWithin(served: ServedAgain, ms: number): Promise<boolean> {
  for (let waited = 0; waited < ms; waited += 100) {
    if (served.isDead) return true;
    await sleep(100);
  }
  return false;
}

export async function lookAgain(served: ServedAgain, bucket: string): Promise<string> {
  return look(placeOf(served, bucket));
}
