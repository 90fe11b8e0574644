/**
 * One mount's server: from the first INIT to the end of the connection. It dispatches requests, honours INTERRUPT, and
 * when the connection is over it releases everything that the kernel had open.
 */
import { availableParallelism } from 'node:os';
import { ERRNO } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Vfs } from '../vfs/vfs.ts';
import { FuseSession } from './ops/fuse-session.ts';
import { OPERATIONS } from './ops/opcode-table.ts';
import { WaitingCallers } from './ops/waiting-callers.ts';
import { BusyPoll } from './transport/busy-poll.ts';
import { KernelNotifier } from './transport/notify.ts';
import type { Transport } from './transport/transport.ts';
import { BODY, Request, uniqueKey, type WireBuffer } from './wire/decode.ts';
import { encodeInit } from './wire/encode.ts';
import { errnoReply, isConnectionGone } from './wire/errno-reply.ts';
import { negotiate } from './wire/init.ts';
import { FUSE_MAJOR, INIT2, OP, opcodeName } from './wire/protocol.ts';

export interface ServerOptions {
  vfs: Vfs;
  transport: Transport;
  logger: Logger;
  debug: boolean;
}

export class FuseServer {
  /** Resolves when INIT is answered; rejects when kernel and server cannot agree or the connection ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the connection is over and everything the kernel had open is released. */
  readonly ended: Promise<void>;
  readonly #session: FuseSession;
  readonly #logger: Logger;
  /** Undefined on a single CPU: polling would take it from everybody else. */
  readonly #busyPoll = availableParallelism() > 1 ? new BusyPoll() : undefined;
  readonly #waiting: WaitingCallers;
  #notifier: KernelNotifier | undefined;
  #readyNow: () => void = () => {};
  #readyFailed: (error: Error) => void = () => {};
  #endedNow: () => void = () => {};
  #over = false;

  constructor(options: ServerOptions) {
    const session = new FuseSession(options);
    this.#session = session;
    this.#waiting = new WaitingCallers({
      pending: session.pending,
      abandon: (key, request) => session.abandon(key, request),
    });
    this.#logger = options.logger;
    this.ready = new Promise((resolve, reject) => {
      this.#readyNow = resolve;
      this.#readyFailed = reject;
    });
    // Callers that await it see a failure; once the mount is up nobody does, and a rejection must not be unhandled.
    this.ready.catch(() => {});
    this.ended = new Promise((resolve) => {
      this.#endedNow = resolve;
    });
  }

  start(): void {
    this.#waiting.start();
    this.#session.transport.start({
      onRequest: (input) => this.#handle(input),
      onEnd: (errno) => void this.#end(errno),
    });
  }

  /** Ends the connection from our side, where the kernel did not: closes the device. */
  stop(): void {
    void this.#end(0);
  }

  #handle(input: WireBuffer): void {
    this.#busyPoll?.note();
    const session = this.#session;
    const request = new Request(input, session.guard.sequence);
    if (session.debug) this.#logDebug(request);
    try {
      const operation = OPERATIONS[request.opcode];
      if (operation !== undefined) operation(session, request);
      else this.#handleRest(request);
    } catch (error) {
      if (request.opcode !== OP.FORGET && request.opcode !== OP.BATCH_FORGET) session.fail(request, error);
      else errnoReply(error, opcodeName(request.opcode), this.#logger); // Takes no reply; a failure is logged.
    }
  }

  /** What belongs to the connection rather than to the file system. */
  #handleRest(request: Request): void {
    switch (request.opcode) {
      case OP.INIT:
        this.#init(request);
        break;
      case OP.INTERRUPT:
        this.#interrupt(request);
        break;
      case OP.NOTIFY_REPLY:
        break; // An answer to RETRIEVE, which is never sent; it takes no reply.
      default:
        this.#session.sendStatus(request, ERRNO.ENOSYS);
    }
  }

  #init(request: Request): void {
    const session = this.#session;
    const { out } = session.transport;
    const negotiation = negotiate(request);
    if (negotiation.kind === 'too-old') {
      session.sendStatus(request, ERRNO.EPROTO);
      const text = `the kernel speaks FUSE ${negotiation.version}; janusfs needs 7.31 or newer (Linux 5.4)`;
      this.#readyFailed(new Error(text));
      return;
    }
    if (negotiation.kind === 'again') {
      const nothing = {
        minor: 0,
        readaheadBytes: 0,
        flags: 0,
        flags2: 0,
        backgroundMax: 0,
        writeBytesMax: 0,
        pagesMax: 0,
      };
      session.send(request, encodeInit(out, FUSE_MAJOR, nothing));
      return;
    }
    const { protocol, reply } = negotiation;
    session.protocol = protocol;
    const expireOnly = (protocol.flags2 & INIT2.HAS_EXPIRE_ONLY) !== 0;
    this.#notifier = new KernelNotifier(session, { minor: protocol.minor, expireOnly });
    session.kernelCache = this.#notifier;
    session.vfs.setKernelCache(this.#notifier);
    session.send(request, encodeInit(out, FUSE_MAJOR, reply));
    this.#readyNow();
  }

  /** Only noted here: WaitingCallers decides what becomes of it. INTERRUPT itself takes no reply but EAGAIN. */
  #interrupt(request: Request): void {
    const key = uniqueKey(request.u32(BODY), request.u32(BODY + 1));
    const target = this.#session.pending.get(key);
    if (target === undefined) {
      // Another reader may hold it: EAGAIN makes the kernel ask again. If it is answered already, the kernel ignores this.
      this.#session.sendStatus(request, ERRNO.EAGAIN);
      return;
    }
    target.interrupted = true;
  }

  async #end(errno: number): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const session = this.#session;
    if (!isConnectionGone(errno) && errno !== 0) this.#logger.error({ errno }, 'reading from /dev/fuse failed');
    this.#readyFailed(new Error(`the connection to the kernel ended before it began (errno ${errno})`));
    this.#waiting.stop();
    this.#notifier?.close();
    session.vfs.setKernelCache(undefined);
    session.transport.close();
    await this.#releaseAll();
    this.#endedNow();
  }

  /** After an abort the kernel sends no RELEASE: what was open is released now, so that unlinked files are freed. */
  async #releaseAll(): Promise<void> {
    const session = this.#session;
    const ctx = { uid: 0, gid: 0, groups: [], pid: 0, check: false };
    for (const handle of session.dirs.values()) session.vfs.directories.releasedir(ctx, handle);
    session.dirs.clear();
    const files = [...session.files.values()];
    session.files.clear();
    const results = await Promise.allSettled(files.map((handle) => session.vfs.files.release(ctx, handle)));
    for (const result of results) {
      if (result.status === 'rejected') {
        this.#logger.error({ error: String(result.reason) }, 'an open file could not be released');
      }
    }
  }

  #logDebug(request: Request): void {
    const { opcode, ino, uid, pid, end } = request;
    this.#logger.debug({ op: opcodeName(opcode), ino, uid, pid, bytes: end }, 'request');
  }
}
