import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { O_CREAT, O_RDWR, O_TRUNC } from '../../src/vfs/file/open-flags.ts';
import { ROOT, testVolume, until } from './two-sessions.ts';

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
  const { vfs, chunks } = await volume.join({ attrCacheEntries: 1_000, upkeep: { packer: true } });
  const held: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await each(FILES, async (i) => {
      const { entry, handle } = await vfs.files.create(ROOT, ROOT_INO, `f${round}-${i}`, 0o644, O_CREAT | O_RDWR);
      await vfs.files.write(ROOT, handle, 0, Buffer.alloc(100, i), false);
      await vfs.files.flush(ROOT, handle);
      await vfs.files.release(ROOT, handle);
      await vfs.attributes.getattr(ROOT, entry.attr.ino);
    });
    assert.ok(chunks.stats().cacheBytes > FILES * 100, 'written files are cached');
    await each(FILES, (i) => vfs.names.unlink(ROOT, ROOT_INO, `f${round}-${i}`));
    await until(() => chunks.stats().cacheBytes === 0, 'the cache to drop removed files');
    held.push(heldBytes());
  }
  const growth = (held[ROUNDS - 1]! - held[1]!) / ((ROUNDS - 2) * FILES);
  // What remembers recent changes is bounded by count (65,536 of a kind) and may still be filling.
  assert.ok(growth < 700, `${growth} bytes for each file that is gone; held: ${held.map((b) => Math.round(b / MIB))}`);
});

test('F5: objects that are put and deleted leave nothing behind', { timeout }, async () => {
  const { vfs, chunks, kernel } = await volume.join({ attrCacheEntries: 1_000, upkeep: { packer: true } });
  await vfs.buckets.create(ROOT, 'bucket');
  const root = (await vfs.buckets.find(ROOT, 'bucket')).attr.ino;
  const s3 = { version: 0, etag: 'e', headers: {}, tags: [] as [string, string][], checksums: {}, parts: [] };
  const put = async (key: string, bytes: number): Promise<void> => {
    const writer = vfs.objects.beginObject(ROOT);
    await writer.write(Buffer.alloc(bytes, 1));
    const path = { root, components: [key], directory: false };
    const record = { ...s3, checksumType: '' as const };
    await vfs.objects.putObject(ROOT, writer, { path, precondition: {}, s3: record, xattrs: new Map() });
  };
  const held: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await each(FILES / 2, (i) => put(`k${i}`, 100));
    await each(FILES / 2, (i) => put(`k${i}`, 200));
    await each(FILES / 2, (i) => vfs.objects.removeObject(ROOT, { root, components: [`k${i}`], directory: false }, {}));
    kernel.clear();
    held.push(heldBytes());
  }
  assert.equal(chunks.stats().cacheBytes, 0);
  const growth = (held[ROUNDS - 1]! - held[1]!) / ((ROUNDS - 2) * FILES);
  // Slices that the packer has not looked at yet wait in its queue.
  assert.ok(growth < 1_500, `${growth} bytes for each object that is gone`);
});

test('F5: a file that is written anew again and again is cached once', { timeout }, async () => {
  const { vfs, chunks } = await volume.join();
  for (let round = 0; round < 200; round++) {
    const name = 'again';
    const { handle } = await vfs.files.create(ROOT, ROOT_INO, name, 0o644, O_CREAT | O_RDWR | O_TRUNC);
    await vfs.files.write(ROOT, handle, 0, Buffer.alloc(1_000, round), false);
    await vfs.files.flush(ROOT, handle);
    await vfs.files.release(ROOT, handle);
  }
  assert.ok(chunks.stats().cacheBytes < 20_000, `${chunks.stats().cacheBytes} bytes`);
});

test('F5: distinct reads of much data stay within the cache size', { timeout }, async () => {
  const cacheBytes = 2 * MIB;
  const { vfs, chunks } = await volume.join({ attrCacheEntries: 1_000, idleReaders: 100 }, { cacheBytes });
  const inos: number[] = [];
  await each(4_000, async (i) => {
    const { entry, handle } = await vfs.files.create(ROOT, ROOT_INO, `read-${i}`, 0o644, O_CREAT | O_RDWR);
    await vfs.files.write(ROOT, handle, 0, Buffer.alloc(1_500, i), false);
    await vfs.files.flush(ROOT, handle);
    await vfs.files.release(ROOT, handle);
    inos.push(entry.attr.ino);
  });
  const before = heldBytes();
  await each(inos.length, async (i) => {
    const { handle } = await vfs.files.open(ROOT, inos[i]!, O_RDWR, false);
    assert.equal((await vfs.files.read(ROOT, handle, 0, 4096)).length, 1_500);
    await vfs.files.release(ROOT, handle);
  });
  assert.ok(chunks.stats().cacheBytes <= cacheBytes);
  const grown = heldBytes() - before;
  assert.ok(grown < 2 * MIB, `${grown} bytes more after reading what does not fit`);
});
