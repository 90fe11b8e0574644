/**
 * The push channel `{NAME}:inv`: what other sessions made stale.
 *
 * It proves its own health: a ping through Redis to a channel of this session (`{NAME}:ping:<sid>`, on the same
 * connection, hence in order with the pushes) must come back. No echo for PONG_PERIODS periods, or a broken connection,
 * means pushes may have been missed; listeners hear it at once and everything cached must expire.
 */
import type { Logger } from '../../base/log.ts';
import type { VolumeEvents } from '../../base/volume-events.ts';
import { decodeInvalidations } from '../codec/codec.ts';
import { type ConnectionOptions, type RedisConnection, RedisSubscriber } from './connection.ts';

const PONG_PERIODS = 3;
const FIRST_ECHO_MS_MAX = 5_000;

export interface ChannelOptions {
  connection: RedisConnection;
  connectionOptions: ConnectionOptions;
  prefix: string;
  sid: number;
  /** Time between pings, ms. */
  pingMs: number;
  logger: Logger;
  events: VolumeEvents;
}

export class Channel {
  readonly #options: ChannelOptions;
  readonly #pingChannel: string;
  #echoed: () => void = () => {};
  #subscriber: RedisSubscriber | undefined;
  #timer: NodeJS.Timeout | undefined;
  #healthy = false;
  #subscribed = false;
  #closed = false;
  #nonce = 0;
  /** The first ping sent after the last (re)subscription: an earlier echo proves nothing about it. */
  #firstNonce = 1;
  #pinging = false;
  #lastPong = 0;

  private constructor(options: ChannelOptions) {
    this.#options = options;
    this.#pingChannel = `${options.prefix}ping:${options.sid}`;
  }

  /** Subscribes. Resolves with the first echo, or without health when none comes in time. @throws UserError */
  static async open(options: ChannelOptions): Promise<Channel> {
    const channel = new Channel(options);
    channel.#lastPong = performance.now();
    channel.#subscriber = await RedisSubscriber.open(
      options.connectionOptions,
      [`${options.prefix}inv`, channel.#pingChannel],
      {
        message: (name, message) => channel.#onMessage(name, message),
        subscribed: () => channel.#onSubscribed(),
        lost: () => channel.#onLost('connection lost'),
      },
    );
    channel.#timer = setInterval(() => {
      channel.#ping();
      // After a stall of this process the echo may be waiting in the socket: let it be read before judging.
      setImmediate(() => channel.#judge());
    }, options.pingMs);
    channel.#timer.unref();
    await channel.#firstEcho();
    return channel;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#subscriber?.close();
  }

  /** So that a volume is normally healthy when it is open, and listeners hear of changes only. */
  #firstEcho(): Promise<void> {
    if (this.#healthy) return Promise.resolve();
    return new Promise((resolve) => {
      const limit = setTimeout(resolve, Math.min(PONG_PERIODS * this.#options.pingMs, FIRST_ECHO_MS_MAX));
      this.#echoed = () => {
        clearTimeout(limit);
        resolve();
      };
    });
  }

  #onSubscribed(): void {
    this.#subscribed = true;
    this.#firstNonce = this.#nonce + 1;
    this.#lastPong = performance.now();
    this.#pinging = false;
    this.#ping();
  }

  #onLost(reason: string): void {
    this.#subscribed = false;
    this.#setHealthy(false, reason);
  }

  #onMessage(name: string, message: Buffer): void {
    if (name === this.#pingChannel) {
      if (!this.#subscribed || Number(message.toString('latin1')) < this.#firstNonce) return;
      this.#lastPong = performance.now();
      this.#setHealthy(true, '');
      return;
    }
    try {
      const { sid, batch } = decodeInvalidations(message);
      if (sid === this.#options.sid) return;
      this.#options.events.emit('invalidated', batch);
    } catch (error) {
      // A message nobody can read may have named anything: expire everything, as after a broken channel.
      this.#options.logger.error({ error: (error as Error).message }, 'damaged message on the push channel');
      this.#setHealthy(false, 'damaged message');
      this.#subscriber?.reconnect();
    }
  }

  #ping(): void {
    if (this.#closed || this.#pinging || !this.#subscribed) return;
    this.#pinging = true;
    this.#nonce += 1;
    const nonce = this.#nonce;
    const done = (): void => {
      if (nonce === this.#nonce) this.#pinging = false;
    };
    // A failed ping needs no handling of its own: no echo comes, and #judge acts on that.
    this.#options.connection.call('PUBLISH', [this.#pingChannel, nonce]).then(done, done);
  }

  #judge(): void {
    if (this.#closed || !this.#subscribed) return;
    if (performance.now() - this.#lastPong <= PONG_PERIODS * this.#options.pingMs) return;
    this.#onLost('no echo');
    this.#subscriber?.reconnect();
  }

  #setHealthy(healthy: boolean, reason: string): void {
    if (this.#healthy === healthy || this.#closed) return;
    this.#healthy = healthy;
    if (healthy) this.#options.logger.info({}, 'push channel healthy');
    else this.#options.logger.warn({ reason }, 'push channel broken: cached metadata expires at once');
    if (healthy) this.#echoed();
    this.#options.events.emit('channel', healthy);
  }
}
