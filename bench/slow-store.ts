/**
 * Small files over a store that answers late: two volumes, one whose object store answers after 30 ms, one at once,
 * measured in turn. Prints both rates, their ratio, and how many objects the files became.
 *
 *     node dist/bench/slow-store.js [--files 1000] [--rounds 3] [--delay-ms 30]
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runMain, type Started, startMain, stopChild } from '../conformance/cross-frontend/running-up.ts';
import { type RedisServer, redisServer } from '../test/support/redis-server.ts';
import { compare } from './figures.ts';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    'delay-ms': { type: 'string', default: '30' },
  },
});
const fileCount = Number(values.files);
const BYTES = Buffer.alloc(4096, 'x');

interface Volume {
  mount: string;
  store: string;
  started: Started;
  figures: number[];
}

const root = mkdtempSync(join(tmpdir(), 'janusfs-slow-'));
let redis: RedisServer | undefined;
const volumes: Volume[] = [];
try {
  redis = await redisServer({ appendOnly: true });
  for (const [name, delayMs] of [
    ['slow', values['delay-ms']],
    ['fast', '0'],
  ] as const) {
    const url = `redis+unix://${redis.socket}?volume=${name}`;
    const store = join(root, `${name}-store`);
    await runMain(['format', url, '--store', `faulty+file://${store}?delayMs=${delayMs}`]);
    const mount = join(root, name);
    mkdirSync(mount);
    volumes.push({ mount, store, started: await startMain(['mount', url, mount]), figures: [] });
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const volume of volumes) volume.figures.push(writeFiles(join(volume.mount, `round-${round}`)));
  }
  for (const { started } of volumes) await stopChild(started.child); // Unmounting packs what is still inline.
  const [slow, fast] = volumes;
  process.stdout.write(
    compare([
      { name: 'create + write 4 KiB + close', unit: 'files/s', subject: slow!.figures, reference: fast!.figures },
    ]),
  );
  const objects = readdirSync(slow!.store, { recursive: true, withFileTypes: true }).filter((entry) =>
    /^\d+_\d+_\d+$/.test(entry.name),
  ).length;
  const perThousand = (objects * 1000) / (fileCount * Number(values.rounds));
  process.stdout.write(
    `${objects} objects for ${fileCount * Number(values.rounds)} files: ${perThousand.toFixed(1)} PUTs per 1,000 files\n`,
  );
} finally {
  for (const { started } of volumes) await stopChild(started.child);
  await redis?.stop();
  rmSync(root, { recursive: true, force: true });
}

/** Files per second. */
function writeFiles(directory: string): number {
  mkdirSync(directory);
  const begun = process.hrtime.bigint();
  for (let i = 0; i < fileCount; i++) {
    const fd = openSync(join(directory, `f${i}`), 'wx');
    writeSync(fd, BYTES);
    closeSync(fd);
  }
  return fileCount / (Number(process.hrtime.bigint() - begun) / 1e9);
}
