/** The one place where the layers are put together: metadata + data -> file system -> mount, S3 endpoint. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { UserError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { User } from '../../base/vocabulary.ts';
import { ScrubJob } from '../../check/scrub-blocks.ts';
import { createChunkStore } from '../../chunk/chunk-store.ts';
import type { ObjectStore } from '../../chunk/chunks.ts';
import type { KeySource } from '../../chunk/codec/data-key.ts';
import { codecOf } from '../../chunk/codec/framed-block.ts';
import { diskRoomOf } from '../../chunk/object/file-store.ts';
import { openStore } from '../../chunk/object/open-store.ts';
import type { Journal } from '../../chunk/write/journal.ts';
import type { Settings } from '../../config.ts';
import { CopyJob } from '../../dump/copy-plan.ts';
import type { FuseMount } from '../../fuse/mount/fuse-mount.ts';
import { mountedAt } from '../../fuse/mount/mount-point.ts';
import { mountVfs } from '../../fuse/mount/mount-vfs.ts';
import type { Meta } from '../../meta/meta.ts';
import { openMeta } from '../../meta/open-meta.ts';
import { startGateway } from '../../s3api/start-gateway.ts';
import { JobLoop } from '../../upkeep/job-loop.ts';
import { openVfs } from '../../vfs/open-vfs.ts';
import type { Vfs } from '../../vfs/vfs.ts';
import type { DATA_SETTINGS } from '../commands/command-spec.ts';
import { endpointUrl, type ListenAddress } from '../commands/listen-address.ts';
import { readVersion } from '../commands/version.ts';
import { type Credentials, currentOwner, generateCredentials, rootUser, SUPERUSER } from '../volume/credentials.ts';
import { makeVolume } from '../volume/make-volume.ts';
import type { NewCodec } from '../volume/new-codec.ts';
import { claimStore, isEmptyVolume } from '../volume/store-marker.ts';
import { withoutPassword } from '../volume/volume-argument.ts';
import { sealWith } from '../volume/volume-key.ts';
import { openJournal } from '../volume/write-back.ts';
import { registerMount } from './mount-registry.ts';
import type { Teardown } from './teardown.ts';

const DETACH_MS_MAX = 5000;

export interface MountRequest {
  /** Absolute. */
  path: string;
  /** Make the directory when it does not exist. */
  make: boolean;
  fuseDriver: 'raw' | 'fuse-native';
  fuseTransport: 'auto' | 'native' | 'pure';
  allowOther: boolean;
}

export interface GatewayRequest extends ListenAddress {
  region: string;
  domain: string | undefined;
  /** Requests handled at the same time. */
  requests: number;
}

export interface FrontendsRequest {
  url: string;
  /** What `status` shows: up, mount, gateway, serve. */
  kind: string;
  /** Directory of our own redis-server's log: fsync and S3 answers then wait for fdatasync of it. */
  embeddedLog?: string;
  /** Where the blocks of an embedded volume are: formatted over it when there is no volume yet. */
  embeddedStore?: string;
  /** Opens an encrypted volume. */
  key: KeySource | undefined;
  /** What a new embedded volume is made with. */
  codec?: NewCodec;
  /** Root's S3 keys, when they are given rather than the volume's. */
  root: Credentials | undefined;
  settings: Settings<(typeof DATA_SETTINGS)[number]>;
  mount: MountRequest | undefined;
  gateway: GatewayRequest | undefined;
  /** Data directory of an embedded volume. */
  data?: string;
}

export interface OpenFrontends {
  /** Absolute, without symbolic links. */
  mountPoint: string | undefined;
  endpoint: string | undefined;
  port: number | undefined;
  /** The session was lost. */
  fenced: Promise<void>;
  /** The mount was taken away from outside. */
  unmounted: Promise<void>;
}

/**
 * Opens what is asked for. Each step is registered with the teardown as soon as it stands, so a failure further on
 * leaves nothing behind.
 * @throws UserError for what the user can mend: volume, store, mount point, address.
 */
export async function openFrontends(
  request: FrontendsRequest,
  logger: Logger,
  teardown: Teardown,
  stop: AbortSignal,
): Promise<OpenFrontends> {
  const { meta, vfs } = await openFileSystem(request, logger, teardown, stop);
  stop.throwIfAborted();
  const fenced = new Promise<void>((resolve) => meta.events.on('fenced', () => resolve()));
  const gateway = request.gateway === undefined ? undefined : await openGateway(vfs, request.gateway, logger, teardown);
  stop.throwIfAborted();
  const mount =
    request.mount === undefined ? undefined : await openMount(vfs, meta, request, request.mount, logger, teardown);
  const places = [mount?.mountPoint, gateway?.endpoint].filter((place) => place !== undefined);
  await meta.session.describe(places.join(' '));
  return {
    mountPoint: mount?.mountPoint,
    endpoint: gateway?.endpoint,
    port: gateway?.port,
    fenced,
    unmounted: mount === undefined ? new Promise<void>(() => {}) : mount.done,
  };
}

async function openFileSystem(
  request: FrontendsRequest,
  logger: Logger,
  teardown: Teardown,
  stop: AbortSignal,
): Promise<{ meta: Meta; vfs: Vfs }> {
  const { url, settings, embeddedStore, embeddedLog, root } = request;
  const owner = embeddedStore === undefined ? SUPERUSER : currentOwner();
  if (embeddedStore !== undefined) {
    const isLogged = embeddedLog !== undefined ? { embeddedLog } : {};
    const codec = request.codec === undefined ? {} : { codec: request.codec };
    const wanted = { store: embeddedStore, root: root ?? generateCredentials(), owner, ...isLogged, ...codec };
    await makeVolume(url, wanted, logger, stop);
  }
  let dataKey: Buffer | undefined;
  const meta = await openMeta(url, {
    logger,
    sealFor: sealWith(request.key, (unlocked) => {
      dataKey = unlocked;
    }),
    kind: request.kind,
    version: readVersion(),
    leaseMs: settings.lease,
    ...(embeddedLog === undefined ? {} : { durability: { kind: 'local-aof', dir: embeddedLog } }),
  });
  teardown.add('metadata session', () => meta.close());
  if (root !== undefined) await setRoot(meta, rootUser(root, owner));
  // The data directory may have been moved since it was formatted.
  const store = await openStore(embeddedStore ?? meta.session.format.store, { create: false });
  const journal = await writeBack(meta, store, settings, logger, teardown);
  const chunks = createChunkStore(
    store,
    {
      bufferBytes: settings.bufferSize,
      cacheBytes: settings.cacheSize,
      uploadParallel: settings.uploads,
      downloadParallel: settings.downloads,
      retryMs: settings.retryTime,
      idleFlushMs: settings.idleFlush,
      readaheadBytesMax: settings.readahead,
      ...codecOf(meta.session.format, dataKey),
      journal,
      whereIs: (sliceId) => meta.upkeep.pendingPlace(sliceId),
    },
    logger,
  );
  teardown.add('data layer', () => chunks.close());
  await claimStore(store, meta.session.format, stop, () => isEmptyVolume(meta));
  const logDisk = embeddedLog === undefined ? {} : { logDisk: () => diskRoomOf(embeddedLog) };
  const vfs = openVfs({ meta, chunks, logger, options: logDisk });
  teardown.add('file system', () => vfs.close());
  const copies = new JobLoop(new CopyJob(meta, store, readVersion(), logger), logger);
  teardown.add('copies of the metadata', () => copies.stop());
  const scrub = new JobLoop(new ScrubJob(meta, store, logger), logger);
  teardown.add('scrub', () => scrub.stop());
  return { meta, vfs };
}

/** The journal, when one is asked for; its lock goes after everything that writes. */
async function writeBack(
  meta: Meta,
  store: ObjectStore,
  settings: FrontendsRequest['settings'],
  logger: Logger,
  teardown: Teardown,
): Promise<Journal | undefined> {
  if (settings.writeback === undefined) return undefined;
  await claimStore(store, meta.session.format, new AbortController().signal, () => isEmptyVolume(meta));
  const { journal, unlock } = await openJournal(meta, store, logger, {
    directory: settings.writeback,
    maxBytes: settings.writebackSize,
    uploadParallel: settings.uploads,
  });
  teardown.add('journal', async () => unlock());
  return journal;
}

/** Makes the given keys root's, when they are not already. */
async function setRoot(meta: Meta, root: User): Promise<void> {
  const users = await meta.users.list();
  const taken = users.find((user) => user.accessKey === root.accessKey && user.name !== root.name);
  if (taken !== undefined) {
    throw new UserError(`the access key given for root belongs to the user '${taken.name}'; choose another`);
  }
  const current = users.find((user) => user.name === root.name);
  const same =
    current?.accessKey === root.accessKey &&
    current.secretKey === root.secretKey &&
    current.uid === root.uid &&
    current.gid === root.gid;
  if (!same) await meta.users.put(root);
}

async function openGateway(
  vfs: Vfs,
  request: GatewayRequest,
  logger: Logger,
  teardown: Teardown,
): Promise<{ endpoint: string; port: number }> {
  const { port, region, domain, requests } = request;
  const listen = { host: request.host === '' ? '0.0.0.0' : request.host, port };
  const gateway = await startGateway({
    vfs,
    listen,
    region,
    logger,
    requestsMax: requests,
    ...(domain === undefined ? {} : { domain }),
  });
  teardown.add('S3 endpoint', () => gateway.close());
  const actual = new URL(gateway.url);
  return {
    endpoint: endpointUrl(actual.hostname.replace(/^\[|\]$/g, ''), Number(actual.port || 80)),
    port: Number(actual.port || 80),
  };
}

async function openMount(
  vfs: Vfs,
  meta: Meta,
  request: FrontendsRequest,
  wanted: MountRequest,
  logger: Logger,
  teardown: Teardown,
): Promise<FuseMount> {
  if (wanted.make) await makeMountPoint(wanted.path);
  const mount = await mountVfs(vfs, {
    mountPoint: wanted.path,
    fsName: `janusfs:${meta.session.format.name}`,
    transport: wanted.fuseTransport,
    driver: wanted.fuseDriver,
    allowOther: wanted.allowOther,
    logger,
    debug: false,
  });
  const { mountPoint } = mount;
  teardown.add(
    'mount',
    () => mount.unmount(),
    () => detachNow(mountPoint),
  );
  const { data, url } = request;
  const known = {
    mountPoint,
    volumeUrl: withoutPassword(url),
    pid: process.pid,
    ...(data === undefined ? {} : { data }),
  };
  try {
    const forget = registerMount(known);
    teardown.add('mount registry', async () => forget(), forget);
  } catch (error) {
    // Only `info PATH` and `umount` lose something: the one must be told the volume, the other does not wait.
    logger.warn({ error: (error as Error).message }, 'cannot note the mount for other commands');
  }
  return mount;
}

/** Makes the directory unless something is mounted there: what a crash left behind must not be touched. */
async function makeMountPoint(path: string): Promise<void> {
  if ((await mountedAt(path)) !== undefined) return;
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new UserError(`cannot make the mount point ${path}: ${(error as Error).message}`, 1, { cause: error });
  }
}

/** Detaches the mount without waiting for anything. */
function detachNow(mountPoint: string): void {
  const [command, ...args] = process.getuid?.() === 0 ? ['umount', '-l'] : ['fusermount3', '-u', '-z'];
  spawnSync(command!, [...args, mountPoint], { stdio: 'ignore', timeout: DETACH_MS_MAX });
}
