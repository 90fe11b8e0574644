import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { UserError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/log.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { fsck } from '../../src/check/check-volume.ts';
import { readScrub, setScrub } from '../../src/check/scrub-blocks.ts';
import { openStore } from '../../src/chunk/object/open-store.ts';
import { gunzip, listCopies, pruneCopies, readCopy } from '../../src/dump/copies.ts';
import { CopyJob, copyNow, readPlan, setPlan } from '../../src/dump/copy-plan.ts';
import { DumpEncoder } from '../../src/dump/dump-format.ts';
import { dumpVolume } from '../../src/dump/dump-volume.ts';
import { type LoadReport, loadVolume } from '../../src/dump/load-volume.ts';
import { beginTrash, endTrash, listTrash, restoreFile } from '../../src/trash/trashed-files.ts';
import { Deleter } from '../../src/upkeep/deleter.ts';
import { checkVolume } from '../meta/volume-check.ts';
import { MOUNT } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { lookupPath, readFile, writeFile } from '../support/vfs-files.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { type Member, volumeUrl } from '../support/volume.ts';

const LIMIT = { timeout: 120_000 };
const Bucket = 'bkt';
const BIG = Buffer.alloc(6 * 1024 * 1024, 'big content ');
const signal = new AbortController().signal;
let gateway: TestGateway;
let member: Member;
let loads = 0;

before(async () => {
  gateway = await testGateway();
  member = await gateway.volume.join();
  const { vfs, alice } = gateway;
  await alice.send(new CreateBucketCommand({ Bucket }));
  await writeFile(vfs, 'small', 'inline bytes');
  await writeFile(vfs, 'big', BIG);
  await vfs.names.link(MOUNT, (await lookupPath(vfs, 'small')).attr.ino, ROOT_INO, 'linked');
  await vfs.names.symlink(MOUNT, ROOT_INO, 'symlink', Buffer.from('small'));
  await alice.send(
    new PutObjectCommand({ Bucket, Key: 'a/b', Body: 'object', Metadata: { camera: 'box' }, Tagging: 'k=v' }),
  );
  await alice.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/a/b` }));
  const { UploadId } = await alice.send(new CreateMultipartUploadCommand({ Bucket, Key: 'multi' }));
  const part = { Bucket, Key: 'multi', UploadId, PartNumber: 1, Body: Buffer.alloc(300_000, 'p') };
  const { ETag } = await alice.send(new UploadPartCommand(part));
  await alice.send(
    new CompleteMultipartUploadCommand({
      Bucket,
      Key: 'multi',
      UploadId,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
    }),
  );
  await alice.send(new CreateMultipartUploadCommand({ Bucket, Key: 'under way' }));
  await setScrub(member, { rate: 1_000, everyMs: 3_600_000 });
  await beginTrash(member, 3_600_000);
  await writeFile(vfs, 'removed', 'in the trash');
  await vfs.names.unlink(MOUNT, ROOT_INO, 'removed');
  await writeFile(vfs, 'cut', 'content of before');
  await writeFile(vfs, 'cut', '');
  await endTrash(member); // What is there stays.
}, LIMIT);

async function dump(): Promise<Buffer> {
  const parts: Buffer[] = [];
  await dumpVolume(member, { version: 'test', signal, progress: () => {} }, async (bytes) => void parts.push(bytes));
  return Buffer.concat(parts);
}

function load(bytes: AsyncIterable<Buffer>, options: { force?: boolean; name?: string } = {}): Promise<LoadReport> {
  const { force = false, name = `loaded-${++loads}` } = options;
  return loadVolume(volumeUrl(gateway.volume.redis.socket, name), bytes, { logger: silentLogger, force, signal });
}

async function* pieces(data: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += 10_007) yield data.subarray(at, at + 10_007);
}

/** A loaded volume, opened; sound by both oracles. */
async function opened(name: string) {
  const url = volumeUrl(gateway.volume.redis.socket, name);
  const joined = await gateway.volume.join({ url });
  while ((await joined.upkeep.reap(1_000)).more);
  await checkVolume(joined.engine);
  const store = await openStore(gateway.volume.storeUrl, { create: false });
  const found: string[] = [];
  const options = { repair: false, zeroLost: false, deep: true, orphanAgeMs: 3_600_000, signal, progress: () => {} };
  await fsck(joined, store, silentLogger, { ...options, found: ({ what }) => found.push(what) });
  assert.deepEqual(found, []);
  await store.close();
  const { vfs } = await joinVfs({
    url,
    storeUrl: gateway.volume.storeUrl,
    beforeEnd: (end) => gateway.volume.beforeEnd(end),
  });
  return { vfs, joined };
}

test('B1: a volume that is loaded from its dump is the same, and sound', LIMIT, async () => {
  await load(pieces(await dump()));
  const { vfs, joined } = await opened(`loaded-${loads}`);
  assert.equal(await readFile(vfs, 'small'), 'inline bytes');
  assert.equal(await readFile(vfs, 'big'), BIG.toString('latin1'));
  assert.equal(await readFile(vfs, `${Bucket}/copy`), 'object');
  assert.equal((await lookupPath(vfs, 'linked')).attr.nlink, 2);
  const { attr } = await lookupPath(vfs, `${Bucket}/a/b`);
  assert.equal((await joined.names.getxattr(attr.ino, 'user.camera')).toString(), 'box');
  assert.deepEqual((await joined.objects.getS3(attr.ino))?.tags, [['k', 'v']]);
  assert.deepEqual(await joined.users.list(), await member.users.list());
  const [upload] = (
    await joined.uploads.list({
      root: (await lookupPath(vfs, Bucket)).attr.ino,
      prefix: '',
      afterKey: '',
      afterUploadId: '',
      limit: 10,
    })
  ).uploads;
  assert.equal(upload?.key, 'under way');
  const before = (await lookupPath(gateway.vfs, 'big')).attr.ino;
  await writeFile(vfs, 'new', 'n');
  assert.ok((await lookupPath(vfs, 'new')).attr.ino > before + 2 ** 31, 'inode numbers are not given out twice');
});

test('B1: it has every key of the volume but those of sessions, the trash and its plans included', LIMIT, async () => {
  await load(pieces(await dump()));
  const keysOf = async ({ scan }: Member): Promise<string[]> => {
    const found = new Set<string>();
    for await (const page of scan.keys()) for (const key of page) found.add(key);
    return [...found].filter((key) => !/^(ses|ses:.*|open:.*|lease:.*|os\d+|sync|del)$/.test(key)).sort();
  };
  const url = volumeUrl(gateway.volume.redis.socket, `loaded-${loads}`);
  assert.deepEqual(await keysOf(await gateway.volume.join({ url })), await keysOf(member));
  const { vfs, joined } = await opened(`loaded-${loads}`);
  assert.equal((await readScrub(joined)).rate, 1_000);
  const trashed = await listTrash(joined);
  assert.deepEqual(trashed.map(({ path }) => path).sort(), ['cut', 'removed']);
  for (const file of trashed) assert.ok(await restoreFile(joined, file, `${file.path}-again`));
  assert.equal(await readFile(vfs, 'removed-again'), 'in the trash');
  assert.equal(await readFile(vfs, 'cut-again'), 'content of before');
});

test('B1: a key that no volume has is named instead of left out', LIMIT, async () => {
  await member.engine.command('SET', [member.engine.key('foreign'), 'x']);
  await assert.rejects(dump(), /the key foreign in Redis is of no kind/);
  await member.engine.command('DEL', [member.engine.key('foreign')]);
});

test('B2: a dump that is taken while clients write is the volume as of one moment', LIMIT, async () => {
  const { vfs, alice } = gateway;
  let stop = false;
  let count = 0;
  /** Each step is made only when the one before is: every moment has a gapless sequence, and second is never ahead of first. */
  const sequence = async (): Promise<void> => {
    await vfs.names.mkdir(MOUNT, ROOT_INO, 'seq', 0o755);
    for (let i = 0; !stop; i++) {
      await alice.send(new PutObjectCommand({ Bucket, Key: 'first', Body: String(i) }));
      await alice.send(new PutObjectCommand({ Bucket, Key: 'second', Body: String(i) }));
      await writeFile(vfs, `f${i}`, String(i), 'seq');
      count = i;
    }
  };
  const churn = async (number: number): Promise<void> => {
    for (let i = 0; !stop; i++) {
      const Key = `churn-${number}-${i % 5}`;
      await alice.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(i % 4 === 0 ? 200_000 : 100, i) }));
      await vfs.names
        .rename(MOUNT, { parent: ROOT_INO, name: 'moving', newParent: ROOT_INO, newName: 'moved', mode: 'replace' })
        .catch(() => {});
      await vfs.names
        .rename(MOUNT, { parent: ROOT_INO, name: 'moved', newParent: ROOT_INO, newName: 'moving', mode: 'replace' })
        .catch(() => {});
    }
  };
  await writeFile(vfs, 'moving', 'always somewhere');
  const workers = [sequence(), churn(1), churn(2)];
  const dumps: Buffer[] = [];
  try {
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      dumps.push(await dump());
    }
  } finally {
    stop = true;
    await Promise.all(workers);
  }
  assert.ok(count > 20, `${count} steps`);
  for (const bytes of dumps) {
    await load(pieces(bytes));
    const { vfs: copy, joined } = await opened(`loaded-${loads}`);
    const [first, second] = [
      Number(await readFile(copy, `${Bucket}/first`)),
      Number(await readFile(copy, `${Bucket}/second`)),
    ];
    assert.ok(first === second || first === second + 1, `${first} and ${second}`);
    const { attr } = await lookupPath(copy, 'seq');
    const names = (await joined.names.readdir(attr.ino, '', 100_000)).entries.map(({ name }) => Number(name.slice(1)));
    assert.deepEqual(
      names.sort((a, b) => a - b),
      names.map((_, i) => i),
      'no gap',
    );
    assert.ok(
      names.length === first || names.length === first + 1 || names.length === second + 1,
      `${names.length} names at step ${first}`,
    );
    const moving = await Promise.all(
      ['moving', 'moved'].map((name) =>
        lookupPath(copy, name).then(
          () => 1,
          () => 0,
        ),
      ),
    );
    assert.equal(moving[0]! + moving[1]!, 1, 'what is renamed is somewhere, once');
  }
});

test(
  'B3: what is no whole sound dump is refused in one line, and leaves nothing that can be joined',
  LIMIT,
  async () => {
    const good = await dump();
    const refused = async (bytes: AsyncIterable<Buffer>, pattern: RegExp): Promise<void> => {
      const name = `refused-${++loads}`;
      await assert.rejects(load(bytes, { name }), (error) => {
        assert.ok(error instanceof UserError, `${error}`);
        assert.match(error.message, pattern);
        return true;
      });
      await assert.rejects(gateway.volume.join({ url: volumeUrl(gateway.volume.redis.socket, name) }), /no volume at/);
    };
    for (const share of [0, 0.001, 0.3, 0.999])
      await refused(pieces(good.subarray(0, Math.floor(good.length * share))), /no dump|ends early/);
    await refused(pieces(good.subarray(0, good.length - 1)), /ends early/);
    const flipped = Buffer.from(good);
    flipped[good.length - 5_000]! ^= 1;
    await refused(pieces(flipped), /damaged|ends early/);
    await refused(pieces(Buffer.from('something else entirely\n'.repeat(100))), /no dump of janusfs/);
    const format = { formatVersion: 2, name: 'x', uuid: 'u', store: 's' };
    const newer = new DumpEncoder().header({ dumpVersion: 2, format, beganMs: 1, version: '9.0.0' });
    await refused(pieces(newer), /version 2 \(made by janusfs 9\.0\.0\).*use a newer one/);
    const future = new DumpEncoder().header({
      dumpVersion: 1,
      format: { ...format, formatVersion: 4 },
      beganMs: 1,
      version: '9',
    });
    await refused(pieces(future), /volume of format 4/);
    const packed = gzipSync(good);
    await refused(gunzip(Readable.from([packed.subarray(0, packed.length / 2)])), /ends early/);
    packed[packed.length >> 1]! ^= 0x55;
    await refused(gunzip(Readable.from([packed])), /damaged|ends early/);
  },
);

test('B4: a volume that is there is not overwritten unless told to, and never while it is open', LIMIT, async () => {
  const bytes = await dump();
  await load(pieces(bytes), { name: 'twice' });
  await assert.rejects(load(pieces(bytes), { name: 'twice' }), /--force wipes it first/);
  await load(pieces(bytes), { name: 'twice', force: true });
  const joined = await gateway.volume.join({ url: volumeUrl(gateway.volume.redis.socket, 'twice') });
  await assert.rejects(load(pieces(bytes), { name: 'twice', force: true }), /live sessions/);
  await joined.close();
});

test('B5: a volume is made again from nothing but its store; the newest copy reads back whole', LIMIT, async () => {
  const { vfs } = gateway;
  const store = await openStore(gateway.volume.storeUrl, { create: false });
  await setPlan(member, { everyMs: 3_600_000, keep: 2 });
  await writeFile(vfs, 'soon gone', BIG);
  const { name } = await copyNow(member, store, { version: 'test', keep: 2, signal });
  await vfs.names.unlink(MOUNT, ROOT_INO, 'soon gone');
  await writeFile(vfs, 'big', 'overwritten after the copy');
  // Everything is due that is not held back: what was removed and the blocks of what was overwritten.
  await member.engine.command('HSET', [member.engine.key('n'), 'gcMs', 0]);
  for (const ino of (await member.engine.command('ZRANGE', [member.engine.key('del'), 0, -1])) as Buffer[]) {
    await member.engine.command('ZADD', [member.engine.key('del'), 0, ino]);
  }
  while ((await member.upkeep.reap(1_000)).more);
  const { chunks } = await joinVfs(gateway.volume);
  const source = {
    deadSlices: (limit: number) => member.upkeep.deadSlices(limit),
    forget: (ids: number[]) => member.upkeep.forgetSlices(ids),
    durable: () => member.durability.reached(),
  };
  const deleter = new Deleter(source, chunks, { pauseMs: 1_000 });
  await deleter.runOnce();
  const { copy, bytes } = await readCopy(store, undefined);
  assert.equal(copy.name, name);
  await load(bytes);
  const { vfs: again } = await opened(`loaded-${loads}`);
  assert.equal(await readFile(again, 'big'), BIG.toString('latin1'));
  assert.equal(await readFile(again, 'soon gone'), BIG.toString('latin1'));
  // The next copy lets them go.
  await new Promise((resolve) => setTimeout(resolve, 10));
  await copyNow(member, store, { version: 'test', keep: 2, signal });
  assert.ok((await deleter.runOnce()) >= 2);
  await copyNow(member, store, { version: 'test', keep: 2, signal });
  assert.equal((await listCopies(store)).length, 2);
  await assert.rejects(readCopy(store, name), /holds no copy/);
  await store.put('metadata/2020-01-01T00-00-00.000Z/00000', [Buffer.from('half a copy')]);
  await pruneCopies(store, 1, Date.now() + 2 * 86_400_000);
  assert.equal((await listCopies(store)).length, 1);
  assert.equal((await store.list('metadata/2020', '', 10)).length, 0);
  await setPlan(member, { everyMs: 1, keep: 3 });
  const other = await gateway.volume.join();
  await new CopyJob(member, store, 'test', silentLogger).round(signal);
  await new CopyJob(other, store, 'test', silentLogger).round(signal);
  assert.equal((await listCopies(store)).length, 2, 'a copy that is due is taken, by one session');
  await setPlan(member, undefined);
  await new CopyJob(member, store, 'test', silentLogger).round(signal);
  assert.equal((await listCopies(store)).length, 2);
  assert.deepEqual(await readPlan(member), { everyMs: 0, keep: 0, copiedMs: 0 });
  await store.close();
});
