import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Logger, silentLogger } from '../../src/base/log.ts';
import { startEmbeddedRedis } from '../../src/cli/embedded/embedded-redis.ts';
import { prepareLog } from '../../src/cli/embedded/redis-log/prepare-log.ts';
import { scanLog } from '../../src/cli/embedded/redis-log/scan.ts';
import { askRedis } from '../../src/cli/embedded/redis-probe.ts';
import { readDurableLengths, replaceDurableLengths } from '../../src/meta/redis/durable-length.ts';
import { afterwards } from '../support/clean-up.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BOUNDED = { timeout: 120_000 };
const INCREMENT = join('appendonlydir', 'appendonly.aof.1.incr.aof');
const MANIFEST = join('appendonlydir', 'appendonly.aof.manifest');

/** A command as the log holds it. */
function command(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word, 'latin1')}\r\n${word}\r\n`).join('')}`;
}

/** Runs a real server on the directory for as long as `use` takes. */
async function served(directory: string, use: (ask: (line: string) => Promise<string | undefined>) => Promise<void>) {
  const redis = await startEmbeddedRedis(directory, silentLogger, new AbortController().signal);
  try {
    await use((line) => askRedis(redis.socketPath, line, 30_000));
  } finally {
    await redis.stop();
  }
}

/** A directory with a log of a real server that holds `kept` and `count`. */
async function withLog(t: TestContext): Promise<string> {
  // One below: the commands that errors name keep a copy beside the directory.
  const directory = join(temporaryDirectory(t, 'tl'), 'redis');
  mkdirSync(directory);
  await served(directory, async (ask) => {
    await ask('SET kept yes');
    await ask('INCR count');
    await ask(`EVAL "redis.call('set','a','1') redis.call('set','b','2')" 0`);
  });
  return directory;
}

/** What is there after a start, and that it goes on from there. */
async function holds(directory: string, expected: Record<string, string>): Promise<void> {
  await served(directory, async (ask) => {
    for (const [key, value] of Object.entries(expected)) assert.equal(await ask(`GET ${key}`), value, key);
    assert.equal(await ask('SET later yes'), 'OK');
  });
  await served(directory, async (ask) => assert.equal(await ask('GET later'), 'yes'));
}

interface Line {
  file?: string;
  offset?: number;
  bytes?: number;
  kept?: string;
  message: string;
}

function recorder(): { lines: Line[]; logger: Logger } {
  const lines: Line[] = [];
  const warn = (fields: object, message: string): void => void lines.push({ ...fields, message });
  return { lines, logger: { ...silentLogger, warn } };
}

/** Runs the command that an error names, with a shell as a person would. */
function obey(error: Error): void {
  const line = /: (cp -a .*)$/.exec(error.message)?.[1];
  assert.ok(line !== undefined && !error.message.includes('\n'), error.message);
  const run = spawnSync('sh', ['-c', line], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
}

const ALL = { kept: 'yes', count: '1', a: '1', b: '2' };

const TORN_ENDS: Record<string, string> = {
  'zeros, a size that reached the disk without its bytes': '\0'.repeat(5000),
  'a command broken off in its argument': command('SET', 'torn', 'x'.repeat(100)).slice(0, 60),
  'a command broken off in a length': '*3\r\n$3\r\nSET\r\n$1',
  'a command whose argument is zeros': `*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$50\r\n${'\0'.repeat(900)}`,
  garbage: '\x17\x80garbage without an end',
  'a lone first byte': '*',
  'a transaction without its EXEC': command('MULTI') + command('SET', 'kept', 'no') + command('SET', 'count', '7'),
  'a transaction that ends in zeros': `${command('MULTI')}${command('SET', 'kept', 'no')}${'\0'.repeat(300)}`,
  'an argument that looks like commands': `*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$9000\r\n${command('SET', 'kept', 'no').repeat(20)}`,
};

for (const [what, end] of Object.entries(TORN_ENDS)) {
  test(`D8: a log that ends in ${what} is moved aside to its last whole command`, BOUNDED, async (t) => {
    const directory = await withLog(t);
    const file = join(directory, INCREMENT);
    const whole = statSync(file).size;
    const { ino } = statSync(file);
    replaceDurableLengths(directory, [{ name: 'appendonly.aof.1.incr.aof', ino, bytes: whole }]);
    appendFileSync(file, end, 'latin1');
    const { lines, logger } = recorder();
    prepareLog(directory, logger);
    assert.equal(statSync(file).size, whole);
    assert.equal(lines.length, 1);
    assert.equal(lines[0]!.file, file);
    assert.equal(lines[0]!.offset, whole);
    assert.equal(lines[0]!.bytes, end.length);
    assert.equal(readFileSync(lines[0]!.kept!, 'latin1'), end);
    await holds(directory, ALL);
  });
}

test(
  'D8: an end torn within what was on the disk stops the start, and the named command goes on',
  BOUNDED,
  async (t) => {
    const directory = await withLog(t);
    const file = join(directory, INCREMENT);
    const { ino, size } = statSync(file);
    replaceDurableLengths(directory, [{ name: 'appendonly.aof.1.incr.aof', ino, bytes: size }]);
    truncateSync(file, size - 3);
    await assert.rejects(
      served(directory, async () => {}),
      (error: Error) => {
        assert.match(
          error.message,
          new RegExp(`${file} at byte ${size - 3}: the file ends there, and ${size} bytes were`),
        );
        assert.equal(statSync(file).size, size - 3, 'nothing was changed');
        obey(error);
        return true;
      },
    );
    await holds(directory, { kept: 'yes', count: '1' });
  },
);

test(
  'D8: a bound inside a command that is torn above it does not stop the start, nor does it later',
  BOUNDED,
  async (t) => {
    const directory = await withLog(t);
    const file = join(directory, INCREMENT);
    const { ino, size } = statSync(file);
    appendFileSync(file, command('SET', 'torn', 'x'.repeat(100)).slice(0, 60));
    // Measured while Redis was writing the command: nobody had its answer.
    replaceDurableLengths(directory, [{ name: 'appendonly.aof.1.incr.aof', ino, bytes: size + 20 }]);
    prepareLog(directory, silentLogger);
    assert.equal(readDurableLengths(directory)[0]!.bytes, size);
    await holds(directory, ALL);
  },
);

test('D8: damage with whole commands behind it stops the start, and the named command goes on', BOUNDED, async (t) => {
  const directory = await withLog(t);
  const file = join(directory, INCREMENT);
  const { size } = statSync(file);
  appendFileSync(file, `\0\0\0\0${command('SET', 'kept', 'no')}`);
  await assert.rejects(
    served(directory, async () => {}),
    (error: Error) => {
      assert.match(error.message, new RegExp(`${file} at byte ${size}: no command, and whole commands follow`));
      obey(error);
      return true;
    },
  );
  await holds(directory, ALL);
});

for (const [what, content] of Object.entries({ empty: '', torn: 'file appendonly.aof.1.ba', zeros: '\0'.repeat(88) })) {
  test(`D8: a manifest that is ${what} is written again`, BOUNDED, async (t) => {
    const directory = await withLog(t);
    writeFileSync(join(directory, MANIFEST), content);
    const { lines, logger } = recorder();
    prepareLog(directory, logger);
    assert.equal(lines.length, 1);
    await holds(directory, ALL);
  });
}

test('D8: a manifest that is gone is written again, and the volume is not taken for a new one', BOUNDED, async (t) => {
  const directory = await withLog(t);
  rmSync(join(directory, MANIFEST));
  await holds(directory, ALL);
});

test(
  'D8: a lost manifest with several snapshots stops the start, and the named command goes on',
  BOUNDED,
  async (t) => {
    const directory = await withLog(t);
    const parts = join(directory, 'appendonlydir');
    const old = readFileSync(join(directory, INCREMENT));
    const [base] = readdirSync(parts).filter((name) => name.includes('base'));
    const oldBase = readFileSync(join(parts, base!));
    await served(directory, async (ask) => {
      await ask('BGREWRITEAOF');
      while (!/aof_rewrite_in_progress:0\s+aof_rewrite_scheduled:0/.test((await ask('INFO persistence')) ?? ''));
      await ask('SET after rewrite');
    });
    writeFileSync(join(parts, base!), oldBase);
    writeFileSync(join(directory, INCREMENT), old);
    rmSync(join(directory, MANIFEST));
    await assert.rejects(
      served(directory, async () => {}),
      (error: Error) => {
        assert.match(error.message, /more than one way/);
        obey(error);
        return true;
      },
    );
    await holds(directory, { ...ALL, after: 'rewrite' });
  },
);

test('D8: what a rewrite leaves when it did not end changes nothing', BOUNDED, async (t) => {
  const directory = await withLog(t);
  const parts = join(directory, 'appendonlydir');
  writeFileSync(join(directory, 'temp-rewriteaof-bg-4711.aof'), 'REDIS half');
  writeFileSync(join(directory, 'temp-rewriteaof-4712.aof'), 'REDIS half');
  writeFileSync(join(parts, 'temp-appendonly.aof.manifest'), 'file appendonly.aof.2.ba');
  writeFileSync(join(parts, 'appendonly.aof.2.base.rdb'), 'REDIS half'); // In place, not yet in the manifest.
  writeFileSync(join(parts, 'appendonly.aof.2.incr.aof'), ''); // Made, not yet in the manifest.
  prepareLog(directory, silentLogger);
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith('temp-')),
    [],
  );
  assert.deepEqual(
    readdirSync(parts).filter((name) => name.startsWith('temp-')),
    [],
  );
  await holds(directory, ALL);
});

test(
  'D8: a newer file with commands that the manifest lacks is added, and one that is named and missing is made',
  BOUNDED,
  async (t) => {
    const directory = await withLog(t);
    const parts = join(directory, 'appendonlydir');
    writeFileSync(join(parts, 'appendonly.aof.2.incr.aof'), command('SELECT', '0') + command('SET', 'newer', 'yes'));
    await holds(directory, { ...ALL, newer: 'yes' });
    appendFileSync(join(directory, MANIFEST), 'file appendonly.aof.3.incr.aof seq 3 type i\n');
    await holds(directory, { ...ALL, newer: 'yes' });
  },
);

test('D8: a torn file before the newest takes the newest with it when neither was on the disk', BOUNDED, async (t) => {
  const directory = await withLog(t);
  const newest = join(directory, 'appendonlydir', 'appendonly.aof.2.incr.aof');
  appendFileSync(join(directory, INCREMENT), '\0\0\0');
  writeFileSync(newest, command('SELECT', '0') + command('SET', 'kept', 'no'));
  const { lines, logger } = recorder();
  prepareLog(directory, logger);
  assert.equal(statSync(newest).size, 0);
  assert.equal(lines.filter(({ kept }) => kept !== undefined).length, 2);
  await holds(directory, ALL);
});

test('D8: a torn file before the newest stops the start when the newest was on the disk', BOUNDED, async (t) => {
  const directory = await withLog(t);
  const newest = join(directory, 'appendonlydir', 'appendonly.aof.2.incr.aof');
  appendFileSync(join(directory, INCREMENT), '\0\0\0');
  writeFileSync(newest, command('SELECT', '0') + command('SET', 'kept', 'no'));
  replaceDurableLengths(directory, [{ name: 'appendonly.aof.2.incr.aof', ino: statSync(newest).ino, bytes: 23 }]);
  await assert.rejects(
    served(directory, async () => {}),
    (error: Error) => {
      assert.match(error.message, /a later file of the log was on the disk once/);
      obey(error);
      return true;
    },
  );
  await holds(directory, ALL);
});

test(
  'D8: a log that was on the disk and is gone is not taken for a new one; a lost snapshot is named',
  BOUNDED,
  async (t) => {
    const directory = await withLog(t);
    const parts = join(directory, 'appendonlydir');
    replaceDurableLengths(directory, [{ name: 'appendonly.aof.1.incr.aof', ino: 1, bytes: 20 }]);
    const base = readdirSync(parts).find((name) => name.includes('base'))!;
    rmSync(join(parts, base));
    await assert.rejects(
      served(directory, async () => {}),
      new RegExp(`the snapshot \\S+${base} .* missing or empty`),
    );
    rmSync(parts, { recursive: true });
    await assert.rejects(
      served(directory, async () => {}),
      /the log of Redis in \S+ is gone/,
    );
  },
);

test('D8: a cut in the first moment, when every file is still empty, starts anew', BOUNDED, async (t) => {
  const directory = temporaryDirectory(t, 'tl');
  mkdirSync(join(directory, 'appendonlydir'));
  writeFileSync(join(directory, MANIFEST), '');
  writeFileSync(join(directory, 'appendonlydir', 'appendonly.aof.1.base.rdb'), '');
  writeFileSync(join(directory, INCREMENT), '');
  await served(directory, async (ask) => assert.equal(await ask('SET first yes'), 'OK'));
});

test(
  'D8: the single file of Redis 6.2 is cut behind its snapshot, whatever bytes the snapshot holds',
  BOUNDED,
  async (t) => {
    const directory = await withLog(t);
    const lookalike = `\u00ff12345678${command('SELECT', '0')}${command('SET', 'kept', 'no')}`;
    const parts = join(directory, 'appendonlydir');
    const snapshot = Buffer.concat([
      readFileSync(join(parts, readdirSync(parts).find((name) => name.includes('base'))!)).subarray(0, 9),
      Buffer.from(`${'\0'.repeat(40)}${lookalike}\0\u0001`, 'latin1'),
      Buffer.from('ff0102030405060708', 'hex'),
    ]);
    const whole = Buffer.concat([
      snapshot,
      Buffer.from(
        `${command('SELECT', '0')}${command('SET', 'kept', 'yes')}${command('SET', 'v', lookalike)}`,
        'latin1',
      ),
    ]);
    const path = join(directory, 'old.aof');
    for (const end of ['', '\0'.repeat(700), '*3\r\n$3\r\nSE', 'garbage']) {
      writeFileSync(path, Buffer.concat([whole, Buffer.from(end)]));
      const scan = scanLog(path);
      assert.equal(scan.goodBytes, whole.length, JSON.stringify(end));
      assert.equal(scan.goesOn, false);
    }
  },
);

test('D8: the single file of Redis 6.2 is mended before an upgrade takes it over', BOUNDED, async (t) => {
  const directory = temporaryDirectory(t, 'tl');
  const path = join(directory, 'appendonly.aof');
  const whole = command('SELECT', '0') + command('SET', 'kept', 'yes');
  writeFileSync(path, `${whole}${'\0'.repeat(4096)}`);
  // Of a file that a rewrite has replaced since: it says nothing of this one.
  replaceDurableLengths(directory, [{ name: 'appendonly.aof', ino: statSync(path).ino + 1, bytes: 99_999 }]);
  await holds(directory, { kept: 'yes' });
  assert.equal(existsSync(join(directory, `torn-appendonly.aof-${whole.length}`)), true);
});

test('D8: the record of the durable length outlives a torn slot', async (t) => {
  const directory = temporaryDirectory(t, 'tl');
  const { DurableLength } = await import('../../src/meta/redis/durable-length.ts');
  const durable = new DurableLength(directory);
  afterwards(t, () => durable.close());
  for (const bytes of [10, 20, 30]) await durable.record([{ name: 'f', ino: 1, bytes }]);
  assert.deepEqual(readDurableLengths(directory), [{ name: 'f', ino: 1, bytes: 30 }]);
  const path = join(directory, 'durable-length');
  const bytes = readFileSync(path);
  assert.equal(bytes.length, 1024);
  for (const at of [600, 512 + 14]) {
    const torn = Buffer.from(bytes);
    torn[at] = torn[at]! ^ 1;
    writeFileSync(path, torn);
    assert.deepEqual(readDurableLengths(directory), [{ name: 'f', ino: 1, bytes: 20 }]);
  }
});
