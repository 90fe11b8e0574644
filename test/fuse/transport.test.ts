/** Building the addon, and choosing how many readers the pure transport may take from libuv's pool. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadAddon } from '../../src/fuse/transport/addon.ts';
import { readersForPool } from '../../src/fuse/transport/pure.ts';
import { buildAddon, TEST_MS_MAX } from '../support/mounted.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

describe('building the addon', { timeout: 2 * TEST_MS_MAX }, () => {
  const copy = mkdtempSync(join(tmpdir(), 'janusfs-addon-'));
  after(() => rmSync(copy, { recursive: true, force: true }));
  mkdirSync(join(copy, 'scripts'));
  mkdirSync(join(copy, 'src', 'fuse'), { recursive: true });
  cpSync(join(ROOT, 'scripts', 'build-addon.mjs'), join(copy, 'scripts', 'build-addon.mjs'));
  cpSync(join(ROOT, 'src', 'fuse', 'native'), join(copy, 'src', 'fuse', 'native'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const target = join(copy, 'build', 'janusfs.node');
  const build = (env: NodeJS.ProcessEnv, ...args: string[]) =>
    spawnSync(process.execPath, [join(copy, 'scripts', 'build-addon.mjs'), ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });

  test('without a compiler it says what is lost, and fails only where the addon is required', () => {
    const without = build({ CC: 'no-such-compiler' });
    assert.equal(without.status, 0);
    assert.match(
      without.stderr,
      /there is no C compiler.*apt-get install gcc[\s\S]*about 4 times the time.*as root only/,
    );
    assert.equal(existsSync(target), false);
    assert.equal(build({ CC: 'no-such-compiler' }, '--require').status, 1);
  });

  test('it compiles without warnings, once', () => {
    const first = build({}, '--require');
    assert.equal(first.status, 0, first.stderr);
    assert.equal(first.stderr, '');
    const { mtimeMs } = statSync(target);
    assert.equal(build({}).status, 0);
    assert.equal(statSync(target).mtimeMs, mtimeMs, 'the second run does nothing');
  });
});

test('the addon loads and refuses wrong arguments with exceptions', () => {
  buildAddon();
  const loaded = loadAddon();
  assert.ok('addon' in loaded);
  const { addon } = loaded;
  const wrong = addon as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ['serve', 'mount', 'unmount', 'receiveDescriptor']) {
    assert.throws(() => wrong[name]!(), /too few arguments/);
    assert.throws(() => wrong[name]!({}, {}, {}, {}, {}, {}), Error, name);
  }
  const nothing = (): void => {};
  assert.throws(() => addon.serve(-1, Buffer.alloc(8), Buffer.alloc(8), nothing, nothing, nothing), /non-blocking/);
  assert.equal(addon.receiveDescriptor(-1), -9);
});

test('the pure transport leaves most of the pool to others', () => {
  assert.deepEqual([undefined, '4', '8', '16', '128', 'x'].map(readersForPool), [1, 1, 2, 4, 4, 1]);
});
