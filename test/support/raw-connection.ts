import { connect, type Socket } from 'node:net';

export interface RawReply {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/** A connection that sends bytes as they are and reads replies one by one. */
export class RawConnection {
  readonly socket: Socket;
  #received = '';
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (data) => {
      this.#received += data.toString('latin1');
      this.#wake?.();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.#closed = true;
      this.#wake?.();
    });
  }

  send(data: string | Buffer): void {
    this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the peer has closed. */
  async ended(): Promise<void> {
    while (!this.#closed) await this.#more();
  }

  /** The next reply, interim ones (100) included. `head`: the request was HEAD, so no body follows. */
  async reply(head = false): Promise<RawReply> {
    let end = this.#received.indexOf('\r\n\r\n');
    while (end < 0) {
      await this.#moreOrThrow();
      end = this.#received.indexOf('\r\n\r\n');
    }
    const [first, ...lines] = this.#received.slice(0, end).split('\r\n');
    const status = Number(first!.split(' ')[1]);
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
    );
    const length = head || status < 200 ? 0 : Number(headers.get('content-length') ?? 0);
    while (this.#received.length < end + 4 + length) await this.#moreOrThrow();
    const body = this.#received.slice(end + 4, end + 4 + length);
    this.#received = this.#received.slice(end + 4 + length);
    return { status, headers, body };
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #moreOrThrow(): Promise<void> {
    if (this.#closed) throw new Error(`connection closed after ${JSON.stringify(this.#received)}`);
    await this.#more();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
