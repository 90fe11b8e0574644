import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What stands between the mount and its store does with connections: passes them on; takes them and never answers; drops
 * answers in their middle; or is not there at all.
 */
export type ProxyMode = 'pass' | 'silent' | 'cut' | 'refuse';

const CUT_AFTER_BYTES = 20_000;

/** A TCP proxy on a fixed port of its own whose mode may be changed at any time; a change drops what is connected. */
export class StoreProxy {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #mode: ProxyMode = 'pass';

  constructor(target: URL) {
    this.#target = Number(target.port);
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async set(mode: ProxyMode): Promise<void> {
    this.#mode = mode;
    for (const socket of this.#sockets) socket.destroy();
    if (mode === 'refuse') await this.#close();
    else if (this.#server === undefined) await this.start();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#close();
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    await once(server, 'close');
  }

  #accept(socket: Socket): void {
    this.#keep(socket);
    if (this.#mode === 'silent') {
      socket.resume();
      return;
    }
    const upstream = connect(this.#target, '127.0.0.1');
    this.#keep(upstream);
    socket.pipe(upstream);
    if (this.#mode === 'pass') upstream.pipe(socket);
    else {
      let passed = 0;
      upstream.on('data', (data: Buffer) => {
        passed += data.length;
        if (passed > CUT_AFTER_BYTES) socket.resetAndDestroy();
        else socket.write(data);
      });
    }
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.end());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}); // Cut on purpose.
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
