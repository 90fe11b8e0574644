/**
 * Copies of the metadata in the object store, so that a volume can be made again from nothing but its store:
 *
 *     metadata/<time of the copy>/00000, 00001, ...   the dump, gzip, cut into parts
 *     metadata/<time of the copy>/complete            JSON; a copy without it is not one
 */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { UserError } from '../base/errors.ts';
import type { ObjectStore } from '../chunk/chunks.ts';
import { withRetry } from '../chunk/retry.ts';
import type { Meta } from '../meta/meta.ts';
import { dumpVolume } from './dump-volume.ts';

const PREFIX = 'metadata/';
const PART_BYTES = 8 * 1024 * 1024;
const LIST_PAGE = 1_000;
const RETRY = { retryMs: 60_000 };
/** A copy that is not complete after this long was given up. */
const INCOMPLETE_MS = 24 * 60 * 60 * 1000;

export interface Copy {
  /** Its directory in the store, which is its time: 2026-11-25T03-00-00.000Z. */
  name: string;
  parts: number;
  bytes: number;
  /** Server milliseconds at which it began. */
  beganMs: number;
}

/** Takes a copy. @throws UserError, FsError; what was stored of it is removed by a later prune. */
export async function takeCopy(
  meta: Meta,
  store: ObjectStore,
  options: { version: string; signal: AbortSignal },
): Promise<Copy> {
  const name = new Date(Math.floor(meta.clock.nowUs() / 1000)).toISOString().replaceAll(':', '-');
  const put = (part: string, data: readonly Buffer[]): Promise<void> =>
    withRetry('put', RETRY, options.signal, ({ signal, progress }) =>
      store.put(`${PREFIX}${name}/${part}`, data, signal, progress),
    );
  let parts = 0;
  let bytes = 0;
  const gzip = createGzip({ level: 3 });
  const stored = (async () => {
    let held: Buffer[] = [];
    let heldBytes = 0;
    const store = async (): Promise<void> => {
      const data = held;
      bytes += heldBytes;
      [held, heldBytes] = [[], 0];
      await put(String(parts++).padStart(5, '0'), data);
    };
    for await (const piece of gzip as AsyncIterable<Buffer>) {
      held.push(piece);
      heldBytes += piece.length;
      if (heldBytes >= PART_BYTES) await store();
    }
    if (heldBytes > 0) await store();
  })();
  stored.catch(() => {}); // Awaited below, unless the dump fails first.
  try {
    const { beganMs } = await dumpVolume(meta, { ...options, progress: () => {} }, (data) =>
      writeTo(gzip, data, stored),
    );
    gzip.end();
    await stored;
    await put('complete', [Buffer.from(`${JSON.stringify({ parts, bytes, beganMs, version: options.version })}\n`)]);
    return { name, parts, bytes, beganMs };
  } catch (error) {
    gzip.destroy();
    throw error;
  }
}

/** Writes to a stream with back-pressure. @param reader what takes the other end: its failure is ours. */
export async function writeTo(
  stream: NodeJS.WritableStream,
  data: Buffer,
  reader: Promise<unknown> = new Promise(() => {}),
): Promise<void> {
  if (!stream.write(data)) await Promise.race([once(stream, 'drain'), reader]);
}

/** Complete copies, the newest last. */
export async function listCopies(store: ObjectStore): Promise<Copy[]> {
  const copies: Copy[] = [];
  for (const [name, { files }] of await listAll(store)) {
    if (!files.includes('complete')) continue;
    const text = await withRetry('get', RETRY, undefined, ({ signal }) =>
      store.get(`${PREFIX}${name}/complete`, undefined, signal),
    );
    const { parts, bytes, beganMs } = JSON.parse(text.toString()) as Copy;
    copies.push({ name, parts, bytes, beganMs });
  }
  return copies;
}

/** Keeps the newest `keep` complete copies, and incomplete ones that are young. Answers how many copies went. */
export async function pruneCopies(store: ObjectStore, keep: number, nowMs: number): Promise<number> {
  const all = await listAll(store);
  const complete = [...all].filter(([, { files }]) => files.includes('complete')).map(([name]) => name);
  const kept = new Set(complete.slice(-keep));
  let gone = 0;
  for (const [name, { files, youngestMs }] of all) {
    const isIncomplete = !files.includes('complete');
    if (kept.has(name) || (isIncomplete && youngestMs > nowMs - INCOMPLETE_MS)) continue;
    // The mark first: what is left of it is no copy.
    const keys = [...files].sort((a) => (a === 'complete' ? -1 : 1)).map((file) => `${PREFIX}${name}/${file}`);
    await withRetry('delete', RETRY, undefined, ({ signal }) => store.deleteMany(keys.slice(0, 1), signal));
    await withRetry('delete', RETRY, undefined, ({ signal }) => store.deleteMany(keys.slice(1), signal));
    gone += 1;
  }
  return gone;
}

/** The dump in a copy, decompressed. @param name a copy's name; the newest when left out. @throws UserError when there is none. */
export async function readCopy(
  store: ObjectStore,
  name: string | undefined,
): Promise<{ copy: Copy; bytes: AsyncIterable<Buffer> }> {
  const copies = await listCopies(store);
  const copy = name === undefined ? copies.at(-1) : copies.find((one) => one.name === name);
  if (copy === undefined) {
    const there = copies.map((one) => one.name).join(', ');
    throw new UserError(
      copies.length === 0
        ? `${store.url} holds no complete copy of the metadata`
        : `${store.url} holds no copy ${name}; there are ${there}`,
    );
  }
  async function* parts(): AsyncGenerator<Buffer> {
    for (let part = 0; part < copy!.parts; part++) {
      const key = `${PREFIX}${copy!.name}/${String(part).padStart(5, '0')}`;
      yield await withRetry('get', RETRY, undefined, ({ signal, progress }) =>
        store.get(key, undefined, signal, progress),
      );
    }
  }
  return { copy, bytes: gunzip(Readable.from(parts())) };
}

/** Decompresses a dump. What is wrong with the compression is one line for the user. */
export async function* gunzip(source: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  const stream = createGunzip();
  source.on('error', (error) => stream.destroy(error));
  source.pipe(stream);
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) yield piece;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'Z_BUF_ERROR') throw new UserError('the dump is not complete: it ends early; use another copy');
    if (code?.startsWith('Z_')) throw new UserError(`the dump is damaged: ${message}`, 1, { cause: error });
    throw error;
  }
}

async function listAll(store: ObjectStore): Promise<Map<string, { files: string[]; youngestMs: number }>> {
  const found = new Map<string, { files: string[]; youngestMs: number }>();
  for (let after = ''; ; ) {
    const page = await withRetry('list', RETRY, undefined, ({ signal }) =>
      store.list(PREFIX, after, LIST_PAGE, signal),
    );
    for (const { key, modifiedMs } of page) {
      const [name = '', file = ''] = key.slice(PREFIX.length).split('/');
      const copy = found.get(name) ?? { files: [], youngestMs: 0 };
      copy.files.push(file);
      copy.youngestMs = Math.max(copy.youngestMs, modifiedMs);
      found.set(name, copy);
    }
    if (page.length < LIST_PAGE) return found;
    after = page[page.length - 1]!.key;
  }
}
