import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { isFsError, UserError } from '../../src/base/errors.ts';
import { ROOT_INO, S_IFREG } from '../../src/base/vocabulary.ts';
import { KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let m: Member;

before(async () => {
  volume = await testVolume({ appendOnly: true });
  m = await volume.join({ durability: { kind: 'local-aof', dir: volume.redis.directory } });
}, LIMIT);

function create(name: string) {
  return m.ns.mknod({ parent: ROOT_INO, name, mode: S_IFREG, uid: 0, gid: 0, rdev: 0, caller: KERNEL });
}

function logDirectory(): string {
  return join(volume.redis.directory, 'appendonlydir');
}

function incrementalLogs(): string[] {
  return readdirSync(logDirectory()).filter((name) => name.endsWith('.incr.aof'));
}

/** Files below `directory` that this process has open. */
function openFiles(directory: string): string[] {
  const found: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      if (path.startsWith(`${directory}/`)) found.push(path.slice(directory.length + 1));
    } catch {
      // The descriptor of this very listing is closed by now.
    }
  }
  return found;
}

test('Redis with appendfsync no has written its log before it answers', LIMIT, async () => {
  for (let i = 0; i < 50; i += 1) {
    const name = `logged-${i}-before-the-answer`;
    await create(name);
    const logs = incrementalLogs().map((file) => readFileSync(join(logDirectory(), file), 'latin1'));
    assert.ok(
      logs.some((text) => text.includes(name)),
      `${name} is answered but not in the log`,
    );
  }
});

test('one sync serves everybody who waits for it', LIMIT, async () => {
  await m.durability.reached();
  const before = m.durability.roundCount;
  await Promise.all(Array.from({ length: 100 }, () => m.durability.reached()));
  const rounds = m.durability.roundCount - before;
  assert.ok(rounds >= 1 && rounds <= 2, `${rounds} rounds for 100 callers at once`);
});

test('a caller who comes while a sync runs waits for the next one', LIMIT, async () => {
  await m.durability.reached();
  const before = m.durability.roundCount;
  const first = m.durability.reached();
  await Promise.resolve();
  const second = m.durability.reached();
  await first;
  assert.equal(m.durability.roundCount - before, 1);
  await second;
  assert.equal(m.durability.roundCount - before, 2);
});

test('the files synced are the current ones, through rewrites of the log', LIMIT, async () => {
  const first = incrementalLogs();
  for (let rewrite = 0; rewrite < 2; rewrite += 1) {
    await m.engine.command('BGREWRITEAOF', []);
    for (;;) {
      await create(`during rewrite ${rewrite} ${Math.random()}`);
      await m.durability.reached();
      const info = String(await m.engine.command('INFO', ['persistence']));
      if (/aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info)) break;
    }
    await m.durability.reached();
    const named = [
      ...readFileSync(join(logDirectory(), 'appendonly.aof.manifest'), 'utf8').matchAll(/^file (\S+) .*type i/gm),
    ];
    assert.deepEqual(openFiles(logDirectory()).sort(), named.map((match) => match[1]).sort());
  }
  assert.notDeepEqual(incrementalLogs(), first);
});

test('what nobody waits for is synced within a second or so', LIMIT, async () => {
  await m.durability.reached();
  const before = m.durability.roundCount;
  await create('nobody waits');
  while (m.durability.roundCount === before) await new Promise((resolve) => setTimeout(resolve, 20));
});

test('the single log file of Redis 6.2 is followed when a rewrite replaces it', LIMIT, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'janusfs-aof-'));
  try {
    writeFileSync(join(dir, 'appendonly.aof'), 'x');
    const own = await volume.join({ durability: { kind: 'local-aof', dir } });
    await own.durability.reached();
    assert.deepEqual(openFiles(dir), ['appendonly.aof']);
    rmSync(join(dir, 'appendonly.aof'));
    writeFileSync(join(dir, 'appendonly.aof'), 'y');
    await own.durability.reached();
    assert.deepEqual(openFiles(dir), ['appendonly.aof']);
    await own.close();
    assert.deepEqual(openFiles(dir), []);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a log that cannot be synced is EIO, and the next call tries again', LIMIT, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'janusfs-aof-'));
  try {
    const own = await volume.join({ durability: { kind: 'local-aof', dir } });
    await assert.rejects(own.durability.reached(), (error) => isFsError(error, 'EIO'));
    writeFileSync(join(dir, 'appendonly.aof'), 'x');
    await own.durability.reached();
    await own.close();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a Redis of our own without a log is refused', LIMIT, async () => {
  const bare = await testVolume();
  const dir = bare.redis.directory;
  await assert.rejects(bare.join({ durability: { kind: 'local-aof', dir } }), (error) => {
    assert.ok(error instanceof UserError);
    return /appendonly yes/.test(error.message);
  });
  const external = await bare.join();
  assert.match(external.durability.text, /^NOT durable/);
  await external.durability.reached();
});

test('an external Redis is taken at its setting, and says what it may lose', LIMIT, async () => {
  const external = await volume.join();
  assert.match(external.durability.text, /appendfsync no/);
  await m.engine.command('CONFIG', ['SET', 'appendfsync', 'always']);
  try {
    const always = await volume.join();
    assert.match(always.durability.text, /syncs its log before it answers/);
    await always.durability.reached();
  } finally {
    await m.engine.command('CONFIG', ['SET', 'appendfsync', 'no']);
  }
});
