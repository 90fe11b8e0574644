import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Compression, VolumeFormat, WrappedKey } from '../../base/vocabulary.ts';
import { newDataKey, wrapKey } from '../../chunk/codec/data-key.ts';
import { openStore } from '../../chunk/object/open-store.ts';
import { syncLog } from '../../meta/redis/durability.ts';
import { formatVolume, readVolumeFormat } from '../../meta/volume/format-volume.ts';
import { type Credentials, type Owner, rootUser } from './credentials.ts';
import type { NewCodec } from './new-codec.ts';
import { checkNewStore, claimStore } from './store-marker.ts';

export interface NewVolume {
  store: string;
  root: Credentials;
  owner: Owner;
  limits?: { maxBytes?: number; maxInodes?: number };
  codec?: NewCodec;
  /** Directory of our own redis-server's log. */
  embeddedLog?: string;
}

async function codecFields({
  compress,
  encrypt,
}: NewCodec): Promise<{ compress?: Compression; encryption?: WrappedKey }> {
  return {
    ...(compress === undefined ? {} : { compress }),
    ...(encrypt === undefined ? {} : { encryption: await wrapKey(newDataKey(), encrypt) }),
  };
}

/** A volume that is there stays as it was made. @throws UserError when something else is asked for. */
function checkCodec(existing: VolumeFormat, wanted: NewCodec | undefined): void {
  if (wanted === undefined) return;
  const is = `${existing.compress ?? 'not compressed'}, ${existing.encryption === undefined ? 'not encrypted' : 'encrypted'}`;
  if (existing.compress === wanted.compress && (existing.encryption === undefined) === (wanted.encrypt === undefined))
    return;
  throw new UserError(`the volume '${existing.name}' is there and is ${is}; that is decided when it is made`);
}

/**
 * Makes a volume with root as its one user, unless there is one at the URL.
 * The store is tried and found unused before anything is written to Redis, and the format record is durable before the
 * store is marked: a power cut in between leaves no mark of a volume that nobody has.
 * @throws UserError naming what is in the way.
 */
export async function makeVolume(
  url: string,
  wanted: NewVolume,
  logger: Logger,
  stop: AbortSignal,
): Promise<{ format: VolumeFormat; isNew: boolean }> {
  const existing = await readVolumeFormat(url, { logger });
  if (existing !== undefined) {
    checkCodec(existing, wanted.codec);
    return { format: existing, isNew: false };
  }
  const store = await openStore(wanted.store, { create: true });
  try {
    const isOurs = wanted.embeddedLog !== undefined;
    await checkNewStore(store, isOurs, stop);
    const format = await formatVolume(url, {
      logger,
      store: wanted.store,
      users: [rootUser(wanted.root, wanted.owner)],
      ...(wanted.limits === undefined ? {} : { limits: wanted.limits }),
      ...(await codecFields(wanted.codec ?? {})),
      rootUid: wanted.owner.uid,
      rootGid: wanted.owner.gid,
    });
    if (wanted.embeddedLog !== undefined) await syncLog(wanted.embeddedLog);
    await claimStore(store, format, stop, async () => true);
    return { format, isNew: true };
  } finally {
    await store.close();
  }
}
