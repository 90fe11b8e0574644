/** A gateway over a real volume: a redis-server of its own, blocks in memory, all layers between. */
import { S3Client } from '@aws-sdk/client-s3';
import { silentLogger } from '../../src/base/log.ts';
import { type Entry, ROOT_INO, type User } from '../../src/base/vocabulary.ts';
import { createChunkStore } from '../../src/chunk/chunk-store.ts';
import { MemoryStore } from '../../src/chunk/object/memory-store.ts';
import { openMeta } from '../../src/meta/open-meta.ts';
import { formatVolume } from '../../src/meta/volume/format-volume.ts';
import { startGateway } from '../../src/s3api/start-gateway.ts';
import { O_CREAT, O_RDWR, O_TRUNC } from '../../src/vfs/file/open-flags.ts';
import { openVfs } from '../../src/vfs/open-vfs.ts';
import type { Context, Vfs } from '../../src/vfs/vfs.ts';
import { CHUNK_OPTIONS } from '../support/chunk-options.ts';
import { redisServer } from '../support/redis-server.ts';

/** The mount's caller: its kernel has decided. */
export const MOUNT: Context = { uid: 0, gid: 0, groups: [], pid: 1, check: false };

const ROOT: User = { name: 'root', accessKey: 'AKROOT', secretKey: 'sr', uid: 0, gid: 0, groups: [] };
export const ALICE: User = { name: 'alice', accessKey: 'AKALICE', secretKey: 'sa', uid: 1001, gid: 1001, groups: [] };
const BOB: User = { name: 'bob', accessKey: 'AKBOB', secretKey: 'sb', uid: 1002, gid: 1002, groups: [] };

export interface VolumeGateway {
  vfs: Vfs;
  url: string;
  root: S3Client;
  alice: S3Client;
  bob: S3Client;
  close(): Promise<void>;
}

export async function startVolumeGateway(): Promise<VolumeGateway> {
  const redis = await redisServer();
  const ends: (() => Promise<unknown> | undefined)[] = [() => redis.stop()];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const volume = `redis+unix://${redis.socket}?volume=vol`;
    const users = [ROOT, ALICE, BOB];
    await formatVolume(volume, { store: 'memory:', users, rootMode: 0o1777, connectTimeoutMs: 60_000 });
    const meta = await openMeta(volume, { kind: 'test', connectTimeoutMs: 60_000 });
    ends.push(() => meta.close());
    const chunks = createChunkStore(new MemoryStore(), CHUNK_OPTIONS, silentLogger);
    ends.push(() => chunks.close());
    const vfs = openVfs({ meta, chunks, logger: silentLogger });
    ends.push(() => vfs.close());
    const listen = { host: '127.0.0.1', port: 0 };
    const gateway = await startGateway({ vfs, listen, region: 'us-east-1', logger: silentLogger });
    ends.push(() => gateway.close());
    const client = (user: User): S3Client => {
      const credentials = { accessKeyId: user.accessKey, secretAccessKey: user.secretKey };
      const common = { region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 };
      const made = new S3Client({ endpoint: gateway.url, credentials, ...common });
      ends.push(async () => made.destroy());
      return made;
    };
    return { vfs, url: gateway.url, root: client(ROOT), alice: client(ALICE), bob: client(BOB), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Looks a path up as the mount does, from the root of the volume. */
export async function lookupPath(vfs: Vfs, path: string): Promise<Entry> {
  let ino = ROOT_INO;
  let entry: Entry | undefined;
  for (const name of path.split('/')) {
    entry = await vfs.names.lookup(MOUNT, ino, Buffer.from(name, 'utf8').toString('latin1'));
    ino = entry.attr.ino;
  }
  return entry!;
}

/** Writes a whole file as a program on the mount does: open(O_CREAT|O_TRUNC), write, close. */
export async function writeFile(vfs: Vfs, directory: string, name: string, data: Buffer | string): Promise<Entry> {
  const parent = (await lookupPath(vfs, directory)).attr.ino;
  const { entry, handle } = await vfs.files.create(MOUNT, parent, name, 0o644, O_CREAT | O_RDWR | O_TRUNC);
  await vfs.files.write(MOUNT, handle, 0, Buffer.from(data), false);
  await vfs.files.flush(MOUNT, handle);
  await vfs.files.release(MOUNT, handle);
  return entry;
}

/** Writes into a file that is there, without truncating it. */
export async function patchFile(vfs: Vfs, path: string, offset: number, data: string): Promise<void> {
  const { attr } = await lookupPath(vfs, path);
  const { handle } = await vfs.files.open(MOUNT, attr.ino, O_RDWR, false);
  await vfs.files.write(MOUNT, handle, offset, Buffer.from(data), false);
  await vfs.files.flush(MOUNT, handle);
  await vfs.files.release(MOUNT, handle);
}

/** Reads a whole file as the mount does. */
export async function readFile(vfs: Vfs, path: string): Promise<Buffer> {
  const { attr } = await lookupPath(vfs, path);
  const { handle } = await vfs.files.open(MOUNT, attr.ino, 0, false);
  const pieces: Buffer[] = [];
  let offset = 0;
  while (offset < attr.size) {
    const piece = await vfs.files.read(MOUNT, handle, offset, Math.min(attr.size - offset, 1024 * 1024));
    if (piece.length === 0) break;
    pieces.push(Buffer.from(piece));
    offset += piece.length;
  }
  await vfs.files.release(MOUNT, handle);
  return Buffer.concat(pieces);
}
