import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { formatBytes, formatDurationMs, parseBytes, parseDurationMs } from '../../src/base/units.ts';

test('amounts of bytes are read in powers of 1024 and of 1000', () => {
  assert.equal(parseBytes('0'), 0);
  assert.equal(parseBytes('4096'), 4096);
  assert.equal(parseBytes('64k'), 65_536);
  assert.equal(parseBytes('64KiB'), 65_536);
  assert.equal(parseBytes('64 kB'), 64_000);
  assert.equal(parseBytes('1.5GiB'), 1.5 * 2 ** 30);
  assert.equal(parseBytes('8T'), 8 * 2 ** 40);
});

test('durations are read with their unit, bare numbers in the given one', () => {
  assert.equal(parseDurationMs('250ms', 1000), 250);
  assert.equal(parseDurationMs('20', 1000), 20_000);
  assert.equal(parseDurationMs('20', 1), 20);
  assert.equal(parseDurationMs('1.5s', 1), 1500);
  assert.equal(parseDurationMs('5m', 1), 300_000);
  assert.equal(parseDurationMs('2h', 1), 7_200_000);
});

test('what is no amount is a usage error that shows how to write one', () => {
  for (const text of [
    '',
    'x',
    '-1',
    '1e3',
    '10 parsecs',
    '1.2.3',
    '1constructor',
    '1tostring',
    '1valueof',
    '99999999999999999999',
  ]) {
    assert.throws(
      () => parseBytes(text),
      (error: UserError) => error.exitStatus === 2 && /64KiB/.test(error.message),
      text,
    );
    assert.throws(() => parseDurationMs(text, 1), UserError, text);
  }
});

test('amounts are written short, and read back as what they say', () => {
  assert.equal(formatBytes(0), '0 B');
  assert.equal(formatBytes(1023), '1023 B');
  assert.equal(formatBytes(1536), '1.5 KiB');
  assert.equal(formatBytes(64 * 2 ** 20), '64 MiB');
  assert.equal(formatBytes(1000 * 2 ** 20), '1000 MiB');
  assert.equal(formatDurationMs(850), '850 ms');
  assert.equal(formatDurationMs(12_500), '12.5 s');
  assert.equal(formatDurationMs(180_000), '3 min');
  for (const bytes of [1, 1024, 3 * 2 ** 20, 5 * 2 ** 30]) assert.equal(parseBytes(formatBytes(bytes)), bytes);
});
