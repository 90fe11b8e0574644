import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import {
  type EmbeddedRedis,
  isEmbeddedRedisRunning,
  redisSocketPath,
  startEmbeddedRedis,
} from '../../src/cli/embedded/embedded-redis.ts';
import { askRedis } from '../../src/cli/embedded/redis-probe.ts';
import { isRunning, waitUntilGone } from '../../src/cli/service/process-identity.ts';
import { afterwards } from '../support/clean-up.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 120_000 };
const GONE_MS = 60_000;

async function start(t: TestContext, directory: string): Promise<EmbeddedRedis> {
  const redis = await startEmbeddedRedis(directory, silentLogger, new AbortController().signal);
  afterwards(t, () => redis.kill());
  return redis;
}

function pidOf(directory: string): number {
  return Number(readFileSync(join(directory, 'redis.pid'), 'latin1').trim());
}

test(
  'the embedded Redis writes its log before it answers, evicts nothing and listens on a private socket',
  BOUNDED,
  async (t) => {
    const directory = temporaryDirectory(t, 'er');
    const redis = await start(t, directory);
    const setting = (name: string): string => {
      const reply = execFileSync('redis-cli', ['-s', redis.socketPath, 'CONFIG', 'GET', name], {
        encoding: 'utf8',
        timeout: 30_000,
      });
      return reply.split('\n')[1] ?? 'no answer';
    };
    assert.equal(setting('appendonly'), 'yes');
    assert.equal(setting('appendfsync'), 'no');
    assert.equal(setting('maxmemory-policy'), 'noeviction');
    assert.equal(setting('save'), '');
    assert.equal(setting('port'), '0');
    assert.equal(statSync(join(directory, 'redis.sock')).mode & 0o777, 0o600);
    const pid = pidOf(directory);
    await redis.stop();
    assert.equal(isRunning(pid), false);
  },
);

test('what was answered is there after kill -9 and a start on the same directory', BOUNDED, async (t) => {
  const directory = temporaryDirectory(t, 'er');
  const first = await start(t, directory);
  assert.equal(await askRedis(first.socketPath, 'SET kept yes', 30_000), 'OK');
  const pid = pidOf(directory);
  first.kill();
  assert.ok(await waitUntilGone(pid, GONE_MS));
  const second = await start(t, directory);
  assert.equal(await askRedis(second.socketPath, 'GET kept', 30_000), 'yes');
  await second.stop();
});

test('a server that an earlier run left behind is stopped and its data taken over', BOUNDED, async (t) => {
  const directory = temporaryDirectory(t, 'er');
  const orphan = await start(t, directory);
  await askRedis(orphan.socketPath, 'SET kept yes', 30_000);
  const pid = pidOf(directory);
  // The first handle believes in its server until told otherwise; without this it would start another one.
  const disowned = orphan.stop();
  const second = await start(t, directory);
  await disowned;
  assert.equal(isRunning(pid), false);
  assert.notEqual(pidOf(directory), pid);
  assert.equal(await askRedis(second.socketPath, 'GET kept', 30_000), 'yes');
  await second.stop();
});

test('a server that dies is started again, on the same data', BOUNDED, async (t) => {
  const directory = temporaryDirectory(t, 'er');
  const redis = await start(t, directory);
  await askRedis(redis.socketPath, 'SET kept yes', 30_000);
  const pid = pidOf(directory);
  process.kill(pid, 'SIGKILL');
  assert.ok(await waitUntilGone(pid, GONE_MS));
  let reply: string | undefined;
  for (let i = 0; i < 1000 && reply !== 'yes'; i++) {
    reply = await askRedis(redis.socketPath, 'GET kept', 1000);
    if (reply !== 'yes') await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(reply, 'yes');
  await redis.stop();
  assert.equal(await isEmbeddedRedisRunning(directory), false);
});

test('a server that cannot start says why', BOUNDED, async (t) => {
  const directory = temporaryDirectory(t, 'er');
  // A directory has the name of the log before Redis 7, a file that of its directory since: redis-server gives up at once.
  mkdirSync(join(directory, 'appendonly.aof'));
  writeFileSync(join(directory, 'appendonlydir'), '');
  await assert.rejects(start(t, directory), /redis-server did not start: .+redis\.log/);
});

test('a data directory with a long path still gets a socket', {
  ...BOUNDED,
  skip: process.platform !== 'linux',
}, async (t) => {
  const directory = join(temporaryDirectory(t, 'er'), 'x'.repeat(120));
  mkdirSync(directory);
  assert.ok(Buffer.byteLength(redisSocketPath(directory)) < 100);
  const redis = await start(t, directory);
  assert.equal(await askRedis(redis.socketPath, 'PING', 30_000), 'PONG');
  await redis.stop();
});
