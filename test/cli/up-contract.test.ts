import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { s3Client, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { isRunning, waitUntilGone } from '../../src/cli/service/process-identity.ts';
import { afterwards } from '../support/clean-up.ts';
import { crash, janusfs, mountsAt, readyFields, serving } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 240_000 };
const GONE_MS = 60_000;

interface Place {
  data: string;
  mount: string;
  args: string[];
}

function place(t: TestContext): Place {
  const root = temporaryDirectory(t, 'up');
  const data = join(root, 'data');
  const mount = join(root, 'mnt');
  return { data, mount, args: ['up', '--data', data, '--mount', mount, '--listen', '127.0.0.1:0'] };
}

/** False also when it has taken its pid file with it, as it does when it is stopped. */
function isRedisRunning(data: string): boolean {
  return existsSync(join(data, 'redis', 'redis.pid')) && isRunning(redisPid(data));
}

function redisPid(data: string): number {
  return Number(readFileSync(join(data, 'redis', 'redis.pid'), 'latin1').trim());
}

function keptKeys(data: string): [string, string] {
  const text = readFileSync(join(data, 'credentials'), 'utf8');
  return [/aws_access_key_id = (\S+)/.exec(text)![1]!, /aws_secret_access_key = (\S+)/.exec(text)![1]!];
}

test(
  'up makes what it needs, says so in one line, and leaves nothing behind when it is stopped',
  BOUNDED,
  async (t) => {
    const { data, mount, args } = place(t);
    const started = await serving(t, args);
    const ready = readyFields(started.ready);
    assert.deepEqual(Object.keys(ready), ['mount', 'endpoint', 'credentials']);
    assert.equal(ready.mount, mount);
    assert.match(ready.endpoint!, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal(ready.credentials, join(data, 'credentials'));
    assert.equal(statSync(ready.credentials!).mode & 0o777, 0o600);
    assert.deepEqual(mountsAt(mount), [mount]);

    const s3 = s3Client(ready.endpoint!, ...keptKeys(data));
    afterwards(t, () => s3.destroy());
    mkdirSync(join(mount, 'bucket'));
    await writeFile(join(mount, 'bucket', 'from-mount'), 'one\n');
    const reply = await s3.send(new GetObjectCommand({ Bucket: 'bucket', Key: 'from-mount' }));
    assert.equal(await reply.Body!.transformToString(), 'one\n');
    await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'from-s3', Body: 'two\n' }));
    assert.equal(await readFile(join(mount, 'bucket', 'from-s3'), 'utf8'), 'two\n');

    const redis = redisPid(data);
    assert.equal(await stopChild(started.child), 0);
    assert.deepEqual(mountsAt(mount), []);
    assert.equal(isRunning(redis), false);

    const again = await serving(t, args);
    assert.equal(await readFile(join(mount, 'bucket', 'from-s3'), 'utf8'), 'two\n');
    const exited = once(again.child, 'exit');
    again.child.kill('SIGINT');
    assert.deepEqual(await exited, [0, null]);
    assert.deepEqual(mountsAt(mount), []);
  },
);

test('credentials from the environment are the root ones, also on an old volume', BOUNDED, async (t) => {
  const { data, mount, args } = place(t);
  const first = await serving(t, args);
  mkdirSync(join(mount, 'bucket'));
  await stopChild(first.child);
  const env = { JANUSFS_ACCESS_KEY: 'my-own-key', JANUSFS_SECRET_KEY: 'my-own-secret' };
  const second = await serving(t, args, env);
  const ready = readyFields(second.ready);
  assert.equal(ready.credentials, 'JANUSFS_ACCESS_KEY');
  const put = new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: 'x' });
  const own = s3Client(ready.endpoint!, 'my-own-key', 'my-own-secret');
  const old = s3Client(ready.endpoint!, ...keptKeys(data));
  afterwards(t, () => {
    own.destroy();
    old.destroy();
  });
  await own.send(put);
  await assert.rejects(old.send(put), { name: 'InvalidAccessKeyId' });
});

test('after kill -9 the stale mount and the orphaned Redis are taken over', BOUNDED, async (t) => {
  const { data, mount, args } = place(t);
  const first = await serving(t, args);
  mkdirSync(join(mount, 'bucket'));
  await writeFile(join(mount, 'bucket', 'kept'), 'kept\n');
  const orphan = redisPid(data);
  await crash(first.child);
  assert.ok(isRunning(orphan), 'its Redis should have survived');
  await assert.rejects(readdir(mount), { code: 'ENOTCONN' });

  const second = await serving(t, args);
  assert.equal(await readFile(join(mount, 'bucket', 'kept'), 'utf8'), 'kept\n');
  assert.notEqual(redisPid(data), orphan);
  assert.equal(isRunning(orphan), false);
  assert.equal(await stopChild(second.child), 0);
  assert.deepEqual(mountsAt(mount), []);
});

test('a second up on the same data directory is refused and disturbs nothing', BOUNDED, async (t) => {
  const { data, mount, args } = place(t);
  await serving(t, args);
  mkdirSync(join(mount, 'bucket'));
  const other = await janusfs(['up', '--data', data, '--mount', `${mount}2`, '--listen', '127.0.0.1:0']);
  assert.equal(other.status, 1);
  assert.equal(other.stdout, '');
  assert.match(other.stderr, /^janusfs: .*data is in use by another janusfs \(process \d+\)/m);
  assert.deepEqual(await readdir(mount), ['bucket']);
});

test('a port in use, and a mount point that is not empty or is in use, are one clear line', BOUNDED, async (t) => {
  const { data, mount } = place(t);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterwards(t, () => server.close());
  const { port } = server.address() as { port: number };
  const refused = async (mnt: string, listen: string, message: RegExp): Promise<void> => {
    const { status, stdout, stderr } = await janusfs(['up', '--data', data, '--mount', mnt, '--listen', listen]);
    assert.equal(status, 1, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.equal(isRedisRunning(data), false, 'its Redis must be gone');
    assert.deepEqual(mountsAt(mnt), mnt === '/proc' ? mountsAt('/proc') : []);
  };
  await refused(mount, `127.0.0.1:${port}`, /cannot serve S3 on 127\.0\.0\.1:\d+: another process listens there/);
  mkdirSync(mount, { recursive: true });
  writeFileSync(join(mount, 'file'), '');
  await refused(mount, '127.0.0.1:0', /mount point .* is not empty/);
  await refused(join(mount, 'file'), '127.0.0.1:0', /mount point/);
  await refused('/proc', '127.0.0.1:0', /already the mount point of a proc file system/);
});

test('a busy mount is taken away when up is stopped', BOUNDED, async (t) => {
  const { mount, args } = place(t);
  const started = await serving(t, args);
  mkdirSync(join(mount, 'dir'));
  const user = spawn('sleep', ['600'], { cwd: join(mount, 'dir'), stdio: 'ignore' });
  afterwards(t, () => user.kill('SIGKILL'));
  await once(user, 'spawn');
  assert.equal(await stopChild(started.child), 0);
  assert.deepEqual(mountsAt(mount), []);
});

test('--background returns when ready; umount stores everything and ends the process', BOUNDED, async (t) => {
  const { data, mount, args } = place(t);
  const link = `${mount}-link`;
  const begun = await janusfs([...args, '--background']);
  assert.equal(begun.status, 0, begun.stderr);
  assert.match(begun.stdout, /^ready mount=/);
  const pid = Number(/process (\d+) logs to/.exec(begun.stderr)![1]);
  afterwards(t, () => {
    if (isRunning(pid)) process.kill(pid, 'SIGTERM');
    return waitUntilGone(pid, GONE_MS);
  });
  const redis = redisPid(data);
  await writeFile(join(mount, 'file'), 'kept\n');
  symlinkSync(join(mount, '..'), link);
  const ended = await janusfs(['umount', join(link, 'mnt')]);
  assert.equal(ended.status, 0, ended.stderr);
  assert.equal(isRunning(pid), false);
  assert.equal(isRunning(redis), false);
  assert.deepEqual(mountsAt(mount), []);
  const twice = await janusfs(['umount', mount]);
  assert.equal(twice.status, 1);
  assert.match(twice.stderr, /is no mount point/);
});

test('--background passes on what went wrong', BOUNDED, async (t) => {
  const { data, mount, args } = place(t);
  mkdirSync(mount);
  writeFileSync(join(mount, 'file'), '');
  const { status, stdout, stderr } = await janusfs([...args, '--background']);
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^janusfs: mount point .* is not empty.*\(log: .*janusfs\.log\)\n$/);
  assert.equal(isRedisRunning(data), false);
});
