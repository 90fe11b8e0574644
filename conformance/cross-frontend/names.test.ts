import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { type RunningUp, startUp } from './running-up.ts';

let up: RunningUp;

before(async () => {
  up = await startUp();
  await up.s3.send(new CreateBucketCommand({ Bucket: 'names' }));
});
after(() => up?.end());

const put = (Key: string, Body: string) => up.s3.send(new PutObjectCommand({ Bucket: 'names', Key, Body }));
const del = (Key: string) => up.s3.send(new DeleteObjectCommand({ Bucket: 'names', Key }));
async function get(Key: string): Promise<string> {
  const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'names', Key }));
  return reply.Body!.transformToString();
}
async function keys(Prefix = ''): Promise<string[]> {
  const reply = await up.s3.send(new ListObjectsV2Command({ Bucket: 'names', Prefix, EncodingType: 'url' }));
  return (reply.Contents ?? []).map((item) => decodeURIComponent(item.Key!.replaceAll('+', '%20')));
}

const ODD_NAMES = [
  'with space',
  'quo\'te"s',
  'plus+plus',
  'per%2Fcent',
  'ümläut-日本',
  '🦊 emoji',
  'new\nline',
  'amp&<xml>',
  'tab\there',
  '%41',
  'back\\slash',
  '-dash',
  'c#?=;:,@',
];

test('N5: odd names pass from the mount to S3 and back', async () => {
  await mkdir(up.at('names', 'odd'));
  for (const name of ODD_NAMES) await writeFile(up.at('names', 'odd', name), `from the mount: ${name}`);
  const listed = await keys('odd/');
  const byBytes = ODD_NAMES.map((name) => `odd/${name}`).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(listed, byBytes);
  for (const name of ODD_NAMES) assert.equal(await get(`odd/${name}`), `from the mount: ${name}`);
  for (const name of ODD_NAMES) await put(`back/${name}`, `from S3: ${name}`);
  assert.deepEqual((await readdir(up.at('names', 'back'))).sort(), [...ODD_NAMES].sort());
  for (const name of ODD_NAMES) assert.equal(await readFile(up.at('names', 'back', name), 'utf8'), `from S3: ${name}`);
  for (const name of ODD_NAMES) {
    await unlink(up.at('names', 'odd', name));
    await del(`back/${name}`);
  }
  assert.deepEqual(await keys('back/'), []);
});

test('N3: keys a and a/b live together; the primary has the plain name on the mount', async () => {
  await put('a', 'the file');
  await put('a/b', 'below');
  assert.deepEqual(await keys('a'), ['a', 'a/b']);
  assert.equal(await readFile(up.at('names', 'a'), 'utf8'), 'the file');
  assert.equal(await readFile(up.at('names', '%~dir:a', 'b'), 'utf8'), 'below');
  assert.deepEqual((await readdir(up.at('names'))).filter((name) => name.endsWith('a')).sort(), ['%~dir:a', 'a']);
  await put('a', 'the file again');
  assert.equal(await readFile(up.at('names', 'a'), 'utf8'), 'the file again');
  await del('a');
  assert.equal(await readFile(up.at('names', 'a', 'b'), 'utf8'), 'below');
  await put('a', 'shadowed now');
  assert.equal(await readFile(up.at('names', '%~file:a'), 'utf8'), 'shadowed now');
  assert.equal((await stat(up.at('names', 'a'))).isDirectory(), true);
  await writeFile(up.at('names', '%~file:a'), 'written by the mount');
  assert.equal(await get('a'), 'written by the mount');
  await unlink(up.at('names', '%~file:a'));
  assert.deepEqual(await keys('a'), ['a/b']);
  await del('a/b');
});

test('N4: empty, dot and dot-dot components are files under escaped names', async () => {
  for (const key of ['x//y', 'x/./z', 'x/../w', '/lead', '%~tilde']) {
    await putRaw(key, `at ${key}`);
  }
  assert.deepEqual(
    (await keys()).filter((key) => /^(x|\/|%~)/.test(key)),
    ['%~tilde', '/lead', 'x/../w', 'x/./z', 'x//y'],
  );
  assert.equal(await readFile(up.at('names', 'x', '%~empty', 'y'), 'utf8'), 'at x//y');
  assert.equal(await readFile(up.at('names', 'x', '%~dot', 'z'), 'utf8'), 'at x/./z');
  assert.equal(await readFile(up.at('names', 'x', '%~dotdot', 'w'), 'utf8'), 'at x/../w');
  assert.equal(await readFile(up.at('names', '%~empty', 'lead'), 'utf8'), 'at /lead');
  assert.equal(await readFile(up.at('names', '%~%~tilde'), 'utf8'), 'at %~tilde');
  await writeFile(up.at('names', 'x', '%~empty', 'from mount'), 'm');
  assert.ok((await keys('x//')).includes('x//from mount'));
  await assert.rejects(writeFile(up.at('names', '%~nonsense'), 'x'), { code: 'EINVAL' });
});

test('N8: a name of 255 bytes passes, a longer one is refused at both doors', async () => {
  const longest = 'n'.repeat(255);
  await put(longest, 'long');
  assert.equal(await readFile(up.at('names', longest), 'utf8'), 'long');
  await assert.rejects(put(`${longest}n`, 'x'), { name: 'KeyTooLongError' });
  await assert.rejects(put(`${'k/'.repeat(512)}kk`, 'x'), { name: 'KeyTooLongError' });
  await assert.rejects(writeFile(up.at('names', `${longest}n`), 'x'), { code: 'ENAMETOOLONG' });
});

test('a HEAD of a directory without its slash is 404, with it the explicit directory', async () => {
  await mkdir(up.at('names', 'folder'));
  await assert.rejects(up.s3.send(new HeadObjectCommand({ Bucket: 'names', Key: 'folder' })), { name: 'NotFound' });
  const head = await up.s3.send(new HeadObjectCommand({ Bucket: 'names', Key: 'folder/' }));
  assert.equal(head.ContentLength, 0);
});

/** PUT of a key that URL libraries would normalise ('.' and '..'): a presigned request over a raw socket. */
async function putRaw(key: string, body: string): Promise<void> {
  const { signedRequest } = await import('./raw-request.ts');
  const status = await signedRequest(up.endpoint, 'PUT', `/names/${key}`, body);
  assert.equal(status, 200, `PUT ${key}`);
}
