/** `--background`: the command runs in a detached process, and this one returns when that is ready. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { UserError } from '../../base/errors.ts';

const FAILURE_TEXT_BYTES_MAX = 8192;

/** Where a background process without a data directory logs when nothing else is said. */
export function defaultLogFile(command: string): string {
  return join(homedir(), '.janusfs', 'log', `${command}.log`);
}

/**
 * Starts this command line again without --background and passes on its `ready` line.
 * @throws UserError with the process's own last words when it ends before it is ready.
 */
export async function runInBackground(logFile: string): Promise<void> {
  mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
  const log = openSync(logFile, 'a', 0o600);
  const logStart = statSync(logFile).size;
  const args = [
    ...process.execArgv,
    process.argv[1]!,
    ...process.argv.slice(2).filter((arg) => arg !== '--background'),
  ];
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', 'pipe', log],
    // Also overrides a configuration file that asks for it.
    env: { ...process.env, JANUSFS_BACKGROUND: 'false' },
  });
  closeSync(log);
  const stop = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    const ready = await new Promise<string | undefined>((resolve, reject) => {
      let text = '';
      child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        const end = text.indexOf('\n');
        if (end >= 0) resolve(text.slice(0, end + 1));
      });
      child.once('error', reject);
      child.once('exit', () => resolve(undefined));
    });
    if (ready === undefined) throw new UserError(lastWords(logFile, logStart));
    process.stdout.write(ready);
    process.stderr.write(`janusfs: process ${child.pid} logs to ${logFile}\n`);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    child.unref();
  }
}

/** The error line that the process left in its log. */
function lastWords(logFile: string, from: number): string {
  const size = statSync(logFile).size;
  const start = Math.max(from, size - FAILURE_TEXT_BYTES_MAX);
  const text = Buffer.alloc(Math.max(0, size - start));
  const descriptor = openSync(logFile, 'r');
  try {
    readSync(descriptor, text, 0, text.length, start);
  } finally {
    closeSync(descriptor);
  }
  const lines = text.toString('utf8').trim().split('\n');
  const line = lines.findLast((one) => one.startsWith('janusfs: ')) ?? lines.at(-1) ?? '';
  return `${line.replace(/^janusfs: /, '') || 'the background process ended before it was ready'} (log: ${logFile})`;
}
