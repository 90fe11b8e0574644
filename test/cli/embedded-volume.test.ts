import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { dataDirectory, makeDataDirectory, recordedVolume } from '../../src/cli/embedded/data-directory.ts';
import { startEmbeddedRedis } from '../../src/cli/embedded/embedded-redis.ts';
import { rootInRedis, volumeOf } from '../../src/cli/embedded/embedded-volume.ts';
import { afterwards } from '../support/clean-up.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

test('a volume whose name a power cut took is found in Redis, and so are the keys of root', {
  timeout: 120_000,
}, async (t) => {
  const directory = dataDirectory(join(temporaryDirectory(t, 'ev'), 'data'));
  makeDataDirectory(directory);
  const redis = await startEmbeddedRedis(directory.redis, silentLogger, new AbortController().signal);
  afterwards(t, () => redis.stop());
  const say = (...words: string[]): string =>
    execFileSync('redis-cli', ['-s', redis.socketPath, ...words], { encoding: 'utf8' });
  const volumeFile = join(directory.path, 'volume');
  assert.equal(await rootInRedis(redis.socketPath, 'home'), undefined);

  say('SET', '{home}:fmt', '{}');
  say('HSET', '{home}:users', 'root', '{"name":"root","accessKey":"JANUSX","secretKey":"long-enough"}');
  writeFileSync(volumeFile, '');
  assert.equal(await volumeOf(directory, redis.socketPath, 'janusfs', false), 'home');
  assert.equal(recordedVolume(directory), 'home');
  assert.deepEqual(await rootInRedis(redis.socketPath, 'home'), { accessKey: 'JANUSX', secretKey: 'long-enough' });
  say('HSET', '{home}:users', 'root', '{"name":"root","accessKey":"JANUSX","secretKey":""}');
  assert.equal(await rootInRedis(redis.socketPath, 'home'), undefined, 'an empty secret is none');

  writeFileSync(volumeFile, '');
  await assert.rejects(volumeOf(directory, redis.socketPath, 'other', true), /holds the volume 'home', not 'other'/);
  say('SET', '{work}:fmt', '{}');
  await assert.rejects(volumeOf(directory, redis.socketPath, 'janusfs', false), /several volumes/);
  assert.equal(await volumeOf(directory, redis.socketPath, 'work', true), 'work');
});
