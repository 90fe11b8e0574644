import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { ROOT_INO, S_IFREG } from '../../src/base/vocabulary.ts';
import { KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume, volumeUrl } from '../support/volume.ts';
import { CutProxy } from './cut-proxy.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let proxy: CutProxy;
let m: Member;

before(async () => {
  volume = await testVolume();
  proxy = await CutProxy.start(volume.redis.socket);
  m = await volume.join({ url: volumeUrl(proxy.socket), leaseMs: 600_000, pingMs: 600_000 });
}, LIMIT);

after(() => proxy.stop(), LIMIT);

function create(name: string) {
  return m.ns.mknod({ parent: ROOT_INO, name, mode: S_IFREG | 0o644, uid: 0, gid: 0, rdev: 0, caller: KERNEL });
}

test('a mutation whose answer was lost is not executed again: the retry hears what it did', LIMIT, async () => {
  const before = await m.ns.getattr(ROOT_INO);
  const cuts = proxy.cuts;
  // Executed three times, create would answer EEXIST.
  proxy.cutAnswers(2);
  const { entry, parentAttr } = await create('once');
  assert.equal(proxy.cuts, cuts + 2);
  assert.deepEqual(await m.ns.lookup(ROOT_INO, 'once', 'primary', KERNEL), entry);
  assert.deepEqual(await m.ns.getattr(ROOT_INO), parentAttr);
  assert.equal(parentAttr.nlink, before.nlink);
});

test('removals and renames whose answer was lost succeed', LIMIT, async () => {
  const { ino } = (await create('a')).entry.attr;
  proxy.cutAnswers(1);
  const kinds = { kind: 'primary', newKind: 'primary', mode: 'replace', caller: KERNEL } as const;
  assert.equal(
    (await m.ns.rename({ parent: ROOT_INO, name: 'a', newParent: ROOT_INO, newName: 'b', ...kinds })).attr.ino,
    ino,
  );
  proxy.cutAnswers(1);
  const linked = await m.ns.link(ino, ROOT_INO, 'c', KERNEL);
  assert.equal(linked.entry.attr.nlink, 2);
  proxy.cutAnswers(1);
  assert.equal((await m.ns.unlink(ROOT_INO, 'b', 'primary', KERNEL)).attr.nlink, 1);
});

test('many calls at once over a connection that keeps breaking are each executed once', LIMIT, async () => {
  const { ino } = (await create('counted')).entry.attr;
  proxy.cutAnswers(8);
  await Promise.all(Array.from({ length: 200 }, (_, i) => m.ns.link(ino, ROOT_INO, `counted${i}`, KERNEL)));
  assert.equal((await m.ns.getattr(ino)).nlink, 201);
  const { entries } = await m.ns.readdir(ROOT_INO, '', 4_000);
  assert.equal(entries.filter((entry) => entry.attr.ino === ino).length, 201);
});

test('an errno is an answer like any other', LIMIT, async () => {
  await create('there');
  proxy.cutAnswers(1);
  await assert.rejects(create('there'), (error) => isFsError(error, 'EEXIST'));
});

test('scripts that a restarted Redis has forgotten are sent again', LIMIT, async () => {
  await m.engine.command('SCRIPT', ['FLUSH']);
  proxy.cutAnswers(1, 'EVAL');
  const { entry } = await create('after a flush');
  assert.equal((await m.ns.getattr(entry.attr.ino)).nlink, 1);
});

test('a silent connection is given up and its calls go over a new one', LIMIT, async () => {
  const own = await volume.join({ url: volumeUrl(proxy.socket), leaseMs: 600_000, pingMs: 600_000, silenceMs: 300 });
  proxy.stall();
  const call = own.ns.mkHidden(S_IFREG | 0o600, 0, 0);
  // The client reconnects into the stall; the proxy passes nothing until it is resumed.
  await new Promise((resolve) => setTimeout(resolve, 700));
  proxy.resume();
  assert.equal((await call).nlink, 0);
});

test('a call fails with EIO when Redis stays away for longer than its limit', LIMIT, async () => {
  const own = await volume.join({
    url: volumeUrl(proxy.socket),
    leaseMs: 600_000,
    pingMs: 600_000,
    callTimeoutMs: 300,
  });
  proxy.stall();
  try {
    await assert.rejects(own.ns.getattr(ROOT_INO), (error) => {
      assert.ok(isFsError(error, 'EIO'), `${error}`);
      return /no answer/.test(error.message);
    });
  } finally {
    proxy.resume();
  }
});
