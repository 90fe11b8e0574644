/** The volume for a command that looks or changes something and ends: by URL, or by data directory. */
import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { KeySource } from '../../chunk/codec/data-key.ts';
import type { Settings } from '../../config.ts';
import type { Meta } from '../../meta/meta.ts';
import type { CommandCall } from '../commands/command-spec.ts';
import { readVersion } from '../commands/version.ts';
import {
  dataDirectory,
  lockDataDirectory,
  makeDataDirectory,
  recordedVolume,
  recordVolume,
} from '../embedded/data-directory.ts';
import { isEmbeddedRedisRunning, redisSocketPath, startEmbeddedRedis } from '../embedded/embedded-redis.ts';
import { volumeInRedis } from '../embedded/embedded-volume.ts';
import { hasLog } from '../embedded/redis-log/prepare-log.ts';
import { loggerFor } from '../service/logger.ts';
import { Teardown } from '../service/teardown.ts';
import { requireUrl, socketUrl, withPassword } from './volume-argument.ts';
import { sealWith } from './volume-key.ts';

/** Settings such a command takes. */
export const TOOL_SETTINGS = ['data', 'logLevel', 'debug'] as const;

export interface ToolVolume {
  meta: Meta;
  /** Data directory, when the volume is an embedded one. */
  data: string | undefined;
  /** False: an embedded volume that nobody serves; its Redis runs for this command only. */
  served: boolean;
  /** URL of the object store as it is reached from here. */
  store: string;
  logger: Logger;
  /** Of an encrypted volume whose key was given. */
  dataKey: Buffer | undefined;
}

interface ToolCall extends Pick<CommandCall<never>, 'isGiven' | 'env'> {
  settings: Settings<(typeof TOOL_SETTINGS)[number]>;
}

/**
 * Opens the volume, runs `task`, and closes it again. An embedded volume that is not up is started for that time.
 * @param url the command's argument; left out, --data (or its default) counts. @param key for a command that reads or writes content.
 * @throws UserError when there is no such volume.
 */
export async function withVolume(
  call: ToolCall,
  url: string | undefined,
  task: (volume: ToolVolume) => Promise<void>,
  key?: KeySource,
): Promise<void> {
  const { settings } = call;
  if (url !== undefined && call.isGiven('data')) {
    throw new UserError('name the volume by a URL or by --data, not by both', 2);
  }
  // A tool prints only its result; of the log, only warnings matter.
  const logger = loggerFor({ ...settings, logLevel: settings.logLevel === 'info' ? 'warn' : settings.logLevel });
  const teardown = new Teardown(logger);
  try {
    const place =
      url === undefined
        ? await embeddedVolume(settings.data, teardown, logger)
        : {
            url: withPassword(requireUrl(url), call.env),
            data: undefined,
            embeddedLog: undefined,
            served: true,
            store: undefined,
          };
    const { openMeta } = await import('../../meta/open-meta.ts');
    let dataKey: Buffer | undefined;
    const meta = await openMeta(place.url, {
      logger,
      ...(key === undefined
        ? {}
        : {
            sealFor: sealWith(key, (unlocked) => {
              dataKey = unlocked;
            }),
          }),
      kind: 'tool',
      version: readVersion(),
      ...(place.embeddedLog === undefined ? {} : { durability: { kind: 'local-aof', dir: place.embeddedLog } }),
    });
    teardown.add('metadata session', () => meta.close());
    const store = place.store ?? meta.session.format.store;
    await task({ meta, data: place.data, served: place.served, store, logger, dataKey });
  } finally {
    await teardown.close();
  }
}

/** A Redis in which a volume is to be made. */
export interface PlaceForVolume {
  url: string;
  /** The store of an embedded volume. */
  store: string | undefined;
  /** The volume is there now, under this name. */
  loaded(volume: string): void;
}

/**
 * Runs `task` with the place of a volume that need not be there: by URL, or by data directory, whose Redis runs for that time.
 * @throws UserError when an `up` serves the directory.
 */
export async function withPlaceForVolume(
  call: ToolCall,
  url: string | undefined,
  task: (place: PlaceForVolume) => Promise<void>,
): Promise<void> {
  const { settings } = call;
  if (url !== undefined && call.isGiven('data')) {
    throw new UserError('name the volume by a URL or by --data, not by both', 2);
  }
  if (url !== undefined) {
    await task({ url: withPassword(requireUrl(url), call.env), store: undefined, loaded: () => {} });
    return;
  }
  const logger = loggerFor({ ...settings, logLevel: settings.logLevel === 'info' ? 'warn' : settings.logLevel });
  const teardown = new Teardown(logger);
  try {
    const directory = dataDirectory(settings.data);
    makeDataDirectory(directory);
    const unlock = await lockDataDirectory(directory);
    teardown.add('data directory', async () => unlock());
    const redis = await startEmbeddedRedis(directory.redis, logger, new AbortController().signal);
    teardown.add(
      'redis-server',
      () => redis.stop(),
      () => redis.kill(),
    );
    const volume =
      recordedVolume(directory) ?? (await volumeInRedis(directory, redis.socketPath, undefined)) ?? 'janusfs';
    await task({
      url: socketUrl(redis.socketPath, volume),
      store: directory.storeUrl,
      loaded: (name) => recordVolume(directory, name),
    });
  } finally {
    await teardown.close();
  }
}

async function embeddedVolume(
  path: string,
  teardown: Teardown,
  logger: Parameters<typeof startEmbeddedRedis>[1],
): Promise<{ url: string; data: string; embeddedLog: string; served: boolean; store: string }> {
  const directory = dataDirectory(path);
  if (await isEmbeddedRedisRunning(directory.redis)) {
    const socketPath = redisSocketPath(directory.redis);
    const volume = recordedVolume(directory) ?? (await volumeInRedis(directory, socketPath, undefined));
    if (volume === undefined) throw new UserError(noVolume(path));
    return {
      url: socketUrl(socketPath, volume),
      data: path,
      embeddedLog: directory.redis,
      served: true,
      store: directory.storeUrl,
    };
  }
  // A directory without a name and without a log never held a volume: nothing is started or made in it.
  if (recordedVolume(directory) === undefined && !hasLog(directory.redis)) throw new UserError(noVolume(path));
  const unlock = await lockDataDirectory(directory);
  teardown.add('data directory', async () => unlock());
  const redis = await startEmbeddedRedis(directory.redis, logger, new AbortController().signal);
  teardown.add(
    'redis-server',
    () => redis.stop(),
    () => redis.kill(),
  );
  const volume = recordedVolume(directory) ?? (await volumeInRedis(directory, redis.socketPath, undefined));
  if (volume === undefined) throw new UserError(noVolume(path));
  return {
    url: socketUrl(redis.socketPath, volume),
    data: path,
    embeddedLog: directory.redis,
    served: false,
    store: directory.storeUrl,
  };
}

function noVolume(path: string): string {
  return `${path} holds no volume; make one with: janusfs up --data ${path}, or name one by --data or URL`;
}
