import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { MOUNT } from '../support/callers.ts';
import { until } from '../support/until.ts';
import { create, lookupPath, readFile, writeFile } from '../support/vfs-files.ts';
import { joinVfs, type Session } from '../support/vfs-session.ts';
import { type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
const MIB = 2 ** 20;
let volume: TestVolume;
let session: Session;

before(async () => {
  volume = await testVolume();
  session = await joinVfs(volume);
}, LIMIT);

const is = (code: 'EDQUOT' | 'ENOSPC') => (error: unknown) => isFsError(error, code);

async function remove(name: string): Promise<void> {
  await session.vfs.names.unlink(MOUNT, ROOT_INO, name);
  await session.meta.upkeep.reapNow([]);
}

test(
  'R1: what passes the capacity of the volume is refused, and accepted when there is room again',
  LIMIT,
  async () => {
    const { vfs, meta } = session;
    await meta.session.setLimits({ maxBytes: 10 * MIB });
    assert.equal((await vfs.attributes.statfs(MOUNT)).totalBytes, 10 * MIB);
    await writeFile(vfs, 'first', Buffer.alloc(8 * MIB, 1));
    const handle = await create(vfs, 'second');
    await assert.rejects(async () => vfs.files.write(MOUNT, handle, 0, Buffer.alloc(3 * MIB), false), is('EDQUOT'));
    await vfs.files.write(MOUNT, handle, 0, Buffer.alloc(MIB), false);
    await vfs.files.flush(MOUNT, handle);
    await vfs.files.release(MOUNT, handle);
    assert.equal((await readFile(vfs, 'first')).length, 8 * MIB, 'what is there can be read');
    const { attr } = await lookupPath(vfs, 'first');
    await remove('first');
    await meta.upkeep.reapNow([attr.ino]);
    await writeFile(vfs, 'third', Buffer.alloc(8 * MIB, 3));
    await meta.session.setLimits({ maxBytes: 0 });
    await until(async () => (await vfs.attributes.statfs(MOUNT)).maxBytes === undefined, 'the limit to go');
    await writeFile(vfs, 'fourth', Buffer.alloc(8 * MIB, 4));
  },
);

test('R1: a limit of inodes counts files, directories and links made by both doors', LIMIT, async () => {
  const { vfs, meta } = session;
  const { usedInodes } = await meta.session.usage();
  await meta.session.setLimits({ maxInodes: usedInodes + 2 });
  assert.equal((await vfs.attributes.statfs(MOUNT)).totalInodes, usedInodes + 2);
  await vfs.names.mkdir(MOUNT, ROOT_INO, 'one', 0o755);
  await vfs.names.mknod(MOUNT, ROOT_INO, 'two', 0o100644, 0);
  for (const made of [
    () => vfs.names.mkdir(MOUNT, ROOT_INO, 'three', 0o755),
    () => create(vfs, 'three'),
    () => vfs.names.symlink(MOUNT, ROOT_INO, 'three', Buffer.from('x')),
    () => vfs.objects.admit(MOUNT, 0),
  ]) {
    await assert.rejects(async () => made(), is('EDQUOT'));
  }
  await vfs.names.rmdir(MOUNT, ROOT_INO, 'one');
  const gone = (await lookupPath(vfs, 'two')).attr.ino;
  await vfs.names.unlink(MOUNT, ROOT_INO, 'two');
  await meta.upkeep.reapNow([gone]);
  await vfs.names.mkdir(MOUNT, ROOT_INO, 'four', 0o755);
  await meta.session.setLimits({ maxInodes: 0 });
});

test('R2: near the maxmemory of Redis what grows is refused, and deleting works, above it too', LIMIT, async () => {
  const own = await testVolume({ appendOnly: false });
  const { vfs, meta } = await joinVfs(own);
  const member = await own.join();
  const inos: number[] = [];
  for (let i = 0; i < 50; i++) inos.push(await writeFile(vfs, `f${i}`, Buffer.alloc(60_000, i)));
  const { usedBytes } = await meta.session.memory();
  const set = (bytes: number) => member.engine.command('CONFIG', ['SET', 'maxmemory', bytes]);
  try {
    await set(usedBytes + 500_000);
    await until(async () => {
      try {
        await vfs.names.mkdir(MOUNT, ROOT_INO, `d${Date.now()}`, 0o755);
        return false;
      } catch (error) {
        assert.ok(isFsError(error, 'ENOSPC'), `${error}`);
        return true;
      }
    }, 'growth to be refused');
    await assert.rejects(
      async () => vfs.attributes.setxattr(MOUNT, inos[0]!, 'user.a', Buffer.alloc(100), 0),
      is('ENOSPC'),
    );
    await set(usedBytes - 1_000_000);
    for (let i = 0; i < 50; i++) await vfs.names.unlink(MOUNT, ROOT_INO, `f${i}`);
    await meta.upkeep.reapNow(inos);
    await member.upkeep.reap(1_000);
    await member.session.beat();
    assert.equal(member.engine.fenced, false);
    for (const ino of inos)
      await member.engine.command('ZADD', [member.engine.key('del'), 0, String(ino)]).catch(() => {});
  } finally {
    await set(0);
  }
  await until(async () => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    return vfs.names.mkdir(MOUNT, ROOT_INO, `again${Date.now()}`, 0o755).then(
      () => true,
      () => false,
    );
  }, 'growth to work again');
});
