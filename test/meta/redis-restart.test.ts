import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ROOT_INO, S_IFREG } from '../../src/base/vocabulary.ts';
import { KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
const WRITERS = 8;
let volume: TestVolume;
let m: Member;

before(async () => {
  volume = await testVolume({ appendOnly: true });
  m = await volume.join({ leaseMs: 600_000 });
}, LIMIT);

test('calls under way while Redis is killed and started again wait and are executed once', LIMIT, async () => {
  let stop = false;
  const made: string[] = [];
  const dir = await m.ns.mknod({ parent: ROOT_INO, name: 'd', mode: 0o40755, uid: 0, gid: 0, rdev: 0, caller: KERNEL });
  const parent = dir.entry.attr.ino;
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let i = 0; !stop; i += 1) {
      const name = `${writer}-${i}`;
      // Executed twice it would be EEXIST, failed it would be EIO: either rejects and fails the test.
      await m.ns.mknod({ parent, name, mode: S_IFREG, uid: 0, gid: 0, rdev: 0, caller: KERNEL });
      made.push(name);
    }
  });
  const reached = async (count: number): Promise<void> => {
    while (made.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  for (let crash = 0; crash < 2; crash += 1) {
    await reached(made.length + 100);
    await volume.redis.kill();
    await volume.redis.start();
  }
  await reached(made.length + 100);
  stop = true;
  await Promise.all(writers);

  const found: string[] = [];
  let cursor = '';
  for (;;) {
    const { entries, end } = await m.ns.readdir(parent, cursor, 1_000);
    found.push(...entries.map((entry) => entry.name));
    if (end) break;
    cursor = entries.at(-1)!.cursor;
  }
  assert.deepEqual(found, [...made].sort());
  assert.equal(m.engine.fenced, false);
});
