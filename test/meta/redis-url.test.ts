import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { parseRedisUrl } from '../../src/meta/redis/redis-url.ts';

test('the forms of a volume URL', () => {
  const tcp = parseRedisUrl('redis://user:p%40ss@host:7000/3?volume=vol');
  assert.deepEqual(
    [tcp.host, tcp.port, tcp.db, tcp.username, tcp.password, tcp.volume],
    ['host', 7000, 3, 'user', 'p@ss', 'vol'],
  );
  const bare = parseRedisUrl('redis://host');
  assert.deepEqual([bare.host, bare.port, bare.db, bare.volume, bare.tls], ['host', 6379, 0, 'janusfs', false]);
  assert.equal(parseRedisUrl('rediss://host?volume=vol').tls, true);
  assert.equal(parseRedisUrl('redis://[::1]:6380').host, '::1');
  const socket = parseRedisUrl('redis+unix:///run/my%20redis.sock?volume=vol&db=2');
  assert.deepEqual([socket.socketPath, socket.db, socket.volume], ['/run/my redis.sock', 2, 'vol']);
  assert.equal(parseRedisUrl('redis+unix://:pw@/run/redis.sock').password, 'pw');
  const sentinel = parseRedisUrl('redis+sentinel://:pw@a:1,b/main/4?volume=vol&sentinelPassword=sp');
  assert.deepEqual(sentinel.sentinels, [
    { host: 'a', port: 1 },
    { host: 'b', port: 26379 },
  ]);
  assert.deepEqual(
    [sentinel.masterName, sentinel.db, sentinel.password, sentinel.sentinelPassword],
    ['main', 4, 'pw', 'sp'],
  );
});

test('what is shown of a URL holds no password', () => {
  for (const url of ['redis://u:geheim@host:1/0?volume=vol', 'redis+sentinel://:geheim@a/m?sentinelPassword=geheim']) {
    assert.doesNotMatch(parseRedisUrl(url).display, /geheim/);
  }
});

test('wrong URLs are refused with what is wrong, without the password', () => {
  const wrong: [string, RegExp][] = [
    ['', /not a volume URL/],
    ['geheim', /not a volume URL/],
    ['http://:geheim@h/', /unknown scheme/],
    ['redis+cluster://:geheim@h', /Cluster/],
    ['redis://:geheim@h:99999', /host:port/],
    ['redis://:geheim@h/x', /database number/],
    ['redis://:geheim@h?volume=A', /volume name/],
    ['redis://:geheim@h?volum=abc', /unknown parameter 'volum'/],
    ['redis+unix://h/x', /three slashes/],
    ['redis+sentinel://a:1', /names the master/],
  ];
  for (const [url, pattern] of wrong) {
    assert.throws(
      () => parseRedisUrl(url),
      (error) => {
        assert.ok(error instanceof UserError, `${url}: ${error}`);
        assert.match(error.message, pattern);
        assert.doesNotMatch(error.message, /geheim/);
        return true;
      },
    );
  }
});
