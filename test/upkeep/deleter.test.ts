import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK_BYTES } from '../../src/base/slice-record.ts';
import { parseBlockName, sliceBlockNames } from '../../src/chunk/block-name.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { type DeadSource, type DeleteFailpoint, Deleter } from '../../src/upkeep/deleter.ts';
import { MemoryStore, pattern, testChunkStore } from '../chunk/fake-volume.ts';

const OPTIONS = { pauseMs: 60_000 };

function bench(): {
  memory: MemoryStore;
  store: FaultyStore;
  dead: Map<number, number>;
  source: DeadSource;
  events: string[];
} {
  const memory = new MemoryStore();
  const store = new FaultyStore(memory, NO_FAULTS);
  const events: string[] = [];
  const dead = new Map<number, number>();
  store.intercept = (operation) => {
    events.push(operation);
  };
  const source: DeadSource = {
    deadSlices: async (limit) => [...dead].slice(0, limit).map(([id, sizeBytes]) => ({ id, sizeBytes })),
    forget: async (ids) => {
      events.push('forget');
      for (const id of ids) dead.delete(id);
    },
    durable: async () => {
      events.push('durable');
    },
  };
  return { memory, store, dead, source, events };
}

async function putSlices(memory: MemoryStore, sizes: Map<number, number>): Promise<void> {
  for (const [id, sizeBytes] of sizes) await testChunkStore(memory).putSlice(id, [pattern(sizeBytes, id)]);
}

test('durable first, then the objects, then forget', { timeout: 60_000 }, async () => {
  const { memory, store, dead, source, events } = bench();
  dead.set(1, 10).set(2, 2 * BLOCK_BYTES + 5);
  await putSlices(memory, dead);
  await memory.put('chunks/0/0/3_0_4', [pattern(4, 1)]);
  const deleter = new Deleter(source, testChunkStore(store), OPTIONS);
  assert.equal(await deleter.runOnce(), 2);
  assert.deepEqual(events, ['durable', 'delete', 'forget']);
  assert.deepEqual([...memory.objects.keys()], ['chunks/0/0/3_0_4']);
  assert.equal(dead.size, 0);
});

test('a slice whose objects are not all gone is not forgotten', { timeout: 60_000 }, async () => {
  const { memory, store, dead, source } = bench();
  dead
    .set(1, 10)
    .set(2, 2 * BLOCK_BYTES)
    .set(3, 10);
  await putSlices(memory, dead);
  const stuck = sliceBlockNames(2, 2 * BLOCK_BYTES)[1]!;
  const deleteMany = memory.deleteMany.bind(memory);
  memory.deleteMany = async (keys) => {
    await deleteMany(keys.filter((key) => key !== stuck));
    return [{ key: stuck, error: new Error('not now') }];
  };
  const deleter = new Deleter(source, testChunkStore(store), OPTIONS);
  assert.equal(await deleter.runOnce(), 2);
  assert.deepEqual([...dead.keys()], [2]);
  memory.deleteMany = deleteMany;
  assert.equal(await deleter.runOnce(), 1);
  assert.equal(dead.size, 0);
  assert.equal(memory.objects.size, 0);
});

test('nothing is deleted when the metadata is not durable', { timeout: 60_000 }, async () => {
  const { memory, store, dead, source } = bench();
  dead.set(1, 10);
  await putSlices(memory, dead);
  source.durable = async () => {
    throw new Error('no fdatasync');
  };
  const deleter = new Deleter(source, testChunkStore(store), OPTIONS);
  await assert.rejects(deleter.runOnce(), /no fdatasync/);
  assert.equal(memory.objects.size, 1);
  assert.equal(dead.size, 1);
});

for (const name of ['before-durable', 'before-delete', 'after-delete'] as DeleteFailpoint[]) {
  test(`a crash at ${name} leaves work that the next run finishes`, { timeout: 60_000 }, async () => {
    const { memory, store, dead, source } = bench();
    dead.set(1, 10).set(2, 20);
    await putSlices(memory, dead);
    const deleter = new Deleter(source, testChunkStore(store), OPTIONS, (reached) => {
      if (reached === name) throw new Error('crash');
    });
    await assert.rejects(deleter.runOnce(), /crash/);
    assert.equal(dead.size, 2, 'nothing is forgotten before its objects are gone');
    await new Deleter(source, testChunkStore(store), OPTIONS).runOnce();
    assert.equal(dead.size, 0);
    assert.equal(memory.objects.size, 0);
  });
}

test('long queues go in batches', { timeout: 60_000 }, async () => {
  const { store, dead, source, events } = bench();
  for (let id = 1; id <= 1200; id++) dead.set(id, 10);
  const deleter = new Deleter(source, testChunkStore(store), OPTIONS);
  assert.equal(await deleter.runOnce(), 1200);
  assert.equal(events.filter((event) => event === 'forget').length, 3);
  dead.set(1, 10);
  assert.equal(await deleter.runOnce(AbortSignal.abort()), 0, 'a loop that stops begins no other batch');
  assert.equal(dead.size, 1);
});

test('block names are JuiceFS names and can be read back', { timeout: 60_000 }, () => {
  const names = sliceBlockNames(7_123_456_789, BLOCK_BYTES + 5);
  assert.deepEqual(names, ['chunks/7123/7123456/7123456789_0_4194304', 'chunks/7123/7123456/7123456789_1_5']);
  assert.deepEqual(parseBlockName(names[1]!), { sliceId: 7_123_456_789, index: 1, blockBytes: 5 });
  assert.equal(parseBlockName('chunks/0/0/7123456789_1_5'), undefined);
  assert.equal(parseBlockName('other'), undefined);
});
