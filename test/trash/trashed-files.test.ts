import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import {
  beginTrash,
  emptyTrash,
  endTrash,
  listTrash,
  restoreFile,
  type TrashedFile,
} from '../../src/trash/trashed-files.ts';
import { checkVolume } from '../meta/volume-check.ts';
import { MOUNT } from '../support/callers.ts';
import { close, create, lookupPath, readFile, writeFile } from '../support/vfs-files.ts';
import { joinVfs, type Session } from '../support/vfs-session.ts';
import { type Member, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
const WEEK_MS = 7 * 24 * 3600 * 1000;
const BIG = 'b'.repeat(3_000_000);

let session: Session;
let member: Member;

before(async () => {
  const volume = await testVolume();
  session = await joinVfs(volume);
  member = await volume.join();
  await session.vfs.names.mkdir(MOUNT, ROOT_INO, 'bkt', 0o755);
}, LIMIT);

const farFuture = (): number => Date.now() + WEEK_MS;

async function unlink(path: string): Promise<void> {
  const at = path.lastIndexOf('/');
  const parent = at < 0 ? ROOT_INO : (await lookupPath(session.vfs, path.slice(0, at))).attr.ino;
  await session.vfs.names.unlink(MOUNT, parent, path.slice(at + 1));
}

async function find(path: string): Promise<TrashedFile> {
  const found = (await listTrash(member)).filter((file) => file.path === path);
  assert.equal(found.length, 1, `${path} is in the trash ${found.length} times`);
  return found[0]!;
}

test(
  'T1: off, nothing is kept; on, what is removed, renamed over or cut to nothing is listed with its path and comes back',
  LIMIT,
  async () => {
    const { vfs } = session;
    await writeFile(vfs, 'before', 'x', 'bkt');
    await unlink('bkt/before');
    assert.deepEqual(await listTrash(member), []);
    await beginTrash(member, WEEK_MS);

    await writeFile(vfs, 'removed', BIG, 'bkt');
    await writeFile(vfs, 'over', 'old content', 'bkt');
    await writeFile(vfs, 'new', 'new content', 'bkt');
    await writeFile(vfs, 'cut', BIG, 'bkt');
    const cutBefore = (await lookupPath(vfs, 'bkt/cut')).attr;
    await unlink('bkt/removed');
    const bkt = (await lookupPath(vfs, 'bkt')).attr.ino;
    await vfs.names.rename(MOUNT, {
      parent: bkt,
      name: 'new',
      newParent: bkt,
      newName: 'over',
      mode: 'replace',
    });
    await writeFile(vfs, 'cut', 'short', 'bkt');

    const listed = (await listTrash(member)).map(({ path, sizeBytes, overwritten }) => [path, sizeBytes, overwritten]);
    assert.deepEqual(listed, [
      ['bkt/removed', BIG.length, false],
      ['bkt/over', 11, false],
      ['bkt/cut', BIG.length, true],
    ]);
    assert.equal(await restoreFile(member, await find('bkt/over'), 'bkt/over'), false, 'something is there');
    assert.ok(await restoreFile(member, await find('bkt/over'), 'bkt/deep/er/over-old'));
    assert.ok(await restoreFile(member, await find('bkt/removed'), 'bkt/removed'));
    assert.ok(await restoreFile(member, await find('bkt/cut'), 'bkt/cut-old'));
    assert.equal(await readFile(vfs, 'bkt/deep/er/over-old'), 'old content');
    assert.equal(await readFile(vfs, 'bkt/over'), 'new content');
    assert.equal(await readFile(vfs, 'bkt/cut'), 'short');
    assert.equal(await readFile(vfs, 'bkt/removed'), BIG);
    assert.equal(await readFile(vfs, 'bkt/cut-old'), BIG);
    assert.equal((await lookupPath(vfs, 'bkt/cut-old')).attr.mode, cutBefore.mode);
    assert.deepEqual(await listTrash(member), []);
    await checkVolume(member.engine);
  },
);

test(
  'T1: a file of several names is kept when the last goes; of a removed tree each file is known by its path',
  LIMIT,
  async () => {
    const { vfs } = session;
    await vfs.names.mkdir(MOUNT, ROOT_INO, 'tree', 0o755);
    const tree = (await lookupPath(vfs, 'tree')).attr.ino;
    await vfs.names.mkdir(MOUNT, tree, 'sub', 0o755);
    const ino = await writeFile(vfs, 'one', 'linked', 'tree/sub');
    await vfs.names.link(MOUNT, ino, tree, 'two');
    await unlink('tree/sub/one');
    assert.deepEqual(await listTrash(member), []);
    await unlink('tree/two');
    await writeFile(vfs, 'three', '3', 'tree/sub');
    await unlink('tree/sub/three');
    await vfs.names.rmdir(MOUNT, tree, 'sub');
    await vfs.names.rmdir(MOUNT, ROOT_INO, 'tree');
    assert.deepEqual(
      (await listTrash(member)).map(({ path }) => path),
      ['tree/two', 'tree/sub/three'],
    );
    for (const file of await listTrash(member)) assert.ok(await restoreFile(member, file, file.path));
    assert.equal(await readFile(vfs, 'tree/sub/three'), '3');
    assert.equal((await lookupPath(vfs, 'tree/two')).attr.nlink, 1);
    await checkVolume(member.engine);
  },
);

test(
  'T2: an open file that is removed goes on being written, and what the trash gives up is freed',
  LIMIT,
  async () => {
    const { vfs } = session;
    const handle = await create(vfs, 'open');
    await unlink('open');
    await vfs.files.write(MOUNT, handle, 0, Buffer.from('after'), false);
    await close(vfs, handle);
    assert.equal((await find('open')).sizeBytes, 5);
    await writeFile(vfs, 'young', 'y');
    await unlink('young');
    const middleMs = (await find('open')).removedMs + 1;
    assert.equal(await emptyTrash(member, middleMs - 1_000_000), 0);
    assert.equal(await emptyTrash(member, farFuture()), 2);
    assert.deepEqual(await listTrash(member), []);
    const place = await lookupPath(vfs, '.trash');
    assert.equal(place.attr.nlink, 2, 'the hour is gone, too');
    await checkVolume(member.engine);
  },
);

test('T2: removing inside the trash is for good, and off keeps nothing more', LIMIT, async () => {
  const { vfs } = session;
  await writeFile(vfs, 'twice', 'y', 'bkt');
  await unlink('bkt/twice');
  const { hour, entry } = await find('bkt/twice');
  await vfs.names.unlink(MOUNT, hour, entry);
  assert.deepEqual(await listTrash(member), []);
  const rename = { parent: ROOT_INO, name: '.trash', newParent: ROOT_INO, newName: 'moved', mode: 'replace' } as const;
  await emptyTrash(member, farFuture());
  await assert.rejects(async () => vfs.names.rename(MOUNT, rename), /EPERM/);
  await assert.rejects(async () => vfs.names.rmdir(MOUNT, ROOT_INO, '.trash'), /EPERM/);
  await endTrash(member);
  await writeFile(vfs, 'last', 'y', 'bkt');
  await unlink('bkt/last');
  assert.deepEqual(await listTrash(member), []);
  await checkVolume(member.engine);
});
