/**
 * A real volume for a test file:
 *
 *     const volume = await testVolume();        a fresh volume: metadata in Redis, blocks in a temporary directory
 *     const member = await volume.join();       a session of it with the facets of metadata
 *
 * All volumes of a test file share one private redis-server (one for each set of server options). Everything ends with the
 * test file, the newest volume first; a file whose volumes must end before something else calls close().
 * Layers on it: vfs-session.ts (a file system), gateway.ts (an S3 endpoint), mounted.ts (a mount).
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import type { User } from '../../src/base/vocabulary.ts';
import { metaOf } from '../../src/meta/open-meta.ts';
import { formatVolume } from '../../src/meta/volume/format-volume.ts';
import { joinVolume, type OpenOptions } from '../../src/meta/volume/join-volume.ts';
import { CONNECT, type RedisServer, type RedisServerOptions, redisServer } from './redis-server.ts';

export interface VolumeOptions extends RedisServerOptions {
  users?: User[];
  /** Permission bits of the root directory; 0755 when left out. */
  rootMode?: number;
}

export type Member = Awaited<ReturnType<TestVolume['join']>>;

export class TestVolume {
  readonly redis: RedisServer;
  readonly url: string;
  /** Where the blocks are. */
  readonly blocks: string;
  readonly #ends: (() => Promise<unknown>)[] = [];

  constructor(redis: RedisServer, name: string) {
    this.redis = redis;
    this.url = volumeUrl(redis.socket, name);
    this.blocks = join(redis.directory, `blocks-${name}`);
  }

  get storeUrl(): string {
    return `file://${this.blocks}`;
  }

  /** Joins as a session; closed with the volume. */
  async join(options: Partial<OpenOptions> & { url?: string } = {}) {
    const { url = this.url, ...rest } = options;
    const joined = await joinVolume(url, { ...CONNECT, ...rest });
    const { engine } = joined.session;
    let closed = false;
    const facets = metaOf(joined);
    const member = {
      ...joined,
      ...facets,
      session: joined.session,
      durability: joined.durability,
      engine,
      ns: facets.names,
      close: async (): Promise<void> => {
        if (closed) return;
        closed = true;
        await joined.session.close();
        await joined.durability.close();
        member.drop();
      },
      /** Disconnects without ending the session, as a crash does. */
      drop: (): void => {
        closed = true;
        joined.session.stop();
        joined.channel.close();
        engine.connection.close();
      },
    };
    this.beforeEnd(() => member.close());
    return member;
  }

  /** Objects in the store. */
  objectCount(): number {
    const files = readdirSync(this.blocks, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return files.filter(({ parentPath }) => !parentPath.endsWith('/.tmp')).length;
  }

  /** Has `end` run when the volume is closed, newest first. */
  beforeEnd(end: () => Promise<unknown>): void {
    this.#ends.push(end);
  }

  /** Ends what is on the volume; its Redis stays for the others. */
  async close(): Promise<void> {
    for (let end = this.#ends.pop(); end !== undefined; end = this.#ends.pop()) await end();
  }
}

export function volumeUrl(socket: string, name = 'test'): string {
  return `redis+unix://${socket}?volume=${name}`;
}

const servers = new Map<string, Promise<RedisServer>>();
const volumes: TestVolume[] = [];

/** Makes a volume. The first of a file is named `test`. */
export async function testVolume({ users = [], rootMode = 0o755, ...server }: VolumeOptions = {}): Promise<TestVolume> {
  const kind = JSON.stringify(server);
  const starting = servers.get(kind) ?? redisServer(server);
  servers.set(kind, starting);
  const volume = new TestVolume(await starting, volumes.length === 0 ? 'test' : `test-${volumes.length + 1}`);
  volumes.push(volume);
  mkdirSync(volume.blocks);
  await formatVolume(volume.url, { ...CONNECT, store: volume.storeUrl, users, rootMode });
  return volume;
}

after(
  async () => {
    try {
      for (let volume = volumes.pop(); volume !== undefined; volume = volumes.pop()) await volume.close();
    } finally {
      for (const starting of servers.values()) await (await starting).stop();
    }
  },
  { timeout: 60_000 },
);
