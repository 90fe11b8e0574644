/** Tells a process that we started from one that got its pid later. */
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Whether a process exists and still runs. A zombie does not: in a container nobody may ever reap it. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const state = processState(pid);
  return state !== 'Z' && state !== 'X';
}

/** State letter of proc_pid_stat(5); undefined where there is no /proc. */
function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2];
  } catch {
    return undefined; // No /proc, or gone between the two looks.
  }
}

/** Whether the process is a `command` whose working directory is `directory`: nobody else runs ours there. */
export function runsIn(pid: number, command: string, directory: string): boolean {
  try {
    const name = readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
    return name.startsWith(command.slice(0, 15)) && readlinkSync(`/proc/${pid}/cwd`) === realpathSync(directory);
  } catch {
    return false; // Gone, somebody else's, or no /proc: then it is not taken for ours.
  }
}

/** Waits until the process is gone. @returns false when it still runs after `timeoutMs`. */
export async function waitUntilGone(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 2; isRunning(pid); pauseMs = Math.min(pauseMs * 2, 100)) {
    if (performance.now() > deadline) return false;
    await delay(pauseMs);
  }
  return true;
}

/** Sends a signal. @returns false when there is no such process any more. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
