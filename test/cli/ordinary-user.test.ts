import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { MAIN, s3Client, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { afterwards } from '../support/clean-up.ts';
import { mountsAt, readyFields } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** Debian's nobody; any user without rights would do. */
const USER = 65534;
const AS_USER = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'becoming another user needs root';
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse';
  const readable = spawnSync('setpriv', [...AS_USER, 'test', '-r', MAIN]).status === 0;
  return readable ? false : `another user cannot read ${MAIN}`;
}

test('an ordinary user runs up: both doors act as that user', { timeout: 240_000, skip: whyNot() }, async (t) => {
  const home = temporaryDirectory(t, 'ou');
  chownSync(home, USER, USER);
  // The device is for everybody on a usual system; here it may be root's only.
  const { mode } = statSync('/dev/fuse');
  chmodSync('/dev/fuse', 0o666);
  afterwards(t, () => chmodSync('/dev/fuse', mode & 0o7777));

  const child = spawn('setpriv', [...AS_USER, process.execPath, MAIN, 'up', '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      HOME: home,
      XDG_RUNTIME_DIR: join(home, 'run'),
      JANUSFS_ACCESS_KEY: '',
      JANUSFS_SECRET_KEY: '',
    },
  });
  afterwards(t, () => stopChild(child));
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  const { mount, endpoint, credentials } = readyFields(line);
  assert.equal(mount, join(home, 'janusfs'));
  assert.equal(credentials, join(home, '.janusfs', 'credentials'));

  const asUser = (script: string): string => {
    const result = spawnSync('setpriv', [...AS_USER, 'bash', '-euc', script], { encoding: 'utf8', timeout: 60_000 });
    assert.equal(result.status, 0, result.stderr);
    return result.stdout;
  };
  const text = readFileSync(credentials!, 'utf8');
  const key = (name: string): string => new RegExp(`${name} = (\\S+)`).exec(text)![1]!;
  const s3 = s3Client(endpoint!, key('aws_access_key_id'), key('aws_secret_access_key'));
  afterwards(t, () => s3.destroy());
  asUser(`mkdir ${mount}/bucket; echo one > ${mount}/bucket/one; echo top > ${mount}/top`);
  await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'made/by-s3', Body: 'two\n' }));
  assert.equal(asUser(`stat -c %u ${mount}/bucket/made/by-s3`), `${USER}\n`);
  asUser(`echo more >> ${mount}/bucket/made/by-s3; mv ${mount}/bucket/made/by-s3 ${mount}/bucket/moved`);
  const read = async (Bucket: string, Key: string): Promise<string> =>
    (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body!.transformToString();
  assert.equal(await read('bucket', 'moved'), 'two\nmore\n');
  assert.equal(await read('janusfs', 'top'), 'top\n');
  assert.equal(await stopChild(child), 0);
  assert.deepEqual(mountsAt(mount!), []);
});
