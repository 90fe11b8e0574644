import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { ACCESS_KEY, SECRET_KEY, s3Client, shell, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { S3TestServer, TEST_BUCKET, TEST_KEY, TEST_REGION, TEST_SECRET } from '../chunk/s3-test-server.ts';
import { afterwards } from '../support/clean-up.ts';
import { janusfs, readyFields, serving } from '../support/command-line.ts';
import { redisServer } from '../support/redis-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 240_000 };
const KEYS = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };

test(
  'X1: the user of Redis that format makes can do everything with its volume and nothing else',
  BOUNDED,
  async (t) => {
    const root = temporaryDirectory(t, 'acl');
    const redis = await redisServer();
    afterwards(t, () => redis.stop());
    const admin = `redis+unix://${redis.socket}?volume=mine`;
    const made = await janusfs(['format', admin, '--store', `file://${root}/store`, '--acl-user', 'app'], KEYS);
    assert.equal(made.status, 0, made.stderr);
    const password = /^redis_password=(\S+)$/m.exec(made.stdout)![1]!;
    assert.match(made.stderr, /forgets the user when it restarts/);
    const url = `redis+unix://app@${redis.socket}?volume=mine`;
    const env = { ...KEYS, JANUSFS_REDIS_PASSWORD: password };
    const mount = join(root, 'mnt');
    mkdirSync(mount);
    const started = await serving(t, ['serve', url, mount, '--listen', '127.0.0.1:0', '--lease', '1'], env);
    const s3 = s3Client(readyFields(started.ready).endpoint!, ACCESS_KEY, SECRET_KEY);
    await s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
    await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'k', Body: Buffer.alloc(9_000_000, 1), Tagging: 'a=b' }));
    await shell(
      `cd ${mount}/bkt && cp k c && echo x > f && ln f g && mv f h && ln -s h s && mkdir d && rmdir d && truncate -s 100 c && ` +
        'echo y >> h && chmod 600 h && rm k && for i in $(seq 50); do echo $i > n$i; done && ls -l > /dev/null && rm n1*',
    );
    for (const tool of [
      ['fsck', url, '--deep'],
      ['gc', url, '--delete'],
      ['scrub', url, '--now'],
      ['trash', url, '--keep', '1d'],
      ['limit', url, '--capacity', '1TiB'],
      ['user', 'add', 'eve', url, '--uid', '5', '--gid', '5'],
      ['user', 'list', url],
      ['status', url],
      ['pending', url],
      ['info', `${mount}/bkt/h`],
    ]) {
      const ran = await janusfs(tool, env);
      assert.equal(ran.status, 0, `${tool.join(' ')}: ${ran.stderr}`);
    }
    assert.doesNotMatch(started.stderr.join(''), /NOPERM|refused/);
    const cli = (...args: string[]): string =>
      spawnSync('redis-cli', ['-s', redis.socket, '--no-auth-warning', '--user', 'app', '--pass', password, ...args], {
        encoding: 'utf8',
      }).stdout;
    for (const forbidden of [
      ['GET', '{other}:fmt'],
      ['SET', 'x', 'y'],
      ['EVAL', "return redis.call('GET', '{other}:fmt')", '0'],
      ['FLUSHALL'],
      ['CONFIG', 'SET', 'dir', '/'],
      ['KEYS', '*'],
      ['SHUTDOWN'],
      ['ACL', 'LIST'],
      ['MONITOR'],
      ['MODULE', 'LIST'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['SUBSCRIBE', '{other}:inv'],
    ]) {
      assert.match(cli(...forbidden), /NOPERM|ACL failure|can't (access|run)/, forbidden.join(' '));
    }
    for (const [name, wanted] of [
      ['default', /is the user of the URL/],
      ['a b', /letters, digits/],
    ] as const) {
      const refused = await janusfs(['format', admin, '--store', `file://${root}/store`, '--acl-user', name]);
      assert.deepEqual([refused.status, wanted.test(refused.stderr)], [2, true], refused.stderr);
    }
  },
);

/** A certificate for 127.0.0.1 and localhost, signed by itself. */
function certificate(root: string): { key: string; cert: string } {
  const [key, cert] = [join(root, 'key.pem'), join(root, 'cert.pem')];
  const made = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ],
    { encoding: 'utf8' },
  );
  assert.equal(made.status, 0, made.stderr);
  return { key, cert };
}

async function listening(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterwards(t, async () => void server.close());
  return (server.address() as AddressInfo).port;
}

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

test('X2: Redis and store over TLS; a certificate that nobody vouches for is one line', {
  ...BOUNDED,
  skip: hasOpenssl ? false : 'no openssl here',
}, async (t) => {
  const root = temporaryDirectory(t, 'tls');
  const { key, cert } = certificate(root);
  const probe = createServer();
  const port = await listening(t, probe);
  probe.close();
  const redis = await redisServer({
    args: [
      '--tls-port',
      String(port),
      '--tls-cert-file',
      cert,
      '--tls-key-file',
      key,
      '--tls-ca-cert-file',
      cert,
      '--tls-auth-clients',
      'no',
    ],
  });
  afterwards(t, () => redis.stop());
  const store = new S3TestServer();
  await store.start();
  afterwards(t, () => store.stop());
  const target = new URL(store.endpoint);
  const front = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (incoming, answer) => {
    const { method, url: path, headers } = incoming;
    const onward = request({ host: target.hostname, port: target.port, method, path, headers }, (reply) => {
      answer.writeHead(reply.statusCode!, reply.headers);
      reply.pipe(answer);
    });
    incoming.pipe(onward);
  });
  const tlsPort = await listening(t, front as unknown as Server);
  const url = `rediss://localhost:${port}/0?volume=secure`;
  const where = `s3://${TEST_BUCKET}/x?endpoint=https://localhost:${tlsPort}&region=${TEST_REGION}`;
  const env = { ...KEYS, AWS_ACCESS_KEY_ID: TEST_KEY, AWS_SECRET_ACCESS_KEY: TEST_SECRET };
  const trusted = { ...env, NODE_EXTRA_CA_CERTS: cert };

  const refused = await janusfs(['format', url, '--store', where], env);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^janusfs: cannot reach Redis .*certificate.*\n$/);
  const plain = await janusfs(['format', `redis+unix://${redis.socket}?volume=other`, '--store', where], env);
  assert.match(plain.stderr, /^janusfs: .*certificate.*\n$/);
  assert.equal((await janusfs(['format', url, '--store', where], trusted)).status, 0);
  const started = await serving(t, ['gateway', url, '--listen', '127.0.0.1:0'], trusted);
  const s3 = s3Client(readyFields(started.ready).endpoint!, ACCESS_KEY, SECRET_KEY);
  await s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
  const Body = Buffer.alloc(5_000_000, 'over tls ');
  await s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'k', Body }));
  const reply = await s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'k' }));
  assert.ok(Buffer.from(await reply.Body!.transformToByteArray()).equals(Body));
  assert.ok(store.objects.size > 1, 'the blocks are in the store');
  s3.destroy();
  await stopChild(started.child);
});

test('X3: passwords are in no command line, log or error text, and a crash leaves no core file', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'psw');
  const redis = await redisServer();
  afterwards(t, () => redis.stop());
  await shell(`redis-cli -s ${redis.socket} config set requirepass hush-hush`);
  const url = `redis+unix://:hush-hush@${redis.socket}?volume=quiet`;
  assert.equal((await janusfs(['format', url, '--store', `file://${root}/store`], KEYS)).status, 0);
  const started = await serving(t, ['gateway', url, '--listen', '127.0.0.1:0', '--log-level', 'debug'], KEYS);
  const pid = started.child.pid!;
  assert.doesNotMatch(readFileSync(`/proc/${pid}/cmdline`, 'latin1'), /hush/);
  assert.match(readFileSync(`/proc/${pid}/cmdline`, 'latin1'), /gateway.*volume=quiet/);
  assert.match(readFileSync(`/proc/${pid}/limits`, 'latin1'), /^Max core file size\s+0\s/m);
  const wrong = await janusfs(['status', url.replace('hush-hush', 'hush-wrong')]);
  assert.equal(wrong.status, 1);
  writeFileSync(join(root, 'all'), `${started.stderr.join('')}${started.ready}${wrong.stderr}${wrong.stdout}`);
  const all = readFileSync(join(root, 'all'), 'utf8');
  for (const secret of ['hush', SECRET_KEY]) assert.ok(!all.includes(secret), `${secret} is shown`);
});
