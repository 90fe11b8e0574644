import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { O_RDONLY, O_RDWR } from '../../src/vfs/file/open-flags.ts';
import { MOUNT } from '../support/callers.ts';
import { until } from '../support/until.ts';
import { close, create, readAll, readFile, writeFile } from '../support/vfs-files.ts';
import { joinVfs, type Session } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const timeout = 60_000;
const volume = await testVolume();

test('closing packs the small files of a session into one object, and open readers go on', { timeout }, async () => {
  const reader = await joinVfs(volume);
  const writer = await joinVfs(volume, { vfs: { upkeep: { packer: true, packIntervalMs: 60_000 } } });
  for (let i = 0; i < 50; i++) await writeFile(writer.vfs, `small-${i}`, `content ${i}`);
  const { attr } = await reader.vfs.names.lookup(MOUNT, 1, 'small-7');
  const { handle } = await reader.vfs.files.open(MOUNT, attr.ino, O_RDONLY, false);
  assert.equal((await reader.vfs.files.read(MOUNT, handle, 0, 5)).toString(), 'conte');
  const before = volume.objectCount();
  await writer.vfs.close();
  assert.equal(volume.objectCount(), before + 1);
  assert.equal((await reader.meta.session.usage()).inlineBytes, 0);
  assert.equal((await readAll(reader.vfs, handle)).toString(), 'content 7');
  await reader.vfs.files.release(MOUNT, handle);
  const fresh = await joinVfs(volume);
  for (const i of [0, 49]) assert.equal(await readFile(fresh.vfs, `small-${i}`), `content ${i}`);
});

test('a chunk of many records is compacted and reads the same', { timeout }, async () => {
  const session = await joinVfs(volume, { vfs: { upkeep: { compaction: true, compactRecords: 20 } } });
  const handle = await create(session.vfs, 'many');
  const model = Buffer.alloc(3_000_000, 'L');
  await session.vfs.files.write(MOUNT, handle, 0, model, false);
  await session.vfs.files.flush(MOUNT, handle);
  for (let i = 0; i < 100; i++) {
    const data = Buffer.alloc(500, i + 1);
    const offset = (i * 7919) % 2_000_000;
    await session.vfs.files.write(MOUNT, handle, offset, data, false);
    data.copy(model, offset);
    await session.vfs.files.flush(MOUNT, handle);
  }
  await until(async () => (await recordCount(session, handle.ino)) <= 60, 'the records to be fewer');
  assert.ok((await readAll(session.vfs, handle)).equals(model));
  await close(session.vfs, handle);
  const fresh = await joinVfs(volume);
  assert.ok(Buffer.from(await readFile(fresh.vfs, 'many'), 'latin1').equals(model));
});

test('an unlinked file of a sole session is freed soon, without a grace period', { timeout }, async () => {
  const alone = await testVolume();
  const session = await joinVfs(alone);
  const handle = await create(session.vfs, 'temporary');
  await session.vfs.files.write(MOUNT, handle, 0, Buffer.alloc(100_000), false);
  await close(session.vfs, handle);
  await session.vfs.names.unlink(MOUNT, 1, 'temporary');
  await until(async () => (await session.meta.session.usage()).usedBytes === 0, 'its space to be freed');
});

test('D4: a store that fails is EIO at close, once; what comes later works', { timeout }, async () => {
  let faults!: FaultyStore;
  const session = await joinVfs(volume, {
    store: (store) => {
      faults = new FaultyStore(store, { ...NO_FAULTS });
      return faults;
    },
  });
  const handle = await create(session.vfs, 'failing', O_RDWR);
  faults.plan = { ...NO_FAULTS, putErrorRate: 1 };
  await session.vfs.files.write(MOUNT, handle, 0, Buffer.alloc(200_000, 1), false);
  await assert.rejects(
    async () => await session.vfs.files.flush(MOUNT, handle),
    (error) => isFsError(error, 'EIO'),
  );
  faults.plan = { ...NO_FAULTS };
  await session.vfs.files.flush(MOUNT, handle);
  await session.vfs.files.release(MOUNT, handle);
  assert.equal((await readFile(session.vfs, 'failing')).length, 200_000, 'the bytes were kept and stored by the retry');
  await writeFile(session.vfs, 'later', Buffer.alloc(200_000, 2));
  assert.equal((await readFile(session.vfs, 'later')).length, 200_000);
});

test('two closes at once wait for the same bytes', { timeout }, async () => {
  const session = await joinVfs(volume);
  const handle = await create(session.vfs, 'twice');
  await session.vfs.files.write(MOUNT, handle, 0, Buffer.alloc(100_000, 1), false);
  const first = session.vfs.files.flush(MOUNT, handle);
  const second = session.vfs.files.flush(MOUNT, handle);
  assert.ok(second !== undefined, 'the second has to wait too');
  await second;
  assert.equal((await session.meta.names.getattr(handle.ino)).size, 100_000);
  await first;
  await session.vfs.files.release(MOUNT, handle);
});

test('close() of the file system stores what is open and unflushed', { timeout }, async () => {
  const session = await joinVfs(volume);
  const handle = await create(session.vfs, 'left-open');
  await session.vfs.files.write(MOUNT, handle, 0, Buffer.from('not lost'), false);
  await session.vfs.close();
  const fresh = await joinVfs(volume);
  assert.equal(await readFile(fresh.vfs, 'left-open'), 'not lost');
});

async function recordCount(session: Session, ino: number): Promise<number> {
  const { map } = await session.meta.data.readMap(ino, 0, 1, 0);
  return map.chunks.get(0)?.length ?? 0;
}
