import type { IncomingMessage } from 'node:http';
import { S3Error, type S3ErrorCode } from '../protocol/s3-error.ts';

/** Bytes queued between the socket and a slow consumer before the socket is paused. */
const QUEUE_BYTES_MAX = 1024 * 1024;

interface Waiter {
  resolve(data: Buffer | undefined): void;
  reject(error: unknown): void;
}

export interface RawBodyOptions {
  /** A client that sends nothing for this long while it is waited for is given up with RequestTimeout. */
  idleMs: number;
  /** Called before the first read waits for the client (answers `Expect: 100-continue`). */
  onStart: () => void;
}

/**
 * The bytes of an HTTP request as they arrive, pulled by one reader with back-pressure to the socket.
 * Values that are at hand come without a promise.
 */
export class RawBody {
  readonly #message: IncomingMessage;
  readonly #options: RawBodyOptions;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #started = false;
  #ended = false;
  #error: S3Error | undefined;
  #waiter: Waiter | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(message: IncomingMessage, options: RawBodyOptions) {
    this.#message = message;
    this.#options = options;
  }

  /** The next piece, undefined at the end. @throws S3Error IncompleteBody (connection lost), RequestTimeout (idle). */
  read(): Buffer | undefined | Promise<Buffer | undefined> {
    if (!this.#started) this.#start();
    const piece = this.#queue.shift();
    if (piece !== undefined) {
      this.#queuedBytes -= piece.length;
      if (this.#queuedBytes === 0 && this.#message.isPaused()) this.#message.resume();
      return piece;
    }
    if (this.#error !== undefined) throw this.#error;
    if (this.#ended) return undefined;
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.#timer = setTimeout(() => this.#fail('RequestTimeout'), this.#options.idleMs);
    });
  }

  #start(): void {
    this.#started = true;
    const message = this.#message;
    if (message.readableEnded || message.destroyed) {
      this.#ended = message.complete;
      if (!message.complete) this.#error = new S3Error('IncompleteBody');
      return;
    }
    message.on('data', (piece: Buffer) => this.#take(piece));
    message.on('end', () => this.#end());
    message.on('error', () => this.#fail('IncompleteBody'));
    message.on('close', () => this.#fail('IncompleteBody'));
    this.#options.onStart();
  }

  #take(piece: Buffer): void {
    const waiter = this.#takeWaiter();
    if (waiter !== undefined) {
      waiter.resolve(piece);
      return;
    }
    this.#queue.push(piece);
    this.#queuedBytes += piece.length;
    if (this.#queuedBytes >= QUEUE_BYTES_MAX) this.#message.pause();
  }

  #end(): void {
    this.#ended = true;
    this.#takeWaiter()?.resolve(undefined);
  }

  /** Every request ends in 'close', so the error (and its stack) is made only when it is one. */
  #fail(code: S3ErrorCode): void {
    if (this.#ended || this.#error !== undefined) return;
    this.#error = new S3Error(code);
    this.#takeWaiter()?.reject(this.#error);
  }

  #takeWaiter(): Waiter | undefined {
    const waiter = this.#waiter;
    if (waiter === undefined) return undefined;
    clearTimeout(this.#timer);
    this.#waiter = undefined;
    return waiter;
  }
}
