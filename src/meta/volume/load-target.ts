/** A volume that is being filled from a dump: keys are written as they come, and nobody can join before finish(). */

import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { type Argument, RedisConnection, type Reply } from '../redis/connection.ts';
import { wipeVolume } from './format-volume.ts';
import { connectionOptions } from './join-volume.ts';

/** Commands under way. */
const PARALLEL = 256;
/** Pairs of one HSET or ZADD. */
const PAIRS_MAX = 1_000;
/** How long an etag of a completed upload is kept, seconds. */
const DONE_SECONDS = 86_400;

export class LoadTarget {
  readonly volume: string;
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #running = new Set<Promise<unknown>>();
  readonly #kept: number[] = [];
  #failure: unknown;

  constructor(connection: RedisConnection, volume: string) {
    this.#connection = connection;
    this.volume = volume;
    this.#prefix = `{${volume}}:`;
  }

  /** Replaces a key's value. Resolves when more may come. @throws what an earlier write failed with. */
  async write(key: string, type: 'string' | 'hash' | 'zset' | 'none', elements: readonly Buffer[]): Promise<void> {
    const name = Buffer.from(this.#prefix + key, 'latin1');
    if (type === 'string') {
      const expires: Argument[] = key.startsWith('done:') ? ['EX', DONE_SECONDS] : [];
      return this.#send('SET', [name, elements[0]!, ...expires]);
    }
    await this.#send('DEL', [name]);
    for (let at = 0; at < elements.length; at += 2 * PAIRS_MAX) {
      const pairs = elements.slice(at, at + 2 * PAIRS_MAX);
      if (type === 'hash') await this.#send('HSET', [name, ...pairs]);
      else {
        const scored = Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[2 * i + 1]!, pairs[2 * i]!]);
        await this.#send('ZADD', [name, ...scored.flat()]);
      }
    }
  }

  /** A session that is gone kept the inode: it is freed, unless it has a name. */
  async free(ino: number): Promise<void> {
    this.#kept.push(ino);
  }

  async skipInodes(count: number): Promise<void> {
    await this.#send('HINCRBY', [`${this.#prefix}n`, 'ino', count]);
  }

  /** The volume can be joined from now on. */
  async finish(format: object): Promise<void> {
    for (const ino of this.#kept) await this.#send('ZADD', [`${this.#prefix}del`, 'NX', 0, String(ino)]);
    await this.#settled();
    await this.#connection.call('SET', [`${this.#prefix}fmt`, Buffer.from(JSON.stringify(format))]);
  }

  close(): void {
    this.#connection.close();
  }

  async #send(command: string, args: Argument[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const running: Promise<Reply | undefined> = this.#connection.call(command, args).catch((error: Error) => {
      this.#failure ??= new UserError(`Redis refused the dump: ${error.message}`, 1, { cause: error });
      return undefined;
    });
    this.#running.add(running);
    running.finally(() => this.#running.delete(running));
    if (this.#running.size >= PARALLEL) await Promise.race(this.#running);
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/**
 * @throws UserError when there is a volume (without `force`) or parts of one, when it has live sessions, or Redis cannot be used.
 */
export async function loadTarget(url: string, options: { logger: Logger; force: boolean }): Promise<LoadTarget> {
  const connect = connectionOptions(url, options);
  const { volume, display } = connect.location;
  const connection = await RedisConnection.open(connect);
  try {
    if (options.force) await wipeVolume(connection, `{${volume}}:`);
    const there = await connection.call('EXISTS', [`{${volume}}:fmt`, `{${volume}}:n`, `{${volume}}:i1`]);
    if (there !== 0) {
      throw new UserError(`the volume '${volume}', or a part of it, is at ${display}; --force wipes it first`);
    }
    return new LoadTarget(connection, volume);
  } catch (error) {
    connection.close();
    throw error;
  }
}
