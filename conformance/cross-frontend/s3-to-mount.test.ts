import assert from 'node:assert/strict';
import { access, mkdir, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { type RunningUp, runMain, s3Client, shell, startUp } from './running-up.ts';

let up: RunningUp;

before(async () => {
  up = await startUp();
  await up.s3.send(new CreateBucketCommand({ Bucket: 'bucket' }));
});
after(() => up?.end());

async function put(
  Key: string,
  Body: string,
  more: Partial<{ Metadata: Record<string, string>; ContentType: string }> = {},
): Promise<void> {
  await up.s3.send(new PutObjectCommand({ Bucket: 'bucket', Key, Body, ...more }));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

test('V2: an object that was PUT is in cat, ls and stat, owned by the S3 user', async () => {
  await runMain([
    'user',
    'add',
    'alice',
    '--uid',
    '1234',
    '--gid',
    '2345',
    '--access-key',
    'alice-key',
    '--secret-key',
    'alice-secret-key',
    '--data',
    up.data,
  ]);
  const alice = s3Client(up.endpoint, 'alice-key', 'alice-secret-key');
  await alice.send(new CreateBucketCommand({ Bucket: 'alices' }));
  await alice.send(new PutObjectCommand({ Bucket: 'alices', Key: 'dir/hello', Body: 'hello' }));
  alice.destroy();
  assert.equal(await readFile(up.at('alices', 'dir', 'hello'), 'utf8'), 'hello');
  assert.deepEqual(await readdir(up.at('alices', 'dir')), ['hello']);
  const { uid, gid, size } = await stat(up.at('alices', 'dir', 'hello'));
  assert.deepEqual({ uid, gid, size }, { uid: 1234, gid: 2345, size: 5 });
  const directory = await stat(up.at('alices', 'dir'));
  assert.equal(directory.uid, 1234);
});

test('V9: permission bits count at the S3 door', async () => {
  const alice = s3Client(up.endpoint, 'alice-key', 'alice-secret-key');
  try {
    await writeFile(up.at('alices', 'secret'), 'of root', { mode: 0o600 });
    await assert.rejects(alice.send(new GetObjectCommand({ Bucket: 'alices', Key: 'secret' })), {
      name: 'AccessDenied',
    });
    await shell(`chown 1234 ${up.at('alices', 'secret')}`);
    const reply = await alice.send(new GetObjectCommand({ Bucket: 'alices', Key: 'secret' }));
    assert.equal(await reply.Body!.transformToString(), 'of root');
    await shell(`mkdir ${up.at('alices', 'closed')} && chmod 755 ${up.at('alices', 'closed')}`);
    await assert.rejects(alice.send(new PutObjectCommand({ Bucket: 'alices', Key: 'closed/x', Body: 'x' })), {
      name: 'AccessDenied',
    });
  } finally {
    alice.destroy();
  }
});

test('V4: new, changed and removed objects show on the mount at once', async () => {
  assert.equal(await exists(up.at('bucket', 'later')), false);
  for (let i = 0; i < 50; i++) {
    await put('later', `version ${i}`);
    assert.equal(await readFile(up.at('bucket', 'later'), 'utf8'), `version ${i}`);
  }
  await up.s3.send(new DeleteObjectCommand({ Bucket: 'bucket', Key: 'later' }));
  assert.equal(await exists(up.at('bucket', 'later')), false);
});

test('V6: DeleteObject and DeleteObjects make paths answer ENOENT', async () => {
  for (const key of ['d1', 'd2', 'd3']) await put(key, key);
  assert.equal(await readFile(up.at('bucket', 'd1'), 'utf8'), 'd1');
  await up.s3.send(new DeleteObjectCommand({ Bucket: 'bucket', Key: 'd1' }));
  await assert.rejects(stat(up.at('bucket', 'd1')), { code: 'ENOENT' });
  await up.s3.send(
    new DeleteObjectsCommand({
      Bucket: 'bucket',
      Delete: { Objects: [{ Key: 'd2' }, { Key: 'd3' }, { Key: 'never' }] },
    }),
  );
  await assert.rejects(stat(up.at('bucket', 'd2')), { code: 'ENOENT' });
  await assert.rejects(stat(up.at('bucket', 'd3')), { code: 'ENOENT' });
});

test('V7: an open file that a PUT replaces keeps its bytes for the handle', async () => {
  await put('open', 'old bytes');
  const reading = shell(
    `exec 3<${up.at('bucket', 'open')}; echo open > ${up.scratch('flag')}; while [ ! -e ${up.scratch('go')} ]; do sleep 0.05; done; cat <&3; cat ${up.at('bucket', 'open')}`,
  );
  while (!(await exists(up.scratch('flag')))) await new Promise((resolve) => setTimeout(resolve, 20));
  await put('open', 'NEW');
  await writeFile(up.scratch('go'), '');
  assert.equal(await reading, 'old bytesNEW');
});

test('V8: x-amz-meta is user.* and Content-Type is user.mime_type, both ways', async () => {
  await put('meta', 'x', { Metadata: { colour: 'blue' }, ContentType: 'text/plain' });
  const python = (code: string): Promise<string> => shell(`python3 -c "import os; ${code}"`);
  const path = up.at('bucket', 'meta');
  assert.equal(
    (
      await python(
        `print(os.getxattr('${path}','user.colour').decode(), os.getxattr('${path}','user.mime_type').decode())`,
      )
    ).trim(),
    'blue text/plain',
  );
  await python(
    `os.setxattr('${path}','user.shape',b'round'); os.setxattr('${path}','user.mime_type',b'image/png'); os.setxattr('${path}','user.not a header',b'x'); os.removexattr('${path}','user.colour')`,
  );
  const head = await up.s3.send(new HeadObjectCommand({ Bucket: 'bucket', Key: 'meta' }));
  assert.deepEqual(head.Metadata, { shape: 'round' });
  assert.equal(head.ContentType, 'image/png');
});

test('N2: a PUT makes implicit parents, and DELETE removes them but not a made directory', async () => {
  await put('p/q/r', 'x');
  assert.deepEqual(await readdir(up.at('bucket', 'p', 'q')), ['r']);
  await up.s3.send(new DeleteObjectCommand({ Bucket: 'bucket', Key: 'p/q/r' }));
  assert.equal(await exists(up.at('bucket', 'p')), false);
  await mkdir(up.at('bucket', 'kept'));
  await put('kept/q/r', 'x');
  await up.s3.send(new DeleteObjectCommand({ Bucket: 'bucket', Key: 'kept/q/r' }));
  assert.deepEqual(await readdir(up.at('bucket', 'kept')), []);
  await put('marker/', '');
  await put('marker/x', 'x');
  await up.s3.send(new DeleteObjectCommand({ Bucket: 'bucket', Key: 'marker/x' }));
  assert.equal((await stat(up.at('bucket', 'marker'))).isDirectory(), true);
});

test('L2: DeleteBucket refuses while anything would be listed', async () => {
  await up.s3.send(new CreateBucketCommand({ Bucket: 'short-lived' }));
  await mkdir(up.at('short-lived', 'empty'));
  await assert.rejects(up.s3.send(new DeleteBucketCommand({ Bucket: 'short-lived' })), { name: 'BucketNotEmpty' });
  await shell(`rmdir ${up.at('short-lived', 'empty')}`);
  await up.s3.send(new DeleteBucketCommand({ Bucket: 'short-lived' }));
  assert.equal(await exists(up.at('short-lived')), false);
});

test('S2: a PUT over a file keeps its mode and owner and replaces its attributes', async () => {
  await writeFile(up.at('bucket', 'mine'), 'x');
  await shell(
    `cd ${up.at('bucket')} && chmod 640 mine && chown 77:88 mine && python3 -c "import os; os.setxattr('mine','user.old',b'1')"`,
  );
  await put('mine', 'new', { Metadata: { fresh: '2' } });
  const { mode, uid, gid } = await stat(up.at('bucket', 'mine'));
  assert.deepEqual({ mode: mode & 0o7777, uid, gid }, { mode: 0o640, uid: 77, gid: 88 });
  assert.equal(
    (
      await shell(
        `python3 -c "import os; print(sorted(a for a in os.listxattr('${up.at('bucket', 'mine')}') if a != 'user.mime_type'))"`,
      )
    ).trim(),
    "['user.fresh']",
  );
});

test('a hard link and a PUT: the other name keeps the old content', async () => {
  await writeFile(up.at('bucket', 'first'), 'shared');
  await shell(`ln ${up.at('bucket', 'first')} ${up.at('bucket', 'second')}`);
  await put('first', 'own');
  assert.equal(await readFile(up.at('bucket', 'second'), 'utf8'), 'shared');
  assert.equal((await stat(up.at('bucket', 'second'))).nlink, 1);
  await unlink(up.at('bucket', 'second'));
  const list = await up.s3.send(new ListObjectsV2Command({ Bucket: 'bucket', Prefix: 'first' }));
  assert.equal(list.KeyCount, 1);
});
