/**
 * What the operations of one mount share: the vfs, open handles, what the kernel knows, requests under way, and the way
 * a result becomes a reply.
 *
 *     opcode function: decode, one vfs call -> respond(request, result, reply) -> reply function: encode, send
 *
 * A plain result is answered at once, without a promise: the fast path of cached attributes and data.
 */
import { ERRNO, FsError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Attr, Ino } from '../../base/vocabulary.ts';
import type { DirHandle, FileHandle, KernelCache, Validity, Vfs } from '../../vfs/vfs.ts';
import type { Transport } from '../transport/transport.ts';
import type { Request } from '../wire/decode.ts';
import { encodeStatus } from '../wire/encode.ts';
import { errnoReply, isConnectionGone } from '../wire/errno-reply.ts';
import { OP, opcodeName } from '../wire/protocol.ts';
import { KnownInodes, OvertakenGuard } from './known-inodes.ts';

/**
 * Operations on an inode that the kernel found a moment ago. When it is gone, the path is to be looked up again, which
 * ESTALE asks for; the path may well exist.
 */
const OF_AN_INODE: ReadonlySet<number> = new Set([
  OP.GETATTR,
  OP.SETATTR,
  OP.STATX,
  OP.READLINK,
  OP.OPEN,
  OP.OPENDIR,
  OP.GETXATTR,
  OP.SETXATTR,
  OP.LISTXATTR,
  OP.REMOVEXATTR,
]);

/** Operations that change nothing which the kernel could hold. WRITE, FLUSH and FSYNC: the kernel knows what it wrote. */
const LOOKS_ONLY: ReadonlySet<number> = new Set([
  OP.LOOKUP,
  OP.GETATTR,
  OP.STATX,
  OP.READLINK,
  OP.READ,
  OP.WRITE,
  OP.FLUSH,
  OP.FSYNC,
  OP.FSYNCDIR,
  OP.SYNCFS,
  OP.STATFS,
  OP.RELEASE,
  OP.GETXATTR,
  OP.LISTXATTR,
  OP.READDIR,
  OP.READDIRPLUS,
  OP.LSEEK,
]);

const NO_VALIDITY: Validity = { entrySec: 0, attrSec: 0 };

/** What INIT has agreed on. */
export interface Protocol {
  minor: number;
  flags: number;
  flags2: number;
  /** Bound of an entry's validity, seconds: kernels that cannot expire all names at once get short ones. */
  entrySecMax: number;
}

export interface SessionOptions {
  vfs: Vfs;
  transport: Transport;
  logger: Logger;
  debug: boolean;
}

export class FuseSession {
  readonly vfs: Vfs;
  readonly transport: Transport;
  readonly logger: Logger;
  readonly debug: boolean;
  readonly known = new KnownInodes();
  readonly guard = new OvertakenGuard();
  /** By the id that the kernel was given as file handle. */
  readonly files = new Map<number, FileHandle>();
  readonly dirs = new Map<number, DirHandle>();
  /** Requests that wait for the vfs, by unique id. */
  readonly pending = new Map<number, Request>();
  /** Makes the kernel drop what it holds; set once there is somebody to tell it. */
  kernelCache: KernelCache | undefined;
  protocol: Protocol = { minor: 0, flags: 0, flags2: 0, entrySecMax: 0 };

  constructor(options: SessionOptions) {
    this.vfs = options.vfs;
    this.transport = options.transport;
    this.logger = options.logger;
    this.debug = options.debug;
  }

  /** Answers a request with a vfs call's result: now if the result is there, else when it is. `failed` answers a rejection. */
  respond<T>(
    request: Request,
    result: T | Promise<T>,
    reply: (session: FuseSession, request: Request, value: T) => void,
    failed: (session: FuseSession, request: Request, error: unknown) => void = replyError,
  ): void {
    if (!(result instanceof Promise)) {
      reply(this, request, result);
      return;
    }
    const { key } = request;
    this.pending.set(key, request);
    result
      .then((value) => {
        if (this.#answered(key, request)) this.#tooLate(request, value);
        else reply(this, request, value);
      })
      .catch((error: unknown) => {
        if (this.#answered(key, request)) return;
        failed(this, request, error);
      });
  }

  /** Answers a waiting request with EINTR; the work goes on, and its result is dropped. */
  abandon(key: number, request: Request): void {
    if (this.pending.get(key) !== request) return;
    this.pending.delete(key);
    this.sendStatus(request, ERRNO.EINTR);
  }

  /** Takes the request off the list. @returns true when abandon() has answered it already. */
  #answered(key: number, request: Request): boolean {
    if (this.pending.get(key) !== request) return true;
    this.pending.delete(key);
    return false;
  }

  /**
   * The result of a request whose caller was let go: handles are released, and the kernel is told nothing of it.
   * A late LOOKUP leaves nothing to undo: the kernel's references are counted when it takes the reply.
   */
  #tooLate(request: Request, value: unknown): void {
    if (LOOKS_ONLY.has(request.opcode)) return;
    const handle = (value as { handle?: FileHandle } | undefined)?.handle;
    if (handle !== undefined) this.giveBack(request, handle);
    // Too rare to tell what exactly it has changed.
    if (request.opcode !== OP.OPEN) this.kernelCache?.expireAll();
  }

  /** Releases a handle that the kernel never got. */
  giveBack(request: Request, handle: FileHandle): void {
    // The lost reply may have told the kernel to drop its pages of the inode, and the vfs counts on that.
    void this.kernelCache?.invalidateInode(handle.ino, 0, 0);
    this.vfs.files.release(request, handle)?.catch((error: unknown) => {
      this.logger.error({ ino: handle.ino, error: String(error) }, 'releasing an unused handle failed');
    });
  }

  fail(request: Request, error: unknown): void {
    const { opcode } = request;
    let errno = errnoReply(error, opcodeName(opcode), this.logger);
    if (errno === ERRNO.ENOENT && OF_AN_INODE.has(opcode)) errno = ERRNO.ESTALE;
    if (this.debug) this.logger.debug({ op: opcodeName(request.opcode), ino: request.ino, errno }, 'reply');
    this.sendStatus(request, errno);
  }

  sendStatus(request: Request, errno: number): boolean {
    return this.send(request, encodeStatus(this.transport.out, errno));
  }

  /** Sends `length` encoded bytes. @returns false when the kernel does not take the reply: the caller has gone. */
  send(request: Request, length: number): boolean {
    const { words } = this.transport.out;
    words[2] = request.uniqueLow;
    words[3] = request.uniqueHigh;
    return this.#sent(request, this.transport.send(length));
  }

  sendWith(request: Request, length: number, data: Buffer): boolean {
    const { words } = this.transport.out;
    words[2] = request.uniqueLow;
    words[3] = request.uniqueHigh;
    return this.#sent(request, this.transport.sendWith(length, data));
  }

  /** How long the kernel may keep this inode's attributes (and its name in `parent`) that a reply carries. */
  validity(request: Request, ino: Ino, parent: Ino = ino): Validity {
    if (request.since !== this.guard.sequence) {
      const { guard } = this;
      if (guard.overtaken(request.since, ino) || guard.overtaken(request.since, parent)) return NO_VALIDITY;
    }
    const validity = this.vfs.validity();
    const { entrySecMax } = this.protocol;
    return validity.entrySec <= entrySecMax ? validity : { entrySec: entrySecMax, attrSec: validity.attrSec };
  }

  /** @throws EBADF for a handle this mount never gave out or has released. */
  file(request: Request, id: number): FileHandle {
    const handle = this.files.get(id);
    if (handle === undefined) throw new FsError('EBADF', opcodeName(request.opcode), `no open file ${id}`);
    return handle;
  }

  /** @throws EBADF likewise. */
  dir(request: Request, id: number): DirHandle {
    const handle = this.dirs.get(id);
    if (handle === undefined) throw new FsError('EBADF', opcodeName(request.opcode), `no open directory ${id}`);
    return handle;
  }

  /** The kernel holds one more reference to the inode: a reply that named it was taken. */
  remember(attr: Attr): void {
    this.known.add(attr);
  }

  #sent(request: Request, errno: number): boolean {
    if (errno === 0) return true;
    if (errno === ERRNO.ENOENT || isConnectionGone(errno)) return false;
    const op = opcodeName(request.opcode);
    this.logger.error({ op, errno }, 'the kernel refused a reply as malformed; the caller gets EIO');
    const { out } = this.transport;
    encodeStatus(out, ERRNO.EIO);
    out.words[2] = request.uniqueLow;
    out.words[3] = request.uniqueHigh;
    this.transport.send(out.words[0]!);
    return false;
  }
}

function replyError(session: FuseSession, request: Request, error: unknown): void {
  session.fail(request, error);
}
