/** Opening a volume's metadata: joins it as a session and puts the facets of the contract (meta.ts) on what that gives. */
import type { Meta } from './meta.ts';
import { BucketScripts } from './ops/bucket-scripts.ts';
import { DataScripts } from './ops/data-scripts.ts';
import { InlineBytes } from './ops/inline-bytes.ts';
import { NameScripts } from './ops/name-scripts.ts';
import { ObjectScripts } from './ops/object-scripts.ts';
import { UpkeepScripts } from './ops/upkeep-scripts.ts';
import { UploadScripts } from './ops/upload-scripts.ts';
import { UserScripts } from './ops/user-scripts.ts';
import { VolumeScan } from './ops/volume-scan.ts';
import { type JoinedVolume, joinVolume, type OpenOptions } from './volume/join-volume.ts';

/** How long close() tries to end the session while Redis does not answer, ms. */
const CLOSE_MS_MAX = 10_000;

/** Joins a volume as a new session. @throws UserError that says what to do. */
export async function openMeta(url: string, options: OpenOptions): Promise<Meta> {
  return metaOf(await joinVolume(url, options));
}

/** The facets over a joined volume. */
export function metaOf(joined: JoinedVolume): Meta {
  const { session, durability, events, inline } = joined;
  const bytes = new InlineBytes(session.format.encryption !== undefined, joined.seal);
  const { engine } = session;
  let closed: Promise<void> | undefined;
  return {
    names: new NameScripts(engine),
    data: new DataScripts(engine, inline, events, bytes),
    objects: new ObjectScripts(engine, inline, bytes),
    buckets: new BucketScripts(engine),
    uploads: new UploadScripts(engine),
    users: new UserScripts(engine),
    upkeep: new UpkeepScripts(engine, inline),
    scan: new VolumeScan(engine),
    session,
    durability,
    clock: engine.clock,
    events,
    close() {
      closed ??= closeVolume(joined);
      return closed;
    },
  };
}

async function closeVolume({ session, durability, channel }: JoinedVolume): Promise<void> {
  const { connection } = session.engine;
  const ended = session.close().then(() => durability.close());
  // Redis may be away for good: then the lease ends the session, and a stop does not wait for it.
  const limit = setTimeout(() => connection.close(), CLOSE_MS_MAX);
  try {
    await ended;
  } finally {
    clearTimeout(limit);
    channel.close();
    connection.close();
  }
}
