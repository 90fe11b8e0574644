/** What mount, gateway and serve share: a volume named by a URL, served in the foreground or background. */
import type { Settings } from '../../config.ts';
import type { COMMON_SETTINGS, CommandCall, DATA_SETTINGS, SERVICE_SETTINGS } from '../commands/command-spec.ts';
import { credentialsFromEnvironment } from '../volume/credentials.ts';
import { requireUrl, withPassword } from '../volume/volume-argument.ts';
import { keySourceOf } from '../volume/volume-key.ts';
import { defaultLogFile, runInBackground } from './background.ts';
import { loggerFor } from './logger.ts';
import type { GatewayRequest, MountRequest } from './open-frontends.ts';
import { runService } from './service.ts';

type SettingsUsed =
  | (typeof DATA_SETTINGS)[number]
  | (typeof SERVICE_SETTINGS)[number]
  | (typeof COMMON_SETTINGS)[number];

interface Call extends Pick<CommandCall<never>, 'args' | 'env'> {
  settings: Settings<SettingsUsed>;
}

/** Serves the asked frontends until the command is stopped. */
export async function serveVolume(
  kind: string,
  call: Call,
  frontends: { mount: MountRequest | undefined; gateway: GatewayRequest | undefined },
): Promise<void> {
  const { settings } = call;
  const url = withPassword(requireUrl(call.args[0]), call.env);
  const root = frontends.gateway === undefined ? undefined : credentialsFromEnvironment(call.env);
  const key = keySourceOf(settings, call.env);
  if (settings.background) return runInBackground(settings.logFile ?? defaultLogFile(kind));
  const logger = loggerFor(settings);
  await runService(logger, async (teardown, stop) => {
    const { keepFrontendsOpen } = await import('./keep-frontends-open.ts');
    const kept = await keepFrontendsOpen({ url, kind, root, key, settings, ...frontends }, logger, teardown, stop);
    const ready: Record<string, string> = {};
    if (kept.mountPoint !== undefined) ready.mount = kept.mountPoint;
    if (kept.endpoint !== undefined) ready.endpoint = kept.endpoint;
    return { ready, ended: kept.ended };
  });
}
