/**
 * The inodes this process has open, and those that lost their last name.
 *
 *     nlink 0 heard (own unlink, rename, publish, remove; push 'unlinked')
 *       open here      -> sustain: this session keeps the inode; the last release gives it back
 *       not open here  -> after a short while reapNow, in batches: a sole session frees it at once
 *
 * The short while covers a request that has just looked the inode up and is about to open it.
 */

import type { Logger } from '../../base/log.ts';
import { LruCache } from '../../base/lru.ts';
import { type Attr, type Ino, S_IFDIR, S_IFMT } from '../../base/vocabulary.ts';
import type { ChunkStore } from '../../chunk/chunks.ts';
import type { Meta } from '../../meta/meta.ts';
import type { DataPath } from './data-path.ts';
import { OpenFile, type OpenFileEvents } from './open-file.ts';

const REAP_BATCH = 100;
/** Pause before bytes of a closed file are tried again. */
const WRITE_BACK_AGAIN_MS = 2_000;
/** Unlinked inodes waiting for reapNow; what does not fit waits for the volume's grace period instead. */
const REAP_QUEUE_MAX = 100_000;

export interface OpenFilesOptions {
  idleReaders: number;
  reapDelayMs: number;
}

export class OpenFiles {
  readonly #meta: Meta;
  readonly #chunks: ChunkStore;
  readonly #data: DataPath;
  readonly #events: OpenFileEvents;
  readonly #logger: Logger;
  readonly #reapDelayMs: number;
  #open = new Map<Ino, OpenFile>();
  #idle: LruCache<Ino, OpenFile>;
  #reapQueue: Ino[] = [];
  #reapTimer: NodeJS.Timeout | undefined;
  #reaping: Promise<void> | undefined;

  constructor(
    meta: Meta,
    chunks: ChunkStore,
    data: DataPath,
    events: OpenFileEvents,
    logger: Logger,
    options: OpenFilesOptions,
  ) {
    this.#meta = meta;
    this.#chunks = chunks;
    this.#data = data;
    this.#events = events;
    this.#logger = logger;
    this.#reapDelayMs = options.reapDelayMs;
    this.#idle = new LruCache(options.idleReaders, (_ino, file) => file.closeReader());
  }

  get count(): number {
    return this.#open.size;
  }

  all(): OpenFile[] {
    return [...this.#open.values()];
  }

  isOpen(ino: Ino): boolean {
    return this.#open.has(ino);
  }

  /** The file if some handle has it open. */
  get(ino: Ino): OpenFile | undefined {
    return this.#open.get(ino);
  }

  /** Takes a use of the inode; pair it with release(). */
  acquire(ino: Ino): OpenFile {
    let file = this.#open.get(ino);
    if (file === undefined) {
      file = this.#idle.peek(ino);
      if (file === undefined) file = new OpenFile(ino, this.#chunks, this.#data, this.#events);
      else this.#idle.delete(ino);
      this.#open.set(ino, file);
    }
    file.users += 1;
    return file;
  }

  /** Gives a use back. The last one flushes what is left, and lets a nameless inode go. Never rejects. */
  release(file: OpenFile): Promise<void> | undefined {
    file.users -= 1;
    if (file.users > 0) return undefined;
    if (!file.hasWriter && !file.nameless) {
      this.#retire(file);
      return undefined;
    }
    return this.#writeBack(file);
  }

  /** Content changed otherwise than by writes through handles here. */
  contentChanged(ino: Ino, version?: number): void {
    this.#chunks.forgetInode(ino);
    this.#open.get(ino)?.contentChanged(version);
    const idle = this.#idle.peek(ino);
    if (idle === undefined) return;
    this.#idle.delete(ino);
    idle.closeReader();
  }

  /** Nothing read before counts any more. */
  dropAll(): void {
    for (const file of this.#open.values()) file.contentChanged();
    for (const ino of [...this.#idle.keys()]) this.contentChanged(ino);
  }

  /** A reply named these attributes after a name was taken away: looks after the inode when it was the last name. */
  nameLost(attr: Attr): void {
    if (attr.nlink > 0 || (attr.mode & S_IFMT) === S_IFDIR) return;
    if (this.#sustainIfOpen(attr.ino)) return;
    this.contentChanged(attr.ino);
    this.#data.attrs.forget(attr.ino);
    if (this.#reapQueue.length >= REAP_QUEUE_MAX) return;
    this.#reapQueue.push(attr.ino);
    this.#reapTimer ??= setTimeout(() => void this.reapQueued(), this.#reapDelayMs).unref();
  }

  /** Another session took the last name away. */
  pushedUnlinked(ino: Ino): void {
    if (!this.#sustainIfOpen(ino)) this.contentChanged(ino);
  }

  /** An inode without a name is being opened: this session keeps it. @returns false when it is gone. */
  async keepNameless(file: OpenFile): Promise<boolean> {
    this.#sustainIfOpen(file.ino);
    await file.sustaining;
    return !file.gone;
  }

  /** A nameless inode got a name (linkat of an O_TMPFILE). */
  named(ino: Ino): void {
    const file = this.#open.get(ino);
    if (file !== undefined) file.nameless = false;
  }

  /** Names may have been taken away while nobody could tell: claims every open inode that has none left. */
  async revalidate(): Promise<void> {
    const inos = [...this.#open.keys()];
    if (inos.length === 0) return;
    try {
      const token = this.#data.attrs.token();
      const found = new Set<Ino>();
      for (const attr of await this.#meta.names.sustain(inos)) {
        this.#data.attrs.fill(attr, token);
        found.add(attr.ino);
        const file = this.#open.get(attr.ino);
        if (file !== undefined && attr.nlink === 0) file.nameless = true;
      }
      const gone = inos.filter((ino) => !found.has(ino) && this.#open.has(ino));
      if (gone.length > 0) this.#logger.warn({ inos: gone.slice(0, 10), count: gone.length }, 'open files are gone');
    } catch (error) {
      this.#logger.warn({ err: String(error) }, 'looking after open files failed');
    }
  }

  /** Frees unlinked inodes that wait for it, now. */
  async reapQueued(): Promise<void> {
    clearTimeout(this.#reapTimer);
    this.#reapTimer = undefined;
    this.#reaping ??= this.#reap().finally(() => {
      this.#reaping = undefined;
    });
    await this.#reaping;
  }

  async #reap(): Promise<void> {
    while (this.#reapQueue.length > 0) {
      const batch = this.#reapQueue.splice(0, REAP_BATCH).filter((ino) => !this.#sustainIfOpen(ino));
      if (batch.length === 0) continue;
      try {
        await this.#meta.upkeep.reapNow(batch);
      } catch (error) {
        // They wait for their grace period then; nothing is lost.
        this.#logger.warn({ count: batch.length, err: String(error) }, 'freeing unlinked files at once failed');
      }
    }
  }

  #sustainIfOpen(ino: Ino): boolean {
    const file = this.#open.get(ino);
    if (file === undefined) return false;
    if (file.nameless) return true;
    file.nameless = true;
    file.sustaining = this.#sustain(file);
    return true;
  }

  async #sustain(file: OpenFile): Promise<void> {
    try {
      const token = this.#data.attrs.token();
      const attrs = await this.#meta.names.sustain([file.ino]);
      for (const attr of attrs) this.#data.attrs.changed(attr, token);
      file.gone = attrs.length === 0;
    } catch (error) {
      this.#logger.warn({ ino: file.ino, err: String(error) }, 'an unlinked open file could not be kept');
    }
  }

  /** Ends the use of a file that has a writer or no name. It may be opened again meanwhile: then it just goes on. */
  async #writeBack(file: OpenFile): Promise<void> {
    try {
      if (!file.nameless) await file.flush();
    } catch (error) {
      // The error was the flush's to report to close(2). Bytes that only wait for the store stay, and are tried again: the
      // process that wrote them may have been killed without having heard of it.
      const { ino } = file;
      if (file.hasPending) {
        this.#logger.warn({ ino, err: String(error) }, 'bytes of a closed file wait for the object store');
        setTimeout(() => void this.#writeBackAgain(file), WRITE_BACK_AGAIN_MS).unref();
        return;
      }
      this.#logger.error({ ino, err: String(error) }, 'bytes written after the last close were lost');
    }
    if (file.users > 0 || this.#open.get(file.ino) !== file) return;
    try {
      if (file.nameless) {
        await this.#letGo(file);
      } else {
        this.#retire(file);
        await file.closeWriter();
      }
    } catch (error) {
      this.#logger.warn({ ino: file.ino, err: String(error) }, 'the end of an open file failed');
    }
  }

  async #writeBackAgain(file: OpenFile): Promise<void> {
    if (file.users === 0 && this.#open.get(file.ino) === file) await this.#writeBack(file);
  }

  async #letGo(file: OpenFile): Promise<void> {
    await file.sustaining;
    if (file.users > 0 || this.#open.get(file.ino) !== file) return;
    file.discard();
    this.#open.delete(file.ino);
    this.#data.attrs.forget(file.ino);
    this.#chunks.forgetInode(file.ino);
    file.closeReader();
    await file.closeWriter();
    await this.#meta.names.release(file.ino);
  }

  #retire(file: OpenFile): void {
    this.#open.delete(file.ino);
    if (file.isWarm) this.#idle.set(file.ino, file);
    else file.closeReader();
  }
}
