import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { s3Client, shell, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { afterwards } from '../support/clean-up.ts';
import { janusfs, readyFields, serving } from '../support/command-line.ts';
import { redisServer } from '../support/redis-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 240_000 };

test(
  'users are added, act as their uid and gid at once, and are removed, whether the volume is up or not',
  BOUNDED,
  async (t) => {
    const root = temporaryDirectory(t, 'us');
    const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
    const args = ['up', '--data', data, '--mount', mount, '--listen', '127.0.0.1:0'];
    const started = await serving(t, args);
    mkdirSync(join(mount, 'bucket'));
    await shell(`chmod 777 ${join(mount, 'bucket')}`);
    const keys = ['--access-key', 'alice-key', '--secret-key', 'alice-secret'];
    const added = await janusfs(['user', 'add', 'alice', '--uid', '1234', '--gid', '2345', ...keys, '--data', data]);
    assert.equal(added.status, 0, added.stderr);
    assert.equal(added.stdout, 'user alice uid=1234 gid=2345 access_key=alice-key\n');

    const alice = s3Client(readyFields(started.ready).endpoint!, 'alice-key', 'alice-secret');
    afterwards(t, () => alice.destroy());
    await alice.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'hers', Body: 'x' }));
    const { uid, gid } = await stat(join(mount, 'bucket', 'hers'));
    assert.deepEqual([uid, gid], [1234, 2345]);

    const taken = await janusfs(['user', 'add', 'bob', '--uid', '1', '--gid', '1', ...keys, '--data', data]);
    assert.equal(taken.status, 1);
    assert.match(taken.stderr, /belongs to the user 'alice'/);
    assert.ok(!taken.stderr.includes('alice-secret'));

    await stopChild(started.child);
    const generated = await janusfs([
      'user',
      'add',
      'bob',
      '--uid',
      '1',
      '--gid',
      '1',
      '--groups',
      '4,5',
      '--data',
      data,
    ]);
    assert.equal(generated.status, 0, generated.stderr);
    assert.match(generated.stdout, /^user bob uid=1 gid=1 access_key=\S+\nsecret_key=\S+\n$/);
    const listed = await janusfs(['user', 'list', '--data', data, '--json']);
    const users = JSON.parse(listed.stdout) as { name: string; groups: number[]; secretKey?: string }[];
    assert.deepEqual(
      users.map(({ name }) => name),
      ['alice', 'bob', 'root'],
    );
    assert.deepEqual(users[1]!.groups, [4, 5]);
    assert.ok(users.every(({ secretKey }) => secretKey === undefined));

    assert.equal((await janusfs(['user', 'remove', 'alice', '--data', data])).status, 0);
    const gone = await janusfs(['user', 'remove', 'alice', '--data', data]);
    assert.equal(gone.status, 1);
    assert.match(gone.stderr, /no user 'alice'/);
  },
);

test('status shows a volume that is up and one that is not', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'us');
  const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
  const started = await serving(t, [
    'up',
    '--data',
    data,
    '--mount',
    mount,
    '--listen',
    '127.0.0.1:0',
    '--volume',
    'home',
  ]);
  writeFileSync(join(mount, 'file'), Buffer.alloc(5000));
  const up = JSON.parse((await janusfs(['status', '--data', data, '--json'])).stdout);
  assert.equal(up.volume, 'home');
  assert.equal(up.served, true);
  assert.equal(up.usage.usedInodes >= 1, true);
  assert.deepEqual(
    up.sessions.map((session: { kind: string; where: string }) => [session.kind, session.where]),
    [['up', `${mount} ${readyFields(started.ready).endpoint}`]],
  );
  assert.match(
    (await janusfs(['status', '--data', data])).stdout,
    /^volume {6}home .*\n(.*\n)*durability .*\n(.*\n)* +up /,
  );
  await stopChild(started.child);
  const down = await janusfs(['status', '--data', data]);
  assert.equal(down.status, 0, down.stderr);
  assert.match(down.stdout, /\(not up\)\n(.*\n)*sessions {4}none\n$/);
});

test('info shows what is behind a path, by mount, data directory and URL', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'us');
  const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
  await serving(t, ['up', '--data', data, '--mount', mount, '--listen', '127.0.0.1:0']);
  mkdirSync(join(mount, 'bucket'));
  writeFileSync(join(mount, 'bucket', 'small'), 'small');
  writeFileSync(join(mount, 'bucket', 'large'), Buffer.alloc(5 * 2 ** 20, 'x'));
  await shell(`ln -s small ${join(mount, 'bucket', 'link')}`);
  const { ino } = await stat(join(mount, 'bucket', 'large'));

  const byMount = JSON.parse((await janusfs(['info', join(mount, 'bucket', 'large'), '--json'])).stdout);
  assert.equal(byMount.ino, ino);
  assert.equal(byMount.sizeBytes, 5 * 2 ** 20);
  assert.equal(byMount.kind, 'file');
  assert.ok(byMount.chunks[0].slices.length > 0);
  const byData = JSON.parse((await janusfs(['info', '/bucket/large', '--data', data, '--json'])).stdout);
  assert.deepEqual(byData, byMount);
  const url = `redis+unix://${join(data, 'redis', 'redis.sock')}?volume=janusfs`;
  assert.match((await janusfs(['info', 'bucket/link', url])).stdout, /symbolic link.*\n(.*\n)* {2}-> small\n/);
  assert.match((await janusfs(['info', join(mount, 'bucket', 'large')])).stdout, /chunks\/\d+\/\d+\/\d+_\*/);
  const missing = await janusfs(['info', '/bucket/none', '--data', data]);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /there is no \/bucket\/none in the volume/);
  assert.equal(await readFile(join(mount, 'bucket', 'small'), 'utf8'), 'small');
});

test('R1: limits are given at format, shown, changed and taken away', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'li');
  const redis = await redisServer();
  afterwards(t, () => redis.stop());
  const url = `redis+unix://${redis.socket}?volume=limited`;
  const store = `file://${join(root, 'store')}`;
  const bad = await janusfs(['format', url, '--store', store, '--capacity', 'much']);
  assert.equal(bad.status, 2);
  const made = await janusfs(['format', url, '--store', store, '--capacity', '1GiB', '--inodes', '1000']);
  assert.equal(made.status, 0, made.stderr);
  const limit = async (...args: string[]) => (await janusfs(['limit', url, ...args])).stdout;
  assert.equal(await limit(), 'capacity    0 B used, limit 1 GiB\ninodes      0 used, limit 1000\n');
  assert.match((await janusfs(['status', url])).stdout, /used {8}0 B of 1 GiB in 0 of 1000 inodes/);
  assert.match(await limit('--capacity', '2TiB'), /limit 2 TiB\n.*limit 1000/);
  assert.match(await limit('--capacity', 'none', '--inodes', 'none'), /no limit\n.*no limit/);
  for (const [args, pattern] of [
    [['--inodes', '-5'], /-5 is no number of files/],
    [['--inodes', 'many'], /many is no number of files/],
    [['--capacity', '0'], /would hold nothing/],
  ] as const) {
    const refused = await janusfs(['limit', url, ...args]);
    assert.equal(refused.status, 2, refused.stderr);
    assert.match(refused.stderr, pattern);
  }
});
