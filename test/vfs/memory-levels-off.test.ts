import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { O_CREAT, O_RDWR, O_TRUNC } from '../../src/vfs/file/open-flags.ts';
import { MOUNT } from '../support/callers.ts';
import { until } from '../support/until.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const timeout = 240_000;
const FILES = 2_000;
const ROUNDS = 6;
const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of live objects, those outside the heap included. */
function heldBytes(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function each(count: number, task: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

const volume = await testVolume();

test('F5: files that come and go leave nothing in the block cache, and memory levels off', { timeout }, async () => {
  const { vfs, chunks } = await joinVfs(volume, { vfs: { attrCacheEntries: 1_000, upkeep: { packer: true } } });
  const held: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await each(FILES, async (i) => {
      const { entry, handle } = await vfs.files.create(MOUNT, ROOT_INO, `f${round}-${i}`, 0o644, O_CREAT | O_RDWR);
      await vfs.files.write(MOUNT, handle, 0, Buffer.alloc(100, i), false);
      await vfs.files.flush(MOUNT, handle);
      await vfs.files.release(MOUNT, handle);
      await vfs.attributes.getattr(MOUNT, entry.attr.ino);
    });
    assert.ok(chunks.stats().cacheBytes > FILES * 100, 'written files are cached');
    await each(FILES, (i) => vfs.names.unlink(MOUNT, ROOT_INO, `f${round}-${i}`));
    await until(() => chunks.stats().cacheBytes === 0, 'the cache to drop removed files');
    held.push(heldBytes());
  }
  const growth = (held[ROUNDS - 1]! - held[1]!) / ((ROUNDS - 2) * FILES);
  // What remembers recent changes is bounded by count (65,536 of a kind) and may still be filling.
  assert.ok(growth < 700, `${growth} bytes for each file that is gone; held: ${held.map((b) => Math.round(b / MIB))}`);
});

test('F5: objects that are put and deleted leave nothing behind', { timeout }, async () => {
  const { vfs, chunks, kernel } = await joinVfs(volume, { vfs: { attrCacheEntries: 1_000, upkeep: { packer: true } } });
  await vfs.buckets.create(MOUNT, 'bucket');
  const root = (await vfs.buckets.find(MOUNT, 'bucket')).attr.ino;
  const s3 = { version: 0, etag: 'e', headers: {}, tags: [] as [string, string][], checksums: {}, parts: [] };
  const put = async (key: string, bytes: number): Promise<void> => {
    const writer = vfs.objects.beginObject(MOUNT);
    await writer.write(Buffer.alloc(bytes, 1));
    const path = { root, components: [key], directory: false };
    const record = { ...s3, checksumType: '' as const };
    await vfs.objects.putObject(MOUNT, writer, { path, precondition: {}, s3: record, xattrs: new Map() });
  };
  const held: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await each(FILES / 2, (i) => put(`k${i}`, 100));
    await each(FILES / 2, (i) => put(`k${i}`, 200));
    await each(FILES / 2, (i) =>
      vfs.objects.removeObject(MOUNT, { root, components: [`k${i}`], directory: false }, {}),
    );
    kernel.clear();
    held.push(heldBytes());
  }
  assert.equal(chunks.stats().cacheBytes, 0);
  const growth = (held[ROUNDS - 1]! - held[1]!) / ((ROUNDS - 2) * FILES);
  // Slices that the packer has not looked at yet wait in its queue.
  assert.ok(growth < 1_500, `${growth} bytes for each object that is gone`);
});

test('F5: a file that is written anew again and again is cached once', { timeout }, async () => {
  const { vfs, chunks } = await joinVfs(volume);
  for (let round = 0; round < 200; round++) {
    const name = 'again';
    const { handle } = await vfs.files.create(MOUNT, ROOT_INO, name, 0o644, O_CREAT | O_RDWR | O_TRUNC);
    await vfs.files.write(MOUNT, handle, 0, Buffer.alloc(1_000, round), false);
    await vfs.files.flush(MOUNT, handle);
    await vfs.files.release(MOUNT, handle);
  }
  assert.ok(chunks.stats().cacheBytes < 20_000, `${chunks.stats().cacheBytes} bytes`);
});

test('F5: distinct reads of much data stay within the cache size', { timeout }, async () => {
  const cacheBytes = 2 * MIB;
  const { vfs, chunks } = await joinVfs(volume, {
    vfs: { attrCacheEntries: 1_000, idleReaders: 100 },
    chunks: { cacheBytes },
  });
  const inos: number[] = [];
  await each(4_000, async (i) => {
    const { entry, handle } = await vfs.files.create(MOUNT, ROOT_INO, `read-${i}`, 0o644, O_CREAT | O_RDWR);
    await vfs.files.write(MOUNT, handle, 0, Buffer.alloc(1_500, i), false);
    await vfs.files.flush(MOUNT, handle);
    await vfs.files.release(MOUNT, handle);
    inos.push(entry.attr.ino);
  });
  const before = heldBytes();
  await each(inos.length, async (i) => {
    const { handle } = await vfs.files.open(MOUNT, inos[i]!, O_RDWR, false);
    assert.equal((await vfs.files.read(MOUNT, handle, 0, 4096)).length, 1_500);
    await vfs.files.release(MOUNT, handle);
  });
  assert.ok(chunks.stats().cacheBytes <= cacheBytes);
  const grown = heldBytes() - before;
  assert.ok(grown < 2 * MIB, `${grown} bytes more after reading what does not fit`);
});
