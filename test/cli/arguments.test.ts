import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserError } from '../../src/base/errors.ts';
import { endpointUrl, parseListenAddress } from '../../src/cli/commands/listen-address.ts';
import { requireUrl, socketUrl, withoutPassword, withPassword } from '../../src/cli/volume/volume-argument.ts';
import { parseRedisUrl } from '../../src/meta/redis/redis-url.ts';

test('listen addresses name a host and a port', () => {
  assert.deepEqual(parseListenAddress('127.0.0.1:9000'), { host: '127.0.0.1', port: 9000 });
  assert.deepEqual(parseListenAddress('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(parseListenAddress('[::1]:9000'), { host: '::1', port: 9000 });
  assert.deepEqual(parseListenAddress(':80'), { host: '', port: 80 });
  for (const text of ['9000', 'host', 'host:', 'host:x', 'host:65536', '::1:9000', 'http://host:1']) {
    assert.throws(
      () => parseListenAddress(text),
      (error: UserError) => error.exitStatus === 2,
      text,
    );
  }
});

test('the endpoint is a URL that clients on this machine can use', () => {
  assert.equal(endpointUrl('127.0.0.1', 9000), 'http://127.0.0.1:9000');
  assert.equal(endpointUrl('0.0.0.0', 80), 'http://127.0.0.1:80');
  assert.equal(endpointUrl('::', 9000), 'http://[::1]:9000');
});

test('a password from the environment goes into a volume URL that has none', () => {
  const env = { JANUSFS_REDIS_PASSWORD: 'p@ss/word' };
  assert.equal(withPassword('redis://host:1/0?volume=abc', env), 'redis://:p%40ss%2Fword@host:1/0?volume=abc');
  assert.equal(parseRedisUrl(withPassword('redis://me@host', env)).password, 'p@ss/word');
  assert.equal(parseRedisUrl(withPassword('redis://me@host', env)).username, 'me');
  assert.equal(parseRedisUrl(withPassword('redis+unix:///run/r.sock', env)).password, 'p@ss/word');
  assert.equal(withPassword('redis://me:own@host', env), 'redis://me:own@host');
  assert.equal(withPassword('redis://host', {}), 'redis://host');
});

test('a volume URL that is kept or shown has no password', () => {
  assert.equal(withoutPassword('redis://me:secret@host:1/0?volume=abc'), 'redis://me@host:1/0?volume=abc');
  assert.equal(withoutPassword('redis://:secret@host'), 'redis://host');
  assert.equal(
    withoutPassword('redis+sentinel://a,b/m?sentinelPassword=secret&volume=abc'),
    'redis+sentinel://a,b/m?volume=abc',
  );
  assert.equal(
    withoutPassword('redis+sentinel://a,b/m?volume=abc&sentinelPassword=secret'),
    'redis+sentinel://a,b/m?volume=abc',
  );
  assert.equal(withoutPassword('redis+unix:///run/r.sock?volume=abc'), 'redis+unix:///run/r.sock?volume=abc');
});

test('a socket path of any spelling survives the way through a URL', () => {
  for (const path of ['/run/redis.sock', '/tmp/with space/ü#?%/redis.sock']) {
    const location = parseRedisUrl(socketUrl(path, 'home'));
    assert.equal(location.socketPath, path);
    assert.equal(location.volume, 'home');
  }
});

test('what is no volume URL is a usage error', () => {
  assert.equal(requireUrl('redis://host/0?volume=abc'), 'redis://host/0?volume=abc');
  for (const text of [undefined, '/path', 'host:6379']) {
    assert.throws(
      () => requireUrl(text),
      (error: UserError) => error.exitStatus === 2,
    );
  }
});
