import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { BLOCK_BYTES } from '../../src/base/slice-record.ts';
import { openObject } from '../../src/chunk/block-format.ts';
import { blockName, parseBlockName } from '../../src/chunk/block-name.ts';
import type { ChunkStore } from '../../src/chunk/chunks.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { buildPack, checkPackEntry, readPackDirectory } from '../../src/chunk/pack-format.ts';
import { JobLoop } from '../../src/upkeep/job-loop.ts';
import { DEFAULT_PACKER_OPTIONS, Packer, type PackerOptions, type PackFailpoint } from '../../src/upkeep/packer.ts';
import { FakeVolume, MemoryStore, pattern, testChunkStore } from '../chunk/fake-volume.ts';

interface Bench {
  memory: MemoryStore;
  store: FaultyStore;
  chunks: ChunkStore;
  volume: FakeVolume;
}

function bench(): Bench {
  const memory = new MemoryStore();
  const store = new FaultyStore(memory, NO_FAULTS);
  return { memory, store, chunks: testChunkStore(store, { retryMs: 0 }), volume: new FakeVolume(memory) };
}

/** Everything is due at once. */
const EAGER: PackerOptions = { ...DEFAULT_PACKER_OPTIONS, idleAgeMs: 0 };

async function writeFiles(b: Bench, count: number, bytes: number): Promise<void> {
  for (let ino = 1; ino <= count; ino++) {
    const writer = b.chunks.writer(ino, b.volume.sink());
    await writer.write(0, pattern(bytes, ino), false);
    await writer.close();
  }
}

function assertFiles(b: Bench, count: number, bytes: number, when: string): void {
  for (let ino = 1; ino <= count; ino++) {
    assert.ok(b.volume.contents(ino).equals(pattern(bytes, ino)), `file ${ino} ${when}`);
  }
}

test('a pack names every slice, and damage shows', { timeout: 60_000 }, () => {
  const slices = [
    { id: 2 ** 52 + 1, ino: 2 ** 40 + 3, chunkIndex: 7, bytes: pattern(10, 1) },
    { id: 5, ino: 6, chunkIndex: 0, bytes: pattern(5000, 2) },
  ];
  const { parts, sizeBytes, entries } = buildPack(slices);
  const pack = Buffer.concat(parts);
  assert.equal(pack.length, sizeBytes);
  assert.deepEqual(readPackDirectory(pack), entries);
  assert.deepEqual(
    entries.map(({ inlineId, ino, chunkIndex, offset, length }) => [inlineId, ino, chunkIndex, offset, length]),
    [
      [2 ** 52 + 1, 2 ** 40 + 3, 7, 0, 10],
      [5, 6, 0, 10, 5000],
    ],
  );
  assert.ok(entries.every((entry) => checkPackEntry(pack, entry)));
  pack[12]! ^= 1;
  assert.deepEqual(
    entries.map((entry) => checkPackEntry(pack, entry)),
    [true, false],
  );
  pack[5020]! ^= 1;
  assert.throws(() => readPackDirectory(pack), /damaged/);
  assert.throws(() => readPackDirectory(pack.subarray(0, pack.length - 1)), /no pack/);
});

/** The pack in a block's object. */
function packIn(key: string, object: Buffer): Buffer {
  return openObject(parseBlockName(key)!, object);
}

test('small files of one kind share an object, and read back through it', { timeout: 60_000 }, async () => {
  const b = bench();
  await writeFiles(b, 1000, 4096);
  assert.equal(b.store.counts.put, 0);
  const packer = new Packer(b.volume.packSource(), b.chunks, silentLogger, EAGER);
  assert.equal(await packer.runOnce(), 1);
  assert.equal(b.store.counts.put, 1, 'a thousand files are one object');
  assert.equal(b.volume.inline.size, 0);
  assert.equal(b.volume.packsOpen.size, 0);
  assert.equal(b.volume.inlineReads, 0, 'the machine that wrote the bytes had them in its cache');
  assertFiles(b, 1000, 4096, 'after packing');
  assert.equal(await packer.runOnce(), 0);
  const other = testChunkStore(b.store);
  for (let ino = 1; ino <= 1000; ino++) {
    const reader = other.reader(ino, b.volume);
    assert.ok((await reader.read(0, 4096)).equals(pattern(4096, ino)), `file ${ino} from another machine`);
    reader.close();
  }
  assert.ok(b.store.counts.get <= 4, `${b.store.counts.get} requests for a thousand files`);
});

test('packs are full, at most 4 MiB, and ordered by inode', { timeout: 60_000 }, async () => {
  const b = bench();
  await writeFiles(b, 200, 60_000);
  const packer = new Packer(b.volume.packSource(), b.chunks, silentLogger, EAGER);
  await packer.runOnce();
  const packs = [...b.memory.objects].map(([key, object]) => packIn(key, object.data));
  assert.equal(packs.length, 3);
  for (const pack of packs) {
    assert.ok(pack.length <= BLOCK_BYTES);
    const inos = readPackDirectory(pack).map((entry) => entry.ino);
    assert.deepEqual(
      inos,
      [...inos].sort((a, c) => a - c),
    );
  }
  assertFiles(b, 200, 60_000, 'after packing');
});

test('what fills no pack waits; a full pack, age or pressure makes it due', { timeout: 60_000 }, async () => {
  const b = bench();
  await writeFiles(b, 70, 60_000);
  const source = b.volume.packSource();
  let fill = 0;
  source.fill = () => fill;
  const patient = { ...DEFAULT_PACKER_OPTIONS, idleAgeMs: 1e9, busyAgeMs: 1e9 };
  const packer = new Packer(source, b.chunks, silentLogger, patient);
  assert.equal(await packer.runOnce(), 1, 'one full pack');
  assert.ok(b.volume.inline.size > 0, 'the rest may still be deleted at no cost');
  assert.equal(await packer.runOnce(), 0);
  fill = 0.6;
  assert.equal(await packer.runOnce(), 1);
  assert.equal(b.volume.inline.size, 0);

  const busy = bench();
  await writeFiles(busy, 20, 60_000);
  const eager = new Packer(busy.volume.packSource(), busy.chunks, silentLogger, { ...patient, busyAgeMs: 0 });
  assert.equal(await eager.runOnce(), 0, 'nothing is going on');
  eager.note(1);
  assert.equal(await eager.runOnce(), 1, 'while commits go on the queue is kept short');
});

test('slices of other sessions are packed by the holder of the lease', { timeout: 60_000 }, async () => {
  const b = bench();
  await writeFiles(b, 10, 1000);
  const source = b.volume.packSource();
  const all = source.candidates;
  const asked: [string, number][] = [];
  source.candidates = async (scope, olderThanMs, limit) => {
    asked.push([scope, olderThanMs]);
    return scope === 'own' ? [] : all(scope, olderThanMs, limit);
  };
  let leader = false;
  source.lease = async () => leader;
  const packer = new Packer(source, testChunkStore(b.store), silentLogger, { ...EAGER, foreignAgeMs: 30_000 });
  assert.equal(await packer.runOnce(), 0);
  leader = true;
  assert.equal(await packer.runOnce(), 1);
  assert.deepEqual(asked[asked.length - 1], ['any', 30_000]);
  assert.ok(b.volume.inlineReads > 0, 'the bytes came from the metadata');
  assertFiles(b, 10, 1000, 'after packing');
});

test('what was overwritten, deleted or unpacked meanwhile is left alone', { timeout: 60_000 }, async () => {
  const b = bench();
  await writeFiles(b, 5, 1000);
  const source = b.volume.packSource();
  const begin = source.begin;
  source.begin = async () => {
    // Between reading the bytes and the swap: file 1 is removed, file 2 gets an append.
    b.volume.files.delete(1);
    const writer = b.chunks.writer(2, b.volume.sink());
    await writer.append(pattern(500, 99), false);
    await writer.close();
    return begin();
  };
  const packer = new Packer(source, b.chunks, silentLogger, EAGER);
  await packer.runOnce();
  assert.equal(b.volume.contents(1).length, 0);
  assert.ok(b.volume.contents(2).equals(Buffer.concat([pattern(1000, 2), pattern(500, 99)])));
  for (const ino of [3, 4, 5]) assert.ok(b.volume.contents(ino).equals(pattern(1000, ino)));
});

test('a slice that is gone or has a wrong length is not packed', { timeout: 60_000 }, async () => {
  const b = bench();
  await writeFiles(b, 3, 1000);
  const [first, second] = [...b.volume.inline.keys()];
  b.volume.inline.delete(first!);
  b.volume.inline.set(second!, pattern(999, 1));
  const packer = new Packer(b.volume.packSource(), testChunkStore(b.store), silentLogger, EAGER);
  await packer.runOnce();
  const [key, object] = [...b.memory.objects][0]!;
  assert.equal(readPackDirectory(packIn(key, object.data)).length, 1);
  assert.ok(b.volume.contents(3).equals(pattern(1000, 3)));
});

const FAILPOINTS: PackFailpoint[] = ['before-id', 'after-id', 'after-put', 'between-swaps', 'before-end'];
for (const name of FAILPOINTS) {
  test(`a crash at ${name} loses nothing, and the next packer finishes`, { timeout: 60_000 }, async () => {
    const b = bench();
    const count = 600; // More than two scripts of swaps.
    await writeFiles(b, count, 2000);
    const crash = (reached: PackFailpoint): void => {
      if (reached === name) throw new Error(`crash at ${reached}`);
    };
    const packer = new Packer(b.volume.packSource(), b.chunks, silentLogger, EAGER, crash);
    await assert.rejects(packer.runOnce(), new RegExp(`crash at ${name}`));
    assertFiles(b, count, 2000, `after the crash`);
    for (const key of b.memory.objects.keys()) {
      const named = [...b.volume.packsOpen].some((id) => key.includes(`/${id}_0_`));
      assert.ok(named, `the metadata still names the unfinished pack ${key}`);
    }
    const left = b.volume.inline.size;
    assert.equal(left, { 'between-swaps': count - 256, 'before-end': 0 }[name as string] ?? count);
    // A new process: nothing cached.
    const next = new Packer(b.volume.packSource(), testChunkStore(b.store), silentLogger, EAGER);
    await next.runOnce();
    assert.equal(b.volume.inline.size, 0);
    assertFiles(b, count, 2000, 'after the next packer');
  });
}

for (const fault of ['put fails', 'reply of the put is lost', 'torn put'] as const) {
  test(`${fault}: bytes stay where they are and are packed later`, { timeout: 60_000 }, async () => {
    const b = bench();
    await writeFiles(b, 50, 2000);
    if (fault === 'put fails') b.store.plan = { ...NO_FAULTS, putErrorRate: 1 };
    else b.store.plan = fault === 'torn put' ? { ...NO_FAULTS, tornRate: 1 } : { ...NO_FAULTS, lostReplyRate: 1 };
    const packer = new Packer(b.volume.packSource(), b.chunks, silentLogger, EAGER);
    await assert.rejects(packer.runOnce());
    assert.equal(b.volume.inline.size, 50);
    assert.equal(b.volume.packsOpen.size, 1, 'the pack stays named, for its object may be there');
    b.store.plan = NO_FAULTS;
    assert.equal(await packer.runOnce(), 1);
    assertFiles(b, 50, 2000, 'in the end');
  });
}

test('the drain at the end packs what this session has left, and never rejects', { timeout: 60_000 }, async () => {
  const b = bench();
  await writeFiles(b, 20, 1000);
  const packer = new Packer(b.volume.packSource(), b.chunks, silentLogger);
  await packer.drain();
  assert.equal(b.volume.inline.size, 0);
  await writeFiles(b, 20, 1000);
  b.store.plan = { ...NO_FAULTS, putErrorRate: 1 };
  const failing = new Packer(b.volume.packSource(), b.chunks, silentLogger);
  await failing.drain();
  assert.ok(b.volume.inline.size > 0);
});

test('the loop packs by itself', { timeout: 60_000 }, async () => {
  const b = bench();
  await writeFiles(b, 5, 1000);
  const source = b.volume.packSource();
  const end = source.end;
  const ended = new Promise<void>((resolve) => {
    source.end = async (id) => {
      await end(id);
      resolve();
    };
  });
  const packer = new Packer(source, b.chunks, silentLogger, { ...EAGER, tickMs: 5 });
  const alive = setTimeout(() => {}, 50_000);
  const loop = new JobLoop(packer, silentLogger);
  packer.note(5000);
  await ended;
  clearTimeout(alive);
  await loop.stop();
  assert.equal(b.volume.inline.size, 0);
  assert.ok([...b.memory.objects.keys()][0]!.startsWith('chunks/'));
  assert.ok(blockName(1_234_567, 0, 5).endsWith('chunks/1/1234/1234567_0_5'));
});
