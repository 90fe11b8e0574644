/**
 * What an embedded volume's Redis knows that small files of the data directory also say: a power cut under an earlier
 * version could leave those files empty.
 */
import { UserError } from '../../base/errors.ts';
import { type Credentials, checkCredentials, ROOT_USER_NAME } from '../volume/credentials.ts';
import { checkVolume, type DataDirectory, recordedVolume, recordVolume } from './data-directory.ts';
import { askRedis } from './redis-probe.ts';

const ANSWER_MS = 60_000;
const FORMAT_KEYS = `EVAL "return table.concat(redis.call('keys', '{*}:fmt'), ' ')" 0`;

/**
 * The name of the directory's volume: the recorded one, else the one that Redis holds, else `wanted`. Recorded from then on.
 * @throws UserError when another name is asked for explicitly, or Redis holds several and none of that name.
 */
export async function volumeOf(
  directory: DataDirectory,
  socketPath: string,
  wanted: string,
  explicit: boolean,
): Promise<string> {
  const known = recordedVolume(directory) ?? (await volumeInRedis(directory, socketPath, wanted));
  if (known !== undefined && explicit) checkVolume(directory, known, wanted);
  const volume = known ?? wanted;
  if (recordedVolume(directory) === undefined) recordVolume(directory, volume);
  return volume;
}

/** @returns undefined when Redis holds no volume. @throws UserError when it holds several and none is `wanted`. */
export async function volumeInRedis(
  directory: DataDirectory,
  socketPath: string,
  wanted: string | undefined,
): Promise<string | undefined> {
  const reply = await askRedis(socketPath, FORMAT_KEYS, ANSWER_MS);
  if (reply === undefined) throw new UserError(`redis-server in ${directory.redis} does not say which volume it holds`);
  const names = [...reply.matchAll(/\{([^}]*)\}:fmt/g)].map((match) => match[1]!);
  if (names.length <= 1) return names[0];
  if (wanted !== undefined && names.includes(wanted)) return wanted;
  throw new UserError(
    `${directory.path} holds several volumes (${names.join(', ')}) and does not say which one is meant; name it with --volume`,
  );
}

/** Root's keys as the volume has them; undefined when it has no usable ones. */
export async function rootInRedis(socketPath: string, volume: string): Promise<Credentials | undefined> {
  const reply = await askRedis(socketPath, `HGET {${volume}}:users ${ROOT_USER_NAME}`, ANSWER_MS);
  if (reply === undefined || !reply.startsWith('{')) return undefined;
  try {
    const { accessKey, secretKey } = JSON.parse(reply) as Credentials;
    return checkCredentials({ accessKey, secretKey });
  } catch {
    return undefined; // Keys of an earlier version that no signature can carry: new ones are generated.
  }
}
