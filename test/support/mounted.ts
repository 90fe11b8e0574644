/**
 * A mount for a test: a child process that serves a volume. The test process itself serves nothing; it may join the volume as
 * another machine does, or ask the child to do what S3 does beside the mount.
 */
import { type ChildProcess, execFile, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { MountOptions } from '../../src/fuse/mount/fuse-mount.ts';
import type { Command, MountRequest } from './mount-server.ts';
import { type TestVolume, testVolume } from './volume.ts';

/** A hanging mount must fail a test, not stop the suite. Generous, for loaded machines. */
export const TEST_MS_MAX = 60_000;
const COMMAND_MS_MAX = 40_000;
const ROOT = join(import.meta.dirname, '..', '..', '..');
const SERVER = join(import.meta.dirname, 'mount-server.js');
const execute = promisify(execFile);

/** Why mount tests cannot run here, or false. */
export const cannotMount: string | false = !existsSync('/dev/fuse')
  ? 'there is no /dev/fuse'
  : process.getuid?.() !== 0
    ? 'mounting in tests needs root'
    : false;

/** Builds the addon if it is not there yet; tests of the native transport need it. */
export function buildAddon(): void {
  const built = spawnSync(process.execPath, [join(ROOT, 'scripts', 'build-addon.mjs')], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`build-addon failed: ${built.stderr}`);
}

/** Runs a command with a time limit; answers its stdout. LC_ALL=C. */
export async function sh(script: string, cwd = '/'): Promise<string> {
  const env = { ...process.env, LC_ALL: 'C' };
  const { stdout } = await execute('bash', ['-euc', script], {
    cwd,
    env,
    timeout: COMMAND_MS_MAX,
    killSignal: 'SIGKILL',
  });
  return stdout;
}

export function isMounted(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'latin1').includes(` ${path} `);
}

export interface Ended {
  openCount: number;
}

type Message = { ready?: string; failed?: string; ended?: Ended; id?: number; result?: unknown; error?: string };

export class Mounted {
  readonly mountPoint: string;
  readonly volume: TestVolume;
  readonly child: ChildProcess;
  /** Exit status and signal of the server. */
  readonly exited: Promise<[number | null, string | null]>;
  ended: Ended | undefined;
  transport = '';
  stderr = '';
  #nextId = 0;
  #waiting = new Map<number, (message: Message) => void>();

  private constructor(mountPoint: string, volume: TestVolume, child: ChildProcess) {
    this.mountPoint = mountPoint;
    this.volume = volume;
    this.child = child;
    this.exited = once(child, 'exit') as Promise<[number | null, string | null]>;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    child.on('message', (message: Message) => {
      if (message.ended !== undefined) this.ended = message.ended;
      if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
    });
  }

  /**
   * Mounts a new volume, or the one given, on a new directory, or on the one given. Taken away with the volume.
   * @throws Error with the server's reason.
   */
  static async start(
    options: Partial<MountOptions> = {},
    place: { volume?: TestVolume; mountPoint?: string; uid?: number } = {},
  ): Promise<Mounted> {
    const volume = place.volume ?? (await testVolume());
    const mountPoint = place.mountPoint ?? mkdtempSync(join(tmpdir(), 'janusfs-mount-'));
    const request: MountRequest = { url: volume.url, storeUrl: volume.storeUrl, options };
    const child = fork(SERVER, [mountPoint, JSON.stringify(request)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
      ...(place.uid === undefined ? {} : { uid: place.uid, gid: place.uid }),
    });
    const mounted = new Mounted(mountPoint, volume, child);
    const [message] = (await Promise.race([
      once(child, 'message'),
      mounted.exited.then(() => [{ failed: `the server died: ${mounted.stderr}` }]),
    ])) as [Message];
    if (message.ready === undefined) {
      await mounted.exited;
      if (place.mountPoint === undefined) rmSync(mountPoint, { recursive: true, force: true });
      throw new Error(message.failed);
    }
    // Not before: a place that was refused is not ours to take away.
    volume.beforeEnd(() => mounted.remove());
    mounted.transport = message.ready;
    return mounted;
  }

  path(name: string): string {
    return join(this.mountPoint, name);
  }

  /** Runs a script in the mount. */
  sh(script: string): Promise<string> {
    return sh(script, this.mountPoint);
  }

  ask(name: Command['name'], file?: string, text?: string): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (message) => {
        this.#waiting.delete(id);
        if (message.error !== undefined) reject(new Error(message.error));
        else resolve(message.result);
      });
      this.child.send({ id, name, file, text });
    });
  }

  /** Calls that have reached the vfs, by name. */
  async calls(name: string): Promise<number> {
    return ((await this.ask('calls')) as Record<string, number>)[name] ?? 0;
  }

  /** Kills the server if it lives and takes everything away, whatever state the test left. */
  async remove(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL');
      await this.exited;
    }
    while (isMounted(this.mountPoint)) {
      const done = spawnSync('umount', ['-l', this.mountPoint]);
      if (done.status !== 0) break;
    }
    rmSync(this.mountPoint, { recursive: true, force: true });
  }
}
