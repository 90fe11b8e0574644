import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { type Ino, ROOT_INO } from '../../src/base/vocabulary.ts';
import { KERNEL } from '../support/callers.ts';
import type { TestVolume } from '../support/volume.ts';
import {
  type ContentMember,
  contentMember,
  contentVolume,
  makeFile,
  packAll,
  readFile,
  type Store,
  writeInline,
  writeStored,
} from './content-fixture.ts';
import { checkVolume } from './volume-check.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let m: ContentMember;
let fileCount = 0;

before(async () => {
  ({ volume, m } = await contentVolume());
}, LIMIT);

async function removedFile(): Promise<Ino> {
  fileCount += 1;
  const { ino } = await makeFile(m, `gone${fileCount}`);
  await writeInline(m, ino, 0, Buffer.from('bytes'));
  await m.ns.unlink(ROOT_INO, `gone${fileCount}`, 'primary', KERNEL);
  return ino;
}

async function exists(ino: Ino): Promise<boolean> {
  return m.ns.getattr(ino).then(
    () => true,
    (error) => {
      assert.ok(isFsError(error, 'ENOENT'), `${error}`);
      return false;
    },
  );
}

test(
  'the only session frees what it removed at once; another session that could have it open prevents that',
  LIMIT,
  async () => {
    const alone = await removedFile();
    await m.upkeep.reapNow([alone, 2 ** 40]);
    assert.equal(await exists(alone), false);
    const other = await contentMember(volume);
    const shared = await removedFile();
    await m.upkeep.reapNow([shared]);
    assert.equal(await exists(shared), true, 'the other session may have it open');
    await other.close();
    await m.upkeep.reapNow([shared]);
    assert.equal(await exists(shared), false);
    await checkVolume(m.engine);
  },
);

test('an inode that a session keeps is freed after that session has ended', LIMIT, async () => {
  const other = await contentMember(volume);
  const ino = await removedFile();
  await other.ns.sustain([ino]);
  await m.upkeep.reap(100);
  assert.equal(await exists(ino), true);
  await other.close();
  await m.upkeep.reap(100);
  assert.equal(await exists(ino), false);
  await checkVolume(m.engine);
});

test('a lease has one holder until it runs out', LIMIT, async () => {
  const other = await contentMember(volume);
  assert.equal(await m.upkeep.lease('job', 600_000), true);
  assert.equal(await m.upkeep.lease('job', 600_000), true, 'its holder renews it');
  assert.equal(await other.upkeep.lease('job', 1), false);
  assert.equal(await m.upkeep.lease('job', 1), true);
  let taken = false;
  for (let i = 0; i < 10_000 && !taken; i++) taken = await other.upkeep.lease('job', 600_000);
  assert.equal(taken, true);
  await other.close();
});

test('inline bytes of a session that is gone are found by their age', LIMIT, async () => {
  const store: Store = new Map();
  const other = await contentMember(volume);
  const { ino } = await makeFile(other, 'left-behind');
  await writeInline(other, ino, 0, Buffer.from('left'));
  await other.close();
  assert.deepEqual(await m.upkeep.inlineSlices('own', 0, 10), []);
  assert.deepEqual(await m.upkeep.inlineSlices('any', 3_600_000, 10), [], 'too young');
  const [slice] = await m.upkeep.inlineSlices('any', 0, 10);
  assert.deepEqual([slice?.ino, slice?.sizeBytes], [ino, 4]);
  assert.equal(await packAll(m, store), 1);
  assert.equal((await readFile(m, store, ino)).toString(), 'left');
});

test(
  'a pack whose upload took too long is given up: what it holds stays, what it does not is refused',
  LIMIT,
  async () => {
    const first = await makeFile(m, 'packed');
    const second = await makeFile(m, 'unpacked');
    const one = await writeInline(m, first.ino, 0, Buffer.from('one'));
    const two = await writeInline(m, second.ino, 0, Buffer.from('two'));
    const swap = (ino: Ino, inlineId: number, packOffset: number) => ({
      ino,
      chunkIndex: 0,
      inlineId,
      packOffset,
      sizeBytes: 3,
    });
    const packId = await m.upkeep.packBegin();
    await m.upkeep.packSwap(packId, 6, [swap(first.ino, one.inlineIds[0]!, 0)]);
    await m.engine.command('ZADD', [m.engine.key('pkup'), 0, `${packId}:${m.engine.sid}`]);
    await m.upkeep.reap(100);
    await assert.rejects(m.upkeep.packSwap(packId, 6, [swap(second.ino, two.inlineIds[0]!, 3)]), (error) =>
      isFsError(error, 'ESTALE'),
    );
    const store: Store = new Map([[packId, Buffer.from('onetwo')]]);
    assert.equal((await readFile(m, store, first.ino)).toString(), 'one');
    assert.equal((await readFile(m, store, second.ino)).toString(), 'two');
    await m.ns.setattr(first.ino, { size: 0 }, KERNEL);
    assert.ok((await m.upkeep.deadSlices(100)).some((slice) => slice.id === packId));
    await checkVolume(m.engine);
  },
);

test('the inline budget is a tenth of a small maxmemory', LIMIT, async () => {
  assert.equal(m.inline.budgetBytes, 256 * 1024 * 1024);
  await m.engine.command('CONFIG', ['SET', 'maxmemory', 500_000_000]);
  const other = await contentMember(volume);
  await m.engine.command('CONFIG', ['SET', 'maxmemory', 0]);
  assert.equal(other.inline.budgetBytes, 50_000_000);
  await other.close();
});

test('reaping is bounded and says when more waits', LIMIT, async () => {
  for (let i = 0; i < 5; i++) await removedFile();
  assert.deepEqual(await m.upkeep.reap(2), { reaped: 2, more: true });
  assert.deepEqual(await m.upkeep.reap(100), { reaped: 3, more: false });
  await checkVolume(m.engine);
});

test('a packer beside writers, clones and removals loses nothing', { timeout: 120_000 }, async () => {
  const store: Store = new Map();
  const packer = await contentMember(volume);
  const source = await makeFile(m, 'source');
  await writeInline(m, source.ino, 0, Buffer.from('shared by clones'));
  let writing = true;
  const packing = (async () => {
    while (writing) await packAll(packer, store, 20);
  })();
  const contents = await Promise.all(
    Array.from({ length: 6 }, async (_, worker) => {
      let { ino } = await makeFile(m, `w${worker}`);
      let wanted = Buffer.alloc(0);
      for (let i = 0; i < 60; i++) {
        const data = Buffer.from(`${worker}:${i};`);
        if (i % 10 === 9) {
          await m.ns.unlink(ROOT_INO, `w${worker}`, 'primary', KERNEL);
          ({ ino } = await makeFile(m, `w${worker}`));
          wanted = Buffer.alloc(0);
        } else if (i % 10 === 6) {
          await m.data.cloneRange({
            source: source.ino,
            sourceOffset: 0,
            target: ino,
            targetOffset: wanted.length,
            length: 16,
          });
          wanted = Buffer.concat([wanted, Buffer.from('shared by clones')]);
        } else if (i % 10 === 4) {
          wanted = wanted.subarray(0, 5);
          await m.ns.setattr(ino, { size: wanted.length }, KERNEL);
        } else {
          const write =
            i % 3 === 0 ? writeStored(m, store, ino, wanted.length, data) : writeInline(m, ino, wanted.length, data);
          await write;
          wanted = Buffer.concat([wanted, data]);
        }
      }
      return { ino, wanted };
    }),
  );
  writing = false;
  await packing;
  const check = async (): Promise<void> => {
    for (const { ino, wanted } of contents) assert.equal((await readFile(m, store, ino)).toString(), wanted.toString());
    await checkVolume(m.engine);
  };
  await check();
  while ((await packAll(m, store)) > 0);
  await check();
  assert.deepEqual(await m.upkeep.inlineSlices('any', 0, 10), []);
  while ((await m.upkeep.reap(100)).more);
  await check();
  await packer.close();
});
