import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { MAIN, type Started, startMain, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { afterwards } from './clean-up.ts';

const COMMAND_MS = 120_000;

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command of the tool to its end, whatever its exit status. Killed after two minutes. */
export async function janusfs(args: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    timeout: COMMAND_MS,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

/** Starts a serving command and stops it after the test, if that has not. Without root credentials unless `env` has some. */
export async function serving(t: TestContext, args: string[], env: Record<string, string> = {}): Promise<Started> {
  const started = await startMain(args, { JANUSFS_ACCESS_KEY: '', JANUSFS_SECRET_KEY: '', ...env });
  afterwards(t, () => stopChild(started.child));
  return started;
}

/** The fields of a `ready` line. */
export function readyFields(line: string): Record<string, string> {
  const words = line.trim().split(' ').slice(1);
  return Object.fromEntries(words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]));
}

/** Kills without a chance to clean up, and waits for the end. */
export async function crash(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Mount points at or below a directory, from the kernel's table. */
export function mountsAt(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path === directory || path.startsWith(`${directory}/`));
}
