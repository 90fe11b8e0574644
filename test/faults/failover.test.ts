import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterwards } from '../support/clean-up.ts';
import { janusfs, serving } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const BOUNDED = { timeout: 240_000 };

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

function ask(port: number, ...command: string[]): string {
  return spawnSync('redis-cli', ['-p', String(port), ...command], { encoding: 'utf8', timeout: 10_000 }).stdout;
}

/** A primary, its replica and a sentinel that promotes it after a second without the primary. */
async function watchedPair(t: TestContext, root: string) {
  const start = async (name: string, args: string[], port: number): Promise<ChildProcess> => {
    const directory = join(root, name);
    mkdirSync(directory);
    const child = spawn('redis-server', [...args, '--dir', directory], { stdio: 'ignore' });
    afterwards(t, async () => {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    });
    await until(() => ask(port, 'ping').includes('PONG'), `${name} to answer`);
    return child;
  };
  const ports = { primary: await freePort(), replica: await freePort(), sentinel: await freePort() };
  const common = (port: number): string[] => [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'yes',
  ];
  const primary = await start('primary', common(ports.primary), ports.primary);
  await start('replica', [...common(ports.replica), '--replicaof', '127.0.0.1', String(ports.primary)], ports.replica);
  const config = join(root, 'sentinel.conf');
  writeFileSync(
    config,
    `port ${ports.sentinel}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 ${ports.primary} 1\nsentinel down-after-milliseconds main 1000\n` +
      'sentinel failover-timeout main 5000\n',
  );
  await start('sentinel', [config, '--sentinel'], ports.sentinel);
  await until(() => ask(ports.primary, 'info', 'replication').includes('state=online'), 'the replica to be online');
  await until(
    () => /num-slaves\n1\n/.test(ask(ports.sentinel, 'sentinel', 'master', 'main')),
    'the sentinel to know the replica',
  );
  return { primary, ports, url: `redis+sentinel://127.0.0.1:${ports.sentinel}/main/0?volume=watched` };
}

async function writeSynced(path: string, bytes: Buffer | string): Promise<void> {
  const handle = await open(path, 'w');
  await handle.writeFile(bytes);
  await handle.sync();
  await handle.close();
}

test('D16: after a failover that lost nothing, open files and calls go on', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'fo');
  const { primary, ports, url } = await watchedPair(t, root);
  assert.equal((await janusfs(['format', url, '--store', `file://${root}/store`])).status, 0);
  const mount = join(root, 'mnt');
  mkdirSync(mount);
  const { stderr } = await serving(t, ['mount', url, mount]);
  const handle = await open(join(mount, 'open'), 'w+');
  await handle.write('before ');
  await handle.sync();
  await until(() => offsetOf(ports.primary) === offsetOf(ports.replica), 'the replica to have everything');
  const gone = once(primary, 'exit');
  primary.kill('SIGKILL');
  await gone;
  await handle.write('after');
  await handle.sync();
  await handle.close();
  assert.equal(await readFile(join(mount, 'open'), 'utf8'), 'before after');
  assert.doesNotMatch(stderr.join(''), /fenced/);
});

function offsetOf(port: number): string {
  return /(?:master|slave)_repl_offset:(\d+)/.exec(ask(port, 'info', 'replication'))?.[1] ?? '';
}

test(
  'D16: a failover that lost acknowledged changes is told: the session is fenced, numbers are not used again, blocks stay',
  BOUNDED,
  async (t) => {
    const root = temporaryDirectory(t, 'fl');
    const { primary, ports, url } = await watchedPair(t, root);
    assert.equal((await janusfs(['format', url, '--store', `file://${root}/store`])).status, 0);
    const mount = join(root, 'mnt');
    mkdirSync(mount);
    const { stderr } = await serving(t, ['mount', url, mount]);
    await writeSynced(join(mount, 'kept'), 'kept');
    await until(() => offsetOf(ports.primary) === offsetOf(ports.replica), 'the replica to have everything');
    // The replica is cut off: it is not let in again, and those who are in stay.
    ask(ports.primary, 'config', 'set', 'requirepass', 'cut-off');
    ask(ports.primary, '-a', 'cut-off', 'client', 'kill', 'type', 'replica');
    await writeSynced(join(mount, 'lost'), Buffer.alloc(3_000_000, 'lost'));
    const { ino } = statSync(join(mount, 'lost'));
    const gone = once(primary, 'exit');
    primary.kill('SIGKILL');
    await gone;
    await until(() => ask(ports.replica, 'role').startsWith('master'), 'the replica to be promoted');
    await until(() => stderr.join('').includes('Redis has lost changes that it had acknowledged'), 'the log to say so');
    await until(() => isThere(join(mount, 'kept')), 'the mount to be open again');
    assert.equal(await readFile(join(mount, 'kept'), 'utf8'), 'kept');
    assert.equal(existsSync(join(mount, 'lost')), false, 'what was lost is not shown from a cache');
    await writeFile(join(mount, 'new'), 'new');
    assert.ok(statSync(join(mount, 'new')).ino > ino, 'no number of an inode is used again');
    const checked = await janusfs(['fsck', url]);
    assert.match(checked.stdout, /1 objects that no file names are younger than --age, and were left alone/);
    const collected = await janusfs(['gc', url, '--delete']);
    assert.match(collected.stdout, /1 more are too young to be judged/);
    assert.equal(
      spawnSync('sh', ['-c', `find ${root}/store -name '*_3000000' -o -name '*_0_3000000*' | wc -l`], {
        encoding: 'utf8',
      }).stdout.trim(),
      '1',
    );
  },
);

function isThere(path: string): boolean {
  try {
    return existsSync(path);
  } catch {
    return false;
  }
}

test('D16: a Redis that comes back without its last writes is told in the same way', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'fr');
  const port = await freePort();
  const begin = async (): Promise<ChildProcess> => {
    const child = spawn('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no', '--dir', root], {
      stdio: 'ignore',
    });
    await until(() => ask(port, 'ping').includes('PONG'), 'Redis to answer');
    return child;
  };
  let redis = await begin();
  afterwards(t, async () => void redis.kill('SIGKILL'));
  const url = `redis://127.0.0.1:${port}/0?volume=forgetful`;
  assert.equal((await janusfs(['format', url, '--store', `file://${root}/store`])).status, 0);
  const mount = join(root, 'mnt');
  mkdirSync(mount);
  const { stderr } = await serving(t, ['mount', url, mount]);
  await writeSynced(join(mount, 'early'), 'early');
  assert.match(ask(port, 'save'), /OK/);
  await writeSynced(join(mount, 'late'), 'late');
  const gone = once(redis, 'exit');
  redis.kill('SIGKILL');
  await gone;
  redis = await begin();
  await until(() => stderr.join('').includes('Redis has lost changes'), 'the log to say so');
  await until(() => isThere(join(mount, 'early')), 'the mount to be open again');
  await sleep(100);
  assert.equal(existsSync(join(mount, 'late')), false);
  assert.equal(await readFile(join(mount, 'early'), 'utf8'), 'early');
});
