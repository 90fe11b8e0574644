/** Joining a volume: connection, session, push channel, durability. The facets are put on what this gives (open-meta.ts). */
import { type Logger, silentLogger } from '../../base/log.ts';
import type { InlineSeal } from '../../base/slices.ts';
import type { VolumeFormat } from '../../base/vocabulary.ts';
import { VolumeEvents } from '../../base/volume-events.ts';
import { InlineLedger } from '../ops/inline-ledger.ts';
import { Channel } from '../redis/channel.ts';
import { type ConnectionOptions, RedisConnection } from '../redis/connection.ts';
import { Durability, type DurabilityOptions } from '../redis/durability.ts';
import { parseRedisUrl } from '../redis/redis-url.ts';
import { ScriptLibrary } from '../redis/script-library.ts';
import { Session } from './session.ts';

export interface ConnectOptions {
  logger?: Logger;
  /** How long the first connection may take, ms. Default 10 s. */
  connectTimeoutMs?: number;
  /** How long calls wait over broken connections before they fail with EIO, ms. Default 10 minutes. */
  callTimeoutMs?: number;
  /** A server that owes an answer for so long is connected to anew, ms. Default 30 s. */
  silenceMs?: number;
}

export interface OpenOptions extends ConnectOptions {
  /** mount, gateway, serve, or a tool's name; shown by `status`. */
  kind: string;
  /** Version of janusfs, shown by `status`. */
  version?: string;
  /** How long this process may be silent before the volume fences it, ms. Default 60 s. */
  leaseMs?: number;
  /** Default a third of the lease. */
  heartbeatMs?: number;
  /** How long removed inodes wait, ms; a volume-wide setting, kept above every lease. Undefined: as it is (75 s at first). */
  graceMs?: number;
  /** Default external. */
  durability?: DurabilityOptions;
  /** Bytes all inline slices of the volume may hold together. Default 256 MiB, or a tenth of Redis's maxmemory if less. */
  inlineBudgetBytes?: number;
  /** How inline bytes of this volume are sealed. @throws UserError when it is encrypted and its key does not fit. */
  sealFor?: (format: VolumeFormat) => Promise<InlineSeal | undefined>;
  /** Time between proofs of the push channel's health, ms. Default 1 s. */
  pingMs?: number;
}

/** A joined volume, before the operations are put on it. */
export interface JoinedVolume {
  events: VolumeEvents;
  inline: InlineLedger;
  session: Session;
  channel: Channel;
  durability: Durability;
  /** Of an encrypted volume whose key was given. */
  seal: InlineSeal | undefined;
}

const INLINE_BUDGET_MAX = 256 * 1024 * 1024;

function defaultInlineBudget(maxMemoryBytes: number): number {
  return maxMemoryBytes === 0 ? INLINE_BUDGET_MAX : Math.min(INLINE_BUDGET_MAX, Math.floor(maxMemoryBytes / 10));
}

/** Joins a volume as a new session. @throws UserError that says what to do. */
export async function joinVolume(url: string, options: OpenOptions): Promise<JoinedVolume> {
  const connect = connectionOptions(url, options);
  const prefix = `{${connect.location.volume}}:`;
  const leaseMs = options.leaseMs ?? 60_000;
  const logger = connect.logger;
  const connection = await RedisConnection.open(connect);
  const events = new VolumeEvents();
  let session: Session | undefined;
  let channel: Channel | undefined;
  try {
    session = await Session.open({
      connection,
      scripts: new ScriptLibrary(connection.info.version[0]),
      prefix,
      logger,
      kind: options.kind,
      version: options.version ?? '',
      leaseMs,
      heartbeatMs: options.heartbeatMs ?? Math.max(1, Math.floor(leaseMs / 3)),
      graceMs: options.graceMs,
      events,
    });
    const { engine } = session;
    const seal = await options.sealFor?.(session.format);
    const pingMs = options.pingMs ?? 1_000;
    channel = await Channel.open({
      connection,
      connectionOptions: connect,
      prefix,
      sid: engine.sid,
      pingMs,
      logger,
      events,
    });
    const durability = await Durability.open(engine, connect, options.durability ?? { kind: 'external' });
    // Tools come and go; who serves says once what its answers are worth.
    if (durability.atRisk && options.kind !== 'tool') logger.warn({ redis: connect.location.display }, durability.text);
    const budgetBytes = options.inlineBudgetBytes ?? defaultInlineBudget(connection.info.maxMemoryBytes);
    return { events, inline: new InlineLedger(budgetBytes, events), session, channel, durability, seal };
  } catch (error) {
    channel?.close();
    await session?.close();
    connection.close();
    throw error;
  }
}

/** Fills in the defaults of a connection. @throws UserError when the URL is not one. */
export function connectionOptions(url: string, options: ConnectOptions): ConnectionOptions {
  return {
    location: parseRedisUrl(url),
    logger: options.logger ?? silentLogger,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    callTimeoutMs: options.callTimeoutMs ?? 600_000,
    silenceMs: options.silenceMs ?? 30_000,
  };
}
