import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import type { UserError } from '../../src/base/errors.ts';
import {
  describeSetting,
  flagOf,
  isGiven,
  readConfigFile,
  resolveSettings,
  SETTINGS,
  type SettingName,
  variableOf,
} from '../../src/config.ts';
import { afterwards } from '../support/clean-up.ts';

const NAMES = Object.keys(SETTINGS) as SettingName[];
const NOTHING = { flags: {}, env: {}, file: {} };

test('a flag wins over the environment, that over the file, that over the default', () => {
  const file = { lease: '3s' };
  const env = { JANUSFS_LEASE: '2' };
  const flags = { lease: '1' };
  assert.equal(resolveSettings(['lease'], { flags, env, file }).lease, 1000);
  assert.equal(resolveSettings(['lease'], { flags: {}, env, file }).lease, 2000);
  assert.equal(resolveSettings(['lease'], { flags: {}, env: {}, file }).lease, 3000);
  assert.equal(resolveSettings(['lease'], NOTHING).lease, 60_000);
});

test('an empty variable counts as not set', () => {
  const sources = { flags: {}, env: { JANUSFS_LISTEN: '' }, file: {} };
  assert.equal(resolveSettings(['listen'], sources).listen, '127.0.0.1:9000');
  assert.equal(isGiven('listen', sources), false);
});

test('paths are made absolute; their defaults are in the home directory', () => {
  assert.equal(resolveSettings(['data'], { ...NOTHING, flags: { data: 'here' } }).data, resolve('here'));
  assert.equal(resolveSettings(['data'], NOTHING).data, join(homedir(), '.janusfs'));
  assert.equal(resolveSettings(['store'], NOTHING).store, undefined);
});

test('a wrong value names the flag, variable or key it came from', () => {
  const cases: [SettingName, string, RegExp][] = [
    ['lease', 'soon', /no duration/],
    ['lease', '1ms', /between 1 s and 1 h/],
    ['cacheSize', 'much', /no amount of bytes/],
    ['bufferSize', '1', /at least 16 MiB/],
    ['uploads', '0', /between 1 and 1000/],
    ['uploads', '1.5', /no whole number/],
    ['logLevel', 'loud', /none of debug, info/],
    ['debug', 'perhaps', /neither true nor false/],
  ];
  for (const [name, value, message] of cases) {
    const from: [object, string][] = [
      [{ ...NOTHING, flags: { [name]: value } }, flagOf(name)],
      [{ ...NOTHING, env: { [variableOf(name)]: value } }, variableOf(name)],
      [{ ...NOTHING, file: { [name]: value } }, `'${name}'`],
    ];
    for (const [sources, origin] of from) {
      assert.throws(
        () => resolveSettings([name], sources as typeof NOTHING),
        (error: UserError) => error.exitStatus === 2 && message.test(error.message) && error.message.includes(origin),
        `${name}=${value} from ${origin}`,
      );
    }
  }
});

test('a configuration file with an unknown key is refused, with the key that was meant', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'janusfs-config-'));
  afterwards(t, () => rmSync(directory, { recursive: true }));
  const path = join(directory, 'config.json');
  writeFileSync(path, '{"log-level": "debug"}');
  assert.throws(() => readConfigFile(path), /unknown key 'log-level' \(did you mean 'logLevel'\?\)/);
  writeFileSync(path, '{"lease": ["60"]}');
  assert.throws(() => readConfigFile(path), /must be a string, a number or true\/false/);
  writeFileSync(path, '[]');
  assert.throws(() => readConfigFile(path), /one JSON object/);
  writeFileSync(path, '{');
  assert.throws(() => readConfigFile(path), /cannot read the configuration/);
  writeFileSync(path, '{"lease": 20, "debug": true}');
  const file = readConfigFile(path);
  assert.deepEqual(resolveSettings(['lease', 'debug'], { flags: {}, env: {}, file }), { lease: 20_000, debug: true });
});

test('every setting has a default within its own limits, a sentence, a flag and a variable', () => {
  for (const name of NAMES) {
    assert.ok(SETTINGS[name].doc.length > 10, name);
    assert.match(describeSetting(name).flags, /^--[a-z-]+( <.+>)?$/);
    assert.match(variableOf(name), /^JANUSFS_[A-Z_]+$/);
    const value = SETTINGS[name].default;
    if (value === undefined || SETTINGS[name].kind === 'path') continue;
    const text = SETTINGS[name].kind === 'duration' ? `${value}ms` : String(value);
    assert.deepEqual(resolveSettings([name], { ...NOTHING, env: { [variableOf(name)]: text } })[name], value);
  }
});
