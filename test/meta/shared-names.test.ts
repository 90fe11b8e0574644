import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { type EntryKind, type Ino, ROOT_INO, S_IFDIR, S_IFREG } from '../../src/base/vocabulary.ts';
import { KERNEL, type Member, type TestVolume, testVolume } from './volume-fixture.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let m: Member;
let count = 0;

before(async () => {
  volume = await testVolume();
  m = await volume.join();
}, LIMIT);

after(() => volume.close(), LIMIT);

async function make(parent: Ino, name: string, mode: number): Promise<Ino> {
  return (await m.ns.mknod({ parent, name, mode, uid: 0, gid: 0, rdev: 0, caller: KERNEL })).entry.attr.ino;
}

/** A directory that holds a file `a` and a directory `a`; S3 makes such pairs, so the second is put there by hand. */
async function pair(elder: 'file' | 'dir'): Promise<{ dir: Ino; file: Ino; sub: Ino }> {
  count += 1;
  const dir = await make(ROOT_INO, `pair${count}`, S_IFDIR | 0o755);
  const file = await make(dir, elder === 'file' ? 'a' : 'tmp', S_IFREG | 0o644);
  const sub = await make(dir, elder === 'dir' ? 'a' : 'tmp', S_IFDIR | 0o755);
  const [old, young] = elder === 'file' ? [`tmp/${sub}`, `a/${sub}~`] : [`tmp\0${file}`, `a\0${file}~`];
  await m.engine.command('ZREM', [m.engine.key(`d${dir}`), old]);
  await m.engine.command('ZADD', [m.engine.key(`d${dir}`), 0, young]);
  return { dir, file, sub };
}

async function shown(dir: Ino): Promise<string[]> {
  const { entries } = await m.ns.readdir(dir, '', 100);
  return entries.map((entry) => `${entry.name} ${entry.attr.ino}${entry.younger ? ' younger' : ''}`);
}

function rename(
  dir: Ino,
  name: string,
  kind: EntryKind,
  newName: string,
  newKind: EntryKind = 'elder',
  mode: 'replace' | 'exchange' = 'replace',
) {
  return m.ns.rename({ parent: dir, name, kind, newParent: dir, newName, newKind, mode, caller: KERNEL });
}

async function fails(code: 'EEXIST' | 'EISDIR' | 'ENOTDIR' | 'EINVAL', call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => isFsError(error, code));
}

for (const elder of ['file', 'dir'] as const) {
  const younger = elder === 'file' ? 'dir' : 'file';

  test(`with an elder ${elder} the plain name means it, and the other is found by its kind`, LIMIT, async () => {
    const { dir, file, sub } = await pair(elder);
    const found = async (kind: EntryKind): Promise<Ino> => (await m.ns.lookup(dir, 'a', kind, KERNEL)).attr.ino;
    assert.equal(await found('elder'), elder === 'file' ? file : sub);
    assert.deepEqual([await found('file'), await found('dir')], [file, sub]);
    assert.equal((await m.ns.lookup(dir, 'a', younger, KERNEL)).younger, true);
    await fails('EEXIST', make(dir, 'a', S_IFREG));
    await fails('EEXIST', make(dir, 'a', S_IFDIR));
  });

  test(`removing the elder ${elder} gives the plain name to the younger`, LIMIT, async () => {
    const { dir, file, sub } = await pair(elder);
    await (elder === 'file' ? m.ns.unlink(dir, 'a', 'elder', KERNEL) : m.ns.rmdir(dir, 'a', 'elder', KERNEL));
    assert.deepEqual(await shown(dir), [`a ${elder === 'file' ? sub : file}`]);
  });

  test(`removing the younger leaves the elder ${elder}`, LIMIT, async () => {
    const { dir, file, sub } = await pair(elder);
    await (younger === 'file' ? m.ns.unlink(dir, 'a', 'file', KERNEL) : m.ns.rmdir(dir, 'a', 'dir', KERNEL));
    assert.deepEqual(await shown(dir), [`a ${elder === 'file' ? file : sub}`]);
  });

  test(`the younger beside an elder ${elder} moves away by rename, and cannot be made by it`, LIMIT, async () => {
    const { dir, file, sub } = await pair(elder);
    await rename(dir, 'a', younger, 'b');
    assert.deepEqual(await shown(dir), [`a ${elder === 'file' ? file : sub}`, `b ${elder === 'file' ? sub : file}`]);
    await fails(elder === 'file' ? 'ENOTDIR' : 'EISDIR', rename(dir, 'b', 'elder', 'a'));
    await fails('EINVAL', rename(dir, 'b', 'elder', 'a', younger));
  });

  test(`rename replaces the entry of its kind beside an elder ${elder}, which keeps its place`, LIMIT, async () => {
    const { dir, file, sub } = await pair(elder);
    const other = await make(dir, 'c', younger === 'file' ? S_IFREG : S_IFDIR);
    await rename(dir, 'c', 'elder', 'a', younger);
    const wanted = elder === 'file' ? [`a ${file}`, `a ${other} younger`] : [`a ${other} younger`, `a ${sub}`];
    assert.deepEqual(await shown(dir), wanted);
  });

  test(`exchange of both entries of a name makes the younger the elder (${elder} first)`, LIMIT, async () => {
    const { dir, file, sub } = await pair(elder);
    await rename(dir, 'a', 'elder', 'a', younger, 'exchange');
    const wanted = elder === 'file' ? [`a ${file} younger`, `a ${sub}`] : [`a ${file}`, `a ${sub} younger`];
    assert.deepEqual(await shown(dir), wanted);
  });
}

test('exchange refuses to put two entries of one kind under a name', LIMIT, async () => {
  const { dir } = await pair('dir');
  await make(dir, 'x', S_IFREG);
  await fails('EINVAL', rename(dir, 'x', 'elder', 'a', 'dir', 'exchange'));
});
