import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { janusfs, serving } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 240_000 };

test('C4: fsck and gc of an embedded volume, served and not; exit statuses are e2fsck-like', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'fk');
  const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
  const started = await serving(t, ['up', '--data', data, '--mount', mount, '--listen', '127.0.0.1:0']);
  mkdirSync(join(mount, 'bkt'));
  writeFileSync(join(mount, 'bkt', 'big'), Buffer.alloc(5 * 1024 * 1024, 'x'));
  const served = await janusfs(['fsck', '--data', data, '--deep', '--json']);
  assert.equal(served.status, 0, served.stderr);
  const sums = JSON.parse(served.stdout.trim().split('\n').at(-1)!);
  assert.deepEqual([sums.found, sums.inodes, sums.blocksRead], [0, 3, 2]);
  assert.match((await janusfs(['gc', '--data', data])).stdout, /0 belong to no file/);
  assert.equal((await janusfs(['scrub', '--data', data, '--now'])).status, 0);
  assert.match(
    (await janusfs(['scrub', '--data', data, '--every', '7d'])).stdout,
    /^a pass every 7 d, at 16 MiB a second$/m,
  );
  assert.match((await janusfs(['status', '--data', data])).stdout, /^scrub {7}on, 16 MiB a second, last pass ended 2/m);
  assert.match((await janusfs(['scrub', '--data', data, '--off'])).stdout, /^not scrubbed/);
  for (const wrong of [
    ['--rate', '0'],
    ['--off', '--now'],
    ['--every', 'x'],
  ]) {
    assert.equal((await janusfs(['scrub', '--data', data, ...wrong])).status, 2);
  }
  await stopChild(started.child);

  const blocks = readdirSync(join(data, 'blocks'), { recursive: true, encoding: 'utf8' });
  const second = blocks.find((path) => /_1_\d+$/.test(path))!;
  rmSync(join(data, 'blocks', second));
  const found = await janusfs(['fsck', '--data', data]);
  assert.equal(found.status, 4);
  assert.match(
    found.stdout,
    /^missing-block: the block chunks\/\S+_1_1048576 of inode \d+ is missing \(\/bkt\/big\); its bytes are lost/,
  );
  assert.equal((await janusfs(['fsck', '--data', data, '--repair'])).status, 4);
  const given = await janusfs(['fsck', '--data', data, '--repair', '--zero-lost']);
  assert.equal(given.status, 1, given.stdout);
  assert.equal((await janusfs(['fsck', '--data', data, '--deep'])).status, 0);
});

test('a store that lost its mark, or is gone, is no store of the volume', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'fm');
  const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
  const up = ['up', '--data', data, '--mount', mount, '--listen', '127.0.0.1:0'];
  const started = await serving(t, up);
  writeFileSync(join(mount, 'file'), 'bytes');
  await stopChild(started.child);
  renameSync(join(data, 'blocks'), join(data, 'elsewhere'));
  for (const command of [up, ['fsck', '--data', data], ['gc', '--data', data]]) {
    const gone = await janusfs(command);
    assert.equal(gone.status, command[0] === 'fsck' ? 8 : 1);
    assert.match(gone.stderr, /^janusfs: cannot open the object store .*is its disk mounted\?\n$/m);
  }
  mkdirSync(join(data, 'blocks'));
  for (const command of [up, ['fsck', '--data', data, '--repair'], ['gc', '--data', data, '--delete']]) {
    const empty = await janusfs(command);
    assert.equal(empty.status, command[0] === 'fsck' ? 8 : 1);
    assert.match(
      empty.stderr,
      /^janusfs: \S+ is not the store of janusfs: it has no janusfs-volume\.json.*is its disk mounted\?/m,
    );
  }
  rmSync(join(data, 'blocks'), { recursive: true });
  renameSync(join(data, 'elsewhere'), join(data, 'blocks'));
  const again = await serving(t, up);
  await stopChild(again.child);
});

test('bad arguments of fsck and gc are one line', BOUNDED, async () => {
  const cases: [string[], number, RegExp][] = [
    [['fsck', '--zero-lost'], 2, /--zero-lost gives up bytes: it needs --repair/],
    [['fsck', '--age', '5m'], 2, /--age 5m is less than 1h/],
    [['gc', '--age', 'soon'], 2, /'soon' is no duration/],
    [['gc', '--live', '99'], 2, /--live 99 is no percentage/],
    [['fsck', 'redis://127.0.0.1:1/0?volume=none'], 8, /cannot reach Redis/],
    [['gc', '--data', '/nonexistent/janusfs'], 1, /holds no volume/],
  ];
  for (const [args, status, pattern] of cases) {
    const result = await janusfs(args);
    assert.equal(result.status, status, args.join(' '));
    assert.match(result.stderr, pattern);
    assert.equal(result.stderr.trim().split('\n').length, 1);
  }
});
