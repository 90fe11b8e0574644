import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FileStore } from '../../src/chunk/object/file-store.ts';
import { StoreError } from '../../src/chunk/object/store-error.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { pattern } from './fake-volume.ts';

const FULL_DISK_SCRIPT = `
  import { FileStore } from ${JSON.stringify(new URL('../../src/chunk/object/file-store.js', import.meta.url).href)};
  const store = await FileStore.open(process.argv[1] + '/objects', { create: true });
  try {
    for (let i = 0; i < 10; i++) await store.put('chunks/0/' + i, [Buffer.alloc(300_000), Buffer.alloc(100_000)]);
    console.log('no error');
  } catch (error) {
    console.log(error.code, error.retryable, error.message);
  }
  await store.deleteMany(['chunks/0/0', 'chunks/0/1']);
  await store.put('chunks/0/after', [Buffer.alloc(300_000)]);
  console.log('stored again');
`;

async function openIn(t: TestContext): Promise<{ directory: string; store: FileStore }> {
  const directory = join(temporaryDirectory(t, 'file-store'), 'objects');
  return { directory, store: await FileStore.open(directory, { create: true }) };
}

test('leaves no temporary file behind, also after a failed or aborted put', { timeout: 60_000 }, async (t) => {
  const { directory, store } = await openIn(t);
  await store.put('a/b', [pattern(1000, 1)]);
  writeFileSync(join(directory, 'file'), 'x');
  await assert.rejects(store.put('file/below', [pattern(10, 1)]), /a file is where a directory should be/);
  const abort = new AbortController();
  const put = store.put('c', [pattern(100_000, 1)], abort.signal);
  abort.abort(new Error('enough'));
  await assert.rejects(put, /enough/);
  assert.deepEqual(readdirSync(join(directory, '.tmp')), []);
  assert.deepEqual(
    (await store.list('', '', 10)).map((object) => object.key),
    ['a/b', 'file'],
  );
});

test('removes old temporary files of a crash when it opens, and no young ones', { timeout: 60_000 }, async (t) => {
  const { directory } = await openIn(t);
  const old = join(directory, '.tmp', 'old');
  const young = join(directory, '.tmp', 'young');
  writeFileSync(old, 'x');
  writeFileSync(young, 'x');
  const longAgo = new Date(Date.now() - 24 * 3_600_000);
  utimesSync(old, longAgo, longAgo);
  await FileStore.open(directory, { create: false });
  assert.equal(existsSync(old), false);
  assert.equal(existsSync(young), true);
});

test('deleting objects keeps their directories; a removed directory is made again', { timeout: 60_000 }, async (t) => {
  const { directory, store } = await openIn(t);
  await store.put('a/b/c', [pattern(10, 1)]);
  await store.deleteMany(['a/b/c']);
  assert.equal(existsSync(join(directory, 'a/b')), true);
  rmSync(join(directory, 'a'), { recursive: true });
  await store.put('a/b/d', [pattern(10, 2)]);
  assert.ok((await store.get('a/b/d', undefined)).equals(pattern(10, 2)));
});

test('refuses names that leave the directory', { timeout: 60_000 }, async (t) => {
  const { store } = await openIn(t);
  for (const key of ['../x', 'a/../../x', '/x', 'a//b', '.tmp/x', '', 'a/.']) {
    await assert.rejects(store.put(key, [pattern(1, 1)]), /no object name/, key);
  }
});

test('a missing directory is an error unless it may be made', { timeout: 60_000 }, async (t) => {
  const directory = join(temporaryDirectory(t, 'file-store'), 'none');
  await assert.rejects(FileStore.open(directory, { create: false }), (error: unknown) => {
    assert.ok(error instanceof StoreError);
    assert.match(error.message, /does not exist; is its disk mounted/);
    return true;
  });
  assert.equal(existsSync(directory), false);
});

test('a full disk is told apart, and writing goes on when there is room again', { timeout: 60_000 }, (t) => {
  const directory = temporaryDirectory(t, 'full-disk');
  mkdirSync(join(directory, 'disk'));
  // A private mount namespace: the small disk is gone with the process, whatever happens.
  const script = `mount -t tmpfs -o size=1m none "$1" && exec "$2" --input-type=module -e "$3" "$1"`;
  const result = spawnSync(
    'unshare',
    ['-m', 'sh', '-c', script, 'sh', join(directory, 'disk'), process.execPath, FULL_DISK_SCRIPT],
    { encoding: 'utf8', timeout: 50_000 },
  );
  if (result.error !== undefined || /unshare|mount:|not permitted/.test(result.stderr)) {
    t.skip(`no private mount here: ${result.error?.message ?? result.stderr.trim()}`);
    return;
  }
  assert.match(result.stdout, /^ENOSPC false .*its disk is full/, result.stderr);
  assert.match(result.stdout, /stored again/);
});
