import { after } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { type ByteString, type Ino, ROOT_INO } from '../../src/base/vocabulary.ts';
import { createChunkStore } from '../../src/chunk/chunk-store.ts';
import type { ChunkOptions, ChunkStore, ObjectStore } from '../../src/chunk/chunks.ts';
import { MemoryStore } from '../../src/chunk/object/memory-store.ts';
import type { Meta } from '../../src/meta/meta.ts';
import { openMeta } from '../../src/meta/open-meta.ts';
import { formatVolume } from '../../src/meta/volume/format-volume.ts';
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../src/vfs/file/open-flags.ts';
import { openVfs } from '../../src/vfs/open-vfs.ts';
import type { Context, FileHandle, KernelCache, Vfs } from '../../src/vfs/vfs.ts';
import type { VfsSettings } from '../../src/vfs/vfs-options.ts';
import { CHUNK_OPTIONS } from '../support/chunk-options.ts';
import { type RedisServer, redisServer } from '../support/redis-server.ts';

/** The mount's context: the kernel has decided. */
export const ROOT: Context = { uid: 0, gid: 0, groups: [], pid: 1, check: false };
/** Tests wait for pushes and background work this long at most. */
const WAIT_MS = 30_000;
/** Nothing happens by itself: each test does what it is about. */
const NO_UPKEEP = { packer: false, deleter: false, reaper: false, compaction: false, reapDelayMs: 1 };

/** One process's worth: a session with its data layer and file system, and what its mount was told to drop. */
export interface Session {
  meta: Meta;
  chunks: ChunkStore;
  vfs: Vfs;
  kernel: RecordingKernel;
  /** Round trips counted by method since the last reset. */
  trips: Map<string, number>;
}

export class RecordingKernel implements KernelCache {
  entries: { parent: Ino; name: ByteString }[] = [];
  inodes: { ino: Ino; offset: number }[] = [];
  expired = 0;
  /** Kept unanswered while set. */
  gate: Promise<void> | undefined;

  async invalidateEntry(parent: Ino, name: ByteString): Promise<void> {
    await this.gate;
    this.entries.push({ parent, name });
  }

  async invalidateInode(ino: Ino, offset: number): Promise<void> {
    await this.gate;
    this.inodes.push({ ino, offset });
  }

  expireAll(): void {
    this.expired += 1;
  }

  clear(): void {
    this.entries = [];
    this.inodes = [];
  }
}

/** A volume on a redis-server of its own with one object store that all sessions share; gone after the test file. */
export class TestVolume {
  readonly redis: RedisServer;
  readonly store: ObjectStore;
  readonly objects: MemoryStore;
  readonly url: string;
  #sessions: Session[] = [];

  constructor(redis: RedisServer, objects: MemoryStore, store: ObjectStore) {
    this.redis = redis;
    this.objects = objects;
    this.store = store;
    this.url = `redis+unix://${redis.socket}?volume=test`;
  }

  async join(options: VfsSettings = {}, chunkOptions: Partial<ChunkOptions> = {}): Promise<Session> {
    const meta = await openMeta(this.url, { kind: 'test', connectTimeoutMs: 60_000, pingMs: 100 });
    const trips = new Map<string, number>();
    const chunks = createChunkStore(
      shared(this.store),
      { ...CHUNK_OPTIONS, retryMs: 50, ...chunkOptions },
      silentLogger,
    );
    const upkeep = { ...NO_UPKEEP, ...options.upkeep };
    const vfs = openVfs({ meta: counted(meta, trips), chunks, logger: silentLogger, options: { ...options, upkeep } });
    const kernel = new RecordingKernel();
    vfs.setKernelCache(kernel);
    const session = { meta, chunks, vfs, kernel, trips };
    this.#sessions.push(session);
    await until(() => vfs.validity().attrSec > 0, 'the push channel to be healthy');
    return session;
  }

  async close(): Promise<void> {
    for (const { vfs, chunks, meta } of this.#sessions) {
      await vfs.close();
      await chunks.close();
      await meta.close();
    }
    await this.redis.stop();
  }
}

/** Starts a volume for a test file. `store` decorates its object store. */
export async function testVolume(store: (objects: MemoryStore) => ObjectStore = (objects) => objects) {
  const redis = await redisServer();
  const objects = new MemoryStore();
  const volume = new TestVolume(redis, objects, store(objects));
  after(() => volume.close());
  await formatVolume(volume.url, { store: 'memory:', users: [], connectTimeoutMs: 60_000, rootMode: 0o777 });
  return volume;
}

/** Waits for a condition, bounded. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${WAIT_MS} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function create(vfs: Vfs, name: string, flags = O_RDWR | O_CREAT, parent = ROOT_INO): Promise<FileHandle> {
  return (await vfs.files.create(ROOT, parent, name, 0o644, flags)).handle;
}

/** Makes or overwrites a file and closes it. */
export async function writeFile(vfs: Vfs, name: string, data: Buffer | string, parent = ROOT_INO): Promise<Ino> {
  const handle = await create(vfs, name, O_WRONLY | O_CREAT | O_TRUNC, parent);
  await vfs.files.write(ROOT, handle, 0, Buffer.from(data), false);
  await close(vfs, handle);
  return handle.ino;
}

export async function close(vfs: Vfs, handle: FileHandle): Promise<void> {
  await vfs.files.flush(ROOT, handle);
  await vfs.files.release(ROOT, handle);
}

/** Looks a path up and reads the whole file. */
export async function readFile(vfs: Vfs, path: string): Promise<string> {
  let ino = ROOT_INO;
  for (const name of path.split('/')) ino = (await vfs.names.lookup(ROOT, ino, name)).attr.ino;
  const { handle } = await vfs.files.open(ROOT, ino, O_RDONLY, false);
  try {
    return (await readAll(vfs, handle)).toString('latin1');
  } finally {
    await vfs.files.release(ROOT, handle);
  }
}

export async function readAll(vfs: Vfs, handle: FileHandle): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let offset = 0; ; ) {
    const part = await vfs.files.read(ROOT, handle, offset, 1024 * 1024);
    if (part.length === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(part));
    offset += part.length;
  }
}

/** The store outlives any one data layer on it. */
function shared(store: ObjectStore): ObjectStore {
  return new Proxy(store, {
    get(target, property) {
      if (property === 'close') return async () => {};
      const value = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Facets whose calls cost a round trip, and the calls that cost none. */
const COUNTED = new Set(['names', 'data', 'objects', 'buckets', 'uploads', 'users', 'upkeep', 'session', 'durability']);
const FREE = new Set(['inlineFill']);

/** Counts the calls that cost a round trip, by method. */
function counted(meta: Meta, trips: Map<string, number>): Meta {
  const facets = Object.entries(meta).map(([name, facet]) => [
    name,
    COUNTED.has(name) ? countedFacet(facet, trips) : facet,
  ]);
  return Object.fromEntries(facets) as Meta;
}

function countedFacet(facet: object, trips: Map<string, number>): object {
  return new Proxy(facet, {
    get(target, property) {
      const value = Reflect.get(target, property, target);
      if (typeof value !== 'function' || typeof property !== 'string') return value;
      if (FREE.has(property)) return value.bind(target);
      return (...args: unknown[]) => {
        trips.set(property, (trips.get(property) ?? 0) + 1);
        return value.apply(target, args);
      };
    },
  });
}
