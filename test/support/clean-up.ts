import type { TestContext } from 'node:test';

const stacks = new WeakMap<TestContext, (() => unknown)[]>();

/**
 * Has `undo` run after the test, newest first, each even when another fails. node:test itself runs `after` hooks oldest
 * first and stops at the first failure: a directory would be removed before what is mounted in it.
 */
export function afterwards(t: TestContext, undo: () => unknown): void {
  const known = stacks.get(t);
  if (known !== undefined) {
    known.push(undo);
    return;
  }
  const stack = [undo];
  stacks.set(t, stack);
  t.after(async () => {
    const failures: unknown[] = [];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      try {
        await next();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  });
}
