/** The second driver's path callbacks over a vfs, called as fuse-native calls them. The package itself is not needed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { PathOperations } from '../../src/fuse/mount/driver-fuse-native.ts';
import { withFaults } from '../support/faults.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';
import { watchHandles } from '../support/watched-handles.ts';

const ENOENT = -2;
const EBADF = -9;
const EEXIST = -17;

async function setUp() {
  const { vfs, faults } = withFaults((await joinVfs(await testVolume())).vfs);
  const handles = watchHandles(faults);
  const paths = new PathOperations(vfs, silentLogger);
  const table = paths.table() as unknown as Record<string, (...args: unknown[]) => void>;
  /** Calls an operation; answers what its callback got. */
  const call = (name: string, ...args: unknown[]): Promise<unknown[]> =>
    new Promise((resolve) => table[name]!(...args, (...answer: unknown[]) => resolve(answer)));
  return { handles, paths, call };
}

test('files are created, written, read and released by path', async () => {
  const { handles, call } = await setUp();
  const [created, fd] = await call('create', '/f', 0o100644);
  assert.equal(created, 0);
  assert.ok(typeof fd === 'number' && fd > 0, 'libfuse takes 0 for none');
  assert.deepEqual(await call('write', '/f', fd, Buffer.from('hello'), 5, 0), [5]);
  assert.deepEqual(await call('flush', '/f', fd), [0]);
  const out = Buffer.alloc(10);
  assert.deepEqual(await call('read', '/f', fd, out, 10, 1), [4]);
  assert.equal(out.toString('latin1', 0, 4), 'ello');
  assert.deepEqual(await call('fsync', '/f', 0, fd), [0]);
  assert.deepEqual(await call('release', '/f', fd), [0]);
  assert.deepEqual(await call('read', '/f', fd, out, 10, 0), [EBADF]);
  assert.equal(handles.open, 0);
});

test('names lead from the root, bytes survive, errors are negative', async () => {
  const { call } = await setUp();
  assert.deepEqual(await call('mkdir', '/ä', 0o755), [0]);
  assert.deepEqual(await call('mkdir', '/ä', 0o755), [EEXIST]);
  assert.deepEqual(await call('mknod', '/ä/n', 0o644, 0), [0]);
  assert.deepEqual(await call('symlink', 'target', '/ä/s'), [0]);
  assert.deepEqual(await call('readlink', '/ä/s'), [0, 'target']);
  assert.deepEqual(await call('link', '/ä/n', '/hard'), [0]);
  assert.deepEqual(await call('rename', '/hard', '/ä/moved'), [0]);
  const [status, names] = (await call('readdir', '/ä')) as [number, string[]];
  assert.deepEqual([status, ...names.slice(0, 2), ...names.slice(2).sort()], [0, '.', '..', 'moved', 'n', 's']);
  assert.deepEqual(await call('unlink', '/ä/s'), [0]);
  assert.deepEqual(await call('getattr', '/ä/s'), [ENOENT]);
  assert.deepEqual(await call('unlink', '/'), [-16]);
});

test('attributes, extended attributes and sizes', async () => {
  const { call } = await setUp();
  await call('mknod', '/f', 0o644, 0);
  await call('chmod', '/f', 0o4711);
  await call('chown', '/f', 0xffff_ffff, 7);
  await call('truncate', '/f', 1000);
  await call('utimens', '/f', 1500, 2500);
  const [, stat] = (await call('getattr', '/f')) as [number, Record<string, number>];
  assert.equal(stat.mode! & 0o7777, 0o711, 'a change of owner clears set-user-id');
  assert.deepEqual([stat.gid, stat.size, stat.atime, stat.mtime, stat.blocks], [7, 1000, 1500, 2500, 2]);
  assert.deepEqual(await call('setxattr', '/f', 'user.a', Buffer.from('v'), 0, 0), [0]);
  assert.deepEqual(await call('getxattr', '/f', 'user.a', 0), [0, Buffer.from('v')]);
  assert.deepEqual(await call('listxattr', '/f'), [0, ['user.a']]);
  assert.deepEqual(await call('removexattr', '/f', 'user.a'), [0]);
  assert.deepEqual(await call('getxattr', '/f', 'user.a', 0), [-61]);
  const [, space] = (await call('statfs', '/')) as [number, { blocks: number }];
  assert.ok(space.blocks > 0 && space.blocks < 2 ** 32, 'the package counts blocks in 32 bits');
});

test('what is open at the end is released', async () => {
  const { handles, paths, call } = await setUp();
  await call('create', '/f', 0o644);
  assert.equal(handles.open, 1);
  await paths.releaseAll();
  assert.equal(handles.open, 0);
});
