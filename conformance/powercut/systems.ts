/** What is put on the disk that loses its power, and how it is started again. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { RedisServer } from '../../test/support/redis-server.ts';
import { ACCESS_KEY, killAll, runMain, SECRET_KEY, s3Client, shell, startMain } from '../cross-frontend/running-up.ts';
import type { LoopDisk } from './disk.ts';

/** `up`, without and with write-back; `serve` with a Redis of appendfsync always or everysec beside it; the disk itself. */
export type SystemKind = 'up' | 'writeback' | 'always' | 'everysec' | 'ext4';

export interface System {
  /** Where programs work, in the end a directory of the mount. */
  readonly directory: string;
  /** Arguments that name the volume to fsck and gc; undefined where there is none. */
  readonly volume: string[] | undefined;
  /** Directory of its object store. */
  readonly store: string | undefined;
  /** What an acknowledgement promises here. */
  readonly binds: boolean;
  readonly s3: S3Client | undefined;
  /** Resolves when it serves. @throws Error with what it said when it does not start. */
  start(): Promise<void>;
  /** Ends it and everything that it started, at once. */
  kill(): Promise<void>;
  /** Has its process stopped at the failpoint (ServedAgain's file format). */
  arm(line: string): void;
  isStopped(): boolean;
  rewriteLog(): void;
}

export function systemOn(disk: LoopDisk, kind: SystemKind): System {
  return kind === 'ext4' ? new Bare(disk) : new Served(disk, kind);
}

class Bare implements System {
  readonly directory: string;
  readonly volume = undefined;
  readonly store = undefined;
  readonly s3 = undefined;
  readonly binds = true;

  constructor(disk: LoopDisk) {
    this.directory = disk.root;
  }

  async start(): Promise<void> {}
  async kill(): Promise<void> {}
  arm(): void {}
  isStopped(): boolean {
    return false;
  }
  rewriteLog(): void {}
}

const KEYS = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };

class Served implements System {
  readonly directory: string;
  readonly volume: string[];
  readonly store: string;
  readonly binds: boolean;
  s3: S3Client | undefined;
  readonly #root: string;
  readonly #control: string;
  readonly #redis: RedisServer | undefined;
  readonly #arguments: string[];
  readonly #socket: string;

  constructor(disk: LoopDisk, kind: Exclude<SystemKind, 'ext4'>) {
    const root = disk.root;
    this.#root = root;
    this.#control = join(disk.base, 'failpoint');
    this.directory = join(root, 'mnt', 'bkt');
    this.binds = kind !== 'everysec';
    const [data, mount] = [join(root, 'data'), join(root, 'mnt')];
    const listen = ['--listen', '127.0.0.1:0', '--log-level', 'warn'];
    if (kind === 'up' || kind === 'writeback') {
      this.#socket = join(data, 'redis', 'redis.sock');
      this.volume = ['--data', data];
      this.store = join(data, 'blocks');
      const writeBack = kind === 'writeback' ? ['--writeback', join(root, 'journal')] : [];
      this.#arguments = ['up', '--data', data, '--mount', mount, ...listen, ...writeBack];
      return;
    }
    const args = ['--dir', join(root, 'redis'), '--appendfsync', kind, '--aof-use-rdb-preamble', 'yes'];
    this.#redis = new RedisServer({ appendOnly: true, args });
    this.#socket = this.#redis.socket;
    const url = `redis+unix://${this.#socket}?volume=cut`;
    this.volume = [url];
    this.store = join(root, 'store');
    this.#arguments = ['serve', url, mount, ...listen];
  }

  async start(): Promise<void> {
    if (this.#redis !== undefined) await this.#startRedis(this.#redis);
    await this.#unmount();
    const started = await startMain(this.#arguments, { JANUSFS_FAILPOINTS: this.#control });
    this.s3 = s3Client(/http:\/\/\S+/.exec(started.ready)![0], ACCESS_KEY, SECRET_KEY);
  }

  async kill(): Promise<void> {
    this.s3?.destroy();
    await killAll(this.#root);
    await this.#redis?.kill();
    await this.#unmount();
  }

  arm(line: string): void {
    writeFileSync(this.#control, `${line}\n`);
  }

  /** Any process of it: also one that is not ready yet. */
  isStopped(): boolean {
    return readdirSync('/proc').some((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        const isOurs = readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`${this.#root}/`);
        return isOurs && / T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/\(.*\)/, ''));
      } catch {
        return false; // It ended between the listing and the read.
      }
    });
  }

  rewriteLog(): void {
    spawnSync('redis-cli', ['-s', this.#socket, 'bgrewriteaof'], { timeout: 10_000 });
  }

  /** A mount whose disk has stopped may only let go when the disk is back. */
  async #unmount(): Promise<void> {
    const mount = join(this.#root, 'mnt');
    await shell(`while grep -q ' ${mount} ' /proc/mounts; do umount -l ${mount} || break; done 2> /dev/null; true`);
  }

  /** As an operator would: a log that Redis refuses is cut where redis-check-aof says. */
  async #startRedis(redis: RedisServer): Promise<void> {
    const directory = join(this.#root, 'redis');
    mkdirSync(directory, { recursive: true });
    mkdirSync(join(this.#root, 'mnt'), { recursive: true });
    try {
      await redis.start();
    } catch {
      await redis.kill();
      const manifest = join(directory, 'appendonlydir', 'appendonly.aof.manifest');
      await shell(`yes | redis-check-aof --fix ${manifest}`);
      await redis.start();
    }
    if (existsSync(join(this.#root, 'formatted'))) return;
    await runMain(['format', this.volume[0]!, '--store', `file://${this.store}`], KEYS);
    // The volume is there for good before anything is asked of it.
    await shell(`touch ${join(this.#root, 'formatted')} && sync -f ${this.#root}`);
  }
}
