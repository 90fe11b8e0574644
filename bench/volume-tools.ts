/**
 * How long the tools for whole volumes take: makes `--files` files of 1 KiB in directories of 1,000 in a volume that is there, then
 * times dump, load (into VOLUME-loaded, which is wiped first) and fsck, and tells the memory they took.
 *
 *     node dist/bench/volume-tools.js redis://127.0.0.1:6379/0?volume=big --files 1000000
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';
import { silentLogger } from '../src/base/log.ts';
import { ROOT_INO, S_IFDIR, S_IFREG } from '../src/base/vocabulary.ts';
import { fsck } from '../src/check/check-volume.ts';
import { openStore } from '../src/chunk/object/open-store.ts';
import { gunzip, writeTo } from '../src/dump/copies.ts';
import { dumpVolume } from '../src/dump/dump-volume.ts';
import { loadVolume } from '../src/dump/load-volume.ts';
import type { Meta } from '../src/meta/meta.ts';
import { openMeta } from '../src/meta/open-meta.ts';
import { timestampOf } from '../src/meta/redis/server-clock.ts';

const PER_DIRECTORY = 1_000;
const PARALLEL = 32;
const signal = new AbortController().signal;

await main();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { files: { type: 'string', default: '100000' } },
  });
  const url = positionals[0];
  if (url === undefined) throw new Error('name the volume: redis://...?volume=NAME');
  const meta = await openMeta(url, { kind: 'tool' });
  const files = Number(values.files);
  await timed(`make ${files} files`, () => makeFiles(meta, files));
  const parts: Buffer[] = [];
  const gzip = createGzip({ level: 3 });
  gzip.on('data', (part: Buffer) => parts.push(part));
  await timed('dump', async () => {
    const ended = new Promise((resolve) => gzip.once('end', resolve));
    await dumpVolume(meta, { version: 'bench', signal, progress: () => {} }, (bytes) => writeTo(gzip, bytes));
    gzip.end();
    await ended;
  });
  report('dump, compressed', parts.reduce((sum, part) => sum + part.length, 0) / 2 ** 20, 'MiB');
  const target = url.replace(/volume=([^&]+)/, 'volume=$1-loaded');
  await timed('load', () =>
    loadVolume(target, gunzip(Readable.from(parts)), { logger: silentLogger, force: true, signal }),
  );
  const store = await openStore(meta.session.format.store, { create: false });
  const options = { repair: false, zeroLost: false, deep: false, orphanAgeMs: 3_600_000, signal, progress: () => {} };
  const found: string[] = [];
  await timed('fsck', () => fsck(meta, store, silentLogger, { ...options, found: ({ what }) => found.push(what) }));
  process.stdout.write(`${found.length} findings ${found.slice(0, 3).join('; ')}\n`);
  await store.close();
  await meta.close();
}

async function makeFiles(meta: Meta, files: number): Promise<void> {
  const caller = { uid: 0, gid: 0, groups: [], check: false };
  const bytes = createHash('sha512').update('bench').digest();
  const inline = Buffer.alloc(1024, bytes);
  let next = 0;
  const one = async (parent: number, index: number): Promise<void> => {
    const made = await meta.names.mknod({
      parent,
      name: `file-${index}`,
      mode: S_IFREG | 0o644,
      uid: 0,
      gid: 0,
      rdev: 0,
      caller,
    });
    const piece = { chunkIndex: 0, pos: 0, inline };
    await meta.data.commit({
      ino: made.entry.attr.ino,
      placement: 'write',
      mtime: timestampOf(meta.clock.nowUs()),
      killPriv: false,
      pieces: [piece],
    });
  };
  const worker = async (): Promise<void> => {
    while (next < files) {
      const first = next;
      next += PER_DIRECTORY;
      const name = `d${first}-${Date.now()}`;
      const made = await meta.names.mknod({
        parent: ROOT_INO,
        name,
        mode: S_IFDIR | 0o755,
        uid: 0,
        gid: 0,
        rdev: 0,
        caller,
      });
      for (let i = 0; i < PER_DIRECTORY && first + i < files; i++) await one(made.entry.attr.ino, i);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const beganMs = performance.now();
  let peak = 0;
  const sample = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 200);
  const result = await work();
  clearInterval(sample);
  report(name, (performance.now() - beganMs) / 1000, `s, ${Math.round(peak / 2 ** 20)} MiB`);
  return result;
}

function report(name: string, value: number, unit: string): void {
  process.stdout.write(`${name.padEnd(24)} ${value.toFixed(1)} ${unit}\n`);
}
