import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { type RedisServer, redisServer } from '../../test/support/redis-server.ts';
import {
  ACCESS_KEY,
  type RunningUp,
  runMain,
  SECRET_KEY,
  type Started,
  s3Client,
  shell,
  startMain,
  startUp,
  stopChild,
} from './running-up.ts';

let up: RunningUp;

before(async () => {
  up = await startUp();
  await up.s3.send(new CreateBucketCommand({ Bucket: 'over' }));
});
after(() => up?.end());

test('V3: a reader meets an overwrite: old bytes or new ones, never a mix or an error', async () => {
  const sizeBytes = 600_000;
  const fill = (letter: string): Buffer => Buffer.alloc(sizeBytes, letter);
  const put = (letter: string) => up.s3.send(new PutObjectCommand({ Bucket: 'over', Key: 'k', Body: fill(letter) }));
  await put('a');
  let writing = true;
  const checked = { mount: 0, s3: 0 };
  const whole = (bytes: Uint8Array): void => {
    assert.equal(bytes.length, sizeBytes);
    assert.ok(
      bytes.every((byte) => byte === bytes[0]),
      'bytes of two versions in one answer',
    );
  };
  const readers = [
    (async () => {
      while (writing) {
        whole(await readFile(up.at('over', 'k')));
        checked.mount++;
      }
    })(),
    (async () => {
      while (writing) {
        const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'over', Key: 'k' }));
        whole(await reply.Body!.transformToByteArray());
        checked.s3++;
      }
    })(),
  ];
  try {
    for (let i = 0; i < 30; i++) await put(String.fromCharCode(98 + (i % 20)));
  } finally {
    writing = false;
  }
  await Promise.all(readers);
  assert.ok(checked.mount > 0 && checked.s3 > 0);
});

test('V3: a rename over a file is old or new for GetObject', async () => {
  await writeFile(up.at('over', 'target'), 'x'.repeat(100_000));
  let writing = true;
  const reader = (async () => {
    while (writing) {
      const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'over', Key: 'target' }));
      const text = await reply.Body!.transformToString();
      assert.equal(text, text[0]!.repeat(100_000));
    }
  })();
  try {
    await shell(
      `cd ${up.at('over')} && for i in 1 2 3 4 5 6 7 8 9; do head -c 100000 /dev/zero | tr '\\0' "$i" > new && mv new target; done`,
    );
  } finally {
    writing = false;
  }
  await reader;
});

test('S1: a PUT whose body is cut off leaves nothing', async () => {
  const { hostname, port } = new URL(up.endpoint);
  const { signedHeaders } = await import('./raw-request.ts');
  const head = signedHeaders(up.endpoint, 'PUT', '/over/cut', 'UNSIGNED-PAYLOAD');
  await new Promise<void>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`PUT /over/cut HTTP/1.1\r\n${lines.join('')}content-length: 100000\r\n\r\n${'x'.repeat(5000)}`, () =>
        socket.destroy(),
      );
    });
    socket.on('close', () => resolve()).on('error', reject);
  });
  await assert.rejects(up.s3.send(new HeadObjectCommand({ Bucket: 'over', Key: 'cut' })), { name: 'NotFound' });
  assert.ok(!(await readdir(up.at('over'))).includes('cut'));
});

test('S3: of many conditional creations exactly one succeeds', async () => {
  const tries = Array.from({ length: 16 }, (_, i) =>
    up.s3.send(new PutObjectCommand({ Bucket: 'over', Key: 'once', Body: `writer ${i}`, IfNoneMatch: '*' })).then(
      () => true,
      (error: { name: string; $metadata: { httpStatusCode: number } }) => {
        assert.ok([409, 412].includes(error.$metadata.httpStatusCode), error.name);
        return false;
      },
    ),
  );
  assert.equal((await Promise.all(tries)).filter(Boolean).length, 1);
});

test('a file open for writing while a PUT replaces it writes to its own inode', async () => {
  await writeFile(up.at('over', 'w'), 'first');
  const writing = shell(
    `exec 3>>${up.at('over', 'w')}; touch ${up.scratch('opened')}; while [ ! -e ${up.scratch('replaced')} ]; do sleep 0.05; done; echo late >&3`,
  );
  while (!(await readdir(up.root)).includes('opened')) await new Promise((resolve) => setTimeout(resolve, 20));
  await up.s3.send(new PutObjectCommand({ Bucket: 'over', Key: 'w', Body: 'second' }));
  await writeFile(up.scratch('replaced'), '');
  await writing;
  assert.equal(await readFile(up.at('over', 'w'), 'utf8'), 'second');
});

/** The same volume served by two processes: a mount and a gateway with a mount of its own. */
test('across processes', { timeout: 170_000 }, async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'janusfs-two-'));
  let redis: RedisServer | undefined;
  const started: Started[] = [];
  let s3: ReturnType<typeof s3Client> | undefined;
  try {
    redis = await redisServer();
    const url = `redis+unix://${redis.socket}?volume=two`;
    const rootKeys = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };
    await runMain(['format', url, '--store', `file://${join(root, 'store')}`], rootKeys);
    const [one, two] = [join(root, 'one'), join(root, 'two')];
    await mkdir(one);
    await mkdir(two);
    started.push(await startMain(['mount', url, one]));
    started.push(await startMain(['serve', url, two, '--listen', '127.0.0.1:0']));
    s3 = s3Client(/http:\/\/\S+/.exec(started[1]!.ready)![0], ACCESS_KEY, SECRET_KEY);
    const client = s3;
    await mkdir(join(one, 'shared'));

    await t.test('V5: changes of the other process show within a fraction of a second', async () => {
      await client.send(new PutObjectCommand({ Bucket: 'shared', Key: 'k', Body: 'one' }));
      await eventually(async () => assert.equal(await readFile(join(one, 'shared', 'k'), 'utf8'), 'one'));
      await client.send(new PutObjectCommand({ Bucket: 'shared', Key: 'k', Body: 'two!' }));
      await eventually(async () => assert.equal(await readFile(join(one, 'shared', 'k'), 'utf8'), 'two!'));
      await writeFile(join(one, 'shared', 'k'), 'three');
      const reply = await client.send(new GetObjectCommand({ Bucket: 'shared', Key: 'k' }));
      assert.equal(await reply.Body!.transformToString(), 'three');
      await eventually(async () => assert.equal(await readFile(join(two, 'shared', 'k'), 'utf8'), 'three'));
      await client.send(new DeleteObjectCommand({ Bucket: 'shared', Key: 'k' }));
      await eventually(async () => assert.rejects(stat(join(one, 'shared', 'k')), { code: 'ENOENT' }));
    });

    await t.test('V10: two machines appending to one file overwrite nothing of each other', async () => {
      const appender = (mount: string, letter: string): Promise<string> =>
        shell(`for i in $(seq 100); do echo ${letter}$i >> ${join(mount, 'shared', 'log')}; done`);
      await Promise.all([appender(one, 'a'), appender(two, 'b')]);
      await eventually(async () => {
        const lines = (await readFile(join(one, 'shared', 'log'), 'utf8')).trimEnd().split('\n');
        assert.equal(lines.length, 200);
        for (const letter of ['a', 'b']) {
          const own = lines.filter((line) => line.startsWith(letter)).map((line) => Number(line.slice(1)));
          assert.deepEqual(
            own,
            Array.from({ length: 100 }, (_, i) => i + 1),
          );
        }
      });
    });

    await t.test('V7: a file open in one process survives its removal by the other', async () => {
      await writeFile(join(one, 'shared', 'held'), 'held bytes');
      await eventually(async () => assert.equal(await readFile(join(two, 'shared', 'held'), 'utf8'), 'held bytes'));
      const holding = shell(
        `exec 3<${join(two, 'shared', 'held')}; touch ${join(root, 'flag')}; while [ -e ${join(root, 'flag')} ]; do sleep 0.05; done; cat <&3`,
      );
      while (!(await readdir(root)).includes('flag')) await new Promise((resolve) => setTimeout(resolve, 20));
      await rm(join(one, 'shared', 'held'));
      await rm(join(root, 'flag'));
      assert.equal(await holding, 'held bytes');
    });
  } finally {
    s3?.destroy();
    for (const { child } of started) await stopChild(child);
    await redis?.stop();
    await rm(root, { recursive: true, force: true });
  }
});

/** Repeats a check until it passes: pushes travel between processes. Fails with the last failure after 30 s. */
async function eventually(check: () => Promise<void>): Promise<void> {
  const end = Date.now() + 30_000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
