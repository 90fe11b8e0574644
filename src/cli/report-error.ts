import { UserError } from '../base/errors.ts';

/** Says what went wrong in one line on stderr (with the stack when debugging). @returns the exit status. */
export function reportError(error: unknown, debug: boolean): number {
  process.stderr.write(`janusfs: ${oneLine(error)}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${stackOf(error)}\n`);
  return error instanceof UserError ? error.exitStatus : 1;
}

function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return message.replace(/\s*\n\s*/g, ' ').trim();
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
