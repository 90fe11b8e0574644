import assert from 'node:assert/strict';
import { test } from 'node:test';
import { janusfs } from '../support/command-line.ts';

const BOUNDED = { timeout: 240_000 };
const COMMANDS = ['up', 'format', 'mount', 'gateway', 'serve', 'umount', 'status', 'info', 'version'];

test('a mistake in the call is one line on stderr and exit status 2', BOUNDED, async () => {
  const calls: [string[], RegExp][] = [
    [[], /which command/],
    [['bogus'], /unknown command 'bogus'/],
    [['up', 'extra'], /too many arguments/],
    [['up', '--bogus'], /unknown option '--bogus'/],
    [['up', '--lease', 'soon'], /--lease: 'soon' is no duration/],
    [['up', '--listen', '9000'], /is not HOST:PORT/],
    [['up', '--data', '/nowhere/mnt/data', '--mount', '/nowhere/mnt'], /must not lie on the mount/],
    [['up', '--config', '/nowhere/config.json'], /cannot read the configuration/],
    [['mount', 'redis://localhost'], /missing required argument 'mnt'/],
    [['mount', '/mnt/a', '/mnt/b'], /no volume URL/],
    [['format', 'redis://localhost'], /--store is missing/],
    [['gateway', 'redis+cluster://localhost?volume=abc'], /Redis Cluster is not supported/],
    [['user'], /which command/],
    [['user', 'add', 'bob'], /--uid/],
    [['user', 'add', 'bob', '--uid', 'x', '--gid', '1'], /no user or group id/],
    [['user', 'add', 'root', '--uid', '0', '--gid', '0'], /JANUSFS_ACCESS_KEY/],
    [['user', 'remove', 'root'], /cannot be removed/],
    [['status', 'redis://localhost', '--data', '/x'], /not by both/],
    [['info', '/etc/hostname'], /on no janusfs mount/],
  ];
  for (const [args, message] of calls) {
    const { status, stdout, stderr } = await janusfs(args);
    assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
    assert.equal(stdout, '', args.join(' '));
    assert.match(stderr, message);
    assert.match(stderr, /^janusfs: [^\n]+\n$/);
  }
});

test('credentials that are half set are refused before anything is made', BOUNDED, async () => {
  const { status, stderr } = await janusfs(['up', '--data', '/nowhere/at/all'], { JANUSFS_ACCESS_KEY: 'only-me' });
  assert.equal(status, 2);
  assert.match(stderr, /set both JANUSFS_ACCESS_KEY and JANUSFS_SECRET_KEY/);
});

test('--help of every command shows its settings and examples', BOUNDED, async () => {
  for (const command of COMMANDS) {
    const { status, stdout, stderr } = await janusfs([command, '--help']);
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(`^Usage: janusfs ${command}`));
    assert.match(stdout, /--log-level/);
    assert.match(stdout, new RegExp(`Examples:\\n  .*janusfs ${command}`));
  }
  const { stdout } = await janusfs(['--help']);
  for (const command of [...COMMANDS, 'user']) assert.match(stdout, new RegExp(`^  ${command} `, 'm'));
});

test('the version is the one in package.json', BOUNDED, async () => {
  const long = await janusfs(['version']);
  const short = await janusfs(['--version']);
  assert.match(long.stdout, /^janusfs \d+\.\d+\.\d+ \(Node\.js /);
  assert.ok(long.stdout.startsWith(`janusfs ${short.stdout.trim()} `));
});

test('--debug adds the stack to an error', BOUNDED, async () => {
  const { status, stderr } = await janusfs(['status', '--data', '/nowhere/at/all', '--debug']);
  assert.equal(status, 1);
  assert.match(stderr, /^janusfs: \/nowhere\/at\/all holds no volume.*\n.*\n +at /);
});
