/** What happens behind the back of a walk: fsck finds nothing in it and mends nothing of it, gc takes nothing away. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { type FsckReport, fsck } from '../../src/check/check-volume.ts';
import { collectGarbage } from '../../src/check/collect-garbage.ts';
import type { Finding } from '../../src/check/findings.ts';
import { sliceBlockNames } from '../../src/chunk/block-name.ts';
import { codecOf } from '../../src/chunk/codec/framed-block.ts';
import { openStore } from '../../src/chunk/object/open-store.ts';
import { buildPack } from '../../src/chunk/pack-format.ts';
import { BlockCache } from '../../src/chunk/read/block-cache.ts';
import { BlockUploader } from '../../src/chunk/write/block-uploader.ts';
import type { Meta } from '../../src/meta/meta.ts';
import { timestampOf } from '../../src/meta/redis/server-clock.ts';
import { beginTrash, endTrash, listTrash, restoreFile } from '../../src/trash/trashed-files.ts';
import { makeFile, s3Record } from '../meta/content-fixture.ts';
import { checkVolume } from '../meta/volume-check.ts';
import { MOUNT } from '../support/callers.ts';
import { patchFile, readFile, writeFile } from '../support/vfs-files.ts';
import { joinVfs, type Session } from '../support/vfs-session.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
const HOUR_MS = 60 * 60 * 1000;
const FILES = 6;

let volume: TestVolume;
let session: Session;
/** Walks. */
let member: Member;
/** Packs: a session of its own, as everybody but the tool is. */
let packer: Member;

before(async () => {
  volume = await testVolume();
  session = await joinVfs(volume);
  member = await volume.join();
  packer = await volume.join();
}, LIMIT);

interface Behind {
  /** When all is read, and nobody has written meanwhile. */
  rested?: () => Promise<unknown>;
  /** When keys have been read once more. */
  second?: () => Promise<unknown>;
  /** When the walk begins, before it reads a key. */
  first?: () => Promise<unknown>;
  /** When it has read all keys but for the tables behind them. */
  last?: () => Promise<unknown>;
  /** Keys that it has passed before they were there, or comes to when they are gone. */
  missed?: ReadonlySet<string>;
}

function metaWith({ first, last, missed, rested, second }: Behind): Meta {
  const { scan } = member;
  let walks = 0;
  let looks = 0;
  async function* keys(): AsyncGenerator<string[]> {
    const isFirst = walks++ === 0;
    if (isFirst) await first?.();
    for await (const page of scan.keys()) yield page.filter((key) => !isFirst || !missed?.has(key));
    await (isFirst ? last : second)?.();
  }
  async function activity(sessions: Parameters<typeof scan.activity>[0]): Promise<string> {
    const seen = await scan.activity(sessions);
    if (looks++ === 1) await rested?.();
    return seen;
  }
  const get = (target: typeof scan, name: keyof typeof scan) =>
    name === 'keys' ? keys : name === 'activity' ? activity : target[name].bind(target);
  return { ...member, scan: new Proxy(scan, { get } as ProxyHandler<typeof scan>) };
}

async function check(meta: Meta, repair: boolean): Promise<{ report: FsckReport; findings: Finding[] }> {
  const store = await openStore(volume.storeUrl, { create: false });
  const findings: Finding[] = [];
  const report = await fsck(meta, store, silentLogger, {
    repair,
    zeroLost: false,
    deep: false,
    orphanAgeMs: HOUR_MS,
    signal: new AbortController().signal,
    progress: () => {},
    found: (finding) => findings.push(finding),
  });
  await store.close();
  return { report, findings };
}

/** Runs fsck, and then fsck --repair, each beside the same kind of changes. */
async function findsNothing(behind: () => Promise<Behind>): Promise<void> {
  for (const repair of [false, true]) {
    const { report, findings } = await check(metaWith(await behind()), repair);
    assert.deepEqual(findings, [], `repair ${repair}`);
    assert.equal(report.quiet, false);
    await checkVolume(member.engine);
  }
}

function key(suffix: string): string {
  return member.engine.key(suffix);
}

async function redis(command: string, ...args: (string | number)[]): Promise<unknown> {
  return member.engine.command(command, args);
}

/** Small files, and a pack of them that is in the store. `half(0)` and `half(1)` point one half of them at it. */
async function filesAndPack(): Promise<{ half: (number: 0 | 1) => Promise<void>; end: () => Promise<void> }> {
  for (let i = 0; i < FILES; i++) await writeFile(session.vfs, `small-${i}`, `bytes of small file ${i}`);
  const slices = await packer.upkeep.inlineSlices('any', 0, 100);
  assert.ok(slices.length >= FILES);
  const bytes = (await packer.data.readInline(slices.map(({ id }) => id))) as Buffer[];
  const id = await packer.upkeep.packBegin();
  const { parts, sizeBytes, entries } = buildPack(slices.map((slice, i) => ({ ...slice, bytes: bytes[i]! })));
  await storeBlock(id, Buffer.concat(parts, sizeBytes));
  const swaps = slices.map((slice, i) => ({ ...slice, inlineId: slice.id, packOffset: entries[i]!.offset }));
  return {
    half: async (number) => {
      const mine = swaps.filter((_, i) => i % 2 === number);
      await packer.upkeep.packSwap(id, sizeBytes, mine);
    },
    end: () => packer.upkeep.packEnd(id),
  };
}

test(
  'C4: a pack that fills while fsck walks is no wrong count, and what goes into it no bytes of nobody',
  LIMIT,
  async () => {
    await findsNothing(async () => {
      const { half, end } = await filesAndPack();
      return {
        last: async () => {
          await half(0);
          await half(1);
          await end();
        },
      };
    });
    await findsNothing(async () => {
      const { half, end } = await filesAndPack();
      return {
        first: () => half(0),
        last: async () => {
          await half(1);
          await end();
        },
      };
    });
    for (let i = 0; i < FILES; i++) {
      assert.equal(await readFile(session.vfs, `small-${i}`), `bytes of small file ${i}`);
    }
  },
);

test('C4: bytes whose first record comes during the walk are not called orphans', LIMIT, async () => {
  let count = 0;
  await findsNothing(async () => {
    const ino = await writeFile(session.vfs, `late-${count++}`, 'written behind the back of the walk');
    return {
      missed: new Set([`s${ino}:0`]),
      last: () => writeFile(session.vfs, `later-${count}`, 'so that somebody is writing'),
    };
  });
});

test('C4: a new slice whose records come on both sides of the walk has no wrong count', LIMIT, async () => {
  // As of a writer that reserved its slices before the walk began.
  for (const seen of [false, true]) {
    let ino = 0;
    await findsNothing(async () => {
      const id = await packer.data.reserveSlices(1);
      ino = (await makeFile(packer, `two-chunks-${id}`)).ino;
      const uploaded = await storeBlock(id, Buffer.alloc(2_000, 'c'));
      const record = (off: number) => ({ pos: 0, id, size: uploaded, off, len: 1_000, inline: false });
      const commit = (): Promise<unknown> =>
        packer.data.commit({
          ino,
          pieces: [
            { chunkIndex: 0, record: record(0) },
            { chunkIndex: 1, record: record(1_000) },
          ],
          placement: 'write',
          mtime: timestampOf(packer.engine.clock.nowUs()),
          killPriv: false,
        });
      const missed = new Set(seen ? [`s${ino}:0`] : [`s${ino}:0`, `s${ino}:1`, `k${ino}`]);
      return { first: commit, missed };
    });
  }
});

test('C4: what compaction makes of a chunk behind the back of the walk has no wrong count', LIMIT, async () => {
  await findsNothing(async () => {
    const id = await packer.data.reserveSlices(1);
    const ino = await writeFile(session.vfs, `compacted-${id}`, 'x'.repeat(300_000));
    const { map } = await packer.data.readMap(ino, 0, 1, 0);
    const size = await storeBlock(id, Buffer.alloc(300_000, 'x'));
    const record = (pos: number) => ({ pos, id, size, off: pos, len: 150_000, inline: false });
    const compact = async (): Promise<void> => {
      const prefix = [...map.chunks.get(0)!];
      assert.ok(await packer.data.compactChunk(ino, 0, prefix, [record(0), record(150_000)]));
    };
    return { first: compact, missed: new Set([`s${ino}:0`]) };
  });
});

test('C4: an object that is deleted while fsck walks is not called one of nobody', LIMIT, async () => {
  await findsNothing(async () => {
    const ino = await writeFile(session.vfs, 'short-lived', 'short-lived '.repeat(30_000));
    await ageBlocks();
    const goes = async (): Promise<void> => {
      await session.vfs.attributes.setattr(MOUNT, ino, { size: 0 });
      await redis('HSET', key('n'), 'gcMs', 0);
      const dead = await packer.upkeep.deadSlices(100);
      const store = await openStore(volume.storeUrl, { create: false });
      const names = dead.flatMap(({ id, sizeBytes }) => sliceBlockNames(id, sizeBytes));
      assert.deepEqual(await store.deleteMany(names, new AbortController().signal), []);
      await store.close();
      await packer.upkeep.forgetSlices(dead.map(({ id }) => id));
    };
    await redis('HSET', key('n'), 'gcMs', 0);
    return { first: goes };
  });
});

test('C4: counters that move as soon as the walk is over are not called wrong, nor set back', LIMIT, async () => {
  for (const repair of [false, true]) {
    const { report, findings } = await check(
      metaWith({ rested: () => session.vfs.names.mkdir(MOUNT, ROOT_INO, `soon-${repair}`, 0o755) }),
      repair,
    );
    assert.deepEqual(findings, []);
    assert.equal(report.quiet, true);
    await checkVolume(member.engine);
  }
});

test('C4: an upload that begins and gets its part behind the back of the walk keeps that part', LIMIT, async () => {
  const bucket = await session.vfs.names.mkdir(MOUNT, ROOT_INO, 'bkt', 0o755);
  await findsNothing(async () => {
    const { uploadId } = await packer.uploads.create({
      root: bucket.attr.ino,
      key: 'uploaded',
      owner: 'me',
      s3: s3Record(''),
      checksumAlgorithm: 'CRC32',
      xattrs: new Map(),
    });
    const missed = new Set<string>();
    let ino = 0;
    return {
      first: async () => {
        ({ ino } = await packer.names.mkHidden(0o100644, 0, 0));
        missed.add(`os${ino}`);
      },
      missed,
      // fsck has looked for parts a second time when this one comes.
      second: () => packer.uploads.putPart(uploadId, { number: 1, ino, sizeBytes: 0, etag: '', checksums: {} }),
    };
  });
});

test('C7: content that goes into the trash behind the back of the walk keeps its bytes', LIMIT, async () => {
  await beginTrash(packer, HOUR_MS);
  const content = 'old content '.repeat(100_000);
  const ino = await writeFile(session.vfs, 'valued', content);
  await ageBlocks();
  const cut = (): Promise<unknown> => session.vfs.attributes.setattr(MOUNT, ino, { size: 0 });
  const store = await openStore(volume.storeUrl, { create: false });
  const report = await collectGarbage(metaWith({ missed: new Set([`s${ino}:0`]), last: cut }), store, silentLogger, {
    delete: true,
    ageMs: HOUR_MS,
    liveShare: -1,
    signal: new AbortController().signal,
    progress: () => {},
  });
  await store.close();
  assert.equal(report.orphans, 0);
  const [kept] = await listTrash(packer);
  assert.ok(kept !== undefined && (await restoreFile(packer, kept, 'restored')));
  assert.equal(await readFile((await joinVfs(volume)).vfs, 'restored'), content);
  await endTrash(packer);
});

test('C4, C7: beside writers, packer, compaction and trash nothing is found, and nothing is lost', {
  timeout: 180_000,
}, async () => {
  await beginTrash(packer, HOUR_MS);
  const upkeep = {
    packer: true,
    packIntervalMs: 20,
    compaction: true,
    compactRecords: 5,
    deleter: true,
    reaper: true,
    deleteIntervalMs: 10,
    reapIntervalMs: 10,
  };
  const { vfs } = await joinVfs(volume, { vfs: { upkeep } });
  const old = new Map<string, string>();
  for (let i = 0; i < 40; i++) old.set(`old-${i}`, `old ${i} `.repeat(20_000));
  for (const [name, text] of old) await writeFile(vfs, name, text);
  await ageBlocks();
  let stop = false;
  const content = (name: string, i: number): string => `${name} ${i} `.repeat(i % 9 === 0 ? 20_000 : 40);
  const written = new Map<string, string>();
  const writer = async (number: number): Promise<void> => {
    for (let i = 0; !stop; i++) {
      const name = `w${number}-${i % 11}`;
      await writeFile(vfs, name, content(name, i));
      for (let n = 0; n < i % 8; n++) await patchFile(vfs, name, n, 'p');
      written.set(name, 'p'.repeat(i % 8) + content(name, i).slice(i % 8));
    }
  };
  const overwriter = async (): Promise<void> => {
    for (const name of old.keys()) await writeFile(vfs, name, 'new');
  };
  const writers = [writer(1), writer(2), writer(3), overwriter()];
  try {
    for (let round = 0; round < 10; round++) {
      const store = await openStore(volume.storeUrl, { create: false });
      if (round % 3 === 2) {
        const signal = new AbortController().signal;
        // An hour: what the writers store meanwhile is younger.
        const options = { delete: true, ageMs: HOUR_MS, liveShare: 0.5, signal, progress: () => {} };
        await collectGarbage(member, store, silentLogger, options);
      } else assert.deepEqual((await check(member, round % 3 === 1)).findings, []);
      await store.close();
    }
  } finally {
    stop = true;
    await Promise.all(writers);
  }
  assert.ok(written.size > 20, `${written.size} files`);
  const fresh = (await joinVfs(volume)).vfs;
  for (const [name, text] of written) assert.equal(await readFile(fresh, name), text, name);
  for (const file of await listTrash(packer)) {
    const text = old.get(file.path);
    if (text === undefined) continue;
    assert.ok(await restoreFile(packer, file, `restored-${file.path}`));
    assert.equal(await readFile(fresh, `restored-${file.path}`), text, file.path);
    old.delete(file.path);
  }
  assert.deepEqual([...old.keys()], []);
  await endTrash(packer);
  await checkVolume(member.engine);
});

/** Puts a slice of one block. Answers its length. */
async function storeBlock(id: number, bytes: Buffer): Promise<number> {
  const store = await openStore(volume.storeUrl, { create: false });
  const limits = { retryMs: 1000, uploadParallel: 1, ...codecOf(member.session.format, undefined) };
  await new BlockUploader(store, new BlockCache(0), limits).putSlice(id, [bytes]);
  await store.close();
  return bytes.length;
}

/** All objects of the store are two hours old. */
async function ageBlocks(): Promise<void> {
  const then = new Date(Date.now() - 2 * HOUR_MS);
  for (const entry of readdirSync(volume.blocks, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), then, then);
}
