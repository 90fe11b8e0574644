/**
 * Reads all metadata as of one moment, while clients write:
 *
 *     walk all keys                       meanwhile Redis tells which of them change
 *     read what changed, again and again  each round is shorter than the one before
 *     read the last few in one script     nothing else has changed since it was read: this is the moment
 *
 * Nobody waits for it but for that last script. docs/adr/0013.
 */
import { UserError } from '../base/errors.ts';
import { keyType } from '../meta/codec/key-type.ts';
import type { KeyValue, KeyWatch, Meta, MetaScan } from '../meta/meta.ts';
import { DUMP_VERSION, DumpEncoder, type DumpRecord } from './dump-format.ts';

export interface DumpReport {
  keys: number;
  /** Before compression. */
  bytes: number;
  beganMs: number;
}

export interface DumpOptions {
  version: string;
  signal: AbortSignal;
  progress(fraction: number): void;
}

/** So few changed keys are read in one script. */
const LAST_KEYS = 500;
const LAST_KEYS_MAX = 20_000;
const ROUNDS_MAX = 60;
const BATCH = 1_000;
/** Hashes and sorted sets read side by side: most are small. */
const TABLES_AT_ONCE = 16;
/** Keys of sessions: nobody has the volume open when a dump is loaded. */
const LEFT_OUT = /^(ses$|ses:|open:|lease:|shared$|pend$|sync$)/;
const KEPT = /^os(\d+)$/;
/**
 * Writes a dump in pieces. @param write resolves when more may come.
 * @throws UserError when Redis cannot be watched or the volume changes too fast; FsError; the signal's reason.
 */
export async function dumpVolume(
  meta: Meta,
  options: DumpOptions,
  write: (bytes: Buffer) => Promise<void>,
): Promise<DumpReport> {
  const watch = await meta.scan.watch();
  try {
    return await new Dump(meta, watch, options, write).run();
  } finally {
    await watch.end();
  }
}

class Dump {
  readonly #meta: Meta;
  readonly #scan: MetaScan;
  readonly #watch: KeyWatch;
  readonly #options: DumpOptions;
  readonly #write: (bytes: Buffer) => Promise<void>;
  readonly #encoder = new DumpEncoder();
  #keys = 0;
  #bytes = 0;

  constructor(meta: Meta, watch: KeyWatch, options: DumpOptions, write: (bytes: Buffer) => Promise<void>) {
    this.#meta = meta;
    this.#scan = meta.scan;
    this.#watch = watch;
    this.#options = options;
    this.#write = write;
  }

  async run(): Promise<DumpReport> {
    const { signal, version } = this.#options;
    const beganMs = Math.floor(this.#meta.clock.nowUs() / 1000);
    const { formatVersion, name, uuid, store } = this.#meta.session.format;
    const format = { formatVersion, name, uuid, store };
    await this.#put(this.#encoder.header({ dumpVersion: DUMP_VERSION, format, beganMs, version }));
    const keyCount = Math.max(1, await this.#scan.keyCount());
    let walked = 0;
    for await (const keys of this.#scan.keys()) {
      signal.throwIfAborted();
      await this.#putKeys(keys);
      walked += keys.length;
      this.#options.progress(Math.min(1, walked / keyCount));
    }
    await this.#catchUp();
    await this.#put(this.#encoder.end());
    return { keys: this.#keys, bytes: this.#bytes, beganMs };
  }

  async #catchUp(): Promise<void> {
    let waiting = wanted(this.#watch.changed());
    for (let round = 0; round < ROUNDS_MAX; round++) {
      this.#options.signal.throwIfAborted();
      if (waiting.length > LAST_KEYS) {
        await this.#putKeys(waiting);
        waiting = wanted(this.#watch.changed());
        continue;
      }
      const values = await this.#readLast(waiting);
      if (values !== undefined) {
        await this.#putValues(values);
        return;
      }
      waiting = wanted(this.#watch.changed());
    }
    throw new UserError('the volume changes faster than it can be read; try again when it is calmer');
  }

  /** All that changed, as of one moment; undefined when that has become too much. */
  async #readLast(first: readonly string[]): Promise<KeyValue[] | undefined> {
    const keys = new Set(first);
    while (keys.size <= LAST_KEYS_MAX) {
      const { values, changedBefore } = await this.#watch.readAtOnce([...keys]);
      const missed = wanted(changedBefore).filter((key) => !keys.has(key));
      if (missed.length === 0) return values;
      for (const key of missed) keys.add(key);
    }
    await this.#putKeys([...keys]);
    return undefined;
  }

  async #putKeys(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += BATCH) {
      const batch = keys.slice(at, at + BATCH).filter((key) => !LEFT_OUT.test(key));
      const strings = batch.filter((key) => keyType(key) === 'string');
      const values = await this.#scan.values(strings);
      const found = strings.map((key, i): KeyValue => {
        const bytes = values[i];
        return bytes === undefined ? { key, type: 'none', elements: [] } : { key, type: 'string', elements: [bytes] };
      });
      const tables = batch.filter((key) => keyType(key) !== 'string');
      for (let first = 0; first < tables.length; first += TABLES_AT_ONCE) {
        found.push(
          ...(await Promise.all(tables.slice(first, first + TABLES_AT_ONCE).map((key) => this.#readTable(key)))),
        );
      }
      await this.#putValues(found);
    }
  }

  async #readTable(key: string): Promise<KeyValue> {
    if (KEPT.test(key)) return { key, type: 'none', elements: [] };
    const type = keyType(key);
    // Left out, it would be missing when the copy is needed; the format's version says that there are no others.
    if (type !== 'hash' && type !== 'zset')
      throw new UserError(
        `the key ${key} in Redis is of no kind that this janusfs knows; nothing else may write into a volume`,
      );
    const elements: Buffer[] = [];
    if (type === 'hash') {
      const seen = new Map<string, Buffer>();
      for await (const page of this.#scan.fields(key)) for (const [field, value] of page) seen.set(field, value);
      for (const [field, value] of seen) elements.push(Buffer.from(field, 'latin1'), value);
      return { key, type: elements.length === 0 ? 'none' : 'hash', elements };
    }
    if (/^(d|up)\d+$/.test(key)) {
      const zero = Buffer.from('0');
      for await (const page of this.#scan.members(key)) for (const member of page) elements.push(member, zero);
    } else {
      const seen = new Map<string, [Buffer, number]>();
      for await (const page of this.#scan.scored(key)) {
        for (const [member, score] of page) seen.set(member.toString('latin1'), [member, score]);
      }
      for (const [member, score] of seen.values()) elements.push(member, Buffer.from(String(score)));
    }
    return { key, type: elements.length === 0 ? 'none' : 'zset', elements };
  }

  async #putValues(values: readonly KeyValue[]): Promise<void> {
    this.#keys += values.length;
    const records = values.map((value): DumpRecord => {
      const kept = KEPT.exec(value.key);
      return kept === null ? value : { key: kept[1]!, type: 'kept', elements: [] };
    });
    await this.#put(this.#encoder.records(records));
  }

  async #put(bytes: Buffer): Promise<void> {
    this.#bytes += bytes.length;
    await this.#write(bytes);
  }
}

function wanted(keys: readonly string[]): string[] {
  return keys.filter((key) => !LEFT_OUT.test(key));
}
