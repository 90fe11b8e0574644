/**
 * The life of a command that serves until it is stopped.
 *
 *     start --> `ready` line --> stop signal, or it ends by itself --> close, newest first --> exit
 *
 * The first SIGINT, SIGTERM or SIGHUP closes properly; a second one, or CLOSE_DEADLINE_MS, forces: no mount and no
 * process stays in either case.
 */
import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { forbidCoreFiles } from './guard-secrets.ts';
import { Teardown } from './teardown.ts';

const CLOSE_DEADLINE_MS = 30_000;
/** npm and shells forward a signal that the terminal has already sent to the whole group: it is not a second one. */
const DUPLICATE_SIGNAL_MS = 1000;
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Service {
  /** Fields of the `ready` line. */
  ready: Record<string, string>;
  /** Resolves when the service is over without a stop signal (unmounted from outside); rejects when it failed. */
  ended: Promise<void>;
}

/**
 * Runs a service to its end.
 * @param start opens everything, registering each step with the teardown; its signal is aborted by a stop signal.
 * @throws what start or the service failed with; UserError when closing failed or had to be forced.
 */
export async function runService(
  logger: Logger,
  start: (teardown: Teardown, stop: AbortSignal) => Promise<Service>,
): Promise<void> {
  forbidCoreFiles(logger);
  const teardown = new Teardown(logger);
  const stop = new StopSignals(logger, () => teardown.force());
  let failures: Error[] = [];
  try {
    const service = await start(teardown, stop.signal);
    service.ended.catch(() => {}); // Handled below; it may reject while the ready line is being written.
    if (!stop.signal.aborted) process.stdout.write(readyLine(service.ready));
    await Promise.race([stop.requested, service.ended]);
  } catch (error) {
    // start() gave up waiting because of the signal: that is a clean stop.
    if (!stop.signal.aborted) throw error;
  } finally {
    stop.startDeadline();
    failures = await teardown.close();
    stop.dispose();
  }
  if (stop.fatal !== undefined) throw stop.fatal;
  if (failures.length > 0) throw new UserError(`stopped, but not cleanly: ${failures[0]!.message}`);
}

function readyLine(fields: Record<string, string>): string {
  const parts = Object.entries(fields).map(
    ([name, value]) => `${name}=${/\s/.test(value) ? JSON.stringify(value) : value}`,
  );
  return `ready ${parts.join(' ')}\n`;
}

class StopSignals {
  readonly requested: Promise<void>;
  /** What made it stop when that was no signal. */
  fatal: Error | undefined;
  readonly #controller = new AbortController();
  readonly #logger: Logger;
  readonly #force: () => void;
  #resolveRequested: () => void = () => {};
  #requestedAtMs = 0;
  #deadline: NodeJS.Timeout | undefined;

  constructor(logger: Logger, force: () => void) {
    this.#logger = logger;
    this.#force = force;
    this.requested = new Promise((resolve) => {
      this.#resolveRequested = resolve;
    });
    for (const name of STOP_SIGNALS) process.on(name, this.#onSignal);
    process.on('uncaughtException', this.#onUncaught);
    process.on('unhandledRejection', this.#onUnhandled);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  startDeadline(): void {
    this.#deadline ??= setTimeout(
      () => this.#giveUp(`not closed within ${CLOSE_DEADLINE_MS / 1000} s`),
      CLOSE_DEADLINE_MS,
    );
  }

  dispose(): void {
    clearTimeout(this.#deadline);
    for (const name of STOP_SIGNALS) process.off(name, this.#onSignal);
    process.off('uncaughtException', this.#onUncaught);
    process.off('unhandledRejection', this.#onUnhandled);
  }

  #onSignal = (name: NodeJS.Signals): void => {
    const now = performance.now();
    if (this.signal.aborted) {
      if (now - this.#requestedAtMs > DUPLICATE_SIGNAL_MS) this.#giveUp(`forced by a second ${name}`);
      return;
    }
    this.#requestedAtMs = now;
    this.#logger.info({ signal: name }, 'stopping');
    this.startDeadline();
    this.#controller.abort(new UserError(`stopped by ${name}`));
    this.#resolveRequested();
  };

  /** An unhandled rejection of one request must not end the file system for everybody else. */
  #onUnhandled = (reason: unknown): void => {
    this.#logger.error({ error: describe(reason) }, 'unexpected failure; going on');
  };

  /** Thrown out of an event handler: what it left half done is unknown, so the frontends close. */
  #onUncaught = (error: Error): void => {
    this.#logger.error({ error: describe(error) }, 'unexpected error; stopping');
    this.startDeadline();
    this.#controller.abort(error);
    this.fatal ??= error;
    this.#resolveRequested();
  };

  #giveUp(why: string): void {
    this.#force();
    process.stderr.write(`janusfs: ${why}; what was written but not yet stored may be lost\n`);
    process.exit(1);
  }
}

function describe(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
}
