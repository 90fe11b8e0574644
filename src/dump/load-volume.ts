/** Makes a volume from a dump. */

import { UserError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { loadTarget } from '../meta/volume/load-target.ts';
import { type DumpHeader, type DumpRecord, decodeDump } from './dump-format.ts';

export interface LoadOptions {
  logger: Logger;
  /** Where blocks are; the dump's own store when left out. */
  store?: string;
  /** Wipe the volume of that name first. Refused while it has live sessions. */
  force: boolean;
  signal: AbortSignal;
}

export interface LoadReport {
  name: string;
  uuid: string;
  store: string;
  beganMs: number;
  keys: number;
}

/**
 * Inode numbers given out after the dump are not given out again: entity tags are made from them. A volume makes fewer than
 * this in the time that a dump is old.
 */
const INODES_SKIPPED = 2 ** 32;

/**
 * Writes everything; the format record comes last, so that nobody joins a half of it.
 * @param bytes the decompressed dump. @throws UserError: what is wrong with dump or target; nothing can be joined then.
 */
export async function loadVolume(url: string, bytes: AsyncIterable<Buffer>, options: LoadOptions): Promise<LoadReport> {
  const records = decodeDump(bytes);
  const header = (await records.next()).value as DumpHeader;
  if (header.format.formatVersion > 3) {
    throw new UserError(
      `the dump is of a volume of format ${header.format.formatVersion}; this janusfs knows formats 1 to 3, use a newer one`,
    );
  }
  const target = await loadTarget(url, { logger: options.logger, force: options.force });
  try {
    let format: Record<string, unknown> | undefined;
    let keys = 0;
    for await (const record of records as AsyncIterable<DumpRecord>) {
      options.signal.throwIfAborted();
      keys += 1;
      if (record.key === 'fmt') format = JSON.parse(record.elements[0]!.toString());
      else if (record.type === 'kept') await target.free(Number(record.key));
      else await target.write(record.key, record.type, record.elements);
    }
    if (format === undefined) throw new UserError('the dump is damaged: it has no format record');
    await target.skipInodes(INODES_SKIPPED);
    const store = options.store ?? header.format.store;
    await target.finish({ ...format, name: target.volume, store });
    return { name: target.volume, uuid: header.format.uuid, store, beganMs: header.beganMs, keys };
  } finally {
    target.close();
  }
}
