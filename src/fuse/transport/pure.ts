/**
 * The transport without the addon: fs.read on libuv's thread pool, fs.write back. Each reader occupies a thread of the
 * pool for good, and a notify message may hold one more while it waits in the kernel; block files, DNS and hashing need
 * the rest. So the number of readers follows the pool's size, UV_THREADPOOL_SIZE, which must be set before the pool's
 * first use (16 is good; Node's default of 4 leaves room for one reader).
 *
 * Blocked readers also keep the process from exiting: the mount must be unmounted or aborted first.
 */
import { close, read, write, writeSync, writevSync } from 'node:fs';
import { constants } from 'node:os';
import { WireBuffer } from '../wire/decode.ts';
import { IO_BYTES_MAX, OUT_HEADER_BYTES, REQUEST_BYTES_MAX } from '../wire/protocol.ts';
import type { Transport, TransportEvents } from './transport.ts';

const POOL_THREADS_DEFAULT = 4;
const READERS_MAX = 4;
const { errno: ERRNO } = constants;
/** EAGAIN and EINTR say nothing; ENOENT: the request was interrupted before it reached us. */
const RETRY: ReadonlySet<string> = new Set(['EAGAIN', 'EINTR', 'ENOENT']);

/** Readers for a pool: a quarter of it, so that the work of a request always finds a thread. */
export function readersForPool(poolSize: string | undefined): number {
  const threads = Number(poolSize ?? POOL_THREADS_DEFAULT);
  return Math.max(
    1,
    Math.min(READERS_MAX, Math.floor((Number.isFinite(threads) ? threads : POOL_THREADS_DEFAULT) / 4)),
  );
}

export class PureTransport implements Transport {
  readonly kind = 'pure';
  readonly out = new WireBuffer(OUT_HEADER_BYTES + IO_BYTES_MAX);
  readonly notifyParallel = 1;
  readonly #fd: number;
  readonly #readers: number;
  #reading = 0;
  #writing = 0;
  #closing = false;
  #closed = false;
  #endErrno = 0;

  /** @param fd /dev/fuse in blocking mode, mounted; the transport's from now on. */
  constructor(fd: number, readers = readersForPool(process.env.UV_THREADPOOL_SIZE)) {
    this.#fd = fd;
    this.#readers = readers;
  }

  start(events: TransportEvents): void {
    this.#reading = this.#readers;
    for (let i = 0; i < this.#readers; i++) this.#read(new WireBuffer(REQUEST_BYTES_MAX), events);
  }

  send(length: number): number {
    if (this.#closed) return ERRNO.EBADF;
    try {
      writeSync(this.#fd, this.out.bytes, 0, length);
      return 0;
    } catch (error) {
      return errnoOf(error);
    }
  }

  sendWith(length: number, data: Buffer): number {
    if (this.#closed) return ERRNO.EBADF;
    try {
      writevSync(this.#fd, [this.out.bytes.subarray(0, length), data]);
      return 0;
    } catch (error) {
      return errnoOf(error);
    }
  }

  async notify(messages: Buffer): Promise<number> {
    let failure = 0;
    for (let at = 0; at < messages.length && !this.#closing; ) {
      const length = messages.readUInt32LE(at);
      const errno = await this.#write(messages.subarray(at, at + length));
      if (errno === ERRNO.ENODEV || errno === ERRNO.ENOTCONN || errno === ERRNO.ECONNABORTED) return errno;
      if (errno !== ERRNO.ENOENT && failure === 0) failure = errno;
      at += length;
    }
    return failure;
  }

  close(): void {
    this.#closing = true;
    this.#closeWhenIdle();
  }

  #read(buffer: WireBuffer, events: TransportEvents): void {
    read(this.#fd, buffer.bytes, 0, buffer.bytes.length, null, (error) => {
      if (error === null && !this.#closing) {
        events.onRequest(buffer);
        this.#read(buffer, events);
      } else if (error !== null && RETRY.has(error.code ?? '') && !this.#closing) {
        this.#read(buffer, events);
      } else {
        this.#readerEnded(error === null ? 0 : errnoOf(error), events);
      }
    });
  }

  /** The end is reported when the last reader has returned: only then may the descriptor's number be reused. */
  #readerEnded(errno: number, events: TransportEvents): void {
    this.#reading--;
    if (this.#endErrno === 0) this.#endErrno = errno;
    if (this.#reading > 0) return;
    this.#closeWhenIdle();
    events.onEnd(this.#endErrno);
  }

  #write(message: Buffer): Promise<number> {
    this.#writing++;
    return new Promise((resolve) => {
      write(this.#fd, message, 0, message.length, null, (error) => {
        this.#writing--;
        this.#closeWhenIdle();
        resolve(error === null ? 0 : errnoOf(error));
      });
    });
  }

  #closeWhenIdle(): void {
    if (!this.#closing || this.#closed || this.#reading > 0 || this.#writing > 0) return;
    this.#closed = true;
    // Nothing is lost when closing the device fails: the connection is over either way.
    close(this.#fd, () => {});
  }
}

function errnoOf(error: unknown): number {
  return -((error as NodeJS.ErrnoException).errno ?? -ERRNO.EIO);
}
