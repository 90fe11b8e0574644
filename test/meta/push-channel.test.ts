import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Invalidation, ROOT_INO, S_IFREG } from '../../src/base/vocabulary.ts';
import { KERNEL } from '../support/callers.ts';
import { type TestVolume, testVolume, volumeUrl } from '../support/volume.ts';
import { CutProxy } from './cut-proxy.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;

before(async () => {
  volume = await testVolume();
}, LIMIT);

/** Resolves when the condition holds; the test's time limit bounds it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function file(name: string) {
  return { parent: ROOT_INO, name, mode: S_IFREG | 0o644, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
}

test('two sessions hear what the other made stale, and not their own', LIMIT, async () => {
  const [one, two] = [await volume.join(), await volume.join()];
  const heard: { one: Invalidation[]; two: Invalidation[] } = { one: [], two: [] };
  one.events.on('invalidated', (batch) => heard.one.push(...batch));
  two.events.on('invalidated', (batch) => heard.two.push(...batch));
  const { attr } = (await one.ns.mknod(file('a\xff\n'))).entry;
  await one.ns.unlink(ROOT_INO, 'a\xff\n', 'primary', KERNEL);
  await until(() => heard.two.some((item) => item.kind === 'unlinked'));
  assert.deepEqual(
    heard.two.filter((item) => item.kind === 'entry'),
    [
      { kind: 'entry', parent: ROOT_INO, name: 'a\xff\n' },
      { kind: 'entry', parent: ROOT_INO, name: 'a\xff\n' },
    ],
  );
  assert.deepEqual(
    heard.two.filter((item) => item.kind === 'unlinked'),
    [{ kind: 'unlinked', ino: attr.ino }],
  );
  assert.ok(heard.two.some((item) => item.kind === 'inode' && item.ino === ROOT_INO));
  await two.ns.mknod(file('b'));
  await until(() => heard.one.length > 0);
  assert.deepEqual(
    heard.one.filter((item) => item.kind === 'entry'),
    [{ kind: 'entry', parent: ROOT_INO, name: 'b' }],
  );
  await one.close();
  await two.close();
});

test('a content change names its version', LIMIT, async () => {
  const [one, two] = [await volume.join(), await volume.join()];
  const heard: Invalidation[] = [];
  two.events.on('invalidated', (batch) => heard.push(...batch));
  const { ino } = (await one.ns.mknod(file('versioned'))).entry.attr;
  const { version } = await one.ns.setattr(ino, { size: 10 }, KERNEL);
  await until(() => heard.some((item) => item.kind === 'inode' && item.ino === ino && item.version === version));
  await one.close();
  await two.close();
});

test('a sole session publishes nothing', LIMIT, async () => {
  const one = await volume.join();
  const before = Number(await one.engine.command('ZCARD', [one.engine.key('ses')]));
  assert.equal(before, 1, 'the other sessions of this file are ended');
  const calls = async (): Promise<string> =>
    /cmdstat_publish:calls=(\d+)/.exec(String(await one.engine.command('INFO', ['commandstats'])))?.[1] ?? '0';
  one.channel.close();
  const published = await calls();
  await one.ns.mknod(file('alone'));
  assert.equal(await calls(), published);
  await one.close();
});

test('a broken subscriber connection is told at once, and healing after an echo', LIMIT, async () => {
  const proxy = await CutProxy.start(volume.redis.socket);
  const one = await volume.join({ url: volumeUrl(proxy.socket), pingMs: 20 });
  const health: boolean[] = [];
  await until(() => one.channel.healthy);
  one.events.on('channel', (healthy) => health.push(healthy));
  assert.deepEqual(health, []);
  proxy.cutAll();
  await until(() => health.length >= 2);
  assert.deepEqual(health.slice(0, 2), [false, true]);
  await one.close();
  await proxy.stop();
});

test('a connection that has gone dead without closing is noticed by the missing echo', LIMIT, async () => {
  const proxy = await CutProxy.start(volume.redis.socket);
  const one = await volume.join({ url: volumeUrl(proxy.socket), pingMs: 20 });
  await until(() => one.channel.healthy);
  const health: boolean[] = [];
  one.events.on('channel', (healthy) => health.push(healthy));
  proxy.stall();
  await until(() => health.length === 1);
  assert.deepEqual(health, [false]);
  proxy.resume();
  await until(() => health.at(-1) === true);
  await one.close();
  await proxy.stop();
});

test(
  'what is missed while the channel is broken is covered: nothing is healthy before the new subscription echoes',
  LIMIT,
  async () => {
    const proxy = await CutProxy.start(volume.redis.socket);
    const [one, two] = [await volume.join({ url: volumeUrl(proxy.socket), pingMs: 20 }), await volume.join()];
    await until(() => one.channel.healthy);
    const log: string[] = [];
    one.events.on('channel', (healthy) => log.push(healthy ? 'healthy' : 'broken'));
    one.events.on('invalidated', (batch) => {
      for (const item of batch) if (item.kind === 'entry') log.push(item.name);
    });
    proxy.cutAll();
    await until(() => log.includes('healthy'));
    await two.ns.mknod(file('after'));
    await until(() => log.includes('after'));
    assert.deepEqual(log.slice(0, 2), ['broken', 'healthy']);
    await one.close();
    await two.close();
    await proxy.stop();
  },
);
