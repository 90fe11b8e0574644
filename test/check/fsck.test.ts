import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile, rm, truncate, utimes, writeFile as writeDisk } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { type FsckReport, fsck } from '../../src/check/check-volume.ts';
import type { Finding } from '../../src/check/findings.ts';
import { openStore } from '../../src/chunk/object/open-store.ts';
import { decodeAttr, encodeAttr } from '../../src/meta/codec/codec.ts';
import { checkVolume } from '../meta/volume-check.ts';
import { MOUNT } from '../support/callers.ts';
import { lookupPath, writeFile } from '../support/vfs-files.ts';
import { joinVfs, type Session } from '../support/vfs-session.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
const AGE_MS = 60 * 60 * 1000;
const BIG = Buffer.alloc(5 * 1024 * 1024, 'b');

let volume: TestVolume;
let session: Session;
let member: Member;

before(async () => {
  volume = await testVolume();
  session = await joinVfs(volume);
  member = await volume.join();
  const { vfs } = session;
  await vfs.names.mkdir(MOUNT, ROOT_INO, 'dir', 0o755);
  const inos = [await writeFile(vfs, 'big', BIG), await writeFile(vfs, 'small', 'inline', 'dir')];
  await vfs.names.link(MOUNT, inos[1]!, ROOT_INO, 'other-name');
  await vfs.names.mkdir(MOUNT, (await lookupPath(vfs, 'dir')).attr.ino, 'sub', 0o755);
  await writeFile(vfs, 'deep', 'deep', 'dir/sub');
}, LIMIT);

async function run(
  options: Partial<Parameters<typeof fsck>[3]> = {},
): Promise<{ report: FsckReport; findings: Finding[] }> {
  const store = await openStore(volume.storeUrl, { create: false });
  const findings: Finding[] = [];
  const report = await fsck(member, store, silentLogger, {
    repair: false,
    zeroLost: false,
    deep: false,
    orphanAgeMs: AGE_MS,
    signal: new AbortController().signal,
    progress: () => {},
    found: (finding) => findings.push(finding),
    ...options,
  });
  await store.close();
  return { report, findings };
}

function key(suffix: string): string {
  return member.engine.key(suffix);
}

async function redis(command: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
  return member.engine.command(command, args);
}

async function changeAttr(ino: number, change: (attr: ReturnType<typeof decodeAttr>) => object): Promise<void> {
  const attr = decodeAttr(ino, (await redis('GET', key(`i${ino}`))) as Buffer);
  await redis('SET', key(`i${ino}`), encodeAttr({ ...attr, ...change(attr) }));
}

/** Finds exactly `kinds`, mends them, and then the volume is sound. */
async function mends(kinds: string[], options: { left?: boolean } = {}): Promise<Finding[]> {
  const first = await run();
  assert.deepEqual(first.findings.map(({ kind }) => kind).sort(), [...kinds].sort(), JSON.stringify(first.findings));
  assert.ok(first.findings.every(({ state }) => state === 'found'));
  const second = await run({ repair: true });
  const state = options.left === true ? 'left' : 'mended';
  assert.ok(
    second.findings.every((finding) => finding.state === state),
    JSON.stringify(second.findings),
  );
  if (options.left !== true) await isClean();
  return first.findings;
}

async function isClean(): Promise<void> {
  // What repair gave back to the ordinary ways of freeing goes them.
  while ((await member.upkeep.reap(100)).more);
  const { report, findings } = await run();
  assert.deepEqual(findings, []);
  assert.equal(report.quiet, true);
  await checkVolume(member.engine);
}

function blockFiles(): string[] {
  return readdirSync(volume.blocks, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^\d+_\d+_\d+$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

test('a sound volume is clean', LIMIT, async () => {
  const { report, findings } = await run({ deep: true });
  assert.deepEqual(findings, []);
  assert.equal(report.inodes, 6);
  assert.equal(report.blocksRead, 2);
  assert.equal(report.quiet, true);
});

test('C1: a dangling entry is taken away', LIMIT, async () => {
  await redis('ZADD', key('d1'), 0, 'ghost\x00999');
  await redis('ZADD', key('d1'), 0, 'ghost-dir/998');
  await changeAttr(1, ({ nlink }) => ({ nlink: nlink + 1 }));
  const findings = await mends(['dangling-entry', 'dangling-entry']);
  assert.match(findings[0]!.what, /'ghost(-dir)?'/);
});

test('C1: wrong link counts are counted again, of files and of directories', LIMIT, async () => {
  const file = (await lookupPath(session.vfs, 'other-name')).attr.ino;
  const dir = (await lookupPath(session.vfs, 'dir')).attr.ino;
  await changeAttr(file, () => ({ nlink: 7 }));
  await redis('DEL', key(`p${file}`));
  await changeAttr(dir, () => ({ nlink: 2 }));
  const findings = await mends(['link-count', 'link-count']);
  assert.ok(findings.some(({ path }) => path === '/dir'));
  const parents = (await redis('HGETALL', key(`p${file}`))) as Buffer[];
  assert.equal(parents.length, 4);
});

test('C1: what no path leads to comes into lost+found with its bytes', LIMIT, async () => {
  const ino = await writeFile(session.vfs, 'lost', 'found again');
  await session.vfs.names.mkdir(MOUNT, ROOT_INO, 'lost-dir', 0o755);
  const dir = (await lookupPath(session.vfs, 'lost-dir')).attr.ino;
  await writeFile(session.vfs, 'inside', 'inside', 'lost-dir');
  await redis('ZREM', key('d1'), `lost\x00${ino}`);
  await redis('ZREM', key('d1'), `lost-dir/${dir}`);
  await changeAttr(1, ({ nlink }) => ({ nlink: nlink - 1 }));
  await mends(['unreachable-inode', 'unreachable-inode']);
  const found = await lookupPath(session.vfs, `lost+found/#${ino}`);
  assert.equal(found.attr.size, 11);
  assert.equal((await lookupPath(session.vfs, `lost+found/#${dir}/inside`)).attr.size, 6);
});

test('C1: a ring of directories that hangs on nothing comes into lost+found', LIMIT, async () => {
  const { vfs } = session;
  await vfs.names.mkdir(MOUNT, ROOT_INO, 'ring', 0o755);
  const outer = (await lookupPath(vfs, 'ring')).attr.ino;
  await vfs.names.mkdir(MOUNT, outer, 'inner', 0o755);
  const inner = (await lookupPath(vfs, 'ring/inner')).attr.ino;
  await redis('ZREM', key('d1'), `ring/${outer}`);
  await changeAttr(1, ({ nlink }) => ({ nlink: nlink - 1 }));
  await redis('ZADD', key(`d${inner}`), 0, `back/${outer}`);
  await changeAttr(outer, () => ({ parent: inner }));
  await changeAttr(inner, ({ nlink }) => ({ nlink: nlink + 1 }));
  const first = await run();
  assert.deepEqual(
    first.findings.map(({ kind }) => kind),
    ['unreachable-inode'],
  );
  await run({ repair: true });
  // The entry that closed the ring is gone, and with it a link of the directory that held it.
  await run({ repair: true });
  await isClean();
});

test('C1: an inode without a name that nobody keeps is freed; a kept one stays', LIMIT, async () => {
  const hidden = await member.names.mkHidden(0o100644, 0, 0);
  assert.deepEqual((await run()).findings, [], 'it belongs to its session');
  await redis('DEL', key(`os${hidden.ino}`), key(`open:${member.session.sid}`));
  await mends(['forgotten-inode']);
  assert.equal(await redis('EXISTS', key(`i${hidden.ino}`)), 0);
});

test('C1: keys of inodes that do not exist go, content included', LIMIT, async () => {
  const ino = await writeFile(session.vfs, 'headless', BIG);
  await redis('DEL', key(`i${ino}`));
  await redis('ZREM', key('d1'), `headless\x00${ino}`);
  await redis('HINCRBY', key('n'), 'inodes', -1);
  await redis('HINCRBY', key('n'), 'bytes', -BIG.length);
  await redis('HSET', key('x4711'), 'user.a', 'b');
  await redis('SET', key('l4712'), 'target');
  const first = await run();
  assert.deepEqual(
    first.findings.map(({ kind }) => kind),
    ['leftover-key', 'leftover-key', 'leftover-key'],
  );
  await run({ repair: true });
  while ((await member.upkeep.reap(100)).more);
  await run({ repair: true });
  await isClean();
});

test(
  'C2: missing, short and damaged blocks are told with their files; given up, the rest can be read',
  LIMIT,
  async () => {
    const before = blockFiles();
    await writeFile(session.vfs, 'victim', Buffer.alloc(9 * 1024 * 1024, 'v'), 'dir');
    const [first, second, third] = blockFiles()
      .filter((path) => !before.includes(path))
      .sort();
    await rm(first!);
    await truncate(second!, 100);
    const bytes = await readFile(third!);
    bytes[500]! ^= 1;
    await writeDisk(third!, bytes);
    const shallow = await run();
    assert.deepEqual(
      shallow.findings.map(({ kind, path }) => [kind, path]),
      [
        ['missing-block', '/dir/victim'],
        ['missing-block', '/dir/victim'],
      ],
    );
    const deep = await run({ deep: true });
    assert.deepEqual(deep.findings.map(({ kind }) => kind).sort(), ['damaged-block', 'missing-block', 'missing-block']);
    const left = await run({ repair: true, deep: true });
    assert.ok(
      left.findings.every(({ state }) => state === 'left'),
      'nothing is given up unless asked for',
    );
    const given = await run({ repair: true, deep: true, zeroLost: true });
    assert.ok(
      given.findings.every(({ state }) => state === 'mended'),
      JSON.stringify(given.findings),
    );
    assert.deepEqual((await run({ deep: true })).findings, []);
    await checkVolume(member.engine);
  },
);

test('C2: objects that belong to no file go when they are old enough', LIMIT, async () => {
  const store = await openStore(volume.storeUrl, { create: false });
  await store.put('chunks/0/0/77_0_5', [Buffer.from('orphan')]);
  await store.close();
  const young = await run({ repair: true });
  assert.deepEqual(young.findings, []);
  assert.equal(young.report.youngOrphans, 1);
  const old = new Date(Date.now() - 2 * AGE_MS);
  await utimes(join(volume.blocks, 'chunks/0/0/77_0_5'), old, old);
  await mends(['orphan-block']);
  assert.ok(!blockFiles().some((path) => path.endsWith('77_0_5')));
});

test('C2: bytes of inline slices without a file go, missing ones are told', LIMIT, async () => {
  await redis('SET', key('b55'), 'orphan');
  await redis('HINCRBY', key('n'), 'inline', 6);
  await mends(['orphan-inline']);
  const ino = await writeFile(session.vfs, 'gone', 'gone');
  const records = (await redis('GET', key(`s${ino}:0`))) as Buffer;
  const id = Number(records.readBigUInt64LE(4));
  await redis('DEL', key(`b${id}`));
  await redis('HINCRBY', key('n'), 'inline', -4);
  const { findings } = await run();
  assert.deepEqual(
    findings.map(({ kind, path }) => [kind, path]),
    [['missing-inline', '/gone']],
  );
  const given = await run({ repair: true, zeroLost: true });
  assert.equal(given.report.mended, 1);
  // Giving the bytes up counted them down once more.
  await run({ repair: true });
  await isClean();
});

test('C2: counts of references and packs, queues and indexes are made to agree', LIMIT, async () => {
  const big = (await lookupPath(session.vfs, 'big')).attr.ino;
  const small = (await lookupPath(session.vfs, 'other-name')).attr.ino;
  const id = Number(((await redis('GET', key(`s${big}:0`))) as Buffer).readBigUInt64LE(4));
  await redis('HSET', key('ref'), id, 3);
  await redis('ZREM', key('inq'), ...((await redis('ZRANGE', key('inq'), 0, 0)) as Buffer[]));
  await redis('ZADD', key(`k${small}`), 9, '9');
  const counts = Buffer.alloc(16);
  counts.writeUInt32LE(100, 0);
  counts.writeUInt32LE(200, 8);
  await redis('HSET', key('pk'), '4242', counts);
  await redis('ZADD', key('gc'), 0, `${id}:${BIG.length}`);
  const kinds = ['reference-count', 'pack-queue', 'chunk-index', 'pack-count', 'doomed-slice'];
  const first = await run();
  assert.deepEqual(first.findings.map(({ kind }) => kind).sort(), [...kinds].sort());
  await run({ repair: true });
  await redis('ZREMRANGEBYSCORE', key('gc'), '-inf', '+inf');
  await isClean();
  assert.deepEqual(await member.upkeep.deadSlices(10), []);
});

test('C3: counters are counted again when nobody writes', LIMIT, async () => {
  await redis('HINCRBY', key('n'), 'inodes', 5);
  await redis('HINCRBY', key('n'), 'bytes', -4096);
  await redis('HINCRBY', key('n'), 'inline', 1);
  await mends(['counter', 'counter', 'counter']);
});

test('C3: stale sessions, what they kept, and parts of uploads that are gone', LIMIT, async () => {
  const lost = await volume.join({ leaseMs: 1000 });
  await lost.names.mkHidden(0o100644, 0, 0);
  lost.drop();
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  await redis('SADD', key('open:909'), '1');
  const ino = await writeFile(session.vfs, 'kept', 'k');
  await redis('SADD', key(`os${ino}`), '908');
  await redis('HSET', key('upp:nobody'), '1', Buffer.alloc(24));
  await redis('ZADD', key('up1'), 0, 'key\x00nothing');
  await mends(['stale-session', 'stale-hold', 'stale-hold', 'upload', 'upload']);
});

test('C4: nothing is found, and nothing is broken by repair, while clients write', { timeout: 120_000 }, async () => {
  const { vfs } = session;
  let stop = false;
  let count = 0;
  const writer = async (number: number): Promise<void> => {
    for (let i = 0; !stop; i++) {
      const name = `w${number}-${i % 7}`;
      await writeFile(vfs, name, Buffer.alloc(i % 3 === 0 ? 300_000 : 500, i));
      if (i % 5 === 0) {
        await vfs.names.rename(MOUNT, {
          parent: ROOT_INO,
          name,
          newParent: ROOT_INO,
          newName: `${name}-moved`,
          mode: 'replace',
        });
      }
      if (i % 4 === 0) await vfs.names.unlink(MOUNT, ROOT_INO, i % 5 === 0 ? `${name}-moved` : name);
      count += 1;
    }
  };
  const writers = [writer(1), writer(2), writer(3)];
  try {
    for (let round = 0; round < 8; round++) {
      const { findings } = await run({ repair: round % 2 === 1, deep: round % 3 === 0 });
      assert.deepEqual(findings, []);
    }
  } finally {
    stop = true;
    await Promise.all(writers);
  }
  assert.ok(count > 20, `${count} rounds of writing`);
  await isClean();
});
