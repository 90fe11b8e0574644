/** The addon's transport: non-blocking reads on the main loop, notify messages from threads of its own. */
import { closeSync } from 'node:fs';
import { WireBuffer } from '../wire/decode.ts';
import { IO_BYTES_MAX, OUT_HEADER_BYTES, REQUEST_BYTES_MAX } from '../wire/protocol.ts';
import type { Addon, NativeSession } from './addon.ts';
import type { Transport, TransportEvents } from './transport.ts';

/** As many as the addon has notifier threads. */
const NOTIFY_PARALLEL = 4;

export class NativeTransport implements Transport {
  readonly kind = 'native';
  readonly out = new WireBuffer(OUT_HEADER_BYTES + IO_BYTES_MAX);
  readonly notifyParallel = NOTIFY_PARALLEL;
  readonly #addon: Addon;
  readonly #fd: number;
  readonly #input = new WireBuffer(REQUEST_BYTES_MAX);
  readonly #notifying = new Map<number, (errno: number) => void>();
  #session: NativeSession | undefined;
  #nextId = 0;

  /** @param fd /dev/fuse, mounted; the transport's from now on. */
  constructor(addon: Addon, fd: number) {
    this.#addon = addon;
    this.#fd = fd;
  }

  start(events: TransportEvents): void {
    const input = this.#input;
    this.#session = this.#addon.serve(
      this.#fd,
      input.bytes,
      this.out.bytes,
      () => events.onRequest(input),
      (errno) => events.onEnd(errno),
      (id, errno) => this.#notified(id, errno),
    );
  }

  send(length: number): number {
    return this.#session!.send(length);
  }

  sendWith(length: number, data: Buffer): number {
    return this.#session!.sendWith(length, data);
  }

  notify(messages: Buffer): Promise<number> {
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    return new Promise((resolve) => {
      this.#notifying.set(id, resolve);
      const errno = this.#session!.notify(id, messages);
      if (errno !== 0) this.#notified(id, errno);
    });
  }

  close(): void {
    if (this.#session !== undefined) this.#session.close();
    else closeSync(this.#fd);
    // Threads that still hang in the kernel report to nobody.
    for (const resolve of this.#notifying.values()) resolve(0);
    this.#notifying.clear();
  }

  #notified(id: number, errno: number): void {
    this.#notifying.get(id)?.(errno);
    this.#notifying.delete(id);
  }
}
