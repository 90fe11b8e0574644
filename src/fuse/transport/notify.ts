/**
 * Tells the kernel what it must drop. Messages are queued here and handed to the transport in batches:
 *
 *     invalidateEntry, invalidateInode -> queue (one message per key) -> batch -> transport.notify -> kernel
 *     expireAll                        -> epoch + every known inode, taken when the queue is empty
 *
 * A message for a directory waits in the kernel while a request of ours holds that directory's lock. So it is never
 * written while a request is being handled, and a handler must not wait for it before it replies: if one does, the wait
 * ends after WAIT_MS_MAX and the invalidation happens later.
 */
import type { Logger } from '../../base/log.ts';
import type { ByteString, Ino } from '../../base/vocabulary.ts';
import { ROOT_INO } from '../../base/vocabulary.ts';
import type { KernelCache } from '../../vfs/vfs.ts';
import type { KnownInodes, OvertakenGuard } from '../ops/known-inodes.ts';
import { isConnectionGone } from '../wire/errno-reply.ts';
import { EPOCH_MINOR, EXPIRE_ONLY, NOTIFY, OUT_HEADER_BYTES } from '../wire/protocol.ts';
import type { Transport } from './transport.ts';

const WAIT_MS_MAX = 1000;
const BATCH_MESSAGES = 64;
/** With more, everything the kernel holds expires, which needs no queue. */
const QUEUE_MESSAGES_MAX = 65_536;
const DONE = Promise.resolve();

interface Queued {
  message: Buffer;
  done: Promise<void>;
  finish: () => void;
}

export interface NotifierOptions {
  transport: Transport;
  known: KnownInodes;
  guard: OvertakenGuard;
  logger: Logger;
}

/** What INIT has agreed on. */
export interface NotifierProtocol {
  minor: number;
  expireOnly: boolean;
}

export class KernelNotifier implements KernelCache {
  readonly #transport: Transport;
  readonly #known: KnownInodes;
  readonly #guard: OvertakenGuard;
  readonly #logger: Logger;
  readonly #protocol: NotifierProtocol;
  #queue = new Map<string, Queued>();
  #underWay = 0;
  #scheduled = false;
  #closed = false;
  #expiryBegins = false;
  #expiring: IterableIterator<Ino> | undefined;

  constructor(options: NotifierOptions, protocol: NotifierProtocol) {
    this.#transport = options.transport;
    this.#known = options.known;
    this.#guard = options.guard;
    this.#logger = options.logger;
    this.#protocol = protocol;
  }

  invalidateEntry(parent: Ino, name: ByteString): Promise<void> {
    this.#guard.note(parent);
    if (!this.#known.has(parent)) return DONE;
    return this.#enqueue(`e${parent}/${name}`, () => encodeInvalidEntry(parent, name, this.#protocol.expireOnly));
  }

  invalidateInode(ino: Ino, offset: number, length: number): Promise<void> {
    this.#guard.note(ino);
    if (!this.#known.has(ino)) return DONE;
    return this.#enqueue(`i${ino}:${offset}:${length}`, () => encodeInvalidInode(ino, offset, length));
  }

  /** Names expire at once by a new epoch (7.44; older kernels get names for a second at most); inodes one by one. */
  expireAll(): void {
    this.#guard.noteAll();
    this.#expiryBegins = true;
    this.#expiring = this.#known.inos();
    this.#schedule();
  }

  /** The connection is over: nothing is cached any more, nobody waits. */
  close(): void {
    this.#closed = true;
    for (const queued of this.#queue.values()) queued.finish();
    this.#queue.clear();
    this.#expiring = undefined;
  }

  #enqueue(key: string, encode: () => Buffer): Promise<void> {
    if (this.#closed) return DONE;
    // A message that the kernel may already be working on is not in the queue any more: a later change needs its own.
    const same = this.#queue.get(key);
    if (same !== undefined) return same.done;
    if (this.#queue.size >= QUEUE_MESSAGES_MAX) {
      if (this.#expiring === undefined) this.expireAll();
      return DONE;
    }
    const queued = boundedWait(encode());
    this.#queue.set(key, queued);
    this.#schedule();
    return queued.done;
  }

  /** Later in this turn of the event loop: requests just read are answered first, and messages gather. */
  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (!this.#closed && this.#underWay < this.#transport.notifyParallel) {
      const batch = this.#takeQueued();
      const messages = batch.length > 0 ? batch.map((queued) => queued.message) : this.#takeExpiring();
      if (messages.length === 0) return;
      void this.#write(messages, batch);
    }
  }

  async #write(messages: Buffer[], batch: Queued[]): Promise<void> {
    this.#underWay++;
    const errno = await this.#transport.notify(messages.length === 1 ? messages[0]! : Buffer.concat(messages));
    this.#underWay--;
    if (errno !== 0 && !isConnectionGone(errno) && !this.#closed) {
      this.#logger.warn({ errno }, 'the kernel refused an invalidation');
    }
    for (const queued of batch) queued.finish();
    this.#pump();
  }

  #takeQueued(): Queued[] {
    const batch: Queued[] = [];
    for (const [key, queued] of this.#queue) {
      this.#queue.delete(key);
      batch.push(queued);
      if (batch.length === BATCH_MESSAGES) break;
    }
    return batch;
  }

  #takeExpiring(): Buffer[] {
    if (this.#expiring === undefined) return [];
    const messages: Buffer[] = [];
    if (this.#expiryBegins) {
      this.#expiryBegins = false;
      if (this.#protocol.minor >= EPOCH_MINOR) messages.push(encodeNotify(NOTIFY.INC_EPOCH, 0));
      messages.push(encodeInvalidInode(ROOT_INO, 0, 0));
    }
    while (messages.length < BATCH_MESSAGES) {
      const next = this.#expiring.next();
      if (next.done) {
        this.#expiring = undefined;
        break;
      }
      messages.push(encodeInvalidInode(next.value, 0, 0));
    }
    return messages;
  }
}

/** A queued message whose waiters go on after WAIT_MS_MAX at the latest. */
function boundedWait(message: Buffer): Queued {
  let resolveDone: () => void = () => {};
  const done = new Promise<void>((resolve) => {
    resolveDone = resolve;
  });
  const timer = setTimeout(resolveDone, WAIT_MS_MAX);
  timer.unref();
  const finish = (): void => {
    clearTimeout(timer);
    resolveDone();
  };
  return { message, done, finish };
}

/** fuse_out_header with unique 0 and the code in place of an error. */
function encodeNotify(code: number, bodyBytes: number): Buffer {
  const message = Buffer.alloc(OUT_HEADER_BYTES + bodyBytes);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4);
  return message;
}

/** fuse_notify_inval_inode_out. Offset -1: attributes only; length 0: to the end. */
export function encodeInvalidInode(ino: Ino, offset: number, length: number): Buffer {
  const message = encodeNotify(NOTIFY.INVAL_INODE, 24);
  message.writeBigUInt64LE(BigInt(ino), 16);
  message.writeBigInt64LE(BigInt(offset), 24);
  message.writeBigInt64LE(BigInt(length), 32);
  return message;
}

/**
 * fuse_notify_inval_entry_out. Expiring (rather than dropping) keeps a directory that somebody works in or has mounted
 * over; the next use of the name asks us.
 */
export function encodeInvalidEntry(parent: Ino, name: ByteString, expireOnly: boolean): Buffer {
  const message = encodeNotify(NOTIFY.INVAL_ENTRY, 16 + name.length + 1);
  message.writeBigUInt64LE(BigInt(parent), 16);
  message.writeUInt32LE(name.length, 24);
  message.writeUInt32LE(expireOnly ? EXPIRE_ONLY : 0, 28);
  message.write(name, 32, 'latin1');
  return message;
}
