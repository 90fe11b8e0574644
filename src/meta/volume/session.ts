/**
 * A session: this process's membership in the volume, with a lease that a heartbeat renews at a third of its length.
 * Past the lease every script refuses it, and it is never revived (docs/FORMAT.md, sessions).
 */
import { hostname } from 'node:os';
import { FsError, SessionLostError, UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { SessionInfo, VolumeFormat, VolumeUsage } from '../../base/vocabulary.ts';
import type { VolumeEvents } from '../../base/volume-events.ts';
import { decodeNumber } from '../codec/codec.ts';
import type { MetaSession } from '../meta.ts';
import { type RedisConnection, RedisReplyError, type Reply } from '../redis/connection.ts';
import { Engine } from '../redis/engine.ts';
import type { Script, ScriptLibrary } from '../redis/script-library.ts';

/** Bounds the loops that end sessions in steps. */
const END_STEPS_MAX = 10_000;

export interface SessionOptions {
  connection: RedisConnection;
  scripts: ScriptLibrary;
  prefix: string;
  logger: Logger;
  /** What this process is: mount, gateway, serve, tool. */
  kind: string;
  /** Version of janusfs. */
  version: string;
  leaseMs: number;
  heartbeatMs: number;
  /** How long removed inodes wait for sessions that may have them open; undefined leaves the volume's setting. */
  graceMs: number | undefined;
  events: VolumeEvents;
}

export class Session implements MetaSession {
  readonly engine: Engine;
  readonly format: VolumeFormat;
  readonly #renew: Script;
  #timer: NodeJS.Timeout | undefined;
  #beating = false;

  private constructor(engine: Engine, format: VolumeFormat, renew: Script) {
    this.engine = engine;
    this.format = format;
    this.#renew = renew;
  }

  /** Joins the volume. 1 round trip. @throws UserError when there is no such volume or its format is newer. */
  static async open(options: SessionOptions): Promise<Session> {
    const { connection, scripts, prefix } = options;
    const info = { hostname: hostname(), pid: process.pid, kind: options.kind, version: options.version, where: '' };
    const sentMs = performance.now();
    const reply = (await evalOnce(connection, scripts.get('session-open'), [
      prefix,
      options.leaseMs,
      options.graceMs ?? '',
      ...Object.entries(info).flatMap(([name, value]) => [name, Buffer.from(String(value))]),
    ])) as Buffer[];
    if (reply[0]!.toString() === 'ENOENT') {
      throw new UserError(`no volume at ${connection.location.display}; make one with: janusfs format URL --store ...`);
    }
    const format = readFormat(reply[4]!);
    const { logger, events } = options;
    const sid = decodeNumber(reply[1]);
    const engine = new Engine({ connection, scripts, prefix, sid, logger, events });
    engine.clock.learn(timeUs(reply[2]!, reply[3]!), sentMs);
    const session = new Session(engine, format, scripts.get('session-renew'));
    session.#timer = setInterval(() => void session.beat(), options.heartbeatMs);
    session.#timer.unref();
    return session;
  }

  /**
   * Renews the lease and learns the server's clock; fences when the lease had run out. One heartbeat is on its way at a
   * time; while Redis is away it waits in the connection and goes first when Redis is back.
   */
  async beat(): Promise<void> {
    const { engine } = this;
    if (this.#beating || engine.fenced) return;
    this.#beating = true;
    const sentMs = engine.clock.local();
    try {
      const reply = (await evalOnce(engine.connection, this.#renew, [engine.prefix, engine.sid])) as Buffer[];
      if (reply[0]!.toString() === 'ESESSION') engine.fence();
      else engine.clock.learn(timeUs(reply[1]!, reply[2]!), sentMs);
    } catch (error) {
      engine.logger.warn({ error: (error as Error).message }, 'heartbeat failed; the next one tries again');
    } finally {
      this.#beating = false;
    }
  }

  /** Ends sessions whose lease ran out and releases what they kept; answers how many. One script per 500 inodes. */
  async cleanSessions(): Promise<number> {
    let ended = 0;
    for (let step = 0; step < END_STEPS_MAX; step += 1) {
      const [, sid, done] = (await this.engine.mutate('session-end', [''])) as Buffer[];
      if (sid!.length === 0) break;
      if (done![0] === 0x31 /* 1 */) ended += 1;
    }
    return ended;
  }

  get sid(): number {
    return this.engine.sid;
  }

  async usage(): Promise<VolumeUsage> {
    const key = this.engine.key('n');
    const reply = (await this.engine.command('HMGET', [key, 'bytes', 'inodes', 'inline'])) as (Buffer | null)[];
    const [usedBytes = 0, usedInodes = 0, inlineBytes = 0] = reply.map((count) => Number(count?.toString() ?? 0));
    return { usedBytes, usedInodes, inlineBytes };
  }

  /** All sessions the volume knows, lost ones included until they are cleaned. */
  async list(): Promise<SessionInfo[]> {
    const rows = (await this.engine.read('sessions', [])).slice(1) as Buffer[][];
    return rows.map((row) => {
      const [sid, expires, host, pid, kind, version, where, started] = row.map((field) => field.toString());
      return {
        sid: Number(sid),
        hostname: host!,
        pid: Number(pid),
        kind: kind!,
        version: version!,
        where: where!,
        startedMs: Number(started),
        expiresMs: Number(expires),
      };
    });
  }

  async describe(where: string): Promise<void> {
    await this.engine.mutate('describe', [Buffer.from(where)]);
  }

  /** Stops the heartbeat; the lease then runs out by itself. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Ends this session. A session that is lost already has been, or will be, ended by another. */
  async close(): Promise<void> {
    this.stop();
    const { engine } = this;
    if (engine.fenced) return;
    engine.closing = true;
    try {
      for (let step = 0; step < END_STEPS_MAX; step += 1) {
        const reply = (await engine.mutate('session-end', [engine.sid])) as Buffer[];
        if (reply[2]![0] === 0x31 /* 1 */) return;
      }
    } catch (error) {
      // A lost reply to the last step leaves no session to answer from: SessionLostError is then what success looks like.
      if (!(error instanceof SessionLostError) && !(error instanceof FsError)) throw error;
      engine.logger.debug({ error: error.message }, 'session not ended cleanly; its lease will run out');
    }
  }
}

/** Runs a script outside of any session. */
export async function evalOnce(
  connection: RedisConnection,
  script: Script,
  keysAndArgs: (Buffer | string | number)[],
): Promise<Reply> {
  try {
    return await connection.call('EVALSHA', [script.sha, 1, ...keysAndArgs]);
  } catch (error) {
    if (!(error instanceof RedisReplyError) || error.code !== 'NOSCRIPT') throw error;
    return connection.call('EVAL', [script.source, 1, ...keysAndArgs]);
  }
}

function readFormat(json: Buffer): VolumeFormat {
  const format = JSON.parse(json.toString()) as VolumeFormat;
  if (format.formatVersion !== 1) {
    throw new UserError(
      `volume ${format.name} has format ${format.formatVersion}; this janusfs knows format 1, use a newer one`,
    );
  }
  return format;
}

function timeUs(seconds: Buffer, micros: Buffer): number {
  return Number(seconds.toString()) * 1_000_000 + Number(micros.toString());
}
