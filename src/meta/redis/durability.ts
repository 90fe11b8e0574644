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
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from '../../base/durable-file.ts';
import { FsError, UserError } from '../../base/errors.ts';
import { failpoints } from '../../base/failpoints.ts';
import { type ConnectionOptions, RedisConnection } from './connection.ts';
import { DurableLength, type LogLength } from './durable-length.ts';
import type { Engine } from './engine.ts';

/** Whose log it is. `dir`: the data directory of our own redis-server. */
export type DurabilityOptions = { kind: 'local-aof'; dir: string } | { kind: 'external' };

const ALWAYS_TEXT = 'Redis syncs its log before it answers (appendfsync always)';
const SYNC_PERIOD_MS = 1_000;
const MANIFEST_TRIES = 20;
const WAITAOF_TIMEOUT_MS = 30_000;

/**
 * Makes what was acknowledged before the call durable. @throws FsError EIO.
 * @param measure note how much of the log is durable by then, too.
 * @returns what record() takes, when it was measured.
 */
type Round = (measure: boolean) => Promise<LogLength[] | undefined>;

/** One way of making things durable. */
interface Way {
  /** What durable() waits for, or what a power cut may lose. */
  text: string;
  round?: Round;
  /** Keeps measured lengths for the next start. */
  record?: (lengths: LogLength[]) => Promise<void>;
  close?: () => Promise<void>;
}

export class Durability {
  /** What durable() waits for, or what a power cut may lose. */
  readonly text: string;
  /** durable() cannot promise anything here. */
  readonly atRisk: boolean;
  readonly #engine: Engine;
  readonly #way: Way;
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #syncedCount = 0;
  #roundCount = 0;
  /** The next round measures what it makes durable; at most one in a second does. */
  #measure = false;
  #measuredCount = 0;
  #recording: Promise<void> = Promise.resolve();

  private constructor(engine: Engine, way: Way) {
    this.#engine = engine;
    this.#way = way;
    this.text = way.text;
    this.atRisk = way.round === undefined && way.text !== ALWAYS_TEXT;
    if (way.round !== undefined) {
      this.#timer = setInterval(() => this.#periodic(), SYNC_PERIOD_MS);
      this.#timer.unref();
    }
  }

  /** Chooses the way for this Redis. @throws UserError when our own server keeps no log. */
  static async open(engine: Engine, connection: ConnectionOptions, options: DurabilityOptions): Promise<Durability> {
    const way = options.kind === 'local-aof' ? localWay(engine, options.dir) : await externalWay(engine, connection);
    return new Durability(engine, way);
  }

  /** Rounds done so far. */
  get roundCount(): number {
    return this.#roundCount;
  }

  /** Resolves when everything acknowledged before the call is durable. @throws FsError EIO. */
  reached(): Promise<void> {
    if (this.#way.round === undefined) return Promise.resolve();
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#measure = this.#way.record !== undefined;
    try {
      await this.reached();
      await this.#recording;
    } finally {
      await this.#way.close?.();
    }
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const count = this.#engine.mutationCount;
    const measure = this.#measure;
    this.#measure = false;
    failpoints?.pass('sync log');
    const running = this.#way.round!(measure).then((lengths) => {
      failpoints?.pass('synced log');
      this.#syncedCount = count;
      this.#roundCount += 1;
      if (lengths !== undefined) this.#record(lengths, count);
    });
    this.#running = running;
    const ended = (): void => {
      if (this.#running === running) this.#running = undefined;
    };
    running.then(ended, ended);
    return running;
  }

  /** Nobody who waits for the round waits for this: the record may lag. */
  #record(lengths: LogLength[], count: number): void {
    this.#measuredCount = count;
    this.#recording = this.#recording
      .then(() => this.#way.record!(lengths))
      .catch((error: Error) => {
        this.#engine.logger.warn({ error: error.message }, 'the durable length of the log of Redis is not recorded');
      });
  }

  /** Once a second for what nobody waits for, so that a power cut loses little, and for the record of what is durable. */
  #periodic(): void {
    const { mutationCount } = this.#engine;
    const isRecorded = this.#way.record === undefined || mutationCount === this.#measuredCount;
    if (mutationCount === this.#syncedCount && isRecorded) return;
    this.#measure = !isRecorded;
    if (this.#running !== undefined && isRecorded) return;
    this.reached().catch((error: Error) => {
      this.#engine.logger.error({ error: error.message }, 'the log of Redis could not be written to disk');
    });
  }
}

function localWay(engine: Engine, dir: string): Way {
  if (!engine.connection.info.aofEnabled) {
    throw new UserError(`Redis in ${dir} keeps no log; start it with: --appendonly yes --appendfsync no`);
  }
  const log = new AofFiles(dir);
  const durable = new DurableLength(dir);
  return {
    text: 'fsync and S3 answers wait for fdatasync of the log of Redis',
    round: (measure) => log.sync(measure),
    record: (lengths) => durable.record(lengths),
    close: async () => {
      await log.close();
      await durable.close();
    },
  };
}

/** Makes the log of our own server in `dir` durable once, without joining its volume. @throws FsError EIO. */
export async function syncLog(dir: string): Promise<void> {
  const log = new AofFiles(dir);
  try {
    await log.sync(false);
  } finally {
    await log.close();
  }
}

async function externalWay(engine: Engine, options: ConnectionOptions): Promise<Way> {
  const [major, minor] = engine.connection.info.version;
  const appendfsync = engine.connection.info.aofEnabled ? await appendfsyncOf(engine) : 'off';
  if (appendfsync === 'always') return { text: ALWAYS_TEXT };
  if (appendfsync !== 'off' && (major > 7 || (major === 7 && minor >= 2))) {
    const connection = await RedisConnection.open(options);
    return {
      text: `fsync and S3 answers wait for WAITAOF (appendfsync ${appendfsync})`,
      round: () => waitAof(engine, connection),
      close: async () => connection.close(),
    };
  }
  const text =
    appendfsync === 'off'
      ? 'NOT durable: Redis keeps no log (appendonly no); a crash of Redis loses what its last snapshot lacks'
      : `fsync and S3 answers may be lost with the last second or more: appendfsync ${appendfsync}; use always, or Redis 7.2`;
  return { text };
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

async function waitAof(engine: Engine, connection: RedisConnection): Promise<undefined> {
  try {
    await connection.call('SET', [engine.key('sync'), engine.sid]);
    const reply = (await connection.call('WAITAOF', [1, 0, WAITAOF_TIMEOUT_MS])) as number[];
    if ((reply[0] ?? 0) >= 1) return undefined;
  } catch (error) {
    throw new FsError('EIO', 'durable', (error as Error).message, { cause: error });
  }
  throw new FsError('EIO', 'durable', `Redis did not sync its log within ${WAITAOF_TIMEOUT_MS / 1000} s`);
}

/**
 * The files that hold the log of a redis-server in `dir`: since 7.0 those of type i in appendonlydir/*.manifest (while a
 * rewrite runs there are two; Redis itself syncs the base), before that the single appendonly.aof. Kept open; looked up
 * anew in every round with one or two stat(2), because a rewrite changes them: Redis names the new file in the manifest
 * (or, before 7.0, renames it into place) before it writes the first command to it. When they change, the directories are
 * synced as well: 6.2 does not do so after its rename, and a file whose name is lost is lost.
 */
class AofFiles {
  readonly #dir: string;
  #manifest: string | undefined;
  #seen = '';
  #files: { name: string; handle: FileHandle }[] = [];

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @returns the files' lengths that are durable when it resolves, if `measure`. */
  async sync(measure: boolean): Promise<LogLength[] | undefined> {
    try {
      await this.#refresh();
      const files = this.#files;
      const before = measure ? await lengthsOf(files) : undefined;
      await Promise.all(files.map(({ handle }) => handle.datasync()));
      if (before === undefined) return undefined;
      // On a full disk Redis takes back a command that it could write in part only: such bytes do not count.
      const after = await lengthsOf(files);
      return before.map((length, i) => ({ ...length, bytes: Math.min(length.bytes, after[i]!.bytes) }));
    } catch (error) {
      throw new FsError('EIO', 'durable', `the log of Redis in ${this.#dir}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    const files = this.#files;
    this.#files = [];
    await Promise.all(files.map(({ handle }) => handle.close()));
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
    const opened: { name: string; handle: FileHandle }[] = [];
    try {
      for (const path of paths) opened.push({ name: basename(path), handle: await open(path, 'r') });
      for (const directory of new Set([...paths.map((path) => dirname(path)), this.#dir])) syncDirectory(directory);
    } catch (error) {
      await Promise.all(opened.map(({ handle }) => handle.close()));
      throw error;
    }
    const old = this.#files;
    this.#files = opened;
    await Promise.all(old.map(({ handle }) => handle.close()));
  }
}

function lengthsOf(files: readonly { name: string; handle: FileHandle }[]): Promise<LogLength[]> {
  return Promise.all(
    files.map(async ({ name, handle }) => {
      const { ino, size } = await handle.stat();
      return { name, ino, bytes: size };
    }),
  );
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
