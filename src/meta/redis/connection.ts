/**
 * The one module that speaks to Redis through ioredis.
 *
 * A call is sent once the connection is ready, and again after every broken connection, until it is answered or its time
 * is over. Calls must therefore bear being executed twice: reads do, mutations do through (session, slot, sequence).
 * ioredis's own queues and retries are switched off: one place decides what is sent again.
 */
import { isIP } from 'node:net';
import { Command, Redis, type RedisOptions } from 'ioredis';
import { UserError } from '../../base/errors.ts';
import { failpoints } from '../../base/failpoints.ts';
import type { Logger } from '../../base/log.ts';
import { tracer } from '../../base/trace.ts';
import type { RedisLocation } from './redis-url.ts';

/** Arguments: bytes, ASCII text or whole numbers below 2^53. */
export type Argument = Buffer | string | number;
/** Replies: bulk strings are Buffers. */
export type Reply = Buffer | number | null | Reply[];

export interface ConnectionOptions {
  location: RedisLocation;
  logger: Logger;
  /** How long the first connection may take before it is an error, ms. */
  connectTimeoutMs: number;
  /** How long a call waits over broken connections before it fails, ms. */
  callTimeoutMs: number;
  /** A server that owes an answer and says nothing for so long is taken for dead and connected to anew, ms. */
  silenceMs: number;
}

/** What the server said about itself when the connection was opened. */
export interface ServerInfo {
  version: [number, number];
  aofEnabled: boolean;
  /** Its maxmemory, bytes; 0 when it has none. */
  maxMemoryBytes: number;
}

/** Redis refused a command: `code` is the first word of its message (NOSCRIPT, OOM, ERR ...). */
export class RedisReplyError extends Error {
  readonly code: string;

  constructor(message: string) {
    super(message);
    this.name = 'RedisReplyError';
    // Redis 6.2 wraps an error inside a script: `ERR Error running script (...): @user_script:7: -OOM command ...`.
    this.code = /^ERR .*user_script: ?\d+: -?([A-Z]{3,}) /.exec(message)?.[1] ?? message.split(' ', 1)[0]!;
  }
}

/** The call's time was over while Redis could not be reached. Whether it was executed is not known. */
export class RedisTimeoutError extends Error {
  override readonly name = 'RedisTimeoutError';
}

interface Call {
  readonly name: string;
  readonly args: Argument[];
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
  readonly deadline: number;
  sentAt: number;
}

const RETRY_MS_MAX = 1_000;
const SWEEP_MS = 500;
const BUSY_RETRY_MS = 50;
const FAILOVER_RETRY_MS = 250;
const MIN_VERSION: readonly [number, number] = [6, 2];
/** Errors of a server that will serve soon, or of a replica that was the master until a failover. */
const LATER: ReadonlySet<string> = new Set(['LOADING', 'BUSY', 'TRYAGAIN', 'MASTERDOWN', 'CLUSTERDOWN']);
const ELSEWHERE: ReadonlySet<string> = new Set(['READONLY', 'NOAUTH']);
const BAD_LOGIN = /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password|ERR AUTH)/;

/** A Lua script, linked. */
export interface Script {
  readonly name: string;
  readonly source: string;
  /** Lower-case hex SHA-1 of the source: what EVALSHA names. */
  readonly sha: string;
}

/** The connection that carries calls. */
export class RedisConnection {
  readonly location: RedisLocation;
  readonly #client: Redis;
  readonly #logger: Logger;
  readonly #options: ConnectionOptions;
  /** Unanswered calls, oldest first. */
  readonly #calls = new Set<Call>();
  readonly #sweep: NodeJS.Timeout;
  #closed = false;
  #lost = false;
  /** Calls wait while it is found out whether this is still the same Redis. */
  #verifying = false;
  /** Called after each lost connection, before any call goes out; it asks by askNow(). */
  verify: (() => Promise<void>) | undefined;
  #info: ServerInfo = { version: [0, 0], aofEnabled: false, maxMemoryBytes: 0 };

  private constructor(options: ConnectionOptions, client: Redis) {
    this.location = options.location;
    this.#options = options;
    this.#client = client;
    this.#logger = options.logger;
    client.on('ready', () => {
      if (this.#lost) this.#logger.info({ redis: this.location.display }, 'connected to Redis again');
      const wasLost = this.#lost;
      this.#lost = false;
      if (wasLost && this.verify !== undefined) void this.#verifyThenResend(this.verify);
      else this.#resend();
    });
    // 'close' comes again with every attempt that fails.
    client.on('close', () => {
      if (this.#closed || this.#lost) return;
      this.#lost = true;
      this.#logger.warn({ redis: this.location.display }, 'connection to Redis lost; calls wait');
    });
    this.#sweep = setInterval(() => this.#expire(), SWEEP_MS);
    this.#sweep.unref();
  }

  /**
   * Connects and checks the server: version, eviction policy, no cluster.
   * @throws UserError that says what to do: unreachable, wrong password, too old, evicting, a cluster.
   */
  static async open(options: ConnectionOptions): Promise<RedisConnection> {
    const client = await openClient(options.location, options.connectTimeoutMs);
    const connection = new RedisConnection(options, client);
    try {
      connection.#info = checkServer(await connection.call('INFO', []), options.location);
    } catch (error) {
      connection.close();
      if (error instanceof UserError) throw error;
      throw new UserError(`Redis at ${options.location.display} does not serve: ${(error as Error).message}`);
    }
    return connection;
  }

  get info(): ServerInfo {
    return this.#info;
  }

  get ready(): boolean {
    return this.#client.status === 'ready';
  }

  /**
   * Sends a command, again after broken connections until it is answered.
   * @throws RedisReplyError what Redis refused; RedisTimeoutError when callTimeoutMs is over.
   */
  call(name: string, args: Argument[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + this.#options.callTimeoutMs;
      const call: Call = { name, args, resolve, reject, deadline, sentAt: 0 };
      if (this.#closed) {
        reject(new RedisTimeoutError('the connection to Redis is closed'));
        return;
      }
      this.#calls.add(call);
      this.#send(call);
    });
  }

  /**
   * Runs a script by its hash, and by its source where the server does not have it yet.
   * @param args those of EVALSHA, the hash included. @throws as call().
   */
  async callScript(script: Script, args: Argument[]): Promise<Reply> {
    tracer?.roundTrip(script.name);
    failpoints?.pass(`send ${script.name}`);
    try {
      const reply = await this.call('EVALSHA', args);
      failpoints?.pass(`done ${script.name}`);
      return reply;
    } catch (error) {
      if (!(error instanceof RedisReplyError) || error.code !== 'NOSCRIPT') throw error;
    }
    tracer?.roundTrip(script.name);
    const reply = await this.call('EVAL', [script.source, ...args.slice(1)]);
    failpoints?.pass(`done ${script.name}`);
    return reply;
  }

  /**
   * Listens on a connection of its own: to keyspace notifications of keys that match, and to messages on channels that match.
   * @throws UserError when it cannot be opened.
   */
  async listen(patterns: readonly string[], heard: (channel: string) => void, lost: () => void): Promise<() => void> {
    const client = await openClient(this.location, this.#options.connectTimeoutMs);
    let closed = false;
    client.on('pmessageBuffer', (_pattern: string, channel: Buffer) => heard(channel.toString('latin1')));
    client.on('close', () => {
      if (!closed) lost();
    });
    await client.psubscribe(...patterns);
    return () => {
      closed = true;
      client.disconnect();
    };
  }

  /** A call that does not wait for verify(). @throws what ioredis throws; it is not sent again. */
  async askNow(script: Script, args: Argument[]): Promise<Reply> {
    const send = (name: string, all: Argument[]): Promise<Reply> =>
      this.#client.sendCommand(
        new Command(name, all as (string | Buffer | number)[], { replyEncoding: null }),
      ) as Promise<Reply>;
    try {
      return await send('EVALSHA', args);
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
      return await send('EVAL', [script.source, ...args.slice(1)]);
    }
  }

  /** Disconnects; unanswered calls fail. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    this.#client.disconnect();
    for (const call of this.#calls) call.reject(new RedisTimeoutError('the connection to Redis was closed'));
    this.#calls.clear();
  }

  #send(call: Call): void {
    if (this.#client.status !== 'ready' || this.#verifying) return;
    call.sentAt = performance.now();
    const command = new Command(call.name, call.args as (string | Buffer | number)[], { replyEncoding: null });
    (this.#client.sendCommand(command) as Promise<Reply>).then(
      (reply) => {
        if (this.#calls.delete(call)) call.resolve(reply);
      },
      (error: Error) => this.#failed(call, error),
    );
  }

  #failed(call: Call, error: Error): void {
    call.sentAt = 0;
    if (!this.#calls.has(call)) return;
    // The connection broke, or is about to close: 'ready' sends the call again.
    if (error.name !== 'ReplyError') return;
    // Only the message is taken over: ioredis hangs the command's arguments on its errors, and they can hold secrets.
    const refused = new RedisReplyError(error.message);
    if (LATER.has(refused.code)) {
      this.#sendLater(call);
    } else if (ELSEWHERE.has(refused.code)) {
      setTimeout(() => this.#calls.has(call) && this.#client.disconnect(true), FAILOVER_RETRY_MS);
    } else {
      this.#calls.delete(call);
      call.reject(refused);
    }
  }

  #sendLater(call: Call): void {
    setTimeout(() => {
      if (this.#calls.has(call) && call.sentAt === 0) this.#send(call);
    }, BUSY_RETRY_MS);
  }

  async #verifyThenResend(verify: () => Promise<void>): Promise<void> {
    this.#verifying = true;
    try {
      await verify();
    } catch (error) {
      this.#logger.warn({ reason: (error as Error).message }, 'Redis is back and does not answer yet; connecting anew');
      this.#lost = true;
      if (!this.#closed) setTimeout(() => this.#closed || this.#client.disconnect(true), BUSY_RETRY_MS);
      return;
    } finally {
      this.#verifying = false;
    }
    this.#resend();
  }

  #resend(): void {
    for (const call of this.#calls) if (call.sentAt === 0) this.#send(call);
  }

  /** Fails calls whose time is over and drops a connection that has gone silent with calls unanswered. */
  #expire(): void {
    const now = performance.now();
    let silent = false;
    for (const call of this.#calls) {
      if (call.deadline <= now) {
        this.#calls.delete(call);
        const seconds = Math.round(this.#options.callTimeoutMs / 1000);
        call.reject(new RedisTimeoutError(`Redis at ${this.location.display} gave no answer for ${seconds} s`));
      } else if (call.sentAt > 0 && call.sentAt + this.#options.silenceMs <= now) {
        silent = true;
      }
    }
    if (silent && this.ready) {
      this.#logger.warn({ redis: this.location.display }, 'Redis is silent; connecting anew');
      this.#client.disconnect(true);
    }
  }
}

/** What a Subscriber reports. */
export interface SubscriberEvents {
  message: (channel: string, message: Buffer) => void;
  /** Subscribed, for the first time or again. */
  subscribed: () => void;
  /** The connection broke: messages may be missed from now on. */
  lost: () => void;
}

/** A second connection that only listens, since a subscribed connection takes no other commands. */
export class RedisSubscriber {
  readonly #client: Redis;
  #closed = false;

  private constructor(client: Redis) {
    this.#client = client;
  }

  /** Subscribes now and after every reconnect. Resolves when first subscribed. @throws UserError */
  static async open(
    options: Pick<ConnectionOptions, 'location' | 'connectTimeoutMs'>,
    channels: string[],
    events: SubscriberEvents,
  ): Promise<RedisSubscriber> {
    const client = await openClient(options.location, options.connectTimeoutMs);
    const subscriber = new RedisSubscriber(client);
    const subscribe = async (): Promise<void> => {
      try {
        await client.subscribe(...channels);
        events.subscribed();
      } catch {
        // The connection broke while subscribing: 'ready' comes again. A refusal is cured by connecting anew, too.
        if (!subscriber.#closed && client.status === 'ready') client.disconnect(true);
      }
    };
    client.on('messageBuffer', (channel: Buffer, message: Buffer) =>
      events.message(channel.toString('latin1'), message),
    );
    client.on('close', () => {
      if (!subscriber.#closed) events.lost();
    });
    client.on('ready', subscribe);
    await subscribe();
    return subscriber;
  }

  /** Drops the connection and makes a new one. */
  reconnect(): void {
    this.#client.disconnect(true);
  }

  close(): void {
    this.#closed = true;
    this.#client.disconnect();
  }
}

function clientOptions(location: RedisLocation): RedisOptions & { replyMapping: 'legacy' } {
  const options: RedisOptions & { replyMapping: 'legacy' } = {
    replyMapping: 'legacy',
    db: location.db,
    protocol: 2,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    enableReadyCheck: true,
    disableClientInfo: true,
    keepAlive: 10_000,
    noDelay: true,
    connectTimeout: 10_000,
    retryStrategy: (attempt: number) =>
      Math.min(20 * 2 ** Math.min(attempt, 10), RETRY_MS_MAX) * (0.75 + Math.random() / 2),
  };
  if (location.username !== '') options.username = location.username;
  if (location.password !== '') options.password = location.password;
  if (location.tls) options.tls = isIP(location.host) ? {} : { servername: location.host };
  if (location.masterName !== '') {
    options.sentinels = location.sentinels;
    options.name = location.masterName;
    options.role = 'master';
    if (location.sentinelPassword !== '') options.sentinelPassword = location.sentinelPassword;
  } else if (location.socketPath !== '') {
    options.path = location.socketPath;
  } else {
    options.host = location.host;
    options.port = location.port;
  }
  return options;
}

/** Connects, trying again until the time is over; a refused login fails at once. */
function openClient(location: RedisLocation, connectTimeoutMs: number): Promise<Redis> {
  const client = new Redis(clientOptions(location));
  return new Promise((resolve, reject) => {
    let last = 'no answer';
    const fail = (message: string): void => {
      stop();
      // ioredis prints errors that nobody listens to.
      client.on('error', () => {});
      client.disconnect();
      reject(new UserError(message));
    };
    const timer = setTimeout(
      () => fail(`cannot reach Redis at ${location.display}: ${last}; is it running and the address right?`),
      connectTimeoutMs,
    );
    const onError = (error: Error): void => {
      last = error.message;
      if (BAD_LOGIN.test(last)) {
        fail(`Redis at ${location.display} refuses the login (${last.split(' ', 1)[0]}): check user and password`);
      }
    };
    const onReady = (): void => {
      stop();
      client.on('error', () => {});
      resolve(client);
    };
    const stop = (): void => {
      clearTimeout(timer);
      client.off('error', onError);
      client.off('ready', onReady);
    };
    client.on('error', onError);
    client.on('ready', onReady);
    client.connect().catch(onError);
  });
}

function checkServer(reply: Reply, location: RedisLocation): ServerInfo {
  const info = new Map<string, string>();
  for (const line of (reply as Buffer).toString('latin1').split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) info.set(line.slice(0, colon), line.slice(colon + 1));
  }
  const versionText = info.get('redis_version') ?? '0.0';
  const [major = 0, minor = 0] = versionText.split('.').map(Number);
  if (major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1])) {
    throw new UserError(`Redis at ${location.display} is version ${versionText}; janusfs needs 6.2 or later`);
  }
  if (info.get('cluster_enabled') === '1') {
    throw new UserError(
      `Redis at ${location.display} is a cluster node, which is not supported yet; use one server or Sentinel`,
    );
  }
  if (info.get('role') === 'slave') {
    throw new UserError(
      `Redis at ${location.display} is a replica; name its master, or use the redis+sentinel:// form`,
    );
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction') {
    throw new UserError(
      `Redis at ${location.display} may evict metadata (maxmemory-policy ${policy}); run: redis-cli CONFIG SET maxmemory-policy noeviction`,
    );
  }
  return {
    version: [major, minor],
    aofEnabled: info.get('aof_enabled') === '1',
    maxMemoryBytes: Number(info.get('maxmemory') ?? 0),
  };
}
