/**
 * An S3 endpoint on a real volume, with all layers between, and clients for it. Three users: root, alice and bob; each may
 * make buckets. Requests that no SDK makes: signed-request.ts; faults of the file system: `faults`.
 */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { silentLogger } from '../../src/base/log.ts';
import type { User } from '../../src/base/vocabulary.ts';
import { existingKeyPath, keyPath } from '../../src/s3api/http/key-path.ts';
import { type ListenAddress, startGateway } from '../../src/s3api/start-gateway.ts';
import type { Vfs } from '../../src/vfs/vfs.ts';
import type { VfsSettings } from '../../src/vfs/vfs-options.ts';
import { ALICE, BOB, ROOT_USER, userContext } from './callers.ts';
import { type Faults, withFaults } from './faults.ts';
import { joinVfs } from './vfs-session.ts';
import { type TestVolume, testVolume } from './volume.ts';

export interface GatewayOptions {
  region?: string;
  domain?: string;
  listen?: ListenAddress;
  /** Requests handled at the same time. */
  requestsMax?: number;
  /** Of the file system behind it. */
  vfs?: VfsSettings;
}

export interface TestGateway {
  url: string;
  port: number;
  volume: TestVolume;
  /** The file system behind the endpoint, as a mount of the same process has it. */
  vfs: Vfs;
  /** What goes wrong between the endpoint and the file system. */
  faults: Faults;
  root: S3Client;
  alice: S3Client;
  bob: S3Client;
  /** Another client, which tries once as those do; all are destroyed with the volume. */
  client(user?: User, config?: S3ClientConfig): S3Client;
  /** Makes a bucket. @returns its directory's inode number */
  addBucket(name: string, user?: User): Promise<number>;
  /** Puts an object of alice's that has no ETag of its own. @param key bytes */
  addObject(bucket: string, key: string, data?: Buffer | string): Promise<void>;
  /** An object's bytes, undefined when there is none. @param key bytes */
  content(bucket: string, key: string): Promise<Buffer | undefined>;
  /** Stops the endpoint only. */
  stop(): Promise<void>;
}

/** Serves a new volume. It ends with the test file. */
export async function testGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const { region = 'us-east-1', listen = { host: '127.0.0.1', port: 0 }, domain } = options;
  const volume = await testVolume({ users: [ROOT_USER, ALICE, BOB], rootMode: 0o1777 });
  const { vfs } = await joinVfs(volume, options.vfs === undefined ? {} : { vfs: options.vfs });
  const served = withFaults(vfs);
  const hosted = {
    ...(domain === undefined ? {} : { domain }),
    ...(options.requestsMax === undefined ? {} : { requestsMax: options.requestsMax }),
  };
  const gateway = await startGateway({ vfs: served.vfs, listen, region, ...hosted, logger: silentLogger });
  volume.beforeEnd(() => gateway.close());
  const client = (user = ALICE, config: S3ClientConfig = {}): S3Client => {
    const credentials = { accessKeyId: user.accessKey, secretAccessKey: user.secretKey };
    const plain = { endpoint: gateway.url, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 };
    const made = new S3Client({ ...plain, credentials, ...config });
    volume.beforeEnd(async () => made.destroy());
    return made;
  };
  return {
    url: gateway.url,
    volume,
    port: 'path' in listen ? 0 : Number(new URL(gateway.url).port),
    vfs,
    faults: served.faults,
    root: client(ROOT_USER),
    alice: client(ALICE),
    bob: client(BOB),
    client,
    addBucket: async (name, user = ALICE) => (await vfs.buckets.create(userContext(user), name)).attr.ino,
    addObject: (bucket, key, data = '') => addObject(vfs, bucket, key, Buffer.from(data)),
    content: (bucket, key) => content(vfs, bucket, key),
    stop: () => gateway.close(),
  };
}

async function addObject(vfs: Vfs, bucket: string, key: string, data: Buffer): Promise<void> {
  const alice = userContext(ALICE);
  const path = keyPath((await vfs.buckets.find(alice, bucket)).attr.ino, key);
  const s3 = { version: 0, etag: '', headers: {}, tags: [], checksums: {}, checksumType: '' as const, parts: [] };
  const writer = vfs.objects.beginObject(alice);
  await writer.write(data);
  await vfs.objects.putObject(alice, writer, { path, precondition: {}, s3, xattrs: new Map() });
}

async function content(vfs: Vfs, bucket: string, key: string): Promise<Buffer | undefined> {
  const root = userContext(ROOT_USER);
  const path = existingKeyPath((await vfs.buckets.find(root, bucket)).attr.ino, key);
  const want = { data: true, xattrs: false, follow: true };
  const walked = await vfs.objects.walk(root, path, want).catch((error: { code?: string }) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (walked === undefined) return undefined;
  const reader = vfs.objects.openObject(root, walked);
  const pieces: Buffer[] = [];
  for (let offset = 0; offset < reader.sizeBytes; offset += pieces.at(-1)!.length) {
    pieces.push(Buffer.from(await reader.read(offset, 1024 * 1024)));
  }
  reader.close();
  return Buffer.concat(pieces);
}
