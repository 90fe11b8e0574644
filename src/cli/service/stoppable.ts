import { UserError } from '../../base/errors.ts';

/**
 * Runs a command's work with a signal that SIGINT, SIGTERM and SIGHUP abort: the work ends at the next good moment.
 * @throws UserError when it was stopped.
 */
export async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => stop.abort(new UserError(`stopped by ${name}`));
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.once(name, onSignal);
  try {
    return await work(stop.signal);
  } finally {
    for (const name of names) process.off(name, onSignal);
  }
}
