import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { silentLogger } from '../../src/base/log.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { collectGarbage, type GcReport } from '../../src/check/collect-garbage.ts';
import { openStore } from '../../src/chunk/object/open-store.ts';
import type { Meta } from '../../src/meta/meta.ts';
import { O_RDONLY } from '../../src/vfs/file/open-flags.ts';
import { checkVolume } from '../meta/volume-check.ts';
import { MOUNT } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { lookupPath, readAll, writeFile } from '../support/vfs-files.ts';
import { joinVfs } from '../support/vfs-session.ts';
import type { Member } from '../support/volume.ts';

const LIMIT = { timeout: 120_000 };
const Bucket = 'bkt';
let gateway: TestGateway;
let member: Member;

before(async () => {
  gateway = await testGateway({
    vfs: {
      upkeep: {
        packer: true,
        packIntervalMs: 50,
        deleter: false,
        reaper: false,
        compaction: true,
        deleteIntervalMs: 1000,
        reapIntervalMs: 1000,
        compactRecords: 100,
        reapDelayMs: 1,
      },
    },
  });
  member = await gateway.volume.join();
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
}, LIMIT);

async function gc(options: Partial<Parameters<typeof collectGarbage>[3]> = {}, meta: Meta = member): Promise<GcReport> {
  const store = await openStore(gateway.volume.storeUrl, { create: false });
  try {
    return await collectGarbage(meta, store, silentLogger, {
      delete: false,
      ageMs: 0,
      liveShare: 0.5,
      signal: new AbortController().signal,
      progress: () => {},
      ...options,
    });
  } finally {
    await store.close();
  }
}

/** A file's bytes as a process that has nothing cached reads them. */
async function readFresh(paths: string[]): Promise<Buffer[]> {
  const { vfs } = await joinVfs(gateway.volume);
  const found: Buffer[] = [];
  for (const path of paths) {
    const { attr } = await lookupPath(vfs, path);
    const { handle } = await vfs.files.open(MOUNT, attr.ino, O_RDONLY, false);
    found.push(await readAll(vfs, handle));
    await vfs.files.release(MOUNT, handle);
  }
  return found;
}

async function assertFiles(expected: ReadonlyMap<string, Buffer>): Promise<void> {
  const found = await readFresh([...expected.keys()]);
  [...expected].forEach(([path, wanted], i) => {
    assert.ok(found[i]!.equals(wanted), path);
  });
}

function bytes(seed: string, length: number): Buffer {
  const unit = createHash('sha256').update(seed).digest();
  return Buffer.alloc(length, unit);
}

test('C5: objects without a file are told, and deleted when that is asked for', LIMIT, async () => {
  const store = await openStore(gateway.volume.storeUrl, { create: false });
  for (const index of [0, 1]) await store.put(`chunks/0/0/88_${index}_7`, [Buffer.from('garbage')]);
  await store.close();
  await writeFile(gateway.vfs, 'kept', bytes('kept', 300_000));
  assert.equal((await gc({ ageMs: 60_000 })).youngOrphans, 2);
  const old = new Date(Date.now() - 120_000);
  for (const index of [0, 1]) await utimes(join(gateway.volume.blocks, `chunks/0/0/88_${index}_7`), old, old);
  const told = await gc({ ageMs: 60_000 });
  assert.deepEqual([told.orphans, told.orphanBytes, told.deleted], [2, 14, 0]);
  const done = await gc({ ageMs: 60_000, delete: true });
  assert.equal(done.deleted, 2);
  assert.equal((await gc()).orphans, 0);
  await assertFiles(new Map([['kept', bytes('kept', 300_000)]]));
});

test('C6: what lives in a half-dead pack moves to a new one, under its readers, clones included', LIMIT, async () => {
  const { vfs, alice } = gateway;
  const names = Array.from({ length: 120 }, (_, i) => `small-${i}`);
  for (const name of names) await writeFile(vfs, name, bytes(name, 20_000));
  await alice.send(new PutObjectCommand({ Bucket, Key: 'source', Body: bytes('source', 20_000) }));
  await alice.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/source` }));
  await until(
    async () => Number(await member.engine.command('ZCARD', [member.engine.key('inq')])) === 0,
    'everything to be packed',
  );
  for (const name of names.slice(20)) await vfs.names.unlink(MOUNT, ROOT_INO, name);
  while ((await member.upkeep.reap(1_000)).more);
  // The grace of removed inodes is not waited for here.
  for (const ino of (await member.engine.command('ZRANGE', [member.engine.key('del'), 0, -1])) as Buffer[]) {
    await member.engine.command('ZADD', [member.engine.key('del'), 0, ino]);
  }
  while ((await member.upkeep.reap(1_000)).more);
  const told = await gc();
  assert.ok(told.packs > 0 && told.packDeadBytes > 1_000_000, JSON.stringify(told));
  const done = await gc({ delete: true });
  assert.equal(done.packsRewritten, told.packs);
  await checkVolume(member.engine);
  assert.equal((await gc()).packs, 0);
  const expected = new Map(names.slice(0, 20).map((name) => [name, bytes(name, 20_000)]));
  for (const key of ['source', 'copy']) expected.set(`${Bucket}/${key}`, bytes('source', 20_000));
  await assertFiles(expected);
});

test('C7: a record that moves behind the back of the walk keeps its bytes', LIMIT, async () => {
  const { alice } = gateway;
  const body = bytes('behind', 200_000);
  await alice.send(new PutObjectCommand({ Bucket, Key: 'behind', Body: body }));
  const { attr } = await lookupPath(gateway.vfs, `${Bucket}/behind`);
  const { scan } = member;
  const copy = async (): Promise<void> => {
    await alice.send(new CopyObjectCommand({ Bucket, Key: 'moved', CopySource: `${Bucket}/behind` }));
    await alice.send(new DeleteObjectCommand({ Bucket, Key: 'behind' }));
  };
  // The walk has passed the place of the copy before it is made, and comes to the original's when that is gone.
  async function* keys(): AsyncGenerator<string[]> {
    for await (const page of scan.keys()) yield page.filter((key) => key !== `s${attr.ino}:0`);
    await copy();
  }
  const get = (target: typeof scan, name: keyof typeof scan) => (name === 'keys' ? keys : target[name].bind(target));
  const behind = { ...member, scan: new Proxy(scan, { get } as ProxyHandler<typeof scan>) };
  await gc({ delete: true }, behind);
  await assertFiles(new Map([[`${Bucket}/moved`, body]]));
});

test('C7: gc beside writers of both doors deletes nothing that is, or will be, part of a file', LIMIT, async () => {
  const { vfs, alice } = gateway;
  const expected = new Map<string, Buffer>();
  let stop = false;
  let rounds = 0;
  const put = async (Key: string, Body: Buffer): Promise<void> => {
    await alice.send(new PutObjectCommand({ Bucket, Key, Body }));
    expected.set(`${Bucket}/${Key}`, Body);
  };
  const remove = async (Key: string): Promise<void> => {
    await alice.send(new DeleteObjectCommand({ Bucket, Key }));
    expected.delete(`${Bucket}/${Key}`);
  };
  /** Slices that move: from key to key, and from parts to an object. */
  const mover = async (): Promise<void> => {
    await put('mover-0', bytes('mover', 400_000));
    for (let i = 0; !stop; i++) {
      await alice.send(new CopyObjectCommand({ Bucket, Key: `mover-${i + 1}`, CopySource: `${Bucket}/mover-${i}` }));
      expected.set(`${Bucket}/mover-${i + 1}`, bytes('mover', 400_000));
      await remove(`mover-${i}`);
    }
  };
  const uploader = async (): Promise<void> => {
    for (let i = 0; !stop; i++) {
      const Key = `multi-${i % 3}`;
      const { UploadId } = await alice.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const parts = [bytes(`a${i}`, 5 * 1024 * 1024), bytes(`b${i}`, 100_000)];
      const Parts = [];
      for (const [at, Body] of parts.entries()) {
        const PartNumber = at + 1;
        const { ETag } = await alice.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
        Parts.push({ PartNumber, ETag });
      }
      await alice.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
      expected.set(`${Bucket}/${Key}`, Buffer.concat(parts));
    }
  };
  const overwriter = async (): Promise<void> => {
    for (let i = 0; !stop; i++) {
      const body = bytes(`over${i}`, i % 2 === 0 ? 150_000 : 900);
      await writeFile(vfs, `over-${i % 5}`, body);
      expected.set(`over-${i % 5}`, body);
      rounds += 1;
    }
  };
  const workers = [mover(), uploader(), overwriter()];
  const endMs = Date.now() + 12_000;
  let runs = 0;
  // Younger than any request here takes, and old enough that most of what is written in the test is judged.
  while (Date.now() < endMs) {
    await gc({ delete: true, ageMs: 2_000 });
    runs += 1;
  }
  stop = true;
  await Promise.all(workers);
  assert.ok(runs > 5 && rounds > 20, `${runs} runs, ${rounds} rounds`);
  await assertFiles(expected);
  await checkVolume(member.engine);
});
