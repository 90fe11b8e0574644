import type { Caller, User } from '../../src/base/vocabulary.ts';
import { metaOf } from '../../src/meta/open-meta.ts';
import { formatVolume } from '../../src/meta/volume/format-volume.ts';
import { joinVolume, type OpenOptions } from '../../src/meta/volume/join-volume.ts';
import { type RedisServer, type RedisServerOptions, redisServer } from '../support/redis-server.ts';

/** The mount's caller: the kernel has decided. */
export const KERNEL: Caller = { uid: 0, gid: 0, groups: [], check: false };

/** A caller whose permission the scripts decide. */
export function caller(uid: number, gid = uid, groups: number[] = []): Caller {
  return { uid, gid, groups, check: true };
}

export type Member = Awaited<ReturnType<TestVolume['join']>>;

/** A formatted volume on a redis-server of its own. */
export class TestVolume {
  readonly redis: RedisServer;
  readonly url: string;
  readonly #members: { close(): Promise<void> }[] = [];

  constructor(redis: RedisServer) {
    this.redis = redis;
    this.url = volumeUrl(redis.socket);
  }

  /** Joins as a session; closed with the volume. */
  async join(options: Partial<OpenOptions> & { url?: string } = {}) {
    const { url = this.url, ...rest } = options;
    const joined = await joinVolume(url, { kind: 'test', connectTimeoutMs: 60_000, ...rest });
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
    this.#members.push(member);
    return member;
  }

  async close(): Promise<void> {
    for (const member of this.#members) await member.close();
    await this.redis.stop();
  }
}

export function volumeUrl(socket: string, name = 'test'): string {
  return `redis+unix://${socket}?volume=${name}`;
}

/** Starts a redis-server with a volume on it; close() it in an after hook. */
export async function testVolume(options: RedisServerOptions & { users?: User[] } = {}): Promise<TestVolume> {
  const redis = await redisServer(options);
  const volume = new TestVolume(redis);
  await formatVolume(volume.url, { store: 'memory:', users: options.users ?? [], connectTimeoutMs: 60_000 });
  return volume;
}
