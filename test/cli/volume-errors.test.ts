import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { afterwards } from '../support/clean-up.ts';
import { janusfs, mountsAt, readyFields, serving } from '../support/command-line.ts';
import { type RedisServer, type RedisServerOptions, redisServer } from '../support/redis-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 240_000 };

async function server(t: TestContext, options: RedisServerOptions = {}): Promise<RedisServer> {
  const redis = await redisServer(options);
  afterwards(t, () => redis.stop());
  return redis;
}

/** Runs a command that must fail at run time with one line that says what to do. */
async function refused(args: string[], message: RegExp, env: Record<string, string> = {}): Promise<void> {
  const { status, stdout, stderr } = await janusfs(args, env);
  assert.equal(status, 1, `${args.join(' ')}: ${stdout}${stderr}`);
  assert.equal(stdout, '');
  assert.match(stderr, message);
  assert.equal(stderr.split('\n').filter((line) => line.startsWith('janusfs: ')).length, 1, stderr);
}

test('an unreachable Redis is said by its address, within bounds', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 've');
  await refused(['status', 'redis://127.0.0.1:1/0?volume=home'], /Redis at redis:\/\/127\.0\.0\.1:1/);
  await refused(
    ['format', `redis+unix://${root}/none.sock?volume=home`, '--store', `file://${root}/store`],
    /Redis at/,
  );
  assert.equal(existsSync(join(root, 'store')), false);
});

test(
  'a wrong password of Redis is said without repeating it; the right one may come from the environment',
  BOUNDED,
  async (t) => {
    const root = temporaryDirectory(t, 've');
    const redis = await server(t, { args: ['--aclfile', passwordFile(root)] });
    const url = (login: string): string => `redis+unix://${login}${redis.socket}?volume=home`;
    const store = ['--store', `file://${root}/store`];
    const wrong = await janusfs(['format', url(':wr0ng-secret@'), ...store]);
    assert.equal(wrong.status, 1, wrong.stderr);
    assert.match(wrong.stderr, /password/i);
    assert.ok(!wrong.stderr.includes('wr0ng-secret'), wrong.stderr);
    const right = await janusfs(['format', url('tester@'), ...store], { JANUSFS_REDIS_PASSWORD: 'right' });
    assert.equal(right.status, 0, right.stderr);
  },
);

/** A server whose default user may only PING (for the readiness check), and one with a password. */
function passwordFile(root: string): string {
  const path = join(root, 'users.acl');
  writeFileSync(
    path,
    'user default on nopass resetkeys resetchannels -@all +ping\nuser tester on >right ~* &* +@all\n',
  );
  return path;
}

test('a store that cannot be used is found before the volume is made', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 've');
  const redis = await server(t);
  const url = `redis+unix://${redis.socket}?volume=home`;
  writeFileSync(join(root, 'file'), '');
  await refused(['format', url, '--store', `file://${root}/file/store`], /store|directory/);
  const s3 = 's3://bucket/p?endpoint=http://127.0.0.1:1';
  await refused(['format', url, '--store', s3], /cannot .* the store .*127\.0\.0\.1:1/, {
    AWS_ACCESS_KEY_ID: 'k',
    AWS_SECRET_ACCESS_KEY: 's',
  });
  await refused(['status', url], /no volume/);
  const { status, stderr } = await janusfs(['format', url, '--store', 'ftp://host/x']);
  assert.equal(status, 2, stderr);
});

test(
  'format makes a volume once, with credentials that are shown once, over a store of its own',
  BOUNDED,
  async (t) => {
    const root = temporaryDirectory(t, 've');
    const redis = await server(t);
    const url = `redis+unix://${redis.socket}?volume=home`;
    const store = ['--store', `file://${root}/store`];
    const made = await janusfs(['format', url, ...store]);
    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stdout, /^formatted volume=home uuid=\S+ store=file:\/\/\S+\naccess_key=\S+\nsecret_key=\S+\n$/);
    await refused(['format', url, ...store], /exists/);
    const same = await janusfs(['format', url, ...store, '--if-missing']);
    assert.equal(same.status, 0, same.stderr);
    assert.match(same.stdout, /^exists volume=home/);
    assert.ok(!same.stdout.includes('secret_key'));
    const other = `redis+unix://${redis.socket}?volume=other`;
    await refused(['format', other, ...store], /holds the blocks of the volume home/);
  },
);

test("a mount refuses a store that is not the volume's, and a place where it cannot mount", BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 've');
  const redis = await server(t);
  const [one, two] = ['one', 'two'].map((name) => `redis+unix://${redis.socket}?volume=${name}`) as [string, string];
  await janusfs(['format', one, '--store', `file://${root}/store-one`]);
  await janusfs(['format', two, '--store', `file://${root}/store-two`]);
  const mnt = join(root, 'mnt');
  await refused(['mount', one, mnt], /mount point .* does not exist: mkdir -p/);
  await refused(['mount', `redis+unix://${redis.socket}?volume=none`, mnt], /no volume at/);
  mkdirSync(mnt);
  writeFileSync(join(root, 'store-one', 'janusfs-volume.json'), '{"volume":"two","uuid":"another"}');
  await refused(['mount', one, mnt], /belongs to another volume \(two, another\)/);
  for (const damaged of ['', '{"volume":', '{}', 'null', '{"volume":"one","uuid":1}']) {
    writeFileSync(join(root, 'store-one', 'janusfs-volume.json'), damaged);
    await refused(['mount', one, mnt], /is damaged; .* replace the file by: \{"volume":"one","uuid":"\S+"\}/);
  }
  assert.deepEqual(mountsAt(mnt), []);
  const mounted = await serving(t, ['mount', two, mnt]);
  assert.deepEqual(readyFields(mounted.ready), { mount: mnt });
  await refused(['mount', two, mnt], /is already mounted/);
});
