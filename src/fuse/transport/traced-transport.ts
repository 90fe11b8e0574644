/** A transport that traces what passes through it: every request from its arrival to its reply (base/trace.ts). */
import type { TracedOperation, Tracer } from '../../base/trace.ts';
import { uniqueKey, type WireBuffer } from '../wire/decode.ts';
import { OP, opcodeName } from '../wire/protocol.ts';
import type { Transport, TransportEvents } from './transport.ts';

/** What gets no reply, or only now and then. */
const UNTRACED: ReadonlySet<number> = new Set([OP.FORGET, OP.BATCH_FORGET, OP.INTERRUPT, OP.NOTIFY_REPLY]);

export class TracedTransport implements Transport {
  readonly kind: 'native' | 'pure';
  readonly out: WireBuffer;
  readonly notifyParallel: number;
  readonly #inner: Transport;
  readonly #tracer: Tracer;
  /** Requests without a reply yet, by unique id. */
  readonly #underWay = new Map<number, TracedOperation>();

  constructor(inner: Transport, tracer: Tracer) {
    this.kind = inner.kind;
    this.out = inner.out;
    this.notifyParallel = inner.notifyParallel;
    this.#inner = inner;
    this.#tracer = tracer;
  }

  start(events: TransportEvents): void {
    this.#inner.start({
      onRequest: (input) => this.#begin(input, events),
      onEnd: (errno) => events.onEnd(errno),
    });
  }

  send(length: number): number {
    const errno = this.#inner.send(length);
    this.#finish(length);
    return errno;
  }

  sendWith(length: number, data: Buffer): number {
    const errno = this.#inner.sendWith(length, data);
    this.#finish(length + data.length);
    return errno;
  }

  notify(messages: Buffer): Promise<number> {
    return this.#inner.notify(messages);
  }

  close(): void {
    this.#inner.close();
  }

  #begin(input: WireBuffer, events: TransportEvents): void {
    const { words } = input;
    const opcode = words[1]!;
    if (UNTRACED.has(opcode)) {
      events.onRequest(input);
      return;
    }
    const key = uniqueKey(words[2]!, words[3]!);
    const ino = words[4]! + words[5]! * 0x1_0000_0000;
    this.#tracer.run(`fuse ${opcodeName(opcode)} ${ino}`, words[0]!, (operation) => {
      this.#underWay.set(key, operation);
      events.onRequest(input);
    });
  }

  #finish(bytes: number): void {
    const { words } = this.out;
    const key = uniqueKey(words[2]!, words[3]!);
    const operation = this.#underWay.get(key);
    if (operation === undefined) return;
    this.#underWay.delete(key);
    this.#tracer.finish(operation, bytes, -(words[1]! | 0));
  }
}
