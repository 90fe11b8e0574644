import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { type EntryKind, type Ino, ROOT_INO, S_IFDIR, S_IFREG } from '../../src/base/vocabulary.ts';
import { KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let m: Member;
let count = 0;

before(async () => {
  volume = await testVolume();
  m = await volume.join();
}, LIMIT);

async function make(parent: Ino, name: string, mode: number): Promise<Ino> {
  return (await m.ns.mknod({ parent, name, mode, uid: 0, gid: 0, rdev: 0, caller: KERNEL })).entry.attr.ino;
}

/** A directory that holds a file `a` and a directory `a`; S3 makes such pairs, so the second is put there by hand. */
async function pair(primary: 'file' | 'dir'): Promise<{ dir: Ino; file: Ino; sub: Ino }> {
  count += 1;
  const dir = await make(ROOT_INO, `pair${count}`, S_IFDIR | 0o755);
  const file = await make(dir, primary === 'file' ? 'a' : 'tmp', S_IFREG | 0o644);
  const sub = await make(dir, primary === 'dir' ? 'a' : 'tmp', S_IFDIR | 0o755);
  const [old, young] = primary === 'file' ? [`tmp/${sub}`, `a/${sub}~`] : [`tmp\0${file}`, `a\0${file}~`];
  await m.engine.command('ZREM', [m.engine.key(`d${dir}`), old]);
  await m.engine.command('ZADD', [m.engine.key(`d${dir}`), 0, young]);
  return { dir, file, sub };
}

async function shown(dir: Ino): Promise<string[]> {
  const { entries } = await m.ns.readdir(dir, '', 100);
  return entries.map((entry) => `${entry.name} ${entry.attr.ino}${entry.shadowed ? ' shadowed' : ''}`);
}

function rename(
  dir: Ino,
  name: string,
  kind: EntryKind,
  newName: string,
  newKind: EntryKind = 'primary',
  mode: 'replace' | 'exchange' = 'replace',
) {
  return m.ns.rename({ parent: dir, name, kind, newParent: dir, newName, newKind, mode, caller: KERNEL });
}

async function fails(code: 'EEXIST' | 'EISDIR' | 'ENOTDIR' | 'EINVAL', call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => isFsError(error, code));
}

for (const primary of ['file', 'dir'] as const) {
  const shadowed = primary === 'file' ? 'dir' : 'file';

  test(`with an primary ${primary} the plain name means it, and the other is found by its kind`, LIMIT, async () => {
    const { dir, file, sub } = await pair(primary);
    const found = async (kind: EntryKind): Promise<Ino> => (await m.ns.lookup(dir, 'a', kind, KERNEL)).attr.ino;
    assert.equal(await found('primary'), primary === 'file' ? file : sub);
    assert.deepEqual([await found('file'), await found('dir')], [file, sub]);
    assert.equal((await m.ns.lookup(dir, 'a', shadowed, KERNEL)).shadowed, true);
    await fails('EEXIST', make(dir, 'a', S_IFREG));
    await fails('EEXIST', make(dir, 'a', S_IFDIR));
  });

  test(`removing the primary ${primary} gives the plain name to the shadowed`, LIMIT, async () => {
    const { dir, file, sub } = await pair(primary);
    await (primary === 'file' ? m.ns.unlink(dir, 'a', 'primary', KERNEL) : m.ns.rmdir(dir, 'a', 'primary', KERNEL));
    assert.deepEqual(await shown(dir), [`a ${primary === 'file' ? sub : file}`]);
  });

  test(`removing the shadowed leaves the primary ${primary}`, LIMIT, async () => {
    const { dir, file, sub } = await pair(primary);
    await (shadowed === 'file' ? m.ns.unlink(dir, 'a', 'file', KERNEL) : m.ns.rmdir(dir, 'a', 'dir', KERNEL));
    assert.deepEqual(await shown(dir), [`a ${primary === 'file' ? file : sub}`]);
  });

  test(`the shadowed beside an primary ${primary} moves away by rename, and cannot be made by it`, LIMIT, async () => {
    const { dir, file, sub } = await pair(primary);
    await rename(dir, 'a', shadowed, 'b');
    assert.deepEqual(await shown(dir), [
      `a ${primary === 'file' ? file : sub}`,
      `b ${primary === 'file' ? sub : file}`,
    ]);
    await fails(primary === 'file' ? 'ENOTDIR' : 'EISDIR', rename(dir, 'b', 'primary', 'a'));
    await fails('EINVAL', rename(dir, 'b', 'primary', 'a', shadowed));
  });

  test(`rename replaces the entry of its kind beside an primary ${primary}, which keeps its place`, LIMIT, async () => {
    const { dir, file, sub } = await pair(primary);
    const other = await make(dir, 'c', shadowed === 'file' ? S_IFREG : S_IFDIR);
    await rename(dir, 'c', 'primary', 'a', shadowed);
    const wanted = primary === 'file' ? [`a ${file}`, `a ${other} shadowed`] : [`a ${other} shadowed`, `a ${sub}`];
    assert.deepEqual(await shown(dir), wanted);
  });

  test(`exchange of both entries of a name makes the shadowed the primary (${primary} first)`, LIMIT, async () => {
    const { dir, file, sub } = await pair(primary);
    await rename(dir, 'a', 'primary', 'a', shadowed, 'exchange');
    const wanted = primary === 'file' ? [`a ${file} shadowed`, `a ${sub}`] : [`a ${file}`, `a ${sub} shadowed`];
    assert.deepEqual(await shown(dir), wanted);
  });
}

test('exchange refuses to put two entries of one kind under a name', LIMIT, async () => {
  const { dir } = await pair('dir');
  await make(dir, 'x', S_IFREG);
  await fails('EINVAL', rename(dir, 'x', 'primary', 'a', 'dir', 'exchange'));
});
