import type { Logger } from '../base/log.ts';
import { openStore } from '../chunk/object/open-store.ts';
import { formatVolume, readVolumeFormat } from '../meta/format-volume.ts';
import type { VolumeFormat } from '../meta/types.ts';
import { type Credentials, type Owner, rootUser } from './credentials.ts';
import { checkNewStore, claimStore } from './store-marker.ts';

/**
 * Makes a volume with root as its one user, unless there is one at the URL.
 * The store is tried and found unused before anything is written to Redis.
 * @throws UserError naming what is in the way.
 */
export async function makeVolume(
  url: string,
  wanted: { store: string; root: Credentials; owner: Owner },
  logger: Logger,
  stop: AbortSignal,
): Promise<{ format: VolumeFormat; isNew: boolean }> {
  const existing = await readVolumeFormat(url, { logger });
  if (existing !== undefined) return { format: existing, isNew: false };
  const store = await openStore(wanted.store, { create: true });
  try {
    await checkNewStore(store, stop);
    const format = await formatVolume(url, {
      logger,
      store: wanted.store,
      users: [rootUser(wanted.root, wanted.owner)],
      rootUid: wanted.owner.uid,
      rootGid: wanted.owner.gid,
    });
    await claimStore(store, format, stop);
    return { format, isNew: true };
  } finally {
    await store.close();
  }
}
