/** Walking a whole volume key by key, and mending what is found. For the tools in src/check; nothing here is atomic but apply(). */
import type { SessionInfo } from '../../base/vocabulary.ts';
import type { KeyWatch, MendStep, MetaScan } from '../meta.ts';
import type { Argument, Reply } from '../redis/connection.ts';
import type { Engine } from '../redis/engine.ts';
import { compareAndWrite, packMove } from '../schema/upkeep-schemas.ts';
import { KeyspaceWatch } from './keyspace-watch.ts';

const KEYS_PER_SCAN = 2_000;
const MEMBERS_PER_PAGE = 2_000;
/** Chunks whose records one pack-move script looks at. */
const MOVE_CHUNKS_MAX = 500;
const RUN_BYTES = 12;

export class VolumeScan implements MetaScan {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async *keys(): AsyncGenerator<string[]> {
    const { prefix } = this.#engine;
    const pattern = `${prefix.replaceAll(/[*?[\]\\]/g, '\\$&')}*`;
    let cursor = '0';
    do {
      const [next, keys] = await this.#page('SCAN', [cursor, 'MATCH', pattern, 'COUNT', KEYS_PER_SCAN]);
      cursor = next;
      if (keys.length > 0) yield keys.map((key) => key.toString('latin1', prefix.length));
    } while (cursor !== '0');
  }

  async keyCount(): Promise<number> {
    return Number(await this.#engine.command('DBSIZE', []));
  }

  async values(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    if (keys.length === 0) return [];
    const found = (await this.#engine.command(
      'MGET',
      keys.map((key) => this.#engine.key(key)),
    )) as (Buffer | null)[];
    return found.map((value) => value ?? undefined);
  }

  async lengths(keys: readonly string[]): Promise<number[]> {
    return Promise.all(keys.map(async (key) => Number(await this.#engine.command('STRLEN', [this.#engine.key(key)]))));
  }

  async *members(key: string): AsyncGenerator<Buffer[]> {
    let from: Buffer | string = '-';
    for (;;) {
      const page = (await this.#engine.command('ZRANGEBYLEX', [
        this.#engine.key(key),
        from,
        '+',
        'LIMIT',
        0,
        MEMBERS_PER_PAGE,
      ])) as Buffer[];
      if (page.length > 0) yield page;
      if (page.length < MEMBERS_PER_PAGE) return;
      from = Buffer.concat([Buffer.from('('), page[page.length - 1]!]);
    }
  }

  async *scored(key: string): AsyncGenerator<[member: Buffer, score: number][]> {
    for await (const flat of this.#pairs('ZSCAN', key)) {
      yield flat.map(([member, score]) => [member, Number(score.toString())]);
    }
  }

  async *fields(key: string): AsyncGenerator<[field: string, value: Buffer][]> {
    for await (const flat of this.#pairs('HSCAN', key)) {
      yield flat.map(([field, value]) => [field.toString('latin1'), value]);
    }
  }

  async setMembers(key: string): Promise<string[]> {
    const found = (await this.#engine.command('SMEMBERS', [this.#engine.key(key)])) as Buffer[];
    return found.map((member) => member.toString('latin1'));
  }

  watch(): Promise<KeyWatch> {
    return KeyspaceWatch.begin(this.#engine);
  }

  /** Sequence numbers of all slots but this session's own: two equal answers mean that nobody changed anything in between. */
  async activity(sessions: readonly SessionInfo[]): Promise<string> {
    // A session that came and went in between has taken a number.
    const given = (await this.#engine.command('HGET', [this.#engine.key('n'), 'sid'])) as Buffer | null;
    const seen = [`sessions ${given}`];
    for (const { sid } of sessions) {
      if (sid === this.#engine.sid) continue;
      for await (const page of this.fields(`ses:${sid}`)) {
        for (const [field, value] of page) {
          if (/^s\d+$/.test(field)) seen.push(`${sid} ${field} ${value.toString('hex', 0, 8)}`);
        }
      }
    }
    return seen.sort().join();
  }

  async apply(steps: readonly MendStep[]): Promise<boolean> {
    const flat = steps.flatMap(([verb, key, first = '', second = '']): Argument[] => [verb, key, first, second]);
    return (await this.#engine.mutate(compareAndWrite, { steps: flat })).done;
  }

  async movePack(
    old: { id: number; sizeBytes: number },
    fresh: { id: number; sizeBytes: number },
    runs: readonly { from: number; length: number; to: number }[],
    chunks: readonly { ino: number; chunkIndex: number }[],
  ): Promise<number> {
    const packed = Buffer.allocUnsafe(runs.length * RUN_BYTES);
    runs.forEach(({ from, length, to }, i) => {
      packed.writeUInt32LE(from, i * RUN_BYTES);
      packed.writeUInt32LE(length, i * RUN_BYTES + 4);
      packed.writeUInt32LE(to, i * RUN_BYTES + 8);
    });
    let moved = 0;
    for (let at = 0; at < chunks.length; at += MOVE_CHUNKS_MAX) {
      const batch = chunks.slice(at, at + MOVE_CHUNKS_MAX);
      const reply = await this.#engine.mutate(packMove, {
        oldPack: old.id,
        oldBytes: old.sizeBytes,
        newPack: fresh.id,
        newBytes: fresh.sizeBytes,
        runs: packed,
        chunks: batch.flatMap(({ ino, chunkIndex }) => [String(ino), chunkIndex]),
      });
      moved += reply.moved;
    }
    return moved;
  }

  async *#pairs(command: 'ZSCAN' | 'HSCAN', key: string): AsyncGenerator<[Buffer, Buffer][]> {
    let cursor = '0';
    do {
      const [next, flat] = await this.#page(command, [this.#engine.key(key), cursor, 'COUNT', MEMBERS_PER_PAGE]);
      cursor = next;
      const pairs: [Buffer, Buffer][] = [];
      for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i]!, flat[i + 1]!]);
      if (pairs.length > 0) yield pairs;
    } while (cursor !== '0');
  }

  async #page(command: string, args: Argument[]): Promise<[string, Buffer[]]> {
    const [cursor, found] = (await this.#engine.command(command, args)) as [Buffer, Reply[]];
    return [cursor.toString(), found as Buffer[]];
  }
}
