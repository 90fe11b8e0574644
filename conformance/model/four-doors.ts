/** One volume behind two mounts and two gateways, in two processes that can be killed, stopped and started again. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, rename, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
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

/** Mount 0, mount 1, gateway 0, gateway 1. */
export type DoorIndex = 0 | 1 | 2 | 3;
export const DOORS: readonly DoorIndex[] = [0, 1, 2, 3];

/** What one door can do. `ENOENT` and NoSuchKey are answers; other failures are thrown. */
export interface Door {
  readonly kind: 'mount' | 's3';
  write(name: string, bytes: Buffer): Promise<void>;
  append(name: string, bytes: Buffer): Promise<void>;
  truncate(name: string, length: number): Promise<'done' | 'missing'>;
  remove(name: string): Promise<'done' | 'missing'>;
  rename(from: string, to: string): Promise<'done' | 'missing'>;
  copy(from: string, to: string): Promise<'done' | 'missing'>;
  read(name: string): Promise<Buffer | undefined>;
  list(): Promise<string[]>;
}

export class FourDoors {
  readonly redis: RedisServer;
  readonly #root: string;
  readonly #url: string;
  readonly #started: (Started | undefined)[] = [];
  #bucket = '';

  private constructor(root: string, redis: RedisServer) {
    this.#root = root;
    this.redis = redis;
    this.#url = `redis+unix://${redis.socket}?volume=doors`;
  }

  static async open(): Promise<FourDoors> {
    const redis = await redisServer({ appendOnly: true });
    const doors = new FourDoors(mkdtempSync(join(tmpdir(), 'janusfs-doors-')), redis);
    const keys = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };
    await runMain(['format', doors.#url, '--store', `file://${doors.#root}/store`], keys);
    for (const i of [0, 1]) {
      mkdirSync(doors.#mount(i));
      await doors.#start(i);
    }
    return doors;
  }

  /** A place of its own, empty. */
  async fresh(bucket: string): Promise<void> {
    this.#bucket = bucket;
    await this.#s3(0).send(new CreateBucketCommand({ Bucket: bucket }));
    for (const i of [0, 1]) {
      for (let tries = 0; !(await readdir(this.#mount(i))).includes(bucket); tries++) {
        if (tries > 300) throw new Error(`mount ${i} does not show the bucket ${bucket}`);
        await sleep(10);
      }
    }
  }

  door(index: DoorIndex): Door {
    return index < 2
      ? new MountDoor(join(this.#mount(index), this.#bucket))
      : new S3Door(this.#s3(index - 2), this.#bucket);
  }

  /** kill -9 of one process, and another in its place. */
  async killAndStart(i: number): Promise<void> {
    const { child } = this.#started[i]!;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    await shell(`umount -l ${this.#mount(i)} 2> /dev/null; true`);
    await this.#start(i);
  }

  /** One process stands still for a while. */
  async suspend(i: number, ms: number): Promise<void> {
    this.#started[i]!.child.kill('SIGSTOP');
    await sleep(ms);
    this.#started[i]!.child.kill('SIGCONT');
  }

  async fsck(): Promise<void> {
    await runMain(['fsck', this.#url, '--deep', '--json']).catch((error: { stdout?: string }) => {
      const found = (error.stdout ?? '').split('\n').filter((line) => line.includes('"kind"'));
      const other = found.filter((line) => !line.includes('"stale-session"'));
      if (other.length > 0 || found.length === 0) throw new Error(`fsck: ${error.stdout ?? error}`);
    });
  }

  async end(): Promise<void> {
    for (const started of this.#started) if (started !== undefined) await stopChild(started.child);
    await this.redis.stop();
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 3 });
  }

  #mount(i: number): string {
    return join(this.#root, `mnt${i}`);
  }

  #s3(i: number) {
    return s3Client(/http:\/\/\S+/.exec(this.#started[i]!.ready)![0], ACCESS_KEY, SECRET_KEY);
  }

  async #start(i: number): Promise<void> {
    this.#started[i] = await startMain([
      'serve',
      this.#url,
      this.#mount(i),
      '--listen',
      '127.0.0.1:0',
      '--log-level',
      'error',
    ]);
  }
}

async function missingIf<T extends string | Buffer>(code: string, run: () => Promise<T>): Promise<T | 'missing'> {
  try {
    return await run();
  } catch (error) {
    const { code: errno } = error as NodeJS.ErrnoException;
    if (errno === code || (error instanceof S3ServiceException && error.name === code)) return 'missing';
    throw error;
  }
}

class MountDoor implements Door {
  readonly kind = 'mount';
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  write(name: string, bytes: Buffer): Promise<void> {
    return writeFile(this.#at(name), bytes);
  }

  append(name: string, bytes: Buffer): Promise<void> {
    return writeFile(this.#at(name), bytes, { flag: 'a' });
  }

  truncate(name: string, length: number): Promise<'done' | 'missing'> {
    return missingIf('ENOENT', async () => {
      await truncate(this.#at(name), length);
      return 'done' as const;
    });
  }

  remove(name: string): Promise<'done' | 'missing'> {
    return missingIf('ENOENT', async () => {
      await unlink(this.#at(name));
      return 'done' as const;
    });
  }

  rename(from: string, to: string): Promise<'done' | 'missing'> {
    return missingIf('ENOENT', async () => {
      await rename(this.#at(from), this.#at(to));
      return 'done' as const;
    });
  }

  async copy(from: string, to: string): Promise<'done' | 'missing'> {
    const bytes = await this.read(from);
    if (bytes === undefined) return 'missing';
    await this.write(to, bytes);
    return 'done';
  }

  async read(name: string): Promise<Buffer | undefined> {
    const bytes = await missingIf('ENOENT', () => readFile(this.#at(name)));
    return bytes === 'missing' ? undefined : bytes;
  }

  list(): Promise<string[]> {
    return readdir(this.#directory);
  }

  #at(name: string): string {
    return join(this.#directory, name);
  }
}

class S3Door implements Door {
  readonly kind = 's3';
  readonly #s3: ReturnType<typeof s3Client>;
  readonly #Bucket: string;

  constructor(s3: ReturnType<typeof s3Client>, bucket: string) {
    this.#s3 = s3;
    this.#Bucket = bucket;
  }

  async write(Key: string, Body: Buffer): Promise<void> {
    await this.#s3.send(new PutObjectCommand({ Bucket: this.#Bucket, Key, Body }));
  }

  /** S3 has none: who wants it reads and writes. */
  async append(name: string, bytes: Buffer): Promise<void> {
    await this.write(name, Buffer.concat([(await this.read(name)) ?? Buffer.alloc(0), bytes]));
  }

  async truncate(name: string, length: number): Promise<'done' | 'missing'> {
    const bytes = await this.read(name);
    if (bytes === undefined) return 'missing';
    const cut = Buffer.alloc(length);
    bytes.copy(cut);
    await this.write(name, cut);
    return 'done';
  }

  async remove(Key: string): Promise<'done'> {
    await this.#s3.send(new DeleteObjectCommand({ Bucket: this.#Bucket, Key }));
    return 'done';
  }

  async rename(from: string, to: string): Promise<'done' | 'missing'> {
    if ((await this.copy(from, to)) === 'missing') return 'missing';
    if (from !== to) await this.remove(from);
    return 'done';
  }

  copy(from: string, Key: string): Promise<'done' | 'missing'> {
    return missingIf('NoSuchKey', async () => {
      // A copy onto itself changes nothing, and S3 wants to be told what it should change.
      const same = from === Key ? { MetadataDirective: 'REPLACE' as const } : {};
      const CopySource = `${this.#Bucket}/${encodeURIComponent(from)}`;
      await this.#s3.send(new CopyObjectCommand({ Bucket: this.#Bucket, Key, CopySource, ...same }));
      return 'done' as const;
    });
  }

  async read(Key: string): Promise<Buffer | undefined> {
    const bytes = await missingIf('NoSuchKey', async () => {
      const { Body } = await this.#s3.send(new GetObjectCommand({ Bucket: this.#Bucket, Key }));
      return Buffer.from(await Body!.transformToByteArray());
    });
    return bytes === 'missing' ? undefined : bytes;
  }

  async list(): Promise<string[]> {
    const { Contents = [] } = await this.#s3.send(new ListObjectsV2Command({ Bucket: this.#Bucket }));
    return Contents.map(({ Key }) => Key!);
  }
}
