import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { ACCESS_KEY, SECRET_KEY, s3Client, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { janusfs, readyFields, serving } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 240_000 };
const SECRET = 'nobody but us should be able to read this line; ';
const KEYS = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };

/** Whether any file below the directory holds the text. */
function holds(directory: string, text: string): boolean {
  return execFileSync('sh', ['-c', `grep -rlF -- "$1" "$2" || true`, 'sh', text, directory]).length > 0;
}

async function upOn(t: TestContext, root: string, flags: string[], env: Record<string, string>) {
  const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
  const started = await serving(t, ['up', '--data', data, '--mount', mount, '--listen', '127.0.0.1:0', ...flags], {
    ...KEYS,
    ...env,
  });
  return { ...started, data, mount, s3: s3Client(readyFields(started.ready).endpoint!, ACCESS_KEY, SECRET_KEY) };
}

test(
  'K1: an encrypted, compressed volume: no byte of a file in store or log, wrong keys are one line, tools need none',
  BOUNDED,
  async (t) => {
    const root = temporaryDirectory(t, 'k1');
    const env = { JANUSFS_PASSPHRASE: 'correct horse' };
    let up = await upOn(t, root, ['--compress', 'zstd', '--encrypt'], env);
    const small = SECRET.repeat(10);
    const large = Buffer.alloc(9_000_000, SECRET);
    await up.s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
    for (const [name, Body] of Object.entries({ small, large })) {
      writeFileSync(join(up.mount, 'bkt', name), Body);
      await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: `${name}-s3`, Body }));
    }
    await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'to-pack', Body: Buffer.alloc(100_000, SECRET) }));
    await stopChild(up.child); // What was small is packed by then.
    assert.ok(!holds(up.data, SECRET.slice(0, 20)), 'the data directory holds plain bytes');
    const stored = readdirSync(join(up.data, 'blocks'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + readFileSync(join(entry.parentPath, entry.name)).length, 0);
    assert.ok(stored < 2_000_000, `${stored} bytes are stored for 18 MB of text`);

    const at = ['--data', up.data];
    const rest = ['--mount', up.mount, '--listen', '127.0.0.1:0'];
    for (const [given, wanted] of [
      [{ JANUSFS_PASSPHRASE: 'wrong' }, /^janusfs: the passphrase is wrong$/m],
      [
        { JANUSFS_PASSPHRASE: '' },
        /^janusfs: the volume janusfs is encrypted: give its key with JANUSFS_PASSPHRASE or --key-file$/m,
      ],
    ] as const) {
      const refused = await janusfs(['up', ...at, ...rest], given);
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, wanted);
    }
    assert.match(
      (await janusfs(['up', ...at, ...rest, '--compress', 'lz4'], env)).stderr,
      /is there and is zstd, encrypted/,
    );
    for (const tool of [['fsck', '--deep'], ['scrub', '--now'], ['gc'], ['status']]) {
      const ran = await janusfs([...tool, ...at]);
      assert.equal(ran.status, 0, `${tool[0]}: ${ran.stderr}${ran.stdout}`);
    }

    const rekeyed = await janusfs(['rekey', ...at], { ...env, JANUSFS_NEW_PASSPHRASE: 'battery staple' });
    assert.equal(rekeyed.status, 0, rekeyed.stderr);
    assert.match(
      (await janusfs(['rekey', ...at], { ...env, JANUSFS_NEW_PASSPHRASE: 'x' })).stderr,
      /passphrase is wrong/,
    );
    const keyFile = join(root, 'key');
    writeFileSync(keyFile, 'battery staple\n');
    up = await upOn(t, root, ['--key-file', keyFile], {});
    for (const [name, body] of Object.entries({ small, large: large.toString() })) {
      assert.equal(readFileSync(join(up.mount, 'bkt', `${name}-s3`), 'utf8'), body);
      const { Body } = await up.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: name, Range: 'bytes=100-200' }));
      assert.equal(await Body!.transformToString(), body.slice(100, 201));
    }
    await stopChild(up.child);
  },
);

test(
  'K2: a key command wraps and unwraps; a dump keeps what the key opens; bad requests are one line',
  BOUNDED,
  async (t) => {
    const root = temporaryDirectory(t, 'k2');
    // A KMS in small: what it is given comes back reversed.
    const useful = join(root, 'kms.py');
    writeFileSync(
      useful,
      'import sys\nassert sys.argv[1] in ("wrap", "unwrap")\nsys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])\n',
    );
    const flags = ['--key-command', `python3 ${useful}`];
    let up = await upOn(t, root, ['--encrypt', ...flags], {});
    writeFileSync(join(up.mount, 'file'), SECRET);
    await stopChild(up.child);
    const dump = join(root, 'dump');
    assert.equal((await janusfs(['dump', '--data', up.data, '--output', dump])).status, 0);
    const again = join(root, 'again');
    assert.equal(
      (await janusfs(['load', dump, '--data', join(again, 'data'), '--store', `file://${up.data}/blocks`])).status,
      0,
    );
    execFileSync('cp', ['-a', join(up.data, 'blocks'), join(again, 'data', 'blocks')]);
    up = await upOn(t, again, flags, {});
    assert.equal(readFileSync(join(up.mount, 'file'), 'utf8'), SECRET);
    await stopChild(up.child);
    const at = ['up', '--data', up.data, '--mount', up.mount, '--listen', '127.0.0.1:0'];
    for (const [args, env, wanted] of [
      [['--key-command', 'exit 3;'], {}, /the key command 'exit 3; unwrap' ended with 3/],
      [['--key-command', 'true'], {}, /answered nothing/],
      [[], { JANUSFS_PASSPHRASE: 'x' }, /wrapped in another way: give --key-command/],
      [['--key-file', join(root, 'none')], {}, /cannot read the key file/],
      [[...flags, '--key-file', dump], {}, /give one of/],
      [['--encrypt'], {}, /--encrypt needs a key/],
      [['--compress', 'rar'], {}, /none of zstd, lz4, none/],
    ] as [string[], Record<string, string>, RegExp][]) {
      const refused = await janusfs([...at, ...args], env);
      assert.ok(refused.status === 1 || refused.status === 2, `${refused.status}`);
      assert.match(refused.stderr, wanted);
    }
  },
);
