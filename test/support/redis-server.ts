import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const READY_MS = 60_000;

/** How sessions of tests connect to it. */
export const CONNECT = { kind: 'test', connectTimeoutMs: READY_MS } as const;

export interface RedisServerOptions {
  /** Keep a log, so that a restart finds the data (appendfsync no, as `up` runs it). */
  appendOnly?: boolean;
  /** Further redis-server arguments. */
  args?: string[];
}

/** A redis-server of the test's own on a unix socket in a temporary directory. */
export class RedisServer {
  readonly directory: string;
  readonly socket: string;
  readonly #args: string[];
  #child: ChildProcess | undefined;

  constructor(options: RedisServerOptions) {
    this.directory = mkdtempSync(join(tmpdir(), 'janusfs-redis-'));
    this.socket = join(this.directory, 'redis.sock');
    const append = options.appendOnly ? ['--appendonly', 'yes', '--appendfsync', 'no'] : ['--appendonly', 'no'];
    this.#args = [
      '--port',
      '0',
      '--unixsocket',
      this.socket,
      '--dir',
      this.directory,
      '--save',
      '',
      '--daemonize',
      'no',
      ...append,
      ...(options.args ?? []),
    ];
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and waits until it answers PING. */
  async start(): Promise<void> {
    const child = spawn('redis-server', this.#args, { stdio: 'ignore' });
    this.#child = child;
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`redis-server ended with ${code ?? signal}`)));
    });
    failed.catch(() => {});
    await Promise.race([this.#answers(), failed]);
  }

  /** kill -9, as a crash; start() begins again on the same data. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /**
   * Silent until resume(), with connections open: away, as behind a partition. Unlike kill() and start() it forks nothing: a child would
   * flush files that the test has open on a mount, on its way to exec, and wait for the Redis that it is.
   */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Ends it and removes its directory. */
  async stop(): Promise<void> {
    await this.#end('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async #answers(): Promise<void> {
    const end = Date.now() + READY_MS;
    while (!(await ping(this.socket))) {
      if (Date.now() > end) throw new Error(`redis-server on ${this.socket} did not answer within ${READY_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** Starts a redis-server; stop() it in an after hook. */
export async function redisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = new RedisServer(options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** True when the server answers PONG (a loading server answers an error instead). */
function ping(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket);
    connection.once('error', () => resolve(false));
    connection.once('connect', () => connection.write('PING\r\n'));
    connection.once('data', (data) => {
      connection.destroy();
      resolve(data.toString().startsWith('+PONG'));
    });
  });
}
