/** A TCP proxy that treats traffic as a bad network does. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * pass; delay: each piece waits; drop: every connection is closed now and new ones after a while; reset: broken off in the middle of
 * answers; silent: nothing passes, nothing is closed (a partition).
 */
export type Weather = 'pass' | 'delay' | 'drop' | 'reset' | 'silent';

const DELAY_MS = 40;
const DROP_AFTER_MS = 150;

export class RoughProxy {
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #weather: Weather = 'pass';

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(target: number): Promise<RoughProxy> {
    const proxy = new RoughProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Bytes that were held back in silence are lost: the connections they were of end when it is over. */
  set(weather: Weather): void {
    const wasSilent = this.#weather === 'silent';
    this.#weather = weather;
    if (weather === 'drop' || (wasSilent && weather !== 'silent')) for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    const server = connect(this.#target, '127.0.0.1');
    this.#join(client, server, false);
    this.#join(server, client, true);
    if (this.#weather === 'drop') setTimeout(() => client.destroy(), DROP_AFTER_MS);
  }

  #join(from: Socket, to: Socket, isAnswer: boolean): void {
    let passed: Promise<unknown> = Promise.resolve();
    let underWay = 0;
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    from.on('data', (data) => {
      if (this.#weather === 'silent') return;
      if (this.#weather === 'reset' && isAnswer && Math.random() < 0.2) {
        to.write(data.subarray(0, data.length >> 1), () => to.resetAndDestroy());
        return;
      }
      // In order, whatever the weather becomes meanwhile: a network never exchanges the bytes of a connection.
      const waits = this.#weather === 'delay' ? sleep(DELAY_MS) : undefined;
      if (waits === undefined && underWay === 0) {
        to.write(data);
        return;
      }
      underWay += 1;
      passed = Promise.all([passed, waits]).then(() => {
        underWay -= 1;
        to.write(data);
      });
    });
  }
}
