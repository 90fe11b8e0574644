/**
 * The redis-server of an embedded volume: ours from start to stop, on a Unix socket in DIR/redis.
 *
 *     start:  orphan of an earlier run?  --> stop it --> write redis.conf --> mend the log --> spawn --> wait until it answers
 *     run:    it dies unexpectedly       --> mend the log, start it again (bounded); its clients wait and go on
 *     stop:   SIGTERM, wait, SIGKILL     (its log is in the kernel by then: appendfsync no writes before it answers)
 *
 * It runs in a session of its own, so that Ctrl-C reaches us first and the volume can still be closed properly.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { replaceFile } from '../../base/durable-file.ts';
import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { type Progress, startProgress } from '../progress.ts';
import { isRunning, runsIn, signalProcess, waitUntilGone } from '../service/process-identity.ts';
import { prepareLog } from './redis-log/prepare-log.ts';
import { askRedis } from './redis-probe.ts';

const PROGRAM = 'redis-server';
const SOCKET_PATH_BYTES_MAX = 100;
const ANSWER_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 15_000;
const RESTARTS_MAX = 5;
const RESTART_WINDOW_MS = 60_000;

export interface EmbeddedRedis {
  socketPath: string;
  /** Where the append-only log is, for fdatasync. */
  directory: string;
  /** Resolves with the reason when the server is gone for good. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
}

/**
 * Starts the server in `directory` and waits until it has loaded its log.
 * @throws UserError when redis-server is missing, too old, or does not come up (with the end of its log), or its
 * append-only log is damaged.
 */
export async function startEmbeddedRedis(
  directory: string,
  logger: Logger,
  signal: AbortSignal,
): Promise<EmbeddedRedis> {
  const version = redisVersion();
  await stopOrphan(directory, logger);
  replaceFile(join(directory, 'redis.conf'), configuration(version), 0o600);
  const server = new Server(directory, logger, signal);
  await server.start();
  return server;
}

/** Where the server of a data directory listens; short enough for sun_path (108 bytes) whatever DIR is. */
export function redisSocketPath(directory: string): string {
  const path = join(directory, 'redis.sock');
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
  if (process.platform !== 'linux') {
    throw new UserError(`${path} is too long for a socket; choose a --data directory with a shorter path`, 1);
  }
  // The directory stays open for the life of the process: its number in /proc is the short name.
  return `/proc/self/fd/${openSync(directory, 'r')}/redis.sock`;
}

/** Whether a server answers in this directory now (a running `up`). */
export async function isEmbeddedRedisRunning(directory: string): Promise<boolean> {
  return (await askRedis(redisSocketPath(directory), 'PING', 2000)) !== undefined;
}

class Server implements EmbeddedRedis {
  readonly directory: string;
  readonly socketPath: string;
  readonly failed: Promise<Error>;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  #fail: (error: Error) => void = () => {};
  #child: ChildProcess | undefined;
  #stopping = false;
  #restarts: number[] = [];

  constructor(directory: string, logger: Logger, signal: AbortSignal) {
    this.directory = directory;
    this.socketPath = redisSocketPath(directory);
    this.#logger = logger;
    this.#signal = signal;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  async start(): Promise<void> {
    prepareLog(this.directory, this.#logger);
    const child = this.#spawn();
    try {
      await this.#untilAnswers(child);
    } catch (error) {
      this.#stopping = true;
      child.kill('SIGKILL');
      throw error;
    }
    child.once('exit', (status, signal) => this.#onExit(signal ?? `status ${status}`));
    // It may have gone between its answer and the listener above.
    if (child.exitCode !== null || child.signalCode !== null) this.#onExit('an early exit');
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const pid = this.#child?.pid;
    if (pid !== undefined) await stopProcess(pid, this.#logger);
  }

  kill(): void {
    this.#stopping = true;
    const pid = this.#child?.pid;
    if (pid !== undefined && isRunning(pid)) signalProcess(pid, 'SIGKILL');
  }

  #spawn(): ChildProcess {
    const log = openSync(join(this.directory, 'redis.log'), 'a', 0o600);
    try {
      const child = spawn(PROGRAM, [join(this.directory, 'redis.conf')], {
        cwd: this.directory,
        detached: true,
        stdio: ['ignore', log, log],
      });
      child.on('error', (error) => this.#logger.error({ error: error.message }, 'redis-server cannot be started'));
      this.#child = child;
      return child;
    } finally {
      closeSync(log);
    }
  }

  /** Waits for PONG. Loading a large log may take minutes and shows its progress; only silence is limited. */
  async #untilAnswers(child: ChildProcess): Promise<void> {
    let deadline = performance.now() + ANSWER_TIMEOUT_MS;
    let progress: Progress | undefined;
    try {
      for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 50)) {
        this.#signal.throwIfAborted();
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
          throw new UserError(`redis-server did not start: ${logTail(this.directory)}`);
        }
        const reply = await askRedis(this.socketPath, 'PING', 1000);
        if (reply === 'PONG') return;
        if (reply !== undefined) {
          deadline = performance.now() + ANSWER_TIMEOUT_MS;
          if (progress === undefined) this.#logger.info({}, 'redis-server is loading its log');
          progress ??= startProgress('loading metadata');
          progress.update(await loadedFraction(this.socketPath));
        }
        if (performance.now() > deadline) {
          throw new UserError(`redis-server does not answer: ${logTail(this.directory)}`);
        }
        await delay(pauseMs);
      }
    } finally {
      progress?.stop();
    }
  }

  #onExit(how: string): void {
    if (this.#stopping) return;
    const now = performance.now();
    this.#restarts = this.#restarts.filter((then) => now - then < RESTART_WINDOW_MS);
    if (this.#restarts.length >= RESTARTS_MAX) {
      this.#fail(new UserError(`redis-server keeps ending (${how}): ${logTail(this.directory)}`));
      return;
    }
    this.#restarts.push(now);
    this.#logger.error({ how, log: join(this.directory, 'redis.log') }, 'redis-server ended; starting it again');
    this.start().catch((error) => {
      if (!this.#signal.aborted) this.#fail(error as Error);
    });
  }
}

/** How much of its log a loading server has read. */
async function loadedFraction(socketPath: string): Promise<number> {
  const info = await askRedis(socketPath, 'INFO persistence', 1000);
  return Number(/loading_loaded_perc:([\d.]+)/.exec(info ?? '')?.[1] ?? 0) / 100;
}

function redisVersion(): [number, number] {
  const result = spawnSync(PROGRAM, ['--version'], { encoding: 'utf8', timeout: 30_000 });
  const match = /v=(\d+)\.(\d+)/.exec(result.stdout ?? '');
  if (match === null) {
    throw new UserError('redis-server is not installed; run: sudo apt-get install -y redis-server', 1);
  }
  const version: [number, number] = [Number(match[1]), Number(match[2])];
  if (version[0] < 6 || (version[0] === 6 && version[1] < 2)) {
    throw new UserError(`redis-server ${version.join('.')} is too old; janusfs needs 6.2 or newer`, 1);
  }
  return version;
}

/**
 * Paths in it are relative to the server's working directory, so that they need no quoting and fit a socket's limit.
 * The command line names the whole path and stays as it is (set-proc-title), so that `ps` tells whose server it is.
 */
function configuration(version: readonly [number, number]): string {
  const lines = [
    '# Written by janusfs at every start; changes are lost.',
    'port 0',
    'unixsocket redis.sock',
    'unixsocketperm 600',
    'daemonize no',
    'pidfile redis.pid',
    'logfile redis.log',
    'dir ./',
    'databases 1',
    '# The log is written before a reply is sent; janusfs calls fdatasync on it where a caller was promised so.',
    'appendonly yes',
    'appendfsync no',
    'save ""',
    'aof-use-rdb-preamble yes',
    'aof-load-truncated yes',
    'auto-aof-rewrite-percentage 100',
    'auto-aof-rewrite-min-size 64mb',
    'aof-rewrite-incremental-fsync yes',
    '# Metadata must never be evicted.',
    'maxmemory 0',
    'maxmemory-policy noeviction',
    'timeout 0',
    'set-proc-title no',
  ];
  // A histogram per command that nobody reads, paid for by every call (Redis 7.0).
  if (version[0] >= 7) lines.push('latency-tracking no');
  return `${lines.join('\n')}\n`;
}

/**
 * Ends a server that an earlier run left behind (kill -9 of janusfs alone). The caller holds the directory's lock, so
 * nobody serves with it. It is known by its number in redis.pid together with what that process is and where it
 * works, or by answering on our socket.
 */
async function stopOrphan(directory: string, logger: Logger): Promise<void> {
  const pid = recordedOrphan(directory) ?? (await answeringOrphan(directory));
  if (pid === undefined) return;
  logger.info({ pid }, 'stopping the redis-server that an earlier run left behind');
  await stopProcess(pid, logger);
}

function recordedOrphan(directory: string): number | undefined {
  let pid: number;
  try {
    pid = Number(readFileSync(join(directory, 'redis.pid'), 'latin1').trim());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return Number.isSafeInteger(pid) && pid > 1 && isRunning(pid) && runsIn(pid, PROGRAM, directory) ? pid : undefined;
}

async function answeringOrphan(directory: string): Promise<number | undefined> {
  const info = await askRedis(redisSocketPath(directory), 'INFO server', 2000);
  const pid = Number(/process_id:(\d+)/.exec(info ?? '')?.[1]);
  return Number.isSafeInteger(pid) && pid > 1 && isRunning(pid) ? pid : undefined;
}

async function stopProcess(pid: number, logger: Logger): Promise<void> {
  if (!isRunning(pid) || !signalProcess(pid, 'SIGTERM')) return;
  if (await waitUntilGone(pid, STOP_TIMEOUT_MS)) return;
  logger.warn({ pid }, 'redis-server does not stop; killing it');
  if (signalProcess(pid, 'SIGKILL') && !(await waitUntilGone(pid, STOP_TIMEOUT_MS))) {
    throw new UserError(`redis-server (process ${pid}) cannot be stopped; is its disk hanging?`, 1);
  }
}

/** The last line of redis.log that says something. */
function logTail(directory: string): string {
  const path = join(directory, 'redis.log');
  try {
    const size = statSync(path).size;
    const descriptor = openSync(path, 'r');
    try {
      const tail = Buffer.alloc(Math.min(size, 2000));
      readSync(descriptor, tail, 0, tail.length, size - tail.length);
      const lines = tail.toString('utf8').trim().split('\n');
      return `${lines.slice(-2).join(' ')} (${path})`;
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    return `${(error as Error).message}`;
  }
}
