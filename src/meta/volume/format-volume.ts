/** Making a volume in a Redis. */
import { randomUUID } from 'node:crypto';
import { UserError } from '../../base/errors.ts';
import { BLOCK_BYTES } from '../../base/slice-record.ts';
import type { Compression, User, VolumeFormat, WrappedKey } from '../../base/vocabulary.ts';
import { encodeUser } from '../ops/user-scripts.ts';
import { RedisConnection } from '../redis/connection.ts';
import { ScriptLibrary } from '../redis/script-library.ts';
import { format as formatScript } from '../schema/session-schemas.ts';
import { type ConnectOptions, connectionOptions } from './join-volume.ts';
import { evalOnce } from './session.ts';

export interface FormatOptions extends ConnectOptions {
  /** URL of the object store, without credentials. */
  store: string;
  users: User[];
  compress?: Compression;
  encryption?: WrappedKey;
  /** Limits of the volume; 0 or left out: none. */
  limits?: { maxBytes?: number; maxInodes?: number };
  /** Wipe the volume of that name first. Refused while it has live sessions. */
  force?: boolean;
  /** Permission bits and owner of the root directory. Default 0755, root. */
  rootMode?: number;
  rootUid?: number;
  rootGid?: number;
}

/** What a new volume has: 3 where its blocks are compressed or encrypted. */
const [FORMAT_VERSION, FRAMED_VERSION] = [2, 3] as const;
const WIPE_BATCH = 1_000;

/**
 * Makes an empty volume with its users.
 * @throws UserError when it exists (without `force`), has live sessions, or Redis cannot be used.
 */
export async function formatVolume(url: string, options: FormatOptions): Promise<VolumeFormat> {
  const connect = connectionOptions(url, options);
  const { volume } = connect.location;
  const prefix = `{${volume}}:`;
  const format: VolumeFormat = {
    formatVersion: options.compress === undefined && options.encryption === undefined ? FORMAT_VERSION : FRAMED_VERSION,
    name: volume,
    uuid: randomUUID(),
    store: options.store,
    blockBytes: BLOCK_BYTES,
    createdMs: Date.now(),
    ...(options.compress === undefined ? {} : { compress: options.compress }),
    ...(options.encryption === undefined ? {} : { encryption: options.encryption }),
  };
  const connection = await RedisConnection.open(connect);
  try {
    if (options.force) await wipeVolume(connection, prefix);
    const status = await evalOnce(connection, new ScriptLibrary(connection.info.version[0]), prefix, formatScript, {
      format: Buffer.from(JSON.stringify(format)),
      maxBytes: options.limits?.maxBytes ?? 0,
      maxInodes: options.limits?.maxInodes ?? 0,
      rootMode: options.rootMode ?? 0o755,
      rootUid: options.rootUid ?? 0,
      rootGid: options.rootGid ?? 0,
      users: options.users.flatMap((user) => [Buffer.from(user.name), encodeUser(user)]),
    });
    if (status === 'EEXIST') {
      throw new UserError(`volume '${volume}' exists at ${connect.location.display}; --force wipes it first`);
    }
    return format;
  } finally {
    connection.close();
  }
}

/** Reads a volume's format without joining it; undefined when there is none. @throws UserError */
export async function readVolumeFormat(url: string, options: ConnectOptions = {}): Promise<VolumeFormat | undefined> {
  const connect = connectionOptions(url, options);
  const connection = await RedisConnection.open(connect);
  try {
    const json = (await connection.call('GET', [`{${connect.location.volume}}:fmt`])) as Buffer | null;
    return json === null ? undefined : (JSON.parse(json.toString()) as VolumeFormat);
  } finally {
    connection.close();
  }
}

/** Deletes every key of the volume. The format goes first, so that nobody joins meanwhile. */
export async function wipeVolume(connection: RedisConnection, prefix: string): Promise<void> {
  const [seconds] = (await connection.call('TIME', [])) as Buffer[];
  const live = await connection.call('ZCOUNT', [`${prefix}ses`, Number(seconds!.toString()) * 1000, '+inf']);
  if (live !== 0) throw new UserError(`the volume has ${live} live sessions; unmount and stop them before wiping it`);
  await connection.call('DEL', [`${prefix}fmt`]);
  let cursor = '0';
  do {
    const reply = (await connection.call('SCAN', [cursor, 'MATCH', `${prefix}*`, 'COUNT', WIPE_BATCH])) as [
      Buffer,
      Buffer[],
    ];
    cursor = reply[0].toString();
    if (reply[1].length > 0) await connection.call('UNLINK', reply[1]);
  } while (cursor !== '0');
}
