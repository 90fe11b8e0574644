import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { killAt, recordCourse } from './kill-at-points.ts';
import { OPERATIONS } from './operations.ts';
import { ServedAgain } from './served.ts';

let served: ServedAgain;

before(async () => {
  served = await ServedAgain.begin();
});
after(() => served.end());

test('D14: killed at any point, an operation of either door is done or not, and what was answered is there', {
  timeout: 400_000,
}, async (t) => {
  /** Points that one of the operations before was killed at: each is met once here, and with every operation by the long run. */
  const met = new Set<string>();
  let killed = 0;
  for (const [i, operation] of OPERATIONS.entries()) {
    const course = await recordCourse(served, operation, `course-${i}`);
    assert.ok(course.points.length > 0, `${operation.name} passes no point`);
    assert.ok(new Set(course.states).size > 1, `${operation.name} changes nothing that is looked at`);
    for (const point of course.points.filter((one) => !met.has(one))) {
      met.add(point);
      const { reached, wrong } = await killAt(served, operation, course, point, `kill-${killed++}`);
      assert.equal(wrong, undefined, `${operation.name}, killed at "${point}"`);
      if (!reached) t.diagnostic(`${operation.name} did not come to "${point}" again`);
    }
  }
  assert.ok(killed > 30, `only ${killed} kills`);
  assert.equal(await served.fsck(), '');
});
