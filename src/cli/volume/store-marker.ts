/**
 * An object that names the volume a store belongs to. Block names are unique within a volume only, so two volumes over
 * one store would overwrite each other's data.
 */
import { randomUUID } from 'node:crypto';
import { UserError } from '../../base/errors.ts';
import type { VolumeFormat } from '../../base/vocabulary.ts';
import type { ObjectStore } from '../../chunk/chunks.ts';
import { withRetry } from '../../chunk/retry.ts';
import type { Meta } from '../../meta/meta.ts';

const MARKER_KEY = 'janusfs-volume.json';
/** Short: somebody waits for the command, and should soon hear that the store is unreachable. */
const RETRY = { retryMs: 5000 };

/**
 * Marks the store as the volume's, or checks that it is. One request when it is marked.
 * @param isEmpty whether the volume holds nothing yet: the store of one that does was marked when it was made.
 * @throws UserError when the store belongs to another volume, lost its mark (an empty mount point, most likely), or does not
 *   answer.
 */
export async function claimStore(
  store: ObjectStore,
  format: VolumeFormat,
  signal: AbortSignal,
  isEmpty: () => Promise<boolean>,
): Promise<void> {
  const marker = JSON.stringify({ volume: format.name, uuid: format.uuid });
  const replaceIt = `if it is the store of ${format.name}, replace the file by: ${marker}`;
  const owner = await readMarker(store, replaceIt, signal);
  if (owner === undefined) {
    if (!(await isEmpty())) {
      throw new UserError(
        `${store.url} is not the store of ${format.name}: it has no ${MARKER_KEY}, and the volume is not empty; is its disk mounted? ` +
          `If it is the right one, put the file there: ${marker}`,
      );
    }
    await tried(store, 'write to', () => store.put(MARKER_KEY, [Buffer.from(`${marker}\n`)], signal));
  } else if (owner.uuid !== format.uuid) {
    throw new UserError(
      `${store.url} belongs to another volume (${owner.volume}, ${owner.uuid}), not to ${format.name} (${format.uuid}); ` +
        'give each volume a directory, bucket or prefix of its own',
    );
  }
}

/** Whether nothing was ever made in the volume. */
export async function isEmptyVolume(meta: Meta): Promise<boolean> {
  const { usedInodes, usedBytes } = await meta.session.usage();
  return usedInodes === 0 && usedBytes === 0;
}

/**
 * Checks that a new volume may use the store: it belongs to no volume yet, and an object can be written and read back.
 * @param isOurs the store lies in our own data directory: a mark in a store without blocks counts for nothing.
 * @throws UserError naming what is in the way.
 */
export async function checkNewStore(store: ObjectStore, isOurs: boolean, signal: AbortSignal): Promise<void> {
  const owner = await readMarker(store, 'if no volume uses this store any more, remove the file', signal);
  const isLeftover = isOurs && owner !== undefined && !(await holdsBlocks(store, signal));
  // The volume that this named was lost in a power cut before it had a block.
  if (isLeftover) await tried(store, 'delete in', () => store.deleteMany([MARKER_KEY], signal));
  if (owner !== undefined && !isLeftover) {
    throw new UserError(
      `${store.url} holds the blocks of the volume ${owner.volume} (${owner.uuid}); use an empty directory, bucket or prefix`,
    );
  }
  const key = `janusfs-probe-${randomUUID()}`;
  const probe = Buffer.from(key);
  await tried(store, 'write to', () => store.put(key, [probe], signal));
  const read = await tried(store, 'read', () => store.get(key, undefined, signal));
  await tried(store, 'delete in', () => store.deleteMany([key], signal));
  if (!read.equals(probe)) throw new UserError(`${store.url} does not give back what is written to it`);
}

async function holdsBlocks(store: ObjectStore, signal: AbortSignal): Promise<boolean> {
  return (await tried(store, 'read', () => store.list('chunks/', '', 1, signal))).length > 0;
}

/** @param advice what to do when the mark is no mark. @throws UserError */
async function readMarker(store: ObjectStore, advice: string, signal: AbortSignal): Promise<Marker | undefined> {
  const there = await tried(store, 'read', () => store.head(MARKER_KEY, signal));
  if (there === undefined) return undefined;
  const text = await tried(store, 'read', () => store.get(MARKER_KEY, undefined, signal));
  const marker = parseMarker(text.toString('utf8'));
  if (marker === undefined) throw new UserError(`${MARKER_KEY} in ${store.url} is damaged; ${advice}`);
  return marker;
}

interface Marker {
  volume: string;
  uuid: string;
}

function parseMarker(text: string): Marker | undefined {
  try {
    const { volume, uuid } = JSON.parse(text) as Record<string, unknown>;
    return typeof volume === 'string' && typeof uuid === 'string' ? { volume, uuid } : undefined;
  } catch {
    return undefined;
  }
}

async function tried<T>(store: ObjectStore, what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await withRetry(what, RETRY, undefined, () => action());
  } catch (error) {
    throw new UserError(`cannot ${what} the store ${store.url}: ${(error as Error).message}`, 1, { cause: error });
  }
}
