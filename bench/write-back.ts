/**
 * Files with an fsync on each, over a store that answers late: with write-back and without, in turn.
 *
 *     node dist/bench/write-back.js [--files 40] [--kib 256] [--rounds 3] [--delay-ms 30]
 */
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runMain, type Started, startMain, stopChild } from '../conformance/cross-frontend/running-up.ts';
import { type RedisServer, redisServer } from '../test/support/redis-server.ts';
import { compare } from './figures.ts';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '40' },
    kib: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '3' },
    'delay-ms': { type: 'string', default: '30' },
  },
});
const fileCount = Number(values.files);
const bytes = Buffer.alloc(Number(values.kib) * 1024, 'x');
const root = mkdtempSync(join(tmpdir(), 'janusfs-behind-'));
const mounts: { path: string; started: Started; figures: number[] }[] = [];
let redis: RedisServer | undefined;
try {
  redis = await redisServer({ appendOnly: true });
  for (const [name, flags] of [
    ['behind', ['--writeback', join(root, 'journal')]],
    ['through', []],
  ] as [string, string[]][]) {
    const url = `redis+unix://${redis.socket}?volume=${name}`;
    await runMain(['format', url, '--store', `faulty+memory:?delayMs=${values['delay-ms']}`]);
    const path = join(root, name);
    mkdirSync(path);
    mounts.push({ path, started: await startMain(['mount', url, path, ...flags]), figures: [] });
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { path, figures } of mounts) figures.push(writeFiles(join(path, `round-${round}`)));
  }
  const [behind, through] = mounts;
  const name = `create, ${values.kib} KiB, fsync, close`;
  process.stdout.write(compare([{ name, unit: 'files/s', subject: behind!.figures, reference: through!.figures }]));
} finally {
  for (const { started } of mounts) await stopChild(started.child);
  await redis?.stop();
  rmSync(root, { recursive: true, force: true });
}

/** Files per second. */
function writeFiles(directory: string): number {
  mkdirSync(directory);
  const begun = performance.now();
  for (let i = 0; i < fileCount; i++) {
    const fd = openSync(join(directory, `f${i}`), 'wx');
    writeSync(fd, bytes);
    fsyncSync(fd);
    closeSync(fd);
  }
  return fileCount / ((performance.now() - begun) / 1000);
}
