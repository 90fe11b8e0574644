import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { janusfs, serving } from '../support/command-line.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 240_000 };

test('B5: an embedded volume comes back from its blocks directory alone, or from a file', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'dl');
  const at = (name: string): string => join(root, name);
  const started = await serving(t, ['up', '--data', at('data'), '--mount', at('mnt'), '--listen', '127.0.0.1:0']);
  mkdirSync(join(at('mnt'), 'bkt'));
  writeFileSync(join(at('mnt'), 'bkt', 'big'), Buffer.alloc(5 * 1024 * 1024, 'x'));
  writeFileSync(join(at('mnt'), 'bkt', 'small'), 'small');
  const dumped = await janusfs(['dump', '--data', at('data'), '--output', at('file.jdump')]);
  assert.equal(dumped.status, 0, dumped.stderr);
  assert.equal(statSync(at('file.jdump')).mode & 0o777, 0o600);
  const planned = await janusfs(['backup', '--data', at('data'), '--every', '24h', '--keep', '3', '--now']);
  assert.match(planned.stdout, /^a copy every 1 d, 3 are kept\n\d{4}-\d\d-\d\dT\S+ {2}\d+ B\n$/);
  const busy = await janusfs(['load', at('file.jdump'), '--data', at('data')]);
  assert.match(busy.stderr, /is in use by another janusfs/);
  await stopChild(started.child);

  const there = await janusfs(['load', at('file.jdump'), '--data', at('data')]);
  assert.equal(there.status, 1);
  assert.match(there.stderr, /the volume 'janusfs', or a part of it, is at .*; --force wipes it first/);
  for (const [data, source] of [
    ['fromstore', `file://${at('data/blocks')}`],
    ['fromfile', at('file.jdump')],
  ] as const) {
    mkdirSync(at(data));
    cpSync(at('data/blocks'), join(at(data), 'blocks'), { recursive: true });
    const loaded = await janusfs(['load', source, '--data', at(data)]);
    assert.equal(loaded.status, 0, loaded.stderr);
    assert.equal(loaded.stderr, '');
    assert.match(loaded.stdout, /^loaded volume=janusfs uuid=\S+ store=file:\S+ keys=\d+ taken=\S+\n$/);
    assert.equal((await janusfs(['fsck', '--data', at(data), '--deep'])).status, 0);
    const again = await serving(t, ['up', '--data', at(data), '--mount', at('mnt'), '--listen', '127.0.0.1:0']);
    assert.equal((await readFile(join(at('mnt'), 'bkt', 'big'))).length, 5 * 1024 * 1024);
    assert.equal(await readFile(join(at('mnt'), 'bkt', 'small'), 'utf8'), 'small');
    await stopChild(again.child);
  }
});

test('bad sources and arguments of dump, load and backup are one line', BOUNDED, async (t) => {
  const root = temporaryDirectory(t, 'dx');
  const data = join(root, 'data');
  writeFileSync(join(root, 'text'), 'no dump');
  writeFileSync(join(root, 'cut'), readFileSync(process.execPath).subarray(0, 0));
  mkdirSync(join(root, 'empty-store'));
  const cases: [string[], number, RegExp][] = [
    [['load', join(root, 'text'), '--data', data], 1, /the dump is damaged/],
    [['load', join(root, 'cut'), '--data', data], 1, /not complete|no dump/],
    [['load', join(root, 'nothing'), '--data', data], 1, /cannot read .*nothing: ENOENT/],
    [['load', `file://${join(root, 'empty-store')}`, '--data', data], 1, /holds no complete copy of the metadata/],
    [['load', join(root, 'text'), '--copy', 'x', '--data', data], 2, /--copy names a copy in a store/],
    [['load', join(root, 'text'), 'redis://127.0.0.1:1/0?volume=none'], 1, /the dump is damaged|cannot reach Redis/],
    [['load'], 2, /missing required argument/],
    [['dump', '--data', join(root, 'nowhere'), '--output', join(root, 'out')], 1, /holds no volume/],
    [['backup', '--every', '5s'], 2, /--every 5s is less than 1m/],
    [['backup', '--keep', '0'], 2, /--keep 0 is no number of copies/],
    [['backup', '--off', '--every', '1h'], 2, /contradict/],
  ];
  for (const [args, status, pattern] of cases) {
    const result = await janusfs(args);
    assert.equal(result.status, status, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, pattern);
    assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
  }
});
