import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Credentials,
  checkCredentials,
  credentialsFromEnvironment,
  generateCredentials,
  keptCredentials,
} from '../../src/cli/credentials.ts';
import {
  dataDirectory,
  lockDataDirectory,
  makeDataDirectory,
  recordMount,
  volumeOf,
} from '../../src/cli/data-directory.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

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
  assert.equal(volumeOf(directory, 'home', true), 'home');
  assert.equal(volumeOf(directory, 'janusfs', false), 'home');
  assert.throws(() => volumeOf(directory, 'other', true), /holds the volume 'home', not 'other'/);
});

test('a data directory that cannot be made is one clear line', (t) => {
  const file = join(temporaryDirectory(t, 'dd'), 'file');
  writeFileSync(file, '');
  assert.throws(() => makeDataDirectory(dataDirectory(join(file, 'data'))), /cannot make the data directory/);
});

test('root credentials are generated once, kept privately, and readable by AWS clients', (t) => {
  const path = join(temporaryDirectory(t, 'dd'), 'credentials');
  const made = keptCredentials(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  chmodSync(path, 0o644);
  assert.deepEqual(keptCredentials(path), made);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(
    readFileSync(path, 'utf8'),
    `[default]\naws_access_key_id = ${made.accessKey}\naws_secret_access_key = ${made.secretKey}\n`,
  );
  writeFileSync(path, 'nothing');
  assert.throws(() => keptCredentials(path), /holds no credentials; remove it/);
  mkdirSync(join(path, '..', 'directory'));
  assert.throws(() => keptCredentials(join(path, '..', 'directory')), /cannot read/);
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
