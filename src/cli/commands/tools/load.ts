import { createReadStream } from 'node:fs';
import { UserError } from '../../../base/errors.ts';
import { openStore } from '../../../chunk/object/open-store.ts';
import type { LoadReport } from '../../../dump/load-volume.ts';
import { loggerFor } from '../../service/logger.ts';
import { stoppable } from '../../service/stoppable.ts';
import { claimStore } from '../../volume/store-marker.ts';
import { TOOL_SETTINGS, withPlaceForVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';

export const loadCommand = defineCommand({
  name: 'load',
  positional: '<source> [url]',
  summary: 'make a volume from a dump (a file, or - for standard input), or from the newest copy in a store (its URL)',
  examples: [
    'janusfs load home.jdump redis://localhost/0?volume=home',
    "janusfs load 's3://bucket/home?endpoint=http://minio:9000' redis://localhost/0?volume=home",
    'janusfs load file:///old/data/blocks --data /new/data      (copy or move blocks to /new/data/blocks as well)',
  ],
  options: [
    { flags: '--copy <NAME>', text: 'of a store: this copy instead of the newest (`janusfs backup` lists them)' },
    { flags: '--store <URL>', text: 'where blocks are now, when they moved' },
    { flags: '--force', text: 'wipe the volume that is there; refused while it has live sessions' },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const [source = '', url] = call.args;
    const { copy, store, force } = call.options;
    const fromStore = /^(file|s3):\/\//.test(source);
    if (copy !== undefined && !fromStore)
      throw new UserError('--copy names a copy in a store: give its URL as source', 2);
    const logger = loggerFor({
      ...call.settings,
      logLevel: call.settings.logLevel === 'info' ? 'warn' : call.settings.logLevel,
    });
    await withPlaceForVolume(call, url, async (place) => {
      const { loadVolume } = await import('../../../dump/load-volume.ts');
      const { gunzip, readCopy } = await import('../../../dump/copies.ts');
      const from = fromStore ? await openStore(source, { create: false }) : undefined;
      const options = { logger, force: force !== undefined };
      const given = store ?? place.store ?? (fromStore ? source : undefined);
      try {
        const report = await stoppable(async (signal): Promise<LoadReport> => {
          const bytes = from === undefined ? gunzip(await openSource(source)) : (await readCopy(from, copy)).bytes;
          const target = given === undefined ? {} : { store: given };
          return loadVolume(place.url, bytes, { ...options, ...target, signal });
        });
        place.loaded(report.name);
        await claimLoadedStore(report);
        const taken = new Date(report.beganMs).toISOString();
        process.stdout.write(
          `loaded volume=${report.name} uuid=${report.uuid} store=${report.store} keys=${report.keys} taken=${taken}\n`,
        );
      } finally {
        await from?.close();
      }
    });
  },
});

async function openSource(path: string): Promise<NodeJS.ReadableStream> {
  if (path === '-') return process.stdin;
  const stream = createReadStream(path);
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (error) =>
      reject(new UserError(`cannot read ${path}: ${error.message}`, 1, { cause: error })),
    );
  });
  return stream;
}

/** Says so when the store is not there, or another's: the metadata is loaded, and the blocks may follow. */
async function claimLoadedStore({ name, uuid, store: url }: LoadReport): Promise<void> {
  try {
    const store = await openStore(url, { create: false });
    try {
      const format = { formatVersion: 2 as const, name, uuid, store: url, blockBytes: 0, createdMs: 0 };
      await claimStore(store, format, new AbortController().signal, async () => false);
    } finally {
      await store.close();
    }
  } catch (error) {
    process.stderr.write(
      `janusfs: the volume is loaded, but its store is not right yet: ${(error as Error).message}\n`,
    );
  }
}
