/**
 * Starts `janusfs up` as a user would, in a directory of its own, and gives a test both doors: the mount's path and an
 * S3 client. The mount is served by a child process, so the test may touch it freely.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import { waitUntilGone } from '../../src/cli/service/process-identity.ts';

/** dist/src/main.js of the build this file belongs to. */
export const MAIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src', 'main.js');
const READY_MS = 120_000;
const STOP_MS = 60_000;

export const ACCESS_KEY = 'cross-frontend-root';
export const SECRET_KEY = 'cross-frontend-secret-key';

export interface UpOptions {
  /** Use this data directory (a restart) instead of a fresh one. */
  root?: string;
  /** Extra flags of `up`. */
  flags?: string[];
  env?: Record<string, string>;
}

/** One running `up` and what reaches it. */
export class RunningUp {
  /** Directory that holds the data directory, the mount point and scratch space. */
  readonly root: string;
  readonly data: string;
  readonly mount: string;
  readonly endpoint: string;
  readonly child: ChildProcess;
  readonly s3: S3Client;
  readonly #stderr: string[];

  constructor(root: string, endpoint: string, child: ChildProcess, stderr: string[]) {
    this.root = root;
    this.data = join(root, 'data');
    this.mount = join(root, 'mnt');
    this.endpoint = endpoint;
    this.child = child;
    this.s3 = s3Client(endpoint, ACCESS_KEY, SECRET_KEY);
    this.#stderr = stderr;
  }

  get stderr(): string {
    return this.#stderr.join('');
  }

  /** Path on the mount. */
  at(...parts: string[]): string {
    return join(this.mount, ...parts);
  }

  /** A path outside the mount. */
  scratch(name: string): string {
    return join(this.root, name);
  }

  /** Stops it as Ctrl-C would and answers its exit status. */
  async stop(): Promise<number | null> {
    this.s3.destroy();
    return stopChild(this.child);
  }

  /**
   * kill -9 of every process of this data directory, Redis included. Resolves when none runs any more; a thread of the
   * server may still hang in the kernel until the mount is taken over, and so may programs that use the mount.
   */
  async kill(): Promise<void> {
    this.s3.destroy();
    await killAll(this.root);
  }

  /** Stops it and removes everything; a mount that a killed process left goes first. */
  async end(): Promise<void> {
    await this.stop();
    await shell(
      `if mountpoint -q ${this.mount} || ! stat ${this.mount} > /dev/null 2>&1; then umount -l ${this.mount}; fi; true`,
    );
    rmSync(this.root, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** kill -9 of every process whose command line names the directory. @throws Error when one goes on. */
export async function killAll(directory: string): Promise<void> {
  const pids = processesNaming(directory);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  for (const pid of pids) {
    if (!(await waitUntilGone(pid, STOP_MS))) throw new Error(`process ${pid} still runs after SIGKILL`);
  }
}

export function s3Client(endpoint: string, accessKeyId: string, secretAccessKey: string): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId, secretAccessKey },
  });
}

/** Starts `janusfs up` and waits for its ready line. */
export async function startUp(options: UpOptions = {}): Promise<RunningUp> {
  const root = options.root ?? mkdtempSync(join(tmpdir(), 'janusfs-up-'));
  const args = ['up', '--data', join(root, 'data'), '--mount', join(root, 'mnt'), '--listen', '127.0.0.1:0'];
  const started = await startMain([...args, ...(options.flags ?? [])], options.env);
  const endpoint = /http:\/\/\S+/.exec(started.ready)?.[0];
  if (endpoint === undefined) throw new Error(`no endpoint in the ready line: ${started.ready}`);
  return new RunningUp(root, endpoint, started.child, started.stderr);
}

export interface Started {
  child: ChildProcess;
  ready: string;
  stderr: string[];
}

/** Starts a serving command (up, mount, gateway, serve) and waits for its ready line. */
export async function startMain(args: string[], env: Record<string, string> = {}): Promise<Started> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY, ...env },
  });
  const stderr: string[] = [];
  child.stderr!.setEncoding('utf8').on('data', (text: string) => stderr.push(text));
  const ready = await new Promise<string>((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${args[0]} was not ready after ${READY_MS} ms; it said:\n${stderr.join('')}`));
    }, READY_MS);
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (!line.startsWith('ready')) return;
      clearTimeout(late);
      resolve(line);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      reject(new Error(`${args[0]} ended with ${code ?? signal} before it was ready; it said:\n${stderr.join('')}`));
    });
  });
  return { child, ready, stderr };
}

/** SIGTERM, then a bounded wait. A process that does not end is killed and reported. */
export async function stopChild(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  const [code, signal] = (await exited) as [number | null, string | null];
  clearTimeout(late);
  if (signal === 'SIGKILL') throw new Error(`process ${child.pid} did not stop within ${STOP_MS} ms of SIGTERM`);
  return code;
}

/** Runs a command of the tool to its end. */
export async function runMain(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env }, timeout: 60_000 });
}

/** Runs a shell line and answers its standard output; fails with both outputs when it fails. */
export async function shell(line: string, env: Record<string, string> = {}): Promise<string> {
  const result = await promisify(execFile)('bash', ['-c', line], {
    env: { ...process.env, ...env },
    timeout: 120_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  return result.stdout;
}

/** Processes whose command line names the directory: only ours do, its name is random. */
function processesNaming(directory: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(directory)) found.push(Number(name));
    } catch {
      // It ended between the listing and the read.
    }
  }
  return found;
}
