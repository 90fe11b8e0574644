/** Hearing of every key that changes, through Redis' keyspace notifications (https://redis.io/docs/latest/develop/use/keyspace-notifications/). */
import { randomBytes } from 'node:crypto';
import { UserError } from '../../base/errors.ts';
import type { KeyValue, KeyWatch } from '../meta.ts';
import { RedisReplyError, type Reply } from '../redis/connection.ts';
import type { Engine } from '../redis/engine.ts';
import { readKeys } from '../schema/upkeep-schemas.ts';

const SETTING = 'notify-keyspace-events';
const MARK_MS_MAX = 30_000;

export class KeyspaceWatch implements KeyWatch {
  readonly #engine: Engine;
  /** What the server had, to be put back. */
  readonly #before: string;
  #changed = new Set<string>();
  #lost = false;
  #close: () => void = () => {};
  readonly #marks = new Map<string, () => void>();

  private constructor(engine: Engine, before: string) {
    this.#engine = engine;
    this.#before = before;
  }

  /** @throws UserError when the server's notifications cannot be switched on. */
  static async begin(engine: Engine): Promise<KeyspaceWatch> {
    const { connection, prefix } = engine;
    const configure = async (...args: string[]): Promise<Reply> => {
      try {
        return await connection.call('CONFIG', args);
      } catch (error) {
        if (!(error instanceof RedisReplyError)) throw error;
        throw new UserError(
          `Redis does not let this user switch on its notifications (${error.message}); run: redis-cli CONFIG SET ${SETTING} KA`,
        );
      }
    };
    const reply = (await configure('GET', SETTING).catch(() => [])) as Buffer[];
    const before = reply[1]?.toString() ?? '';
    const watch = new KeyspaceWatch(engine, before);
    if (!before.includes('K') || !before.includes('A')) await configure('SET', SETTING, `${before}KA`);
    const { db } = connection.location;
    const keyspace = `__keyspace@${db}__:${prefix}`;
    const escaped = (text: string): string => text.replaceAll(/[*?[\]\\]/g, '\\$&');
    watch.#close = await connection.listen(
      [`${escaped(keyspace)}*`, `${escaped(prefix)}dump:*`],
      (channel) => {
        if (channel.startsWith(keyspace)) watch.#changed.add(channel.slice(keyspace.length));
        else watch.#marks.get(channel.slice(prefix.length + 'dump:'.length))?.();
      },
      () => {
        watch.#lost = true;
        for (const heard of watch.#marks.values()) heard();
      },
    );
    // Also a proof that the server sends what was asked for.
    await watch.readAtOnce([]);
    return watch;
  }

  changed(): string[] {
    if (this.#lost)
      throw new UserError('the connection to Redis broke; what changed meanwhile is not known. Try again');
    const keys = [...this.#changed];
    this.#changed = new Set();
    return keys;
  }

  async readAtOnce(keys: readonly string[]): Promise<{ values: KeyValue[]; changedBefore: string[] }> {
    const mark = randomBytes(8).toString('hex');
    const heard = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new UserError('Redis does not deliver messages; try again')), MARK_MS_MAX);
      this.#marks.set(mark, () => {
        clearTimeout(timer);
        resolve();
      });
    });
    heard.catch(() => {}); // Awaited below, unless the script fails first.
    let changedBefore: string[] = [];
    // Taken the moment the mark comes: what is heard later changed later.
    const taken = heard.then(() => {
      changedBefore = this.changed();
    });
    taken.catch(() => {});
    try {
      const found = await this.#engine.read(readKeys, { mark, keys: keys.map((key) => Buffer.from(key, 'latin1')) });
      await taken;
      const values = found.map(([key, type, elements]) => ({
        key: key.toString('latin1'),
        type: type.toString() as KeyValue['type'],
        elements,
      }));
      return { values, changedBefore };
    } finally {
      this.#marks.get(mark)?.();
      this.#marks.delete(mark);
    }
  }

  async end(): Promise<void> {
    this.#close();
    // Left on, notifications cost a little and harm nobody.
    await this.#engine.connection.call('CONFIG', ['SET', SETTING, this.#before]).catch(() => {});
  }
}
