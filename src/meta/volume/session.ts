/**
 * A session: this process's membership in the volume, with a lease that a heartbeat renews at a third of its length.
 * Past the lease every script refuses it, until it is renewed; once another session has ended it, it is never revived
 * (docs/FORMAT.md, sessions; docs/adr/0010).
 */
import { hostname } from 'node:os';
import { FsError, SessionLostError, UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { SessionInfo, VolumeFormat, VolumeUsage } from '../../base/vocabulary.ts';
import type { VolumeEvents } from '../../base/volume-events.ts';
import type { MetaSession } from '../meta.ts';
import type { Argument, RedisConnection } from '../redis/connection.ts';
import { Engine } from '../redis/engine.ts';
import type { ScriptLibrary } from '../redis/script-library.ts';
import type { ScriptReply, ScriptSchema } from '../schema/script-schema.ts';
import {
  describe,
  sessionCheck,
  sessionEnd,
  sessionOpen,
  sessionRenew,
  sessions,
  setLimits,
} from '../schema/session-schemas.ts';

/** Bounds the loops that end sessions in steps. */
const END_STEPS_MAX = 10_000;
/** A heartbeat that took longer waited for Redis to come back. */
const STEADY_BEAT_MS_MAX = 1_000;

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
  readonly #scripts: ScriptLibrary;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<boolean> | undefined;
  #beatBeganMs = 0;
  /** Since when every heartbeat has been answered at once. */
  #steadySinceMs = performance.now();
  readonly #leaseMs: number;

  private constructor(engine: Engine, format: VolumeFormat, scripts: ScriptLibrary, leaseMs: number) {
    this.engine = engine;
    this.format = format;
    this.#scripts = scripts;
    this.#leaseMs = leaseMs;
    engine.renew = () => this.#renew();
  }

  /** Joins the volume. 1 round trip. @throws UserError when there is no such volume or its format is newer. */
  static async open(options: SessionOptions): Promise<Session> {
    const { connection, scripts, prefix } = options;
    const info = { hostname: hostname(), pid: process.pid, kind: options.kind, version: options.version, where: '' };
    const sentMs = performance.now();
    const opened = await evalOnce(connection, scripts, prefix, sessionOpen, {
      leaseMs: options.leaseMs,
      ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
      info: Object.entries(info).flatMap(([name, value]) => [name, Buffer.from(String(value))]),
    });
    if (opened === 'ENOENT') {
      throw new UserError(`no volume at ${connection.location.display}; make one with: janusfs format URL --store ...`);
    }
    if (typeof opened === 'string') throw new UserError(`the volume cannot be joined: ${opened}`);
    const format = readFormat(opened.format);
    const { logger, events } = options;
    const engine = new Engine({ connection, scripts, prefix, sid: opened.sid, logger, events });
    engine.clock.learn(opened.nowUs, sentMs);
    const session = new Session(engine, format, scripts, options.leaseMs);
    const started = Math.floor(opened.nowUs / 1000);
    connection.verify = () => session.#verify({ hostname: info.hostname, pid: info.pid, started });
    session.#timer = setInterval(() => void session.beat(), options.heartbeatMs);
    session.#timer.unref();
    return session;
  }

  /**
   * Renews the lease and learns the server's clock; fences when another session has ended this one. One heartbeat is on its way
   * at a time; while Redis is away it waits in the connection and goes first when Redis is back.
   */
  async beat(): Promise<void> {
    if (this.engine.fenced || this.#beating !== undefined) return;
    await this.#renew();
  }

  /** How long Redis has answered this session without a gap as long as a lease, ms. */
  get steadyMs(): number {
    const isWaiting = this.#beating !== undefined && performance.now() - this.#beatBeganMs > STEADY_BEAT_MS_MAX;
    return isWaiting ? 0 : performance.now() - this.#steadySinceMs;
  }

  /** After a lost connection: a Redis that lacks what it has acknowledged is not the one that this session is of. */
  async #verify(identity: { hostname: string; pid: number; started: number }): Promise<void> {
    const { engine } = this;
    const script = this.#scripts.get(sessionCheck.name);
    const args: Argument[] = [script.sha, 1, engine.prefix];
    sessionCheck.encode({ sid: engine.sid, ...identity, finished: engine.finished() }, args);
    const { state } = sessionCheck.decode((await engine.connection.askNow(script, args)) as ScriptReply, {} as never);
    if (state === 'lost') {
      engine.fence(
        'Redis has lost changes that it had acknowledged (a failover, or a start without its last writes): this session is fenced; see janusfs fsck',
      );
    } else if (state === 'gone') engine.fence();
  }

  /** Answers whether the session goes on. */
  #renew(): Promise<boolean> {
    this.#beating ??= this.#sendBeat().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  async #sendBeat(): Promise<boolean> {
    const { engine } = this;
    const { connection, prefix, sid } = engine;
    const sentMs = engine.clock.local();
    this.#beatBeganMs = performance.now();
    try {
      const renewed = await evalOnce(connection, this.#scripts, prefix, sessionRenew, { sid });
      if (typeof renewed === 'string') {
        engine.fence();
        return false;
      }
      const tookMs = performance.now() - this.#beatBeganMs;
      // While a heartbeat waited, so did those of others: they must come before anybody calls them lost.
      if (renewed.hadRunOut || tookMs > Math.min(this.#leaseMs / 3, STEADY_BEAT_MS_MAX))
        this.#steadySinceMs = performance.now();
      if (renewed.hadRunOut)
        engine.logger.warn({ sid }, 'silent past the lease, and nobody had ended this session: it goes on');
      else engine.clock.learn(renewed.nowUs, sentMs);
      return true;
    } catch (error) {
      this.#steadySinceMs = performance.now();
      engine.logger.warn({ error: (error as Error).message }, 'heartbeat failed; the next one tries again');
      return false;
    }
  }

  /** Ends sessions whose lease ran out and releases what they kept; answers how many. One script per 500 inodes. */
  async cleanSessions(): Promise<number> {
    let ended = 0;
    for (let steps = 0; steps < END_STEPS_MAX; steps += 1) {
      const step = await this.engine.mutate(sessionEnd, { sid: '' });
      if (step.sid === '') break;
      if (step.ended) ended += 1;
    }
    return ended;
  }

  get sid(): number {
    return this.engine.sid;
  }

  async usage(): Promise<VolumeUsage> {
    const key = this.engine.key('n');
    const fields = ['bytes', 'inodes', 'inline', 'maxBytes', 'maxInodes'];
    const reply = (await this.engine.command('HMGET', [key, ...fields])) as (Buffer | null)[];
    const [usedBytes = 0, usedInodes = 0, inlineBytes = 0, maxBytes = 0, maxInodes = 0] = reply.map((count) =>
      Number(count?.toString() ?? 0),
    );
    return { usedBytes, usedInodes, inlineBytes, maxBytes: maxBytes || undefined, maxInodes: maxInodes || undefined };
  }

  async memory(): Promise<{ usedBytes: number; maxBytes: number }> {
    const text = ((await this.engine.command('INFO', ['memory'])) as Buffer).toString('latin1');
    const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? 0);
    return { usedBytes: field('used_memory'), maxBytes: field('maxmemory') };
  }

  async setLimits({ maxBytes, maxInodes }: { maxBytes?: number; maxInodes?: number }): Promise<void> {
    await this.engine.mutate(setLimits, { maxBytes: maxBytes ?? -1, maxInodes: maxInodes ?? -1 });
  }

  /** All sessions the volume knows, lost ones included until they are cleaned. */
  async list(): Promise<SessionInfo[]> {
    const rows = await this.engine.read(sessions, {});
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
    await this.engine.mutate(describe, { where });
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
        if ((await engine.mutate(sessionEnd, { sid: String(engine.sid) })).ended) return;
      }
    } catch (error) {
      // A lost reply to the last step leaves no session to answer from: SessionLostError is then what success looks like.
      if (!(error instanceof SessionLostError) && !(error instanceof FsError)) throw error;
      engine.logger.debug({ error: error.message }, 'session not ended cleanly; its lease will run out');
    }
  }
}

/** Runs a script outside of any session. Answers what it answered, or its status when that is not 'OK'. */
export async function evalOnce<Request, Response>(
  connection: RedisConnection,
  scripts: ScriptLibrary,
  prefix: string,
  schema: ScriptSchema<Request, Response>,
  request: Request,
): Promise<Response | string> {
  const script = scripts.get(schema.name);
  const args: Argument[] = [script.sha, 1, prefix];
  schema.encode(request, args);
  const elements = (await connection.callScript(script, args)) as ScriptReply;
  const status = (elements[0] as Buffer).toString('latin1');
  return status === 'OK' ? schema.decode(elements, request) : status;
}

function readFormat(json: Buffer): VolumeFormat {
  const format = JSON.parse(json.toString()) as VolumeFormat;
  if (![1, 2, 3].includes(format.formatVersion)) {
    throw new UserError(
      `volume ${format.name} has format ${format.formatVersion}; this janusfs knows formats 1 to 3, use a newer one`,
    );
  }
  return format;
}
