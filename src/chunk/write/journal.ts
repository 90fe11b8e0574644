/**
 * Write-back: blocks are acknowledged when they are durable in a local directory, and go to the store behind the writer's back.
 *
 *     writer -> block file here, fsynced, and "slice N waits at HOST:DIR" in the metadata -> acknowledged -> commit
 *                       |
 *                       +-> store.put, again and again until it stands -> the note goes -> the file goes
 *
 * The files are named as their objects, so what a crash leaves is simply uploaded by whoever opens the directory next: once more
 * does no harm. A file that is torn was never acknowledged; its checksums tell, and it is set aside. Packs and compacted chunks
 * never come here: nobody waits for them.
 */
import { failpoints } from '../../base/failpoints.ts';
import type { Logger } from '../../base/log.ts';
import { sleep } from '../../base/sleep.ts';
import type { Block } from '../block-name.ts';
import { type BlockJournal, type ByteRange, ObjectMissingError, type ObjectStore } from '../chunks.ts';
import { StoreError } from '../object/store-error.ts';
import { withRetry } from '../retry.ts';
import { JournalFiles } from './journal-files.ts';

/** Where the metadata keeps which slices wait in which journal. */
export interface JournalNotes {
  /** @throws FsError EIO; the slices are then not acknowledged. */
  change(waiting: readonly number[], settled: readonly number[]): Promise<void>;
}

export interface JournalOptions {
  /** Blocks uploaded at the same time. */
  uploadParallel: number;
  /** Beyond it, blocks go to the store at once, as without a journal. */
  maxBytes: number;
  /** How long close() waits for what is left. */
  drainMs: number;
  /** @throws DamagedBlockError when the object is not whole. */
  verify: (block: Block, object: Buffer) => void;
}

const RETRY = { retryMs: 30_000 };
const PAUSE_MS = 2_000;

interface Waiting {
  sliceId: number;
  bytes: number;
}

export class Journal implements BlockJournal {
  readonly #local: JournalFiles;
  readonly #store: ObjectStore;
  readonly #notes: NoteBatch;
  readonly #options: JournalOptions;
  readonly #logger: Logger;
  /** By object name, until the file is gone; what is being written included. */
  readonly #waiting = new Map<string, Waiting>();
  /** Blocks of each slice that are not in the store. */
  readonly #slices = new Map<number, number>();
  readonly #queue: string[] = [];
  readonly #stop = new AbortController();
  readonly #workers: Promise<void>[] = [];
  #wake: (() => void)[] = [];
  #bytes = 0;

  private constructor(
    local: JournalFiles,
    store: ObjectStore,
    notes: JournalNotes,
    options: JournalOptions,
    logger: Logger,
  ) {
    this.#local = local;
    this.#store = store;
    this.#notes = new NoteBatch(notes);
    this.#options = options;
    this.#logger = logger;
  }

  /** Opens the directory, and uploads what is in it. @throws StoreError when it cannot be made or read. */
  static async open(
    directory: string,
    store: ObjectStore,
    notes: JournalNotes,
    options: JournalOptions,
    logger: Logger,
  ): Promise<Journal> {
    const local = await JournalFiles.open(directory, options.verify);
    const journal = new Journal(local, store, notes, options, logger);
    await journal.#readLeft();
    for (let i = 0; i < options.uploadParallel; i++) journal.#workers.push(journal.#work());
    return journal;
  }

  get waiting(): { blocks: number; bytes: number } {
    return { blocks: this.#waiting.size, bytes: this.#bytes };
  }

  /** Whether a block of the slice is not in the store yet. */
  holds(sliceId: number): boolean {
    return this.#slices.has(sliceId);
  }

  async put(key: string, sliceId: number, object: readonly Buffer[]): Promise<boolean> {
    const bytes = object.reduce((sum, part) => sum + part.length, 0);
    if (this.#stop.signal.aborted || this.#bytes + bytes > this.#options.maxBytes) return false;
    this.#add(key, { sliceId, bytes });
    try {
      await Promise.all([this.#local.put(key, object), this.#notes.wait(sliceId)]);
    } catch (error) {
      await this.#local.delete(key).catch(() => {}); // Else it is uploaded for nothing, later.
      this.#forget(key);
      this.#stands(sliceId);
      if (error instanceof StoreError) {
        this.#logger.warn({ reason: error.message }, 'the journal takes no more; blocks go to the store at once');
        return false;
      }
      throw error;
    }
    failpoints?.pass('journaled block');
    this.#queue.push(key);
    this.#wake.shift()?.();
    return true;
  }

  async get(key: string, range: ByteRange | undefined): Promise<Buffer | undefined> {
    if (!this.#waiting.has(key)) return undefined;
    try {
      return await this.#local.get(key, range);
    } catch (error) {
      if (error instanceof ObjectMissingError) return undefined; // It stands in the store now.
      throw error;
    }
  }

  /** Resolves when nothing waits, or after `ms`. Answers how many blocks are left. */
  async drained(ms: number): Promise<number> {
    for (const end = performance.now() + ms; this.#waiting.size > 0 && performance.now() < end; ) await sleep(20);
    return this.#waiting.size;
  }

  /** What is left after drainMs stays for the next open(). */
  async close(): Promise<void> {
    const left = await this.drained(this.#options.drainMs);
    this.#stop.abort(new Error('the journal is closed'));
    for (const wake of this.#wake.splice(0)) wake();
    await Promise.all(this.#workers);
    if (left > 0) {
      this.#logger.warn(
        { blocks: left, bytes: this.#bytes, journal: this.#local.directory },
        'written data is still in the journal: it goes to the store at the next start here, or by janusfs recover',
      );
    }
  }

  async #readLeft(): Promise<void> {
    for (const { key, block, sizeBytes } of await this.#local.list(this.#logger)) {
      this.#add(key, { sliceId: block.sliceId, bytes: sizeBytes });
      this.#queue.push(key);
    }
    if (this.#queue.length > 0) {
      this.#logger.info({ blocks: this.#queue.length, bytes: this.#bytes }, 'uploading what an earlier run journaled');
    }
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const key = this.#queue.shift();
      if (key === undefined) {
        await new Promise<void>((resolve) => this.#wake.push(resolve));
        continue;
      }
      try {
        await this.#upload(key);
      } catch (error) {
        if (signal.aborted) return;
        this.#logger.warn(
          { key, reason: (error as Error).message },
          'a journaled block is not stored yet; it is tried again',
        );
        this.#queue.push(key);
        await sleep(PAUSE_MS, signal).catch(() => {});
      }
    }
  }

  async #upload(key: string): Promise<void> {
    const { signal } = this.#stop;
    const { sliceId } = this.#waiting.get(key)!;
    const object = await this.#local.get(key, undefined);
    failpoints?.pass('upload journaled');
    await withRetry('put', RETRY, signal, (attempt) =>
      this.#store.put(key, [object], attempt.signal, attempt.progress),
    );
    failpoints?.pass('uploaded journaled');
    // Readers of this process find it in either place until it is gone here.
    if (this.#stands(sliceId)) await this.#notes.settle(sliceId, () => !this.#slices.has(sliceId));
    await this.#local.delete(key);
    this.#forget(key);
  }

  /** One block of the slice less waits. @returns whether none does. */
  #stands(sliceId: number): boolean {
    const left = this.#slices.get(sliceId)! - 1;
    if (left > 0) this.#slices.set(sliceId, left);
    else this.#slices.delete(sliceId);
    return left === 0;
  }

  #add(key: string, waiting: Waiting): void {
    this.#waiting.set(key, waiting);
    this.#slices.set(waiting.sliceId, (this.#slices.get(waiting.sliceId) ?? 0) + 1);
    this.#bytes += waiting.bytes;
  }

  #forget(key: string): void {
    this.#bytes -= this.#waiting.get(key)?.bytes ?? 0;
    this.#waiting.delete(key);
  }
}

interface Change {
  sliceId: number;
  /** Undefined: the slice waits. Else: it waits no more, if this still holds when the change is sent. */
  stillSettled: (() => boolean) | undefined;
  done: () => void;
  failed: (error: unknown) => void;
}

/** One change of the notes at a time, with everything that came meanwhile in the next: their order is that of the calls. */
class NoteBatch {
  readonly #notes: JournalNotes;
  #next: Change[] = [];
  #running = false;

  constructor(notes: JournalNotes) {
    this.#notes = notes;
  }

  wait(sliceId: number): Promise<void> {
    return this.#enter(sliceId, undefined);
  }

  settle(sliceId: number, stillSettled: () => boolean): Promise<void> {
    return this.#enter(sliceId, stillSettled);
  }

  #enter(sliceId: number, stillSettled: (() => boolean) | undefined): Promise<void> {
    return new Promise((done, failed) => {
      this.#next.push({ sliceId, stillSettled, done, failed });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What else this turn of the event loop brings goes along.
    await Promise.resolve();
    while (this.#next.length > 0) {
      const batch = this.#next;
      this.#next = [];
      // The last word on each slice counts: one that waits again after it was settled waits.
      const last = new Map<number, boolean>();
      for (const { sliceId, stillSettled } of batch) last.set(sliceId, stillSettled === undefined || !stillSettled());
      const ids = [...last.keys()];
      try {
        await this.#notes.change(
          ids.filter((id) => last.get(id)),
          ids.filter((id) => !last.get(id)),
        );
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    this.#running = false;
  }
}
