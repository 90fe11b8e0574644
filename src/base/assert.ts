/**
 * Internal assumptions. A broken one is a bug of ours: the request that found it fails EIO (mount) or 500 (S3), it is
 * logged, and the process goes on, since one request's wrong assumption is no reason to take every client's mount away.
 */
import { FsError } from './errors.ts';

/** An internal assumption did not hold. It is an FsError EIO, so that both frontends answer it without a special case. */
export class BrokenAssumptionError extends FsError {
  constructor(message: string) {
    super('EIO', 'assert', message);
    this.name = 'BrokenAssumptionError';
  }
}

/** Checks an internal assumption. @throws BrokenAssumptionError when `condition` is false. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new BrokenAssumptionError(message);
}

/** Marks a switch that must be exhaustive: it does not compile while a case is missing. */
export function assertNever(value: never, what: string): never {
  throw new BrokenAssumptionError(`${what}: unexpected ${JSON.stringify(value)}`);
}
