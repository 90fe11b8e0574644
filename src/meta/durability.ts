/**
 * durable(): everything Redis acknowledged before the call survives a power cut.
 *
 *     caller --+                        a round covers every caller that came before it began;
 *     caller --+--> next round -------> those who come while it runs wait for the one after
 *     caller --+
 *
 * How a round is done depends on whose Redis it is:
 *   local-aof   our own, `appendonly yes, appendfsync no`: it writes its log before it answers, so fdatasync of the log's
 *               current files is all that is missing
 *   waitaof     external, >= 7.2: WAITAOF on a connection of its own, after a write there (the log has one order)
 *   none        external with appendfsync always (nothing is missing), or one that cannot promise it
 */
import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FsError, UserError } from '../base/errors.ts';
import { type ConnectionOptions, RedisConnection } from './connection.ts';
import type { Engine } from './engine.ts';

/** Whose log it is. `dir`: the data directory of our own redis-server. */
export type DurabilityOptions = { kind: 'local-aof'; dir: string } | { kind: 'external' };

const ALWAYS_TEXT = 'Redis syncs its log before it answers (appendfsync always)';
const SYNC_PERIOD_MS = 1_000;
const MANIFEST_TRIES = 20;
const WAITAOF_TIMEOUT_MS = 30_000;

/** Makes what was acknowledged before the call durable. @throws FsError EIO. */
type Round = () => Promise<void>;

export class Durability {
  /** What durable() waits for, or what a power cut may lose. */
  readonly text: string;
  /** durable() cannot promise anything here. */
  readonly atRisk: boolean;
  readonly #engine: Engine;
  readonly #round: Round | undefined;
  readonly #close: () => Promise<void>;
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #syncedCount = 0;
  #roundCount = 0;

  private constructor(engine: Engine, text: string, round: Round | undefined, close: () => Promise<void>) {
    this.#engine = engine;
    this.text = text;
    this.atRisk = round === undefined && text !== ALWAYS_TEXT;
    this.#round = round;
    this.#close = close;
    if (round !== undefined) {
      this.#timer = setInterval(() => this.#periodic(), SYNC_PERIOD_MS);
      this.#timer.unref();
    }
  }

  /** Chooses the way for this Redis. @throws UserError when our own server keeps no log. */
  static async open(engine: Engine, connection: ConnectionOptions, options: DurabilityOptions): Promise<Durability> {
    if (options.kind === 'local-aof') return openLocal(engine, options.dir, Durability.#make);
    return openExternal(engine, connection, Durability.#make);
  }

  static #make = (
    engine: Engine,
    text: string,
    round: Round | undefined,
    close: () => Promise<void> = async () => {},
  ): Durability => new Durability(engine, text, round, close);

  /** Rounds done so far. */
  get roundCount(): number {
    return this.#roundCount;
  }

  /** Resolves when everything acknowledged before the call is durable. @throws FsError EIO. */
  durable(): Promise<void> {
    if (this.#round === undefined) return Promise.resolve();
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.durable();
    await this.#close();
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const count = this.#engine.mutationCount;
    const running = this.#round!().then(() => {
      this.#syncedCount = count;
      this.#roundCount += 1;
    });
    this.#running = running;
    const ended = (): void => {
      if (this.#running === running) this.#running = undefined;
    };
    running.then(ended, ended);
    return running;
  }

  /** Once a second for what nobody waits for, so that a power cut loses little. */
  #periodic(): void {
    if (this.#running !== undefined || this.#engine.mutationCount === this.#syncedCount) return;
    this.durable().catch((error: Error) => {
      this.#engine.logger.error({ error: error.message }, 'the log of Redis could not be written to disk');
    });
  }
}

type Make = (engine: Engine, text: string, round: Round | undefined, close?: () => Promise<void>) => Durability;

async function openLocal(engine: Engine, dir: string, make: Make): Promise<Durability> {
  if (!engine.connection.info.aofEnabled) {
    throw new UserError(`Redis in ${dir} keeps no log; start it with: --appendonly yes --appendfsync no`);
  }
  const log = new AofFiles(dir);
  return make(
    engine,
    'fsync and S3 answers wait for fdatasync of the log of Redis',
    () => log.sync(),
    () => log.close(),
  );
}

async function openExternal(engine: Engine, options: ConnectionOptions, make: Make): Promise<Durability> {
  const [major, minor] = engine.connection.info.version;
  const appendfsync = engine.connection.info.aofEnabled ? await appendfsyncOf(engine) : 'off';
  if (appendfsync === 'always') return make(engine, ALWAYS_TEXT, undefined);
  if (appendfsync !== 'off' && (major > 7 || (major === 7 && minor >= 2))) {
    const connection = await RedisConnection.open(options);
    const text = `fsync and S3 answers wait for WAITAOF (appendfsync ${appendfsync})`;
    return make(
      engine,
      text,
      () => waitAof(engine, connection),
      async () => connection.close(),
    );
  }
  const text =
    appendfsync === 'off'
      ? 'NOT durable: Redis keeps no log (appendonly no); a crash of Redis loses what its last snapshot lacks'
      : `fsync and S3 answers may be lost with the last second or more: appendfsync ${appendfsync}; use always, or Redis 7.2`;
  return make(engine, text, undefined);
}

/** The server's appendfsync, or 'unknown' where CONFIG is forbidden. */
async function appendfsyncOf(engine: Engine): Promise<string> {
  try {
    const reply = (await engine.connection.call('CONFIG', ['GET', 'appendfsync'])) as Buffer[];
    return reply[1]?.toString() ?? 'unknown';
  } catch {
    return 'unknown';
  }
}

async function waitAof(engine: Engine, connection: RedisConnection): Promise<void> {
  try {
    await connection.call('SET', [engine.key('sync'), engine.sid]);
    const reply = (await connection.call('WAITAOF', [1, 0, WAITAOF_TIMEOUT_MS])) as number[];
    if ((reply[0] ?? 0) >= 1) return;
  } catch (error) {
    throw new FsError('EIO', 'durable', (error as Error).message, { cause: error });
  }
  throw new FsError('EIO', 'durable', `Redis did not sync its log within ${WAITAOF_TIMEOUT_MS / 1000} s`);
}

/**
 * The files that hold the log of a redis-server in `dir`: since 7.0 those of type i in appendonlydir/*.manifest (while a
 * rewrite runs there are two; Redis itself syncs the base), before that the single appendonly.aof. Kept open; looked up
 * anew in every round with one or two stat(2), because a rewrite changes them.
 */
class AofFiles {
  readonly #dir: string;
  #manifest: string | undefined;
  #seen = '';
  #files: FileHandle[] = [];

  constructor(dir: string) {
    this.#dir = dir;
  }

  async sync(): Promise<void> {
    try {
      await this.#refresh();
      await Promise.all(this.#files.map((file) => file.datasync()));
    } catch (error) {
      throw new FsError('EIO', 'durable', `the log of Redis in ${this.#dir}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    const files = this.#files;
    this.#files = [];
    await Promise.all(files.map((file) => file.close()));
  }

  async #refresh(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        this.#manifest ??= await findManifest(this.#dir);
        const named = this.#manifest ?? join(this.#dir, 'appendonly.aof');
        const { ino, size, mtimeMs, ctimeMs } = await stat(named);
        // The single file grows all the time; it is another one only when its inode changes.
        const seen = this.#manifest === undefined ? `${ino}` : `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
        if (seen === this.#seen) return;
        await this.#reopen(this.#manifest === undefined ? [named] : await incrementalFiles(this.#manifest));
        this.#seen = seen;
        return;
      } catch (error) {
        // A rewrite ended between reading the manifest and opening what it named: read again.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt >= MANIFEST_TRIES) throw error;
      }
    }
  }

  async #reopen(paths: string[]): Promise<void> {
    const opened: FileHandle[] = [];
    try {
      for (const path of paths) opened.push(await open(path, 'r'));
    } catch (error) {
      await Promise.all(opened.map((file) => file.close()));
      throw error;
    }
    const old = this.#files;
    this.#files = opened;
    await Promise.all(old.map((file) => file.close()));
  }
}

async function findManifest(dir: string): Promise<string | undefined> {
  const sub = join(dir, 'appendonlydir');
  try {
    const name = (await readdir(sub)).find((file) => file.endsWith('.manifest'));
    return name === undefined ? undefined : join(sub, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Lines are `file NAME seq N type T` and, since 8.0, more; type i is incremental. Names with spaces are quoted; ours have none. */
async function incrementalFiles(manifest: string): Promise<string[]> {
  const lines = (await readFile(manifest, 'utf8')).split('\n');
  const names = lines
    .map((line) => /^file (\S+) seq \d+ type i\b/.exec(line.trim())?.[1])
    .filter((name) => name !== undefined);
  if (names.length === 0) throw new Error(`${manifest} names no incremental file`);
  return names.map((name) => join(manifest, '..', name));
}
