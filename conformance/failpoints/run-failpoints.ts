/**
 * `node dist/conformance/failpoints/run-failpoints.js`: every operation killed at every point that it passes, and the background work
 * at each of its own; fsck after each. Prints a line for each kill and `N passed, N failed` at the end.
 */
import {
  BACKGROUND_POINTS,
  diesWithin,
  giveWork,
  killAt,
  lookAgain,
  patchAtRandom,
  recordCourse,
} from './kill-at-points.ts';
import { OPERATIONS } from './operations.ts';
import { ServedAgain } from './served.ts';

/** The grace of deleted blocks is in it. */
const BACKGROUND_MS = 120_000;

const served = await ServedAgain.begin();
let [passed, failed, kills] = [0, 0, 0];

function report(what: string, reached: boolean, wrong: string | undefined): void {
  if (wrong === undefined) passed += 1;
  else failed += 1;
  const verdict = wrong === undefined ? (reached ? 'ok' : 'ok, not come to') : `FAILED: ${wrong}`;
  process.stdout.write(`${what}: ${verdict}\n`);
}

try {
  const only = process.argv[2];
  for (const [i, operation] of OPERATIONS.entries()) {
    if (only !== undefined && !operation.name.includes(only)) continue;
    const course = await recordCourse(served, operation, `course-${i}`);
    for (const point of course.points) {
      const { reached, wrong } = await killAt(served, operation, course, point, `kill-${kills++}`);
      report(`${operation.name}, ${point}`, reached, wrong ?? ((await served.fsck()) || undefined));
    }
  }
  await giveWork(served, 'work');
  await patchAtRandom(served, 'work');
  const expected = await lookAgain(served, 'work');
  for (const [i, point] of BACKGROUND_POINTS.entries()) {
    if (only !== undefined && !`background ${point}`.includes(only)) continue;
    await giveWork(served, `work-${i}`);
    served.arm(point);
    await patchAtRandom(served, `work-${i}`);
    const reached = await diesWithin(served, BACKGROUND_MS);
    if (reached) await served.again();
    else served.disarm();
    const state = await lookAgain(served, `work-${i}`);
    const wrong = state === expected ? (await served.fsck()) || undefined : `looks different:\n${state}`;
    report(`background, ${point}`, reached, reached ? wrong : `${wrong ?? ''} never came there`);
  }
} finally {
  await served.end();
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
