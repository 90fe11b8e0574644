import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import {
  ACCESS_KEY,
  runMain,
  SECRET_KEY,
  type Started,
  s3Client,
  startMain,
  stopChild,
} from '../../conformance/cross-frontend/running-up.ts';
import { type RedisServer, redisServer } from '../support/redis-server.ts';

/** A volume with a Redis and a store of its own, served at both doors by one child process. */
export interface ServedVolume {
  readonly redis: RedisServer;
  /** Path on the mount of the bucket `bkt`. */
  readonly bucket: string;
  /** Directory of the object store. */
  readonly store: string;
  readonly s3: S3Client;
}

export interface VolumePlan {
  /** Directory for everything, made and removed by the caller; without it one is made. */
  root?: string;
  /** Store URL for the directory that is meant for it. */
  storeUrl?: (directory: string) => string;
  /** Variables and flags of the program. */
  env?: Record<string, string>;
  flags?: string[];
  /** Redis keeps a log, so that it can be restarted. */
  appendOnly?: boolean;
}

/** Serves a volume while `body` runs, and takes everything away afterwards. */
export async function withVolume(plan: VolumePlan, body: (volume: ServedVolume) => Promise<void>): Promise<void> {
  const root = plan.root ?? (await mkdtemp(join(tmpdir(), 'janusfs-volume-')));
  let redis: RedisServer | undefined;
  let started: Started | undefined;
  let s3: S3Client | undefined;
  try {
    redis = await redisServer({ appendOnly: plan.appendOnly === true });
    const url = `redis+unix://${redis.socket}?volume=faults`;
    const [store, mount] = [join(root, 'store'), join(root, 'mnt')];
    const storeUrl = plan.storeUrl?.(store) ?? `file://${store}`;
    const rootKeys = { JANUSFS_ACCESS_KEY: ACCESS_KEY, JANUSFS_SECRET_KEY: SECRET_KEY };
    await runMain(['format', url, '--store', storeUrl], { ...rootKeys, ...plan.env });
    await mkdir(mount);
    started = await startMain(['serve', url, mount, '--listen', '127.0.0.1:0', ...(plan.flags ?? [])], plan.env);
    s3 = s3Client(/http:\/\/\S+/.exec(started.ready)![0], ACCESS_KEY, SECRET_KEY);
    await s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
    await body({ redis, bucket: join(mount, 'bkt'), store, s3 });
  } finally {
    s3?.destroy();
    if (started !== undefined) await stopChild(started.child);
    await redis?.stop();
    if (plan.root === undefined) await rm(root, { recursive: true, force: true });
  }
}
