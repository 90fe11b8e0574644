/**
 * Keeps the kernel of this process's mount right about what it has not done itself.
 *
 *     change by                          the mount's kernel hears
 *     the mount itself                   nothing (it knows; telling it from inside its own request would deadlock)
 *     the S3 frontend of this process        before the S3 call answers, for at most notifyWaitMs
 *     another session (push)             at once, from a bounded queue
 *     unknown (channel broke)            expireAll
 *
 * Nothing here may be awaited while an inode's lock is held or by an operation of the mount: the kernel may hold a lock
 * of its own until that operation answers. Two exceptions, for what a reply to the mount cannot say: attributesStale, for
 * which the kernel takes no lock that an operation holds, and pagesStale by a direct write, which holds no page.
 */
import type { Logger } from '../../base/log.ts';
import type { ByteString, Ino } from '../../base/vocabulary.ts';
import { allMountNames, encodeMountName } from '../name/mount-names.ts';
import type { KernelCache } from '../vfs.ts';

/** Notes waiting for the kernel; beyond it everything expires at once instead. */
const QUEUE_MAX = 20_000;
const WORKERS_MAX = 16;

/** What one S3 call made stale. Stored names. */
export interface FrontendChange {
  entries: readonly { parent: Ino; name: ByteString }[];
  /** Inodes whose attributes changed. */
  inodes: readonly Ino[];
}

export class Coherence {
  readonly #logger: Logger;
  readonly #waitMs: number;
  #kernel: KernelCache | undefined;
  #queue: (() => Promise<void>)[] = [];
  #working = 0;
  /** Set once a shadowed entry was seen: only then can the kernel know the escaped form of a name. */
  #shadowedSeen = false;

  constructor(logger: Logger, waitMs: number) {
    this.#logger = logger;
    this.#waitMs = waitMs;
  }

  setKernel(kernel: KernelCache | undefined): void {
    this.#kernel = kernel;
  }

  /** A shadowed entry was shown or asked for. */
  sawShadowed(): void {
    this.#shadowedSeen = true;
  }

  /** Tells the kernel what the S3 frontend did. Undefined without a mount. Never rejects; waits a bounded time. */
  announce(change: FrontendChange): Promise<void> | undefined {
    const kernel = this.#kernel;
    if (kernel === undefined) return undefined;
    const calls: Promise<void>[] = [];
    for (const { parent, name } of change.entries) {
      for (const shown of this.#shownNames(name)) calls.push(kernel.invalidateEntry(parent, shown));
    }
    for (const ino of change.inodes) calls.push(kernel.invalidateInode(ino, -1, 0));
    return calls.length === 0 ? undefined : this.#bounded(calls);
  }

  /** An operation of the mount left the kernel with wrong attributes. Never rejects; waits a bounded time. */
  attributesStale(ino: Ino): Promise<void> | undefined {
    return this.#kernel === undefined ? undefined : this.#bounded([this.#kernel.invalidateInode(ino, -1, 0)]);
  }

  /**
   * Pages that the kernel may hold are older than the bytes. Waits (bounded) for pages that are being read: never call it
   * while the inode's lock is held. Never rejects. @param length bytes; 0 means to the end.
   */
  pagesStale(ino: Ino, offset: number, length: number): Promise<void> | undefined {
    return this.#kernel === undefined ? undefined : this.#bounded([this.#kernel.invalidateInode(ino, offset, length)]);
  }

  /** Another session changed a name. */
  pushEntry(parent: Ino, name: ByteString): void {
    for (const shown of this.#shownNames(name)) this.#enqueue((kernel) => kernel.invalidateEntry(parent, shown));
  }

  /** Another session changed an inode; `pages`: its content too. */
  pushInode(ino: Ino, pages: boolean): void {
    this.#enqueue((kernel) => kernel.invalidateInode(ino, pages ? 0 : -1, 0));
  }

  /** Pushes may have been missed. */
  expireAll(): void {
    this.#queue = [];
    this.#kernel?.expireAll();
  }

  #shownNames(name: ByteString): ByteString[] {
    return this.#shadowedSeen ? allMountNames(name) : [encodeMountName(name, false, false)];
  }

  #enqueue(call: (kernel: KernelCache) => Promise<void>): void {
    if (this.#kernel === undefined) return;
    if (this.#queue.length >= QUEUE_MAX) {
      this.#logger.warn(
        { waiting: this.#queue.length },
        'too many changes elsewhere: the mount drops all it has cached',
      );
      this.expireAll();
      return;
    }
    this.#queue.push(async () => {
      if (this.#kernel !== undefined) await call(this.#kernel);
    });
    if (this.#working >= WORKERS_MAX) return;
    this.#working += 1;
    // Never from inside the operation that noticed: its reply must be out first.
    setImmediate(() => void this.#work());
  }

  async #work(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      try {
        await next();
      } catch (error) {
        this.#logger.warn({ err: String(error) }, 'the kernel did not take an invalidation');
      }
    }
    this.#working -= 1;
  }

  /** One promise and one timer: every request of the S3 frontend comes through here. */
  #bounded(calls: Promise<void>[]): Promise<void> {
    return new Promise((resolve) => {
      let left = calls.length;
      const timer = setTimeout(() => {
        this.#logger.warn({ waitMs: this.#waitMs }, 'the kernel is slow to drop what S3 changed; going on');
        resolve();
      }, this.#waitMs);
      const told = (): void => {
        left -= 1;
        if (left > 0) return;
        clearTimeout(timer);
        resolve();
      };
      const failed = (error: unknown): void => {
        this.#logger.warn({ err: String(error) }, 'the kernel did not take an invalidation');
        told();
      };
      for (const call of calls) call.then(told, failed);
    });
  }
}
