import type { Logger } from '../../base/log.ts';
import { sleep } from '../../base/sleep.ts';
import { type DoorsRequest, type OpenDoors, openDoors } from './open-doors.ts';
import { Teardown } from './teardown.ts';

/** How long a fenced client keeps answering errors before it begins anew: who was blocked in it must notice. */
const FENCED_PAUSE_MS = 10_000;
const REOPEN_PAUSE_MS_MAX = 60_000;

export interface KeptDoors {
  mountPoint: string | undefined;
  endpoint: string | undefined;
  /** Resolves when the mount was unmounted from outside, or with the stop signal. */
  ended: Promise<void>;
}

/**
 * Opens the doors and keeps them open: after a suspension past the lease (a laptop's lid, SIGSTOP) the fenced session is
 * given up and a new one begun behind the same mount point and address.
 */
export async function keepDoorsOpen(
  request: DoorsRequest,
  logger: Logger,
  teardown: Teardown,
  stop: AbortSignal,
): Promise<KeptDoors> {
  let current = new Teardown(logger);
  let ended: Promise<void> = Promise.resolve();
  teardown.add(
    'doors',
    async () => {
      // A reopening that is under way ends first; what it has opened is then closed.
      await ended.catch(() => {});
      const failures = await current.close();
      if (failures.length > 0) throw failures[0]!;
    },
    () => current.force(),
  );
  const first = await openDoors(request, logger, current, stop);
  const again: DoorsRequest = {
    ...request,
    // A port that was free to choose is chosen once.
    ...(request.gateway === undefined ? {} : { gateway: { ...request.gateway, port: first.port ?? 0 } }),
  };
  const stopped = new Promise<'stopped'>((resolve) => {
    stop.addEventListener('abort', () => resolve('stopped'), { once: true });
    if (stop.aborted) resolve('stopped');
  });
  const watch = async (): Promise<void> => {
    for (let doors = first; ; ) {
      const unmounted = doors.unmounted.then(() => 'unmounted' as const);
      const fenced = doors.fenced.then(() => 'fenced' as const);
      if ((await Promise.race([stopped, unmounted, fenced])) !== 'fenced') return;
      logger.error({ pauseMs: FENCED_PAUSE_MS }, 'suspended past the lease and fenced; opening the volume again soon');
      const reopened = await reopen();
      if (reopened === undefined) return;
      doors = reopened;
    }
  };
  const reopen = async (): Promise<OpenDoors | undefined> => {
    for (let pauseMs = FENCED_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, REOPEN_PAUSE_MS_MAX)) {
      await Promise.race([stopped, sleep(pauseMs)]);
      if (stop.aborted) return undefined;
      // What the lost session had not stored is lost with it and has been answered with errors: failures say that.
      await current.close();
      current = new Teardown(logger);
      try {
        const doors = await openDoors(again, logger, current, stop);
        logger.info({}, 'the volume is open again');
        return doors;
      } catch (error) {
        if (stop.aborted) return undefined;
        logger.error({ error: (error as Error).message }, 'cannot open the volume again; trying later');
      }
    }
  };
  ended = watch();
  return { mountPoint: first.mountPoint, endpoint: first.endpoint, ended };
}
