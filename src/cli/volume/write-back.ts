/** The journal of write-back: a directory of its own for each volume below the one that was given, used by one process at a time. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { makeDirectory } from '../../base/durable-file.ts';
import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { ObjectStore } from '../../chunk/chunks.ts';
import { verifierOf } from '../../chunk/codec/framed-block.ts';
import { Journal } from '../../chunk/write/journal.ts';
import type { Meta } from '../../meta/meta.ts';
import { tryLock } from '../service/file-lock.ts';

const DRAIN_MS = 20_000;

export interface WriteBackOptions {
  /** Absolute. */
  directory: string;
  maxBytes: number;
  uploadParallel: number;
}

/** Where other clients are told that bytes wait. */
export function placeOf(directory: string): string {
  return `${hostname()}:${directory}`;
}

/**
 * Opens the volume's journal and uploads what an earlier run left in it.
 * @returns it, and what gives its lock back. @throws UserError when another process uses it, or it cannot be made.
 */
export async function openJournal(
  meta: Meta,
  store: ObjectStore,
  logger: Logger,
  { directory, maxBytes, uploadParallel }: WriteBackOptions,
): Promise<{ journal: Journal; unlock: () => void }> {
  const { format } = meta.session;
  if (format.formatVersion === 1) {
    throw new UserError(
      `--writeback needs checksums, which ${format.name} (format 1) does not have; make a new volume`,
    );
  }
  const own = join(directory, format.uuid);
  try {
    makeDirectory(own, 0o700);
  } catch (error) {
    throw new UserError(`cannot make the journal ${own}: ${(error as Error).message}`, 1, { cause: error });
  }
  const unlock = tryLock(join(own, 'lock'));
  if (unlock === undefined) {
    throw new UserError(`the journal ${own} is used by another janusfs; give each its own --writeback directory`);
  }
  const notes = {
    change: (waiting: readonly number[], settled: readonly number[]) =>
      meta.upkeep.changePending(placeOf(directory), waiting, settled),
  };
  try {
    const options = { maxBytes, uploadParallel, drainMs: DRAIN_MS, verify: verifierOf(format) };
    const journal = await Journal.open(join(own, 'blocks'), store, notes, options, logger);
    await dropStaleNotes(meta, placeOf(directory), journal);
    return { journal, unlock };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Notes of slices whose blocks never came to be: their writer was killed, and nobody was told that they are written. */
async function dropStaleNotes(meta: Meta, place: string, journal: Journal): Promise<void> {
  const stale: number[] = [];
  for await (const page of meta.scan.fields('pend')) {
    for (const [id, where] of page) {
      if (where.toString() === place && !journal.holds(Number(id))) stale.push(Number(id));
    }
  }
  await meta.upkeep.changePending(place, [], stale);
}
