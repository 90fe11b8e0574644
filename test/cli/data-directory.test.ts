import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  checkVolume,
  dataDirectory,
  lockDataDirectory,
  makeDataDirectory,
  recordedVolume,
  recordMount,
  recordVolume,
} from '../../src/cli/embedded/data-directory.ts';
import {
  type Credentials,
  checkCredentials,
  credentialsFromEnvironment,
  generateCredentials,
  keptCredentials,
} from '../../src/cli/volume/credentials.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** A volume that knows no keys. */
const nobody = async (): Promise<undefined> => undefined;

test('a data directory is served by one process at a time', async (t) => {
  const directory = dataDirectory(join(temporaryDirectory(t, 'dd'), 'data'));
  makeDataDirectory(directory);
  const unlock = await lockDataDirectory(directory);
  recordMount(directory, '/nowhere');
  await assert.rejects(
    lockDataDirectory(directory),
    new RegExp(`in use by another janusfs \\(process ${process.pid}\\)`),
  );
  unlock();
  (await lockDataDirectory(directory))();
});

test('a data directory is private and holds one volume', (t) => {
  const directory = dataDirectory(join(temporaryDirectory(t, 'dd'), 'data'));
  makeDataDirectory(directory);
  assert.equal(statSync(directory.path).mode & 0o777, 0o700);
  assert.equal(recordedVolume(directory), undefined);
  recordVolume(directory, 'home');
  assert.equal(recordedVolume(directory), 'home');
  checkVolume(directory, 'home', 'home');
  assert.throws(() => checkVolume(directory, 'home', 'other'), /holds the volume 'home', not 'other'/);
});

test('a volume file that a power cut left empty, or full of zeros, names no volume', (t) => {
  const directory = dataDirectory(join(temporaryDirectory(t, 'dd'), 'data'));
  makeDataDirectory(directory);
  for (const left of ['', '\n', '\0\0\0\0\0', 'home\0\0']) {
    writeFileSync(join(directory.path, 'volume'), left);
    assert.equal(recordedVolume(directory), undefined, JSON.stringify(left));
  }
});

test('a data directory that cannot be made is one clear line', (t) => {
  const file = join(temporaryDirectory(t, 'dd'), 'file');
  writeFileSync(file, '');
  assert.throws(() => makeDataDirectory(dataDirectory(join(file, 'data'))), /cannot make the data directory/);
});

test('root credentials are generated once, kept privately, and readable by AWS clients', async (t) => {
  const path = join(temporaryDirectory(t, 'dd'), 'credentials');
  const made = await keptCredentials(path, nobody);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  chmodSync(path, 0o644);
  assert.deepEqual(await keptCredentials(path, nobody), made);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(
    readFileSync(path, 'utf8'),
    `[default]\naws_access_key_id = ${made.accessKey}\naws_secret_access_key = ${made.secretKey}\n`,
  );
  writeFileSync(path, 'nothing');
  await assert.rejects(keptCredentials(path, nobody), /holds no credentials; remove it/);
  writeFileSync(path, '[default]\naws_access_key_id = JANUSX\naws_secret_access_key = s\n');
  await assert.rejects(keptCredentials(path, nobody), /a secret key has 8 to 256.*remove it/);
  mkdirSync(join(path, '..', 'directory'));
  await assert.rejects(keptCredentials(join(path, '..', 'directory'), nobody), /cannot read/);
});

test('credentials that a power cut left empty are those the volume knows, else new ones, never empty ones', async (t) => {
  const path = join(temporaryDirectory(t, 'dd'), 'credentials');
  const known = { accessKey: 'JANUSKNOWN', secretKey: 'known-to-the-volume' };
  for (const left of ['', '\0'.repeat(122)]) {
    writeFileSync(path, left);
    assert.deepEqual(await keptCredentials(path, async () => known), known);
    assert.deepEqual(await keptCredentials(path, nobody), known, 'kept from then on');
    writeFileSync(path, left);
    checkCredentials(await keptCredentials(path, nobody));
  }
  rmSync(path);
  assert.notDeepEqual(await keptCredentials(path, async () => known), known, 'a removed file asks for new ones');
});

test('credentials from the environment come in pairs and fit into a signature', () => {
  const read = (accessKey?: string, secretKey?: string): Credentials | undefined =>
    credentialsFromEnvironment({ JANUSFS_ACCESS_KEY: accessKey, JANUSFS_SECRET_KEY: secretKey });
  assert.equal(read(), undefined);
  assert.equal(read('', ''), undefined);
  assert.deepEqual(read('me-and', 'my-secret-key'), { accessKey: 'me-and', secretKey: 'my-secret-key' });
  assert.throws(() => read('me-and'), /set both/);
  assert.throws(() => read(undefined, 'my-secret-key'), /set both/);
  assert.throws(() => read('a/b', 'my-secret-key'), /an access key has/);
  assert.throws(
    () => read('me-and', 'short'),
    (error: Error) => /a secret key has/.test(error.message) && !error.message.includes('short'),
  );
  checkCredentials(generateCredentials());
});
