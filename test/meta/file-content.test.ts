import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { CHUNK_BYTES } from '../../src/base/slice-record.ts';
import type { Ino } from '../../src/base/vocabulary.ts';
import type { VolumeEventMap } from '../../src/base/volume-events.ts';
import { timestampOf } from '../../src/meta/redis/server-clock.ts';
import { KERNEL } from '../support/callers.ts';
import {
  type ContentMember,
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
let m: ContentMember;
let fileCount = 0;
const store: Store = new Map();

before(async () => {
  ({ m } = await contentVolume());
}, LIMIT);

async function freshFile(): Promise<Ino> {
  fileCount += 1;
  return (await makeFile(m, `file${fileCount}`)).ino;
}

async function fails(code: string, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(isFsError(error), `${error}`);
    assert.equal(error.code, code, error.message);
    return true;
  });
}

test('inline bytes come back with the map, and the commit moves size, version and mtime', LIMIT, async () => {
  const ino = await freshFile();
  const appended: VolumeEventMap['recordsAppended'][] = [];
  m.events.on('recordsAppended', (event) => appended.push(event));
  const reply = await writeInline(m, ino, 0, Buffer.from('hello'));
  assert.equal(reply.attr.size, 5);
  assert.equal(reply.attr.version, 2);
  assert.equal(reply.offset, -1);
  assert.equal(reply.inlineIds.length, 1);
  assert.deepEqual(appended, [{ ino, counts: [{ chunkIndex: 0, count: 1 }] }]);
  assert.equal((await readFile(m, store, ino)).toString(), 'hello');
  assert.deepEqual((await m.data.readMap(ino, 0, 1, 0)).map.inline, new Map());
  assert.deepEqual(await m.data.readInline([...reply.inlineIds, 1]), [Buffer.from('hello'), undefined]);
  await checkVolume(m.engine);
});

test('an append goes to the end of file and is split at the end of a chunk', LIMIT, async () => {
  const ino = await freshFile();
  await m.ns.setattr(ino, { size: CHUNK_BYTES - 3 }, KERNEL);
  const reply = await m.data.commit({
    ino,
    pieces: [
      { chunkIndex: 0, pos: 0, inline: Buffer.from('abcd') },
      { chunkIndex: 0, pos: 4, inline: Buffer.from('ef') },
    ],
    placement: 'append',
    mtime: timestampOf(m.engine.clock.nowUs()),
    killPriv: false,
  });
  assert.equal(reply.offset, CHUNK_BYTES - 3);
  assert.equal(reply.attr.size, CHUNK_BYTES + 3);
  const { map } = await m.data.readMap(ino, 0, 2, 1000);
  const [first, second] = reply.inlineIds;
  assert.deepEqual(
    [...map.chunks.values()].map((records) => records.map(({ pos, id, off, len }) => ({ pos, id, off, len }))),
    [
      [{ pos: CHUNK_BYTES - 3, id: first, off: 0, len: 3 }],
      [
        { pos: 0, id: first, off: 3, len: 1 },
        { pos: 1, id: second, off: 0, len: 2 },
      ],
    ],
  );
  await checkVolume(m.engine);
  assert.equal(await packAll(m, store), 3 + 1, 'both chunks of the split slice and the earlier file');
  await checkVolume(m.engine);
  await m.ns.setattr(ino, { size: 0 }, KERNEL);
  await checkVolume(m.engine);
});

test('a utimens made after the write wins over the commit that comes later', LIMIT, async () => {
  const ino = await freshFile();
  const written = timestampOf(m.engine.clock.nowUs());
  await m.ns.setattr(ino, { mtime: { sec: 1000, nsec: 5 } }, KERNEL);
  const pieces = [{ chunkIndex: 0, pos: 0, inline: Buffer.from('x') }];
  const old = { sec: written.sec - 10, nsec: 0 };
  const kept = await m.data.commit({ ino, pieces, placement: 'write', mtime: old, killPriv: false });
  assert.equal(kept.attr.mtimeSec, 1000);
  const future = { sec: written.sec + 1000, nsec: 0 };
  const moved = await m.data.commit({ ino, pieces, placement: 'write', mtime: future, killPriv: false });
  assert.ok(
    moved.attr.mtimeSec >= written.sec && moved.attr.mtimeSec < future.sec,
    'a later write moves it, not past now',
  );
});

test('a commit clears set-id bits when asked', LIMIT, async () => {
  const { ino } = await makeFile(m, 'suid', 1, 0o6755);
  const pieces = [{ chunkIndex: 0, pos: 0, inline: Buffer.from('x') }];
  const mtime = timestampOf(m.engine.clock.nowUs());
  const kept = await m.data.commit({ ino, pieces, placement: 'write', mtime, killPriv: false });
  assert.equal(kept.attr.mode & 0o7777, 0o6755);
  const cleared = await m.data.commit({ ino, pieces, placement: 'write', mtime, killPriv: true });
  assert.equal(cleared.attr.mode & 0o7777, 0o755);
});

test('truncation frees inline bytes at once and what was cut reads as zeros', LIMIT, async () => {
  const ino = await freshFile();
  await writeInline(m, ino, 0, Buffer.from('0123456789'));
  await writeStored(m, store, ino, 10, Buffer.from('abcdef'));
  await m.ns.setattr(ino, { size: 4 }, KERNEL);
  await m.ns.setattr(ino, { size: 12 }, KERNEL);
  assert.deepEqual(await readFile(m, store, ino), Buffer.concat([Buffer.from('0123'), Buffer.alloc(8)]));
  await checkVolume(m.engine);
  await m.ns.setattr(ino, { size: 0 }, KERNEL);
  assert.deepEqual((await m.data.readMap(ino, 0, 1, 0)).map.chunks.get(0), []);
  await checkVolume(m.engine);
});

test('truncating a file of many chunks hands them to reap', LIMIT, async () => {
  const ino = await freshFile();
  for (let from = 0; from < 600; from += 200) {
    const first = await m.data.reserveSlices(200);
    const pieces = Array.from({ length: 200 }, (_, i) => ({
      chunkIndex: from + i,
      record: { pos: 0, id: first + i, size: 1, off: 0, len: 1, inline: false },
    }));
    await m.data.commit({
      ino,
      pieces,
      placement: 'write',
      mtime: timestampOf(m.engine.clock.nowUs()),
      killPriv: false,
    });
  }
  await writeInline(m, ino, 599 * CHUNK_BYTES, Buffer.from('tail'));
  const attr = await m.ns.setattr(ino, { size: 1 }, KERNEL);
  assert.equal(attr.size, 1);
  await checkVolume(m.engine);
  while ((await m.upkeep.reap(100)).more);
  await checkVolume(m.engine);
  assert.equal(
    [...(await m.data.readMap(ino, 0, 256, 0)).map.chunks.values()].filter((one) => one.length > 0).length,
    1,
  );
});

test('fallocate extends, punches and zeroes', LIMIT, async () => {
  const ino = await freshFile();
  await writeInline(m, ino, 0, Buffer.from('0123456789'));
  assert.equal((await m.data.fallocate(ino, 'keep-size', 0, 100, false)).size, 10);
  await m.data.fallocate(ino, 'punch', 2, 3, false);
  assert.equal((await readFile(m, store, ino)).toString('latin1'), '01\0\0\x0056789');
  assert.equal((await m.data.fallocate(ino, 'zero-keep-size', 8, 100, false)).size, 10);
  assert.equal((await m.data.fallocate(ino, 'zero', 7, 5, false)).size, 12);
  assert.equal((await readFile(m, store, ino)).toString('latin1'), '01\0\0\x0056\0\0\0\0\0');
  const extended = await m.data.fallocate(ino, 'extend', 0, 20, false);
  assert.equal(extended.size, 20);
  await fails('EINVAL', m.data.fallocate(ino, 'extend', 0, 0, false));
  await fails('EFBIG', m.data.fallocate(ino, 'extend', 2 ** 50, 1, false));
  await checkVolume(m.engine);
});

test('seek finds data and holes, over chunks', LIMIT, async () => {
  const ino = await freshFile();
  await fails('ENXIO', m.data.seek(ino, 0, 'data'));
  await m.ns.setattr(ino, { size: 300 * CHUNK_BYTES }, KERNEL);
  assert.equal(await m.data.seek(ino, 5, 'hole'), 5);
  await fails('ENXIO', m.data.seek(ino, 5, 'data'));
  const far = 290 * CHUNK_BYTES;
  await writeInline(m, ino, far + 5000, Buffer.from('abc'));
  assert.equal(await m.data.seek(ino, 0, 'data'), far + 4096, 'data begins where its block does');
  assert.equal(await m.data.seek(ino, far + 4200, 'data'), far + 4200);
  assert.equal(await m.data.seek(ino, far + 8000, 'data'), far + 8000);
  assert.equal(await m.data.seek(ino, far + 5001, 'hole'), far + 8192, 'and ends where its block does');
  assert.equal(await m.data.seek(ino, far + 100, 'hole'), far + 100);
  await m.data.fallocate(ino, 'punch', far + 5001, 1, false);
  assert.equal(await m.data.seek(ino, far + 5000, 'hole'), far + 8192, 'a part of a block is no hole');
  await m.data.fallocate(ino, 'punch', far + 4096, 4096, false);
  await fails('ENXIO', m.data.seek(ino, 5, 'data'));
  await fails('ENXIO', m.data.seek(ino, 300 * CHUNK_BYTES, 'hole'));
  await writeInline(m, ino, 300 * CHUNK_BYTES, Buffer.from('end'));
  assert.equal(await m.data.seek(ino, 300 * CHUNK_BYTES, 'hole'), 300 * CHUNK_BYTES + 3);
  await checkVolume(m.engine);
});

test('a clone shares slices, and packing or removing one side leaves the other', LIMIT, async () => {
  const source = await freshFile();
  const target = await freshFile();
  await writeInline(m, source, 0, Buffer.from('inline-bytes'));
  await writeStored(m, store, source, 20, Buffer.from('stored'));
  await writeInline(m, target, 0, Buffer.from('ZZZZZZZZZZZZZZZZZZZZ'));
  const { attr, copied } = await m.data.cloneRange({ source, sourceOffset: 3, target, targetOffset: 1, length: 100 });
  assert.equal(copied, 23);
  assert.equal(attr.size, 24);
  const wanted = `Zine-bytes${'\0'.repeat(8)}stored`;
  const expectTarget = async () =>
    assert.equal(
      (await readFile(m, store, target)).toString('latin1'),
      `Z${'ine-bytes'}${'\0'.repeat(8)}stored`,
      wanted,
    );
  await expectTarget();
  await checkVolume(m.engine);
  const [own] = await m.upkeep.inlineSlices('own', 0, 1);
  assert.ok(own !== undefined);
  await packAll(m, store, 1);
  await checkVolume(m.engine);
  await expectTarget();
  while ((await packAll(m, store)) > 0);
  await checkVolume(m.engine);
  await expectTarget();
  await m.ns.setattr(source, { size: 0 }, KERNEL);
  await checkVolume(m.engine);
  await expectTarget();
  await m.ns.setattr(target, { size: 0 }, KERNEL);
  await checkVolume(m.engine);
  await fails('EINVAL', m.data.cloneRange({ source, sourceOffset: 0, target: source, targetOffset: 1, length: 2 }));
});

test('an inline slice that a chunk names twice stays queued until its last record goes', LIMIT, async () => {
  const ino = await freshFile();
  await writeInline(m, ino, 0, Buffer.from('abcd'));
  await m.data.cloneRange({ source: ino, sourceOffset: 0, target: ino, targetOffset: 10, length: 4 });
  await checkVolume(m.engine);
  await m.ns.setattr(ino, { size: 10 }, KERNEL);
  await checkVolume(m.engine);
  await m.data.cloneRange({ source: ino, sourceOffset: 1, target: ino, targetOffset: 10, length: 3 });
  while ((await packAll(m, store)) > 0);
  assert.equal((await readFile(m, store, ino)).toString('latin1'), 'abcd\0\0\0\0\0\0bcd');
  await checkVolume(m.engine);
});

test('a clone of many records takes several scripts and ends at the end of the source', LIMIT, async () => {
  const source = await freshFile();
  const target = await freshFile();
  const pieces = Array.from({ length: 1300 }, (_, i) => ({
    chunkIndex: 0,
    pos: 2 * i,
    inline: Buffer.from([i % 256]),
  }));
  await m.data.commit({
    ino: source,
    pieces,
    placement: 'write',
    mtime: timestampOf(m.engine.clock.nowUs()),
    killPriv: false,
  });
  const { copied } = await m.data.cloneRange({ source, sourceOffset: 1, target, targetOffset: 0, length: 10_000 });
  assert.equal(copied, 2598);
  const from = await readFile(m, store, source);
  assert.deepEqual(await readFile(m, store, target), from.subarray(1));
  await checkVolume(m.engine);
});

test('compaction replaces a prefix and never loses an append that came meanwhile', LIMIT, async () => {
  const ino = await freshFile();
  await writeInline(m, ino, 0, Buffer.from('aaaa'));
  await writeStored(m, store, ino, 2, Buffer.from('bbbb'));
  const prefix = [...(await m.data.readMap(ino, 0, 1, 0)).map.chunks.get(0)!];
  const before = await m.ns.getattr(ino);
  await writeInline(m, ino, 4, Buffer.from('cc'));
  const id = await m.data.reserveSlices(1);
  store.set(id, Buffer.from('aabbbb'));
  const replacement = [{ pos: 0, id, size: 6, off: 0, len: 6, inline: false }];
  assert.equal(await m.data.compactChunk(ino, 0, prefix, replacement), true);
  assert.equal((await readFile(m, store, ino)).toString(), 'aabbcc');
  await checkVolume(m.engine);
  assert.equal(await m.data.compactChunk(ino, 0, prefix, replacement), false, 'the prefix is gone');
  assert.equal((await m.ns.getattr(ino)).version, before.version + 1, 'compaction is no change of content');
  const dead = (await m.upkeep.deadSlices(1000)).map((slice) => slice.id);
  assert.ok(dead.includes(prefix[1]!.id));
  await m.upkeep.forgetSlices(dead);
  assert.deepEqual(await m.upkeep.deadSlices(1000), []);
});

test('the budget fills with commits and empties with the packer', LIMIT, async () => {
  const ino = await freshFile();
  await writeInline(m, ino, 0, Buffer.alloc(60_000, 1));
  const filled = m.data.inlineFill();
  assert.ok(filled > 0);
  while ((await packAll(m, store)) > 0);
  assert.equal(m.data.inlineFill(), 0);
  assert.deepEqual(await m.upkeep.inlineSlices('own', 0, 100), []);
});

test('a pack that was given up takes no more records', LIMIT, async () => {
  const ino = await freshFile();
  const { inlineIds } = await writeInline(m, ino, 0, Buffer.from('data'));
  const packId = await m.upkeep.packBegin();
  await m.engine.command('DEL', [m.engine.key('pkup')]);
  const swap = { ino, chunkIndex: 0, inlineId: inlineIds[0]!, packOffset: 0, sizeBytes: 4 };
  await fails('ESTALE', m.upkeep.packSwap(packId, 4, [swap]));
  assert.equal((await readFile(m, store, ino)).toString(), 'data');
});

test('a pack whose records are all gone waits for deletion, but not while it is being filled', LIMIT, async () => {
  const ino = await freshFile();
  const { inlineIds } = await writeInline(m, ino, 0, Buffer.from('data'));
  const packId = await m.upkeep.packBegin();
  const swap = { ino, chunkIndex: 0, inlineId: inlineIds[0]!, packOffset: 0, sizeBytes: 4 };
  assert.equal(await m.upkeep.packSwap(packId, 4, [swap]), 1);
  await m.ns.setattr(ino, { size: 0 }, KERNEL);
  assert.ok(!(await m.upkeep.deadSlices(1000)).some((slice) => slice.id === packId));
  await m.upkeep.packEnd(packId);
  assert.deepEqual(
    (await m.upkeep.deadSlices(1000)).find((slice) => slice.id === packId),
    { id: packId, sizeBytes: 4 },
  );
  await checkVolume(m.engine);
});

test('a lease has one holder', LIMIT, async () => {
  assert.equal(await m.upkeep.lease('packer', 60_000), true);
  assert.equal(await m.upkeep.lease('packer', 60_000), true);
});
