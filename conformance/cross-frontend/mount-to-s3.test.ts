import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, rename, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { type RunningUp, shell, startUp } from './running-up.ts';

let up: RunningUp;

before(async () => {
  up = await startUp();
  await mkdir(up.at('bkt'));
});
after(() => up?.end());

async function getText(Bucket: string, Key: string): Promise<string> {
  const reply = await up.s3.send(new GetObjectCommand({ Bucket, Key }));
  return reply.Body!.transformToString();
}

async function keysOf(
  Bucket: string,
  Prefix = '',
  Delimiter?: string,
): Promise<{ keys: string[]; prefixes: string[] }> {
  const reply = await up.s3.send(
    new ListObjectsV2Command({ Bucket, Prefix, ...(Delimiter === undefined ? {} : { Delimiter }) }),
  );
  return {
    keys: (reply.Contents ?? []).map((item) => item.Key!),
    prefixes: (reply.CommonPrefixes ?? []).map((item) => item.Prefix!),
  };
}

test('V1: echo is GetObject, HeadObject and a listing with size, type and time', async () => {
  await shell(`echo 11111 > ${up.at('bkt', '333.txt')}`);
  assert.equal(await getText('bkt', '333.txt'), '11111\n');
  const head = await up.s3.send(new HeadObjectCommand({ Bucket: 'bkt', Key: '333.txt' }));
  assert.equal(head.ContentLength, 6);
  assert.equal(head.ContentType, 'binary/octet-stream');
  const mtime = Number((await shell(`stat -c %Y ${up.at('bkt', '333.txt')}`)).trim());
  assert.equal(head.LastModified!.getTime(), mtime * 1000);
  const list = await up.s3.send(new ListObjectsV2Command({ Bucket: 'bkt', Prefix: '333' }));
  assert.equal(list.Contents![0]!.Key, '333.txt');
  assert.equal(list.Contents![0]!.Size, 6);
  assert.equal(list.Contents![0]!.ETag, head.ETag);
});

test('V6: rm makes the key answer 404', async () => {
  await writeFile(up.at('bkt', 'gone'), 'x');
  assert.equal(await getText('bkt', 'gone'), 'x');
  await unlink(up.at('bkt', 'gone'));
  await assert.rejects(getText('bkt', 'gone'), { name: 'NoSuchKey' });
  await assert.rejects(up.s3.send(new HeadObjectCommand({ Bucket: 'bkt', Key: 'gone' })), { name: 'NotFound' });
});

test('E2: an append through the mount changes the ETag, reading does not', async () => {
  const etag = async (): Promise<string> =>
    (await up.s3.send(new HeadObjectCommand({ Bucket: 'bkt', Key: 'log' }))).ETag!;
  await writeFile(up.at('bkt', 'log'), 'one');
  const first = await etag();
  assert.match(first, /^"[0-9a-f]{32}-1"$/);
  await readFile(up.at('bkt', 'log'));
  await shell(`chmod 600 ${up.at('bkt', 'log')}`);
  assert.equal(await etag(), first);
  await appendFile(up.at('bkt', 'log'), ' two');
  const second = await etag();
  assert.notEqual(second, first);
  assert.equal(await getText('bkt', 'log'), 'one two');
  await truncate(up.at('bkt', 'log'), 3);
  assert.notEqual(await etag(), second);
  assert.equal(await getText('bkt', 'log'), 'one');
});

test('E3: the ETag and checksum of a PUT are gone once the mount changes the file', async () => {
  const put = await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'was-put', Body: 'hello' }));
  assert.equal(put.ETag, '"5d41402abc4b2a76b9719d911017c592"');
  await appendFile(up.at('bkt', 'was-put'), '!');
  const head = await up.s3.send(new HeadObjectCommand({ Bucket: 'bkt', Key: 'was-put', ChecksumMode: 'ENABLED' }));
  assert.match(head.ETag!, /-1"$/);
  assert.equal(head.ChecksumCRC32, undefined);
  assert.equal(await getText('bkt', 'was-put'), 'hello!');
});

test('N1: mkdir is a CommonPrefix, and the key dir/ while it is empty', async () => {
  await mkdir(up.at('bkt', 'made'));
  assert.deepEqual(await keysOf('bkt', 'made'), { keys: ['made/'], prefixes: [] });
  assert.deepEqual(await keysOf('bkt', 'made', '/'), { keys: [], prefixes: ['made/'] });
  await writeFile(up.at('bkt', 'made', 'f'), 'x');
  assert.deepEqual(await keysOf('bkt', 'made'), { keys: ['made/f'], prefixes: [] });
});

test('N6: a file at the top is reached through the bucket with the volume name', async () => {
  await writeFile(up.at('top file.txt'), 'top');
  assert.equal(await getText('janusfs', 'top file.txt'), 'top');
  assert.ok((await keysOf('janusfs')).keys.includes('bkt/333.txt'));
});

test('N7: renaming a directory with 10,000 files moves its keys at once', { timeout: 170_000 }, async () => {
  await mkdir(up.at('bkt', 'many'));
  await shell(`cd ${up.at('bkt', 'many')} && seq -f 'f%05g' 10000 | xargs touch`);
  await rename(up.at('bkt', 'many'), up.at('bkt', 'moved'));
  assert.deepEqual((await keysOf('bkt', 'many')).keys, []);
  let token: string | undefined;
  let count = 0;
  do {
    const page = await up.s3.send(
      new ListObjectsV2Command({
        Bucket: 'bkt',
        Prefix: 'moved/',
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }),
    );
    count += page.KeyCount!;
    token = page.NextContinuationToken;
  } while (token !== undefined);
  assert.equal(count, 10_000);
});

test('N9: a link inside the volume is followed, a dangling one and a fifo are no objects', async () => {
  await writeFile(up.at('bkt', 'target'), 'pointed at');
  await symlink('target', up.at('bkt', 'link'));
  await symlink('nowhere', up.at('bkt', 'dangling'));
  await shell(`mkfifo ${up.at('bkt', 'fifo')}`);
  assert.equal(await getText('bkt', 'link'), 'pointed at');
  const list = await up.s3.send(new ListObjectsV2Command({ Bucket: 'bkt', Prefix: 'link' }));
  assert.equal(list.Contents![0]!.Size, 10);
  await assert.rejects(getText('bkt', 'dangling'), { name: 'NoSuchKey' });
  await assert.rejects(getText('bkt', 'fifo'), { name: 'NoSuchKey' });
  const { keys } = await keysOf('bkt');
  assert.ok(!keys.includes('dangling') && !keys.includes('fifo'));
});

test('V7: an unlinked open file keeps its bytes while S3 lists', async () => {
  const output = await shell(
    `exec 3<>${up.at('bkt', 'held')}; echo kept >&3; rm ${up.at('bkt', 'held')}; sleep 0.2; stat -L -c %h /proc/self/fd/3; echo more >&3; cat /proc/self/fd/3`,
  );
  assert.equal(output, '0\nkept\nmore\n');
  assert.ok(!(await keysOf('bkt')).keys.includes('held'));
  await rm(up.at('bkt', 'held'), { force: true });
});
