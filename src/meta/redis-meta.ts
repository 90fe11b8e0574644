/**
 * The metadata engine as one object: every operation of the contract, delegated to the part that owns it.
 *
 *     NamespaceOps  names, attributes, xattrs      DataOps  slice maps and commits
 *     ObjectOps     S3's operations on paths       UpkeepOps  packing, reaping, leases
 *     Session, Channel, Durability, Users          the volume itself
 */

import type { Invalidation, SessionInfo, User, VolumeFormat, VolumeUsage } from '../base/vocabulary.ts';
import type { Meta } from './meta.ts';
import { DataOps } from './ops/data-scripts.ts';
import { NamespaceOps } from './ops/name-scripts.ts';
import { ObjectOps } from './ops/object-scripts.ts';
import { UpkeepOps } from './ops/upkeep-scripts.ts';
import { Users } from './ops/user-scripts.ts';
import type { Channel } from './redis/channel.ts';
import type { Durability } from './redis/durability.ts';
import type { Engine } from './redis/engine.ts';
import type { JoinedVolume } from './volume/join-volume.ts';
import type { Session } from './volume/session.ts';

/** How long close() tries to end the session while Redis does not answer, ms. */
const CLOSE_MS_MAX = 10_000;

export class RedisMeta implements Meta {
  readonly #engine: Engine;
  readonly #session: Session;
  readonly #channel: Channel;
  readonly #durability: Durability;
  readonly #users: Users;
  readonly #namespace: NamespaceOps;
  readonly #data: DataOps;
  readonly #objects: ObjectOps;
  readonly #upkeep: UpkeepOps;
  #closed: Promise<void> | undefined;

  constructor(joined: JoinedVolume) {
    const { engine } = joined.session;
    this.#engine = engine;
    this.#session = joined.session;
    this.#channel = joined.channel;
    this.#durability = joined.durability;
    this.#users = new Users(engine);
    this.#namespace = new NamespaceOps(engine);
    this.#data = new DataOps(engine);
    this.#objects = new ObjectOps(engine);
    this.#upkeep = new UpkeepOps(engine);
  }

  lookup: Meta['lookup'] = (...args) => this.#namespace.lookup(...args);
  getattr: Meta['getattr'] = (ino) => this.#namespace.getattr(ino);
  setattr: Meta['setattr'] = (...args) => this.#namespace.setattr(...args);
  mknod: Meta['mknod'] = (request) => this.#namespace.mknod(request);
  mkHidden: Meta['mkHidden'] = (...args) => this.#namespace.mkHidden(...args);
  symlink: Meta['symlink'] = (request) => this.#namespace.symlink(request);
  readlink: Meta['readlink'] = (ino) => this.#namespace.readlink(ino);
  link: Meta['link'] = (...args) => this.#namespace.link(...args);
  unlink: Meta['unlink'] = (...args) => this.#namespace.unlink(...args);
  rmdir: Meta['rmdir'] = (...args) => this.#namespace.rmdir(...args);
  rename: Meta['rename'] = (request) => this.#namespace.rename(request);
  readdir: Meta['readdir'] = (...args) => this.#namespace.readdir(...args);
  getxattr: Meta['getxattr'] = (...args) => this.#namespace.getxattr(...args);
  setxattr: Meta['setxattr'] = (...args) => this.#namespace.setxattr(...args);
  listxattr: Meta['listxattr'] = (ino) => this.#namespace.listxattr(ino);
  removexattr: Meta['removexattr'] = (...args) => this.#namespace.removexattr(...args);
  sustain: Meta['sustain'] = (inos) => this.#namespace.sustain(inos);
  release: Meta['release'] = (ino) => this.#namespace.release(ino);

  readMap: Meta['readMap'] = (...args) => this.#data.readMap(...args);
  readInline: Meta['readInline'] = (ids) => this.#data.readInline(ids);
  commit: Meta['commit'] = (request) => this.#data.commit(request);
  reserveSlices: Meta['reserveSlices'] = (count) => this.#data.reserveSlices(count);
  fallocate: Meta['fallocate'] = (...args) => this.#data.fallocate(...args);
  cloneRange: Meta['cloneRange'] = (...args) => this.#data.cloneRange(...args);
  seek: Meta['seek'] = (...args) => this.#data.seek(...args);
  compactChunk: Meta['compactChunk'] = (...args) => this.#data.compactChunk(...args);

  walk: Meta['walk'] = (request) => this.#objects.walk(request);
  publish: Meta['publish'] = (request) => this.#objects.publish(request);
  remove: Meta['remove'] = (request) => this.#objects.remove(request);
  list: Meta['list'] = (request) => this.#objects.list(request);
  setS3: Meta['setS3'] = (...args) => this.#objects.setS3(...args);
  getS3: Meta['getS3'] = (ino) => this.#objects.getS3(ino);
  listBuckets: Meta['listBuckets'] = (...args) => this.#objects.listBuckets(...args);
  createBucket: Meta['createBucket'] = (...args) => this.#objects.createBucket(...args);
  deleteBucket: Meta['deleteBucket'] = (...args) => this.#objects.deleteBucket(...args);
  createUpload: Meta['createUpload'] = (upload) => this.#objects.createUpload(upload);
  getUpload: Meta['getUpload'] = (...args) => this.#objects.getUpload(...args);
  putPart: Meta['putPart'] = (...args) => this.#objects.putPart(...args);
  listParts: Meta['listParts'] = (...args) => this.#objects.listParts(...args);
  listUploads: Meta['listUploads'] = (...args) => this.#objects.listUploads(...args);
  abortUpload: Meta['abortUpload'] = (...args) => this.#objects.abortUpload(...args);
  completedUpload: Meta['completedUpload'] = (uploadId) => this.#objects.completedUpload(uploadId);

  inlineSlices: Meta['inlineSlices'] = (...args) => this.#upkeep.inlineSlices(...args);
  packBegin: Meta['packBegin'] = () => this.#upkeep.packBegin();
  packSwap: Meta['packSwap'] = (...args) => this.#upkeep.packSwap(...args);
  packEnd: Meta['packEnd'] = (packId) => this.#upkeep.packEnd(packId);
  reap: Meta['reap'] = (limit) => this.#upkeep.reap(limit);
  reapNow: Meta['reapNow'] = (inos) => this.#upkeep.reapNow(inos);
  deadSlices: Meta['deadSlices'] = (limit) => this.#upkeep.deadSlices(limit);
  forgetSlices: Meta['forgetSlices'] = (ids) => this.#upkeep.forgetSlices(ids);
  lease: Meta['lease'] = (...args) => this.#upkeep.lease(...args);
  cleanSessions: Meta['cleanSessions'] = () => this.#session.cleanSessions();

  get format(): VolumeFormat {
    return this.#session.format;
  }

  get sid(): number {
    return this.#engine.sid;
  }

  serverNowUs(): number {
    return this.#engine.clock.nowUs();
  }

  async usage(): Promise<VolumeUsage> {
    const key = this.#engine.key('n');
    const reply = (await this.#engine.command('HMGET', [key, 'bytes', 'inodes', 'inline'])) as (Buffer | null)[];
    const [usedBytes = 0, usedInodes = 0, inlineBytes = 0] = reply.map((count) => Number(count?.toString() ?? 0));
    return { usedBytes, usedInodes, inlineBytes };
  }

  sessions(): Promise<SessionInfo[]> {
    return this.#session.list();
  }

  describe(where: string): Promise<void> {
    return this.#session.describe(where);
  }

  users(): Promise<User[]> {
    return this.#users.list();
  }

  putUser(user: User): Promise<void> {
    return this.#users.put(user);
  }

  removeUser(name: string): Promise<boolean> {
    return this.#users.remove(name);
  }

  durable(): Promise<void> {
    return this.#durability.durable();
  }

  durabilityText(): string {
    return this.#durability.text;
  }

  inlineFill(): number {
    return this.#engine.inlineFill;
  }

  onInvalidate(listener: (batch: Invalidation[]) => void): void {
    this.#channel.onInvalidate(listener);
  }

  onChannel(listener: (healthy: boolean) => void): void {
    this.#channel.onChannel(listener);
  }

  onFenced(listener: () => void): void {
    this.#engine.onFenced(listener);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const ended = this.#session.close().then(() => this.#durability.close());
    // Redis may be away for good: then the lease ends the session, and a stop does not wait for it.
    const limit = setTimeout(() => this.#engine.connection.close(), CLOSE_MS_MAX);
    try {
      await ended;
    } finally {
      clearTimeout(limit);
      this.#channel.close();
      this.#engine.connection.close();
    }
  }
}
