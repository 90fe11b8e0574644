import type { Logger } from '../../base/log.ts';
import { sleep } from '../../base/sleep.ts';
import { type FrontendsRequest, type OpenFrontends, openFrontends } from './open-frontends.ts';
import { Teardown } from './teardown.ts';

/** How long a fenced client keeps answering errors before it starts again: programs blocked in it must see one. */
const FENCED_PAUSE_MS = 1_000;
const REOPEN_PAUSE_MS_MAX = 60_000;

export interface KeptFrontends {
  mountPoint: string | undefined;
  endpoint: string | undefined;
  /** Resolves when the mount was unmounted from outside, or with the stop signal. */
  ended: Promise<void>;
}

/**
 * Opens the frontends and keeps them open: after a suspension past the lease (a laptop's lid, SIGSTOP) in which another client
 * ended the session, it is given up and a new one begun behind the same mount point and address.
 */
export async function keepFrontendsOpen(
  request: FrontendsRequest,
  logger: Logger,
  teardown: Teardown,
  stop: AbortSignal,
): Promise<KeptFrontends> {
  let current = new Teardown(logger);
  let ended: Promise<void> = Promise.resolve();
  teardown.add(
    'frontends',
    async () => {
      // A reopening that is under way ends first; what it has opened is then closed.
      await ended.catch(() => {});
      const failures = await current.close();
      if (failures.length > 0) throw failures[0]!;
    },
    () => current.force(),
  );
  const first = await openFrontends(request, logger, current, stop);
  const again: FrontendsRequest = {
    ...request,
    // A port that was free to choose is chosen once.
    ...(request.gateway === undefined ? {} : { gateway: { ...request.gateway, port: first.port ?? 0 } }),
  };
  const stopped = new Promise<'stopped'>((resolve) => {
    stop.addEventListener('abort', () => resolve('stopped'), { once: true });
    if (stop.aborted) resolve('stopped');
  });
  const watch = async (): Promise<void> => {
    for (let frontends = first; ; ) {
      const unmounted = frontends.unmounted.then(() => 'unmounted' as const);
      const fenced = frontends.fenced.then(() => 'fenced' as const);
      if ((await Promise.race([stopped, unmounted, fenced])) !== 'fenced') return;
      logger.error({ pauseMs: FENCED_PAUSE_MS }, 'suspended past the lease and fenced; opening the volume again soon');
      const reopened = await reopen();
      if (reopened === undefined) return;
      frontends = reopened;
    }
  };
  const reopen = async (): Promise<OpenFrontends | undefined> => {
    for (let pauseMs = FENCED_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, REOPEN_PAUSE_MS_MAX)) {
      await Promise.race([stopped, sleep(pauseMs)]);
      if (stop.aborted) return undefined;
      // What the lost session had not stored is lost, and its writers got errors; closing fails for the same reason.
      await current.close();
      current = new Teardown(logger);
      try {
        const frontends = await openFrontends(again, logger, current, stop);
        logger.info({}, 'the volume is open again');
        return frontends;
      } catch (error) {
        if (stop.aborted) return undefined;
        logger.error({ error: (error as Error).message }, 'cannot open the volume again; trying later');
      }
    }
  };
  ended = watch();
  return { mountPoint: first.mountPoint, endpoint: first.endpoint, ended };
}
