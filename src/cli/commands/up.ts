import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { keepBallast, releaseIfFull } from '../embedded/ballast.ts';
import {
  checkVolume,
  type DataDirectory,
  dataDirectory,
  lockDataDirectory,
  makeDataDirectory,
  recordedVolume,
  recordMount,
} from '../embedded/data-directory.ts';
import { startEmbeddedRedis } from '../embedded/embedded-redis.ts';
import { rootInRedis, volumeOf } from '../embedded/embedded-volume.ts';
import { runInBackground } from '../service/background.ts';
import { loggerFor } from '../service/logger.ts';
import { runService, type Service } from '../service/service.ts';
import type { Teardown } from '../service/teardown.ts';
import {
  ACCESS_KEY_VARIABLE,
  type Credentials,
  credentialsFromEnvironment,
  keptCredentials,
} from '../volume/credentials.ts';
import { parseCodec } from '../volume/new-codec.ts';
import { socketUrl } from '../volume/volume-argument.ts';
import { keySourceOf } from '../volume/volume-key.ts';
import {
  COMMON_SETTINGS,
  type CommandCall,
  DATA_SETTINGS,
  defineCommand,
  GATEWAY_SETTINGS,
  MOUNT_SETTINGS,
  SERVICE_SETTINGS,
} from './command-spec.ts';
import { parseListenAddress } from './listen-address.ts';
import { mountRequest } from './mount-request.ts';

const SETTINGS = [
  'data',
  'mount',
  'volume',
  ...GATEWAY_SETTINGS,
  ...MOUNT_SETTINGS,
  ...DATA_SETTINGS,
  ...SERVICE_SETTINGS,
  ...COMMON_SETTINGS,
] as const;

type UpCall = CommandCall<(typeof SETTINGS)[number]>;

export const upCommand = defineCommand({
  name: 'up',
  positional: '',
  summary: 'serve an embedded volume at both doors: own Redis, blocks in a directory, mount and S3 endpoint',
  examples: [
    'janusfs up --data ~/.janusfs --mount ~/janusfs --listen 127.0.0.1:9000',
    'JANUSFS_ACCESS_KEY=me JANUSFS_SECRET_KEY=my-secret-key janusfs up',
    'janusfs up --background && janusfs status',
  ],
  options: [
    { flags: '--compress <zstd|lz4>', text: 'of a new volume: compress blocks' },
    {
      flags: '--encrypt',
      text: 'of a new volume: encrypt blocks and small files with a key that only the given key opens',
    },
  ],
  settings: SETTINGS,
  async run(call: UpCall) {
    const { settings } = call;
    const directory = dataDirectory(settings.data);
    // Usage errors are reported before anything is started or created.
    parseListenAddress(settings.listen);
    credentialsFromEnvironment(call.env);
    parseCodec(call.options, keySourceOf(settings, call.env));
    if (`${settings.data}/`.startsWith(`${settings.mount}/`)) {
      throw new UserError(`the data directory ${settings.data} must not lie on the mount ${settings.mount}`, 2);
    }
    if (settings.background) {
      makeDataDirectory(directory);
      return runInBackground(settings.logFile ?? directory.log);
    }
    const logger = loggerFor(settings);
    await runService(logger, (teardown, stop) =>
      serve(call, directory, logger, teardown, stop).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC' || error instanceof UserError) throw error;
        throw new UserError(`the disk of ${directory.path} is full; free some space on it and start again`, 1, {
          cause: error,
        });
      }),
    );
  },
});

async function serve(
  call: UpCall,
  directory: DataDirectory,
  logger: Logger,
  teardown: Teardown,
  stop: AbortSignal,
): Promise<Service> {
  const { settings } = call;
  makeDataDirectory(directory);
  releaseIfFull(directory.path);
  const unlock = await lockDataDirectory(directory);
  teardown.add('data directory', async () => unlock());
  const recorded = recordedVolume(directory);
  const isGiven = call.isGiven('volume');
  if (recorded !== undefined && isGiven) checkVolume(directory, recorded, settings.volume);
  const redis = await startEmbeddedRedis(directory.redis, logger, stop);
  teardown.add(
    'redis-server',
    () => redis.stop(),
    () => redis.kill(),
  );
  const volume = await volumeOf(directory, redis.socketPath, settings.volume, isGiven);
  const fromEnvironment = credentialsFromEnvironment(call.env);
  const key = keySourceOf(settings, call.env);
  const codec = parseCodec(call.options, key);
  const { keepFrontendsOpen } = await import('../service/keep-frontends-open.ts');
  const frontends = await keepFrontendsOpen(
    {
      url: socketUrl(redis.socketPath, volume),
      kind: 'up',
      embeddedLog: directory.redis,
      embeddedStore: directory.storeUrl,
      key,
      ...(codec === undefined ? {} : { codec }),
      root:
        fromEnvironment ?? (await keptCredentials(directory.credentials, () => rootInRedis(redis.socketPath, volume))),
      settings,
      mount: mountRequest(call, settings.mount, true),
      gateway: {
        ...parseListenAddress(settings.listen),
        region: settings.region,
        domain: settings.domain,
        requests: settings.requests,
      },
      data: directory.path,
    },
    logger,
    teardown,
    stop,
  );
  recordMount(directory, frontends.mountPoint!);
  void keepBallast(directory.path, logger, stop);
  if (process.stdout.isTTY)
    showTour(frontends.endpoint!, frontends.mountPoint!, directory.credentials, fromEnvironment);
  return {
    ready: {
      mount: frontends.mountPoint!,
      endpoint: frontends.endpoint!,
      credentials: fromEnvironment === undefined ? directory.credentials : ACCESS_KEY_VARIABLE,
    },
    ended: Promise.race([frontends.ended, redis.failed.then((error) => Promise.reject(error))]),
  };
}

/** Printed for the person who has just started it on a terminal. */
function showTour(endpoint: string, mountPoint: string, kept: string, given: Credentials | undefined): void {
  const keys =
    given === undefined
      ? `export AWS_SHARED_CREDENTIALS_FILE=${kept} AWS_DEFAULT_REGION=eu-central-1`
      : 'export AWS_ACCESS_KEY_ID=$JANUSFS_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$JANUSFS_SECRET_KEY';
  process.stderr.write(
    `In another terminal:\n  ${keys}\n  mkdir ${mountPoint}/bucket && echo hello > ${mountPoint}/bucket/file\n` +
      `  aws --endpoint-url ${endpoint} s3 cp s3://bucket/file -\nCtrl-C stops it.\n`,
  );
}
