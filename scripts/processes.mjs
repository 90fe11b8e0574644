// Running outside programs from the scripts: found in PATH, bounded in time, never prompting.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

// sbin: Debian keeps some tools there that an ordinary user's PATH does not name.
const EXTRA_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Full path of a program, or undefined. */
export function findProgram(name) {
  for (const directory of [...(process.env.PATH ?? '').split(delimiter), ...EXTRA_DIRECTORIES]) {
    if (directory === '') continue;
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not here: the next directory may have it.
    }
  }
  return undefined;
}

/** Runs a program to its end. Answers {ok, output, why}; output is stdout and stderr together. */
export function run(command, args, { timeoutMs, show = false, env = process.env, cwd = undefined }) {
  const result = spawnSync(command, args, {
    cwd,
    env,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    // The set-up speaks on stderr only: stdout belongs to the command that follows (its `ready` line).
    stdio: ['ignore', show ? 2 : 'pipe', show ? 2 : 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const why =
    result.error !== undefined
      ? result.error.code === 'ETIMEDOUT'
        ? `did not end within ${timeoutMs / 1000} s`
        : result.error.message
      : result.status === 0
        ? undefined
        : `ended with ${result.signal ?? `status ${result.status}`}`;
  return { ok: why === undefined, output: `${result.stdout ?? ''}${result.stderr ?? ''}`, why };
}
