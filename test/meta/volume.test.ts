import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { before, test } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { ROOT_INO, S_IFREG, type User } from '../../src/base/vocabulary.ts';
import { openMeta } from '../../src/meta/open-meta.ts';
import { formatVolume, readVolumeFormat } from '../../src/meta/volume/format-volume.ts';
import { KERNEL } from '../support/callers.ts';
import { redisServer } from '../support/redis-server.ts';
import { type TestVolume, testVolume, volumeUrl } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
const ROOT_USER: User = { name: 'root', accessKey: 'AK', secretKey: 'geheim', uid: 0, gid: 0, groups: [] };
let volume: TestVolume;

before(async () => {
  volume = await testVolume({ users: [ROOT_USER] });
}, LIMIT);

function refuses(call: Promise<unknown>, pattern: RegExp): Promise<void> {
  return assert.rejects(call, (error) => {
    assert.ok(error instanceof UserError, `${error}`);
    assert.match(error.message, pattern);
    assert.doesNotMatch(`${error.message} ${JSON.stringify(error.cause)}`, /geheim/);
    return true;
  });
}

/** Sends one inline command to Redis and waits for its answer. */
function command(socket: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const raw = createConnection(socket, () => raw.write(`${text}\r\n`));
    raw.once('error', reject);
    raw.once('data', () => {
      raw.destroy();
      resolve();
    });
  });
}

test('a volume opens with the format it was made with', LIMIT, async () => {
  const meta = await openMeta(volume.url, { kind: 'test' });
  const read = await readVolumeFormat(volume.url);
  assert.deepEqual(meta.session.format, read);
  assert.deepEqual(
    [read?.formatVersion, read?.name, read?.store, read?.blockBytes],
    [2, 'test', volume.storeUrl, 4 * 1024 * 1024],
  );
  assert.deepEqual(await meta.session.usage(), {
    usedBytes: 0,
    usedInodes: 0,
    inlineBytes: 0,
    maxBytes: undefined,
    maxInodes: undefined,
  });
  await meta.close();
  await meta.close();
});

test('used inodes and bytes follow what is made', LIMIT, async () => {
  const meta = await openMeta(volume.url, { kind: 'test' });
  const before = await meta.session.usage();
  const request = { parent: ROOT_INO, name: 'u', mode: S_IFREG, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
  const { ino } = (await meta.names.mknod(request)).entry.attr;
  await meta.names.setattr(ino, { size: 1000 }, KERNEL);
  const grown = await meta.session.usage();
  assert.deepEqual([grown.usedInodes - before.usedInodes, grown.usedBytes - before.usedBytes], [1, 0], 'a hole');
  const piece = { chunkIndex: 0, pos: 5000, inline: Buffer.from('data') };
  const mtime = { sec: 1, nsec: 0 };
  await meta.data.commit({ ino, pieces: [piece], placement: 'write', mtime, killPriv: false });
  assert.equal((await meta.session.usage()).usedBytes - before.usedBytes, 4096, 'a block');
  await meta.names.setattr(ino, { size: 10 }, KERNEL);
  assert.equal((await meta.session.usage()).usedBytes - before.usedBytes, 0);
  await meta.names.unlink(ROOT_INO, 'u', 'primary', KERNEL);
  await meta.upkeep.reapNow([ino]);
  assert.deepEqual(await meta.session.usage(), before);
  await meta.close();
});

test('making a volume twice is refused; force wipes it, but not under live sessions', LIMIT, async () => {
  const url = volumeUrl(volume.redis.socket, 'other');
  const made = await formatVolume(url, { store: 'memory:', users: [] });
  await refuses(formatVolume(url, { store: 'memory:', users: [] }), /exists/);
  const meta = await openMeta(url, { kind: 'test' });
  const request = { parent: ROOT_INO, name: 'x', mode: S_IFREG, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
  await meta.names.mknod(request);
  await refuses(formatVolume(url, { store: 'memory:', users: [], force: true }), /live session/);
  await meta.close();
  const again = await formatVolume(url, { store: 'file:///x', users: [], force: true, rootMode: 0o1777 });
  assert.notEqual(again.uuid, made.uuid);
  const fresh = await openMeta(url, { kind: 'test' });
  assert.deepEqual((await fresh.names.readdir(ROOT_INO, '', 10)).entries, []);
  assert.equal((await fresh.names.getattr(ROOT_INO)).mode & 0o7777, 0o1777);
  await fresh.close();
  assert.equal((await readVolumeFormat(volume.url))?.name, 'test', 'the other volume is untouched');
});

test('users are kept, changed, unique by access key, and removed', LIMIT, async () => {
  const meta = await openMeta(volume.url, { kind: 'test' });
  assert.deepEqual(await meta.users.list(), [ROOT_USER]);
  const anna: User = { name: 'anna ü', accessKey: 'AK2', secretKey: 's', uid: 5, gid: 6, groups: [7, 8] };
  await meta.users.put(anna);
  await meta.users.put({ ...anna, uid: 9 });
  assert.deepEqual(await meta.users.list(), [{ ...anna, uid: 9 }, ROOT_USER]);
  await assert.rejects(meta.users.put({ ...anna, name: 'bert' }), /EEXIST.*already/);
  await assert.rejects(meta.users.put({ ...anna, uid: -1 }), /EINVAL/);
  await assert.rejects(meta.users.put({ ...anna, secretKey: '' }), /EINVAL/);
  assert.equal(await meta.users.remove('anna ü'), true);
  assert.equal(await meta.users.remove('anna ü'), false);
  await meta.close();
});

test('a change of users is pushed', LIMIT, async () => {
  const [one, two] = [await openMeta(volume.url, { kind: 'test' }), await openMeta(volume.url, { kind: 'test' })];
  const heard = new Promise<void>((resolve) => {
    two.events.on('invalidated', (batch) => {
      if (batch.some((item) => item.kind === 'users')) resolve();
    });
  });
  await one.users.put({ name: 'c', accessKey: 'AK3', secretKey: 's', uid: 1, gid: 1, groups: [] });
  await heard;
  await one.users.remove('c');
  await one.close();
  await two.close();
});

test('what keeps a volume from opening is said in one line', LIMIT, async () => {
  const { socket } = volume.redis;
  const quick = { kind: 'test', connectTimeoutMs: 300 };
  await refuses(openMeta(volumeUrl(socket, 'missing'), { kind: 'test' }), /no volume .*janusfs format/);
  await refuses(openMeta(volumeUrl(`${socket}.nothing`), quick), /cannot reach Redis .*ENOENT/);
  await refuses(openMeta('redis://127.0.0.1:1/0?volume=test', quick), /cannot reach Redis .*ECONNREFUSED/);
  await refuses(openMeta('http://x/', quick), /scheme/);
});

test('a wrong or missing password is named at once, and never shown', LIMIT, async () => {
  const redis = await redisServer();
  try {
    const open = (login: string) =>
      openMeta(`redis+unix://${login}${redis.socket}?volume=test`, { kind: 'test', connectTimeoutMs: 60_000 });
    const bare = `redis+unix://${redis.socket}?volume=test`;
    await formatVolume(bare, { store: 'memory:', users: [] });
    const admin = await openMeta(bare, { kind: 'test' });
    await command(redis.socket, 'CONFIG SET requirepass right');
    await refuses(open(':geheim@'), /refuses the login \(WRONGPASS\)/);
    await refuses(open(''), /refuses the login \(NOAUTH\)/);
    const meta = await open(':right@');
    await meta.close();
    await admin.close();
  } finally {
    await redis.stop();
  }
});

test('a Redis that could evict metadata is refused', LIMIT, async () => {
  const redis = await redisServer({ args: ['--maxmemory-policy', 'allkeys-lru'] });
  try {
    const url = volumeUrl(redis.socket);
    await refuses(formatVolume(url, { store: 'memory:', users: [] }), /CONFIG SET maxmemory-policy noeviction/);
  } finally {
    await redis.stop();
  }
});

test('a Redis that is full answers ENOSPC and changes nothing', LIMIT, async () => {
  const redis = await redisServer({});
  try {
    const url = volumeUrl(redis.socket);
    await formatVolume(url, { store: 'memory:', users: [] });
    const meta = await openMeta(url, { kind: 'test' });
    await command(redis.socket, 'CONFIG SET maxmemory 1');
    const request = { parent: ROOT_INO, name: 'x', mode: S_IFREG, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
    await assert.rejects(meta.names.mknod(request), /ENOSPC/);
    assert.deepEqual((await meta.names.readdir(ROOT_INO, '', 10)).entries, []);
    await meta.close();
  } finally {
    await redis.stop();
  }
});

test('a cluster node is refused', LIMIT, async () => {
  const redis = await redisServer({ args: ['--cluster-enabled', 'yes'] });
  try {
    await refuses(formatVolume(volumeUrl(redis.socket), { store: 'memory:', users: [] }), /cluster/);
  } finally {
    await redis.stop();
  }
});
