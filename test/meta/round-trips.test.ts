import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ROOT_INO, S_IFDIR, S_IFREG } from '../../src/base/vocabulary.ts';
import { caller, KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume, volumeUrl } from '../support/volume.ts';
import { CutProxy } from './cut-proxy.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let proxy: CutProxy;
let m: Member;

before(async () => {
  volume = await testVolume();
  proxy = await CutProxy.start(volume.redis.socket);
  m = await volume.join({ url: volumeUrl(proxy.socket), leaseMs: 3_600_000, pingMs: 3_600_000 });
}, LIMIT);

after(() => proxy.stop(), LIMIT);

test('every namespace operation is one round trip', LIMIT, async () => {
  const { ns } = m;
  const at = { parent: ROOT_INO, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
  const kinds = { kind: 'primary', newKind: 'primary', caller: KERNEL } as const;
  const here = { parent: ROOT_INO, newParent: ROOT_INO, ...kinds };
  let ino = 0;
  let link = 0;
  let hidden = 0;
  const operations: Record<string, () => Promise<unknown>> = {
    create: async () => {
      ino = (await ns.mknod({ ...at, name: 'f', mode: S_IFREG | 0o644 })).entry.attr.ino;
    },
    mkdir: () => ns.mknod({ ...at, name: 'd', mode: S_IFDIR | 0o755 }),
    symlink: async () => {
      link = (await ns.symlink({ ...at, name: 's', target: Buffer.from('f') })).entry.attr.ino;
    },
    readlink: () => ns.readlink(link),
    lookup: () => ns.lookup(ROOT_INO, 'f', 'primary', KERNEL),
    'lookup as S3 user': () => ns.lookup(ROOT_INO, 'f', 'primary', caller(5)),
    'lookup of nothing': () => ns.lookup(ROOT_INO, 'nothing', 'primary', KERNEL).catch(() => {}),
    getattr: () => ns.getattr(ino),
    chmod: () => ns.setattr(ino, { mode: 0o600 }, KERNEL),
    'truncate and utimens': () => ns.setattr(ino, { size: 100, mtime: 'now' }, KERNEL),
    link: () => ns.link(ino, ROOT_INO, 'l', KERNEL),
    rename: () => ns.rename({ ...here, name: 'l', newName: 'l2', mode: 'replace' }),
    'rename over': () => ns.rename({ ...here, name: 's', newName: 'l2', mode: 'replace' }),
    exchange: () => ns.rename({ ...here, name: 'f', newName: 'd', mode: 'exchange' }),
    readdir: () => ns.readdir(ROOT_INO, '', 1_000),
    setxattr: () => ns.setxattr(ino, 'user.a', Buffer.from('1'), 'set'),
    getxattr: () => ns.getxattr(ino, 'user.a'),
    listxattr: () => ns.listxattr(ino),
    removexattr: () => ns.removexattr(ino, 'user.a'),
    unlink: () => ns.unlink(ROOT_INO, 'd', 'primary', KERNEL),
    rmdir: () => ns.rmdir(ROOT_INO, 'f', 'primary', KERNEL),
    mkHidden: async () => {
      hidden = (await ns.mkHidden(S_IFREG, 0, 0)).ino;
    },
    'sustain 100': () => ns.sustain([hidden, ...Array.from({ length: 99 }, (_, i) => 1_000_000 + i)]),
    release: () => ns.release(hidden),
    heartbeat: () => m.session.beat(),
    sessions: () => m.session.list(),
    describe: () => m.session.describe('here'),
  };
  // The first use of a script costs one trip more, for its text; run the list once for that.
  for (const run of Object.values(operations)) await run();
  await ns.unlink(ROOT_INO, 'l2', 'primary', KERNEL);
  const trips: Record<string, number> = {};
  for (const [name, run] of Object.entries(operations)) {
    proxy.commands = [];
    await run();
    trips[name] = proxy.commands.length;
  }
  assert.deepEqual(trips, Object.fromEntries(Object.keys(operations).map((name) => [name, 1])));
});
