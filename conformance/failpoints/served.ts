/**
 * A volume at both doors, served by a child process that ends at a point of src/base/failpoints.ts and is started again. Redis and the
 * store go on: what was acknowledged must be there, whatever is durable.
 */
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { type RedisServer, redisServer } from '../../test/support/redis-server.ts';
import {
  ACCESS_KEY,
  runMain,
  SECRET_KEY,
  type Started,
  s3Client,
  shell,
  startMain,
  stopChild,
} from '../cross-frontend/running-up.ts';

export class ServedAgain {
  readonly mount: string;
  readonly url: string;
  readonly #root: string;
  readonly #redis: RedisServer;
  readonly #control: string;
  #started: Started | undefined;
  #s3: S3Client | undefined;

  private constructor(root: string, redis: RedisServer) {
    this.#root = root;
    this.#redis = redis;
    this.mount = join(root, 'mnt');
    this.url = `redis+unix://${redis.socket}?volume=points`;
    this.#control = join(root, 'failpoint');
  }

  static async begin(): Promise<ServedAgain> {
    const served = new ServedAgain(mkdtempSync(join(tmpdir(), 'janusfs-points-')), await redisServer());
    mkdirSync(served.mount);
    const keys = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };
    await runMain(['format', served.url, '--store', `file://${join(served.#root, 'store')}`], keys);
    await served.start();
    return served;
  }

  get s3(): S3Client {
    return this.#s3!;
  }

  async start(): Promise<void> {
    const flags = ['--listen', '127.0.0.1:0', '--lease', '2', '--log-level', 'warn'];
    this.#started = await startMain(['serve', this.url, this.mount, ...flags], { JANUSFS_FAILPOINTS: this.#control });
    this.#s3 = s3Client(/http:\/\/\S+/.exec(this.#started.ready)![0], ACCESS_KEY, SECRET_KEY);
  }

  /** The process will be killed when it comes to the point. */
  arm(point: string): void {
    writeFileSync(this.#control, `kill ${point}\n`);
  }

  disarm(): void {
    rmSync(this.#control, { force: true });
  }

  /** Points that were passed since the last call, each once, in order. */
  passed(): string[] {
    const path = `${this.#control}.passed`;
    const points = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
    rmSync(path, { force: true });
    return [...new Set(points)];
  }

  /** Waits until the process has ended at its point. */
  async died(withinMs: number): Promise<boolean> {
    const { child } = this.#started!;
    if (child.signalCode !== null || child.exitCode !== null) return true;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), withinMs);
    try {
      await once(child, 'exit', { signal: late.signal });
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  get isDead(): boolean {
    return this.#started!.child.signalCode !== null;
  }

  /** Kills what may still run, and starts again on the same volume. */
  async again(): Promise<void> {
    this.disarm();
    await this.#kill();
    await this.start();
    this.passed();
  }

  /** What fsck finds, but for the sessions that we killed: nobody has lived long enough to end them. */
  async fsck(): Promise<string> {
    const { stdout, stderr } = await runMain(['fsck', this.url, '--json']).catch(
      (error: { stdout?: string; stderr?: string }) => error,
    );
    const lines = (stdout ?? '').split('\n').slice(0, -1);
    if (lines.length === 0) return `fsck said nothing: ${stderr}`;
    // The last line holds the sums.
    return lines
      .slice(0, -1)
      .filter((line) => !line.includes('"stale-session"'))
      .join('\n');
  }

  async end(): Promise<void> {
    this.disarm();
    this.#s3?.destroy();
    if (this.isDead) await this.#kill();
    else await stopChild(this.#started!.child).catch(() => this.#kill());
    await this.#redis.stop();
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 3 });
  }

  async #kill(): Promise<void> {
    this.#s3?.destroy();
    this.#started!.child.kill('SIGKILL');
    await this.died(10_000);
    await shell(`umount -l ${this.mount} 2> /dev/null; true`);
  }
}
