/**
 * The contract of the metadata engine. Each method is one Lua script and one Redis round trip, unless its text says
 * otherwise. Methods throw FsError; SessionLostError when this session is fenced. Mutations are executed exactly once
 * over reconnects (session, slot, sequence). Put together in open-meta.ts. Requests that one script takes as they are come
 * from its schema (schema/*-schemas.ts), where their fields are described.
 */
import type { SliceRecord } from '../base/slice-record.ts';
import type { CommitReply, FileMap, InlineSlice, PackSwap } from '../base/slices.ts';
import type {
  Attr,
  ByteString,
  Caller,
  Entry,
  EntryKind,
  Ino,
  S3Record,
  SessionInfo,
  User,
  VolumeFormat,
  VolumeUsage,
} from '../base/vocabulary.ts';
import type { VolumeEvents } from '../base/volume-events.ts';
import type { ListItem, Part, PublishReply, RemoveReply, SetattrRequest, Upload, WalkReply } from './records.ts';
import type { commit } from './schema/content-schemas.ts';
import type { mknod, rename } from './schema/name-schemas.ts';
import type { publish, remove, walk } from './schema/object-schemas.ts';
import type { RequestTo, ResponseOf } from './schema/script-schema.ts';
import type { getUpload, listParts } from './schema/upload-schemas.ts';

export type {
  KeyPath,
  ListItem,
  Part,
  Precondition,
  PublishReply,
  RemoveReply,
  SetattrRequest,
  Upload,
  WalkReply,
} from './records.ts';

export interface EntryReply {
  entry: Entry;
  /** Attributes of the directory after the operation. */
  parentAttr: Attr;
}

/** Without a target, which symlink() has. */
export type MknodRequest = Omit<RequestTo<typeof mknod>, 'target'>;

export type RenameRequest = RequestTo<typeof rename>;

export type RenameReply = ResponseOf<typeof rename>;

export type CommitRequest = RequestTo<typeof commit>;

export type PublishRequest = RequestTo<typeof publish>;

export type WalkRequest = RequestTo<typeof walk>;

/** Names an upload: its id, and the bucket and key it must be of. */
export type UploadRef = RequestTo<typeof getUpload>;

/** `limit` parts behind the number `afterNumber`. */
export type PartsRequest = RequestTo<typeof listParts>;

export type PartsReply = ResponseOf<typeof listParts>;

/** `limit` uploads behind a key, or behind one upload of it. */
export interface UploadsRequest {
  root: Ino;
  prefix: ByteString;
  /** '': from the start. */
  afterKey: ByteString;
  /** '': behind all uploads of afterKey. */
  afterUploadId: string;
  limit: number;
}

export interface CloneRangeRequest {
  source: Ino;
  sourceOffset: number;
  target: Ino;
  targetOffset: number;
  length: number;
  /** As SetattrRequest.killPriv, of the target. */
  killPriv?: boolean;
}

export type RemoveRequest = RequestTo<typeof remove>;

export interface ListRequest {
  root: Ino;
  prefix: ByteString;
  /** Keys and common prefixes up to and including this byte string are skipped; '' = from the start. */
  after: ByteString;
  delimiter: ByteString;
  /** 1..1000 items (keys and prefixes together). */
  limit: number;
  caller: Caller;
}

export interface ListReply {
  items: ListItem[];
  truncated: boolean;
}

/** Namespace operations (inode-based). Names and rules are POSIX's; see each system call's man page for errnos. */
export interface MetaNames {
  lookup(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<Entry>;
  getattr(ino: Ino): Promise<Attr>;
  setattr(ino: Ino, request: SetattrRequest, caller: Caller): Promise<Attr>;
  /** Files, directories, fifos, sockets, devices. EEXIST when the name is taken. */
  mknod(request: MknodRequest): Promise<EntryReply>;
  /** A file or directory inode that no name reaches yet; belongs to this session until linked or released (O_TMPFILE, S3 data). */
  mkHidden(mode: number, uid: number, gid: number): Promise<Attr>;
  symlink(request: Omit<MknodRequest, 'mode' | 'rdev'> & { target: Buffer }): Promise<EntryReply>;
  readlink(ino: Ino): Promise<Buffer>;
  link(ino: Ino, newParent: Ino, newName: ByteString, caller: Caller): Promise<EntryReply>;
  /**
   * Takes the name away. When the reply's nlink is 0 the inode waits in `del` for a grace period longer than any lease:
   * a session that has it open calls sustain() within it (the caller at once, others when they hear 'unlinked').
   * The same holds for what rename, publish and remove replace or take away.
   */
  unlink(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<{ attr: Attr; parentAttr: Attr }>;
  rmdir(parent: Ino, name: ByteString, kind: EntryKind, caller: Caller): Promise<{ attr: Attr; parentAttr: Attr }>;
  rename(request: RenameRequest): Promise<RenameReply>;
  /**
   * A page of entries with attributes, in byte order of stored members. `cursor`: '' or the cursor of an earlier
   * entry; stable under concurrent change.
   */
  readdir(
    ino: Ino,
    cursor: ByteString,
    limit: number,
  ): Promise<{ entries: (Entry & { cursor: ByteString })[]; end: boolean }>;
  getxattr(ino: Ino, name: string): Promise<Buffer>;
  setxattr(ino: Ino, name: string, value: Buffer, mode: 'set' | 'create' | 'replace'): Promise<Attr>;
  listxattr(ino: Ino): Promise<string[]>;
  removexattr(ino: Ino, name: string): Promise<Attr>;
  /** These unlinked inodes are open in this session: keep them until release() or the session's end. */
  sustain(inos: Ino[]): Promise<Attr[]>;
  /** The last handle of an unlinked or hidden inode of this session closed: it may go. */
  release(ino: Ino): Promise<void>;
}

/** File content. */
export interface MetaData {
  /** Slice map of `count` chunks from `chunkIndex`, with attributes; inline bytes come along up to `inlineBytesMax`. */
  readMap(ino: Ino, chunkIndex: number, count: number, inlineBytesMax: number): Promise<{ attr: Attr; map: FileMap }>;
  /** Bytes of inline slices; undefined where the packer has moved or a change has freed them: read the map again. */
  readInline(ids: number[]): Promise<(Buffer | undefined)[]>;
  /**
   * One script. How many records the chunks have now is told as an event (recordsAppended). Like fallocate and cloneRange
   * it is on behalf of a handle: permission was decided when that was opened.
   */
  commit(request: CommitRequest): Promise<CommitReply & { attr: Attr }>;
  /** Reserves `count` consecutive slice ids and answers the first. */
  reserveSlices(count: number): Promise<number>;
  fallocate(
    ino: Ino,
    mode: 'extend' | 'keep-size' | 'punch' | 'zero' | 'zero-keep-size',
    offset: number,
    length: number,
    killPriv: boolean,
  ): Promise<Attr>;
  /**
   * Shares the source range's slices with the target (copy_file_range, CopyObject, UploadPartCopy, Complete): moves no bytes.
   * Several round trips for very large ranges; each is bounded. Answers the target's attributes and the bytes copied.
   */
  cloneRange(request: CloneRangeRequest): Promise<{ attr: Attr; copied: number }>;
  /** Next data or hole at or after offset; throws ENXIO past the end. */
  seek(ino: Ino, offset: number, whence: 'data' | 'hole'): Promise<number>;
  /**
   * Compaction: replaces the records `prefix` of a chunk by others that show the same bytes and the same holes, if they are
   * still its first records. Answers false if not.
   */
  compactChunk(ino: Ino, chunkIndex: number, prefix: SliceRecord[], replacement: SliceRecord[]): Promise<boolean>;
  /** How inline space stands: 0..1 of the volume's budget, as of the last reply that told. */
  inlineFill(): number;
}

/** S3's atomic operations on paths. Permission is checked here when caller.check. */
export interface MetaObjects {
  walk(request: WalkRequest): Promise<WalkReply>;
  /**
   * EEXIST/ENOTDIR never: a file and a directory of one name live together. One script.
   * @throws ENOENT (the root is gone, or ifMatch without an object), ECANCELED (a precondition does not hold), EACCES,
   * ELOOP, ENAMETOOLONG, ESTALE (the upload or the hidden inode is gone), EISDIR (`dir/` with bytes).
   */
  publish(request: PublishRequest): Promise<PublishReply>;
  remove(request: RemoveRequest): Promise<RemoveReply>;
  /** One page; usually one round trip, more when many entries are skipped. */
  list(request: ListRequest): Promise<ListReply>;
  /** Changes tags or headers without touching content; ctime moves. @throws EACCES without write permission. */
  setS3(
    ino: Ino,
    change: { tags?: [string, string][]; headers?: Record<string, string> },
    caller: Caller,
  ): Promise<Attr>;
  getS3(ino: Ino): Promise<S3Record | undefined>;
}

/** Buckets: top-level directories of names that S3 allows. */
export interface MetaBuckets {
  /** Top-level directories of the volume visible as buckets, by name. */
  list(after: ByteString, prefix: ByteString, limit: number): Promise<{ entries: Entry[]; truncated: boolean }>;
  /** EEXIST when the bucket is there (lookup tells whose), EINVAL for what is no bucket name. Any caller may. */
  create(name: ByteString, caller: Caller, mode: number): Promise<EntryReply>;
  /**
   * ENOTEMPTY while anything would be listed, or stands there that S3 does not list (fifos, dangling links); EACCES for
   * others than its owner and uid 0. Its uploads are freed with it.
   */
  delete(name: ByteString, caller: Caller): Promise<{ attr: Attr }>;
}

/** Multipart uploads. Parts are hidden inodes that belong to the upload. */
export interface MetaUploads {
  create(upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload>;
  /** @throws FsError ENOENT: there is no such upload (any more); so abort and listParts. */
  get(upload: UploadRef): Promise<Upload>;
  /** Puts the hidden inode under the upload; an earlier part of that number is released. ENOENT: no such upload. */
  putPart(uploadId: string, part: Omit<Part, 'modifiedMs'>): Promise<Part>;
  /** A page of parts by number, with the upload; 10,000 at most. */
  listParts(request: PartsRequest): Promise<PartsReply>;
  /** A page of a bucket's uploads in key order, then order of initiation; 1,000 at most. */
  list(request: UploadsRequest): Promise<{ uploads: Upload[]; truncated: boolean }>;
  abort(upload: UploadRef): Promise<void>;
  /** The reply kept for a completed upload, so that a repeated Complete answers the same (kept one day). */
  completed(uploadId: string): Promise<{ etag: string } | undefined>;
}

/** Background work: packing, reaping, deleting. Any live session may do it; leases keep two from doing it at once. */
export interface MetaUpkeep {
  /** Oldest inline slices, of this session's commits or (olderThanMs) anybody's. */
  inlineSlices(scope: 'own' | 'any', olderThanMs: number, limit: number): Promise<InlineSlice[]>;
  /** Reserves a pack's slice id, recorded with this session until packEnd. */
  packBegin(): Promise<number>;
  /**
   * At most 256 swaps; answers how many found their record (others were overwritten or deleted: dead bytes).
   * @throws ESTALE when the pack has been given up (it took too long): its object may be deleted.
   */
  packSwap(packId: number, packBytes: number, swaps: PackSwap[]): Promise<number>;
  packEnd(packId: number): Promise<void>;
  /** Frees content of inodes whose grace is over; bounded per call. Answers how many inodes went and whether more wait. */
  reap(limit: number): Promise<{ reaped: number; more: boolean }>;
  /** Write-back: slices whose bytes are in the journal at `place` only, and slices that are in the store now. One script. */
  changePending(place: string, waiting: readonly number[], settled: readonly number[]): Promise<void>;
  /** The journal that a slice waits in. */
  pendingPlace(sliceId: number): Promise<string | undefined>;
  /**
   * Takes what was removed before a time out of the trash, server milliseconds; undefined: before as long ago as the volume keeps it.
   * Answers how many files went and whether there is more.
   */
  expireTrash(beforeMs: number | undefined, limit: number): Promise<{ gone: number; more: boolean }>;
  /**
   * These unlinked inodes are not open in this session. Frees those that no other session can have open (this is the
   * only live session), so that temporary files cost no grace period; the others keep waiting. At most 100 per call.
   */
  reapNow(inos: Ino[]): Promise<void>;
  /**
   * Slices whose grace is over and that no record names, whose objects may be deleted now. @param hurry the disk is full: where this is
   * the only session, a second is grace enough.
   */
  deadSlices(limit: number, hurry?: boolean): Promise<{ id: number; sizeBytes: number }[]>;
  /** Their objects are gone. Only ids that deadSlices() of this session has answered count. */
  forgetSlices(ids: number[]): Promise<void>;
  /** Tries to take or renew the named volume-wide lease. */
  lease(name: string, ttlMs: number): Promise<boolean>;
}

/** A condition or a write of scripts/upkeep/compare-and-write.lua: verb, key (or inode), and up to two values; '' is none. */
export type MendStep = readonly [
  verb:
    | 'is'
    | 'field-is'
    | 'has-member'
    | 'lacks-member'
    | 'lacks-key'
    | 'has-key'
    | 'set'
    | 'delete'
    | 'set-field'
    | 'delete-field'
    | 'add-to-field'
    | 'add-member'
    | 'remove-member'
    | 'leave-set'
    | 'tell-inode'
    | 'tell-entry',
  key: string,
  first?: Buffer | string | number,
  second?: Buffer | string | number,
];

/** A key's whole value: one element of a string, field and value in turn of a hash, member and score of a sorted set. */
export interface KeyValue {
  key: string;
  type: 'string' | 'hash' | 'zset' | 'none';
  elements: Buffer[];
}

export interface KeyWatch {
  /** Keys that changed since the last call, that have been heard of. @throws when notifications may have been missed. */
  changed(): string[];
  /**
   * Values of keys as of one moment, and the keys of which is known by then that they changed before it.
   * @throws as changed(); FsError.
   */
  readAtOnce(keys: readonly string[]): Promise<{ values: KeyValue[]; changedBefore: string[] }>;
  end(): Promise<void>;
}

/**
 * The volume as keys (docs/FORMAT.md, without the prefix), for the tools that check and mend it. Walks are streams of many round trips:
 * a key that is there throughout comes at least once, and may come twice; nothing is said of keys that come and go meanwhile.
 */
export interface MetaScan {
  keys(): AsyncIterable<string[]>;
  /** Keys of the whole Redis database: for progress. */
  keyCount(): Promise<number>;
  /** Strings, undefined where there is none. */
  values(keys: readonly string[]): Promise<(Buffer | undefined)[]>;
  /** Bytes of strings, 0 where there is none. */
  lengths(keys: readonly string[]): Promise<number[]>;
  /** A sorted set whose scores are all equal, in order. */
  members(key: string): AsyncIterable<Buffer[]>;
  scored(key: string): AsyncIterable<[member: Buffer, score: number][]>;
  fields(key: string): AsyncIterable<[field: string, value: Buffer][]>;
  setMembers(key: string): Promise<string[]>;
  /**
   * Notes every key that changes from now on, through Redis' keyspace notifications, which are switched on for that time.
   * @throws UserError when this Redis does not let us.
   */
  watch(): Promise<KeyWatch>;
  /** Changes with every mutation of a session but this one. */
  activity(sessions: readonly SessionInfo[]): Promise<string>;
  /** All writes, if all conditions hold; answers whether they did. One script. */
  apply(steps: readonly MendStep[]): Promise<boolean>;
  /**
   * Points the records of a pack that lie in these chunks at the bytes' copies in another pack, which this session has begun
   * (MetaUpkeep.packBegin). Answers how many moved. @throws ESTALE when the new pack has been given up.
   */
  movePack(
    old: { id: number; sizeBytes: number },
    fresh: { id: number; sizeBytes: number },
    runs: readonly { from: number; length: number; to: number }[],
    chunks: readonly { ino: Ino; chunkIndex: number }[],
  ): Promise<number>;
}

/** Who may use S3, and as whom. */
export interface MetaUsers {
  /** All users by name. */
  list(): Promise<User[]>;
  /** Makes a user, or changes the one of that name. @throws FsError EEXIST when another has the access key, EINVAL. */
  put(user: User): Promise<void>;
  /** Answers whether there was one. */
  remove(name: string): Promise<boolean>;
}

/** This process's membership in the volume, and what the volume knows of all its members. */
export interface MetaSession {
  readonly format: VolumeFormat;
  readonly sid: number;
  /** How long Redis has answered this session without a gap, ms. Before others had time to renew, none is lost. */
  readonly steadyMs: number;
  usage(): Promise<VolumeUsage>;
  /** What Redis uses and may use; maxBytes 0: no limit. */
  memory(): Promise<{ usedBytes: number; maxBytes: number }>;
  /** Sets limits of the volume, 0: none; what is left out stays. */
  setLimits(limits: { maxBytes?: number; maxInodes?: number }): Promise<void>;
  /** All sessions the volume knows, lost ones included until they are cleaned. */
  list(): Promise<SessionInfo[]>;
  /** Sets what `status` shows for this session once it is known (mount point, endpoint). */
  describe(where: string): Promise<void>;
  /** Ends sessions whose lease ran out; answers how many. */
  cleanSessions(): Promise<number>;
}

export interface MetaDurability {
  /** Resolves when everything acknowledged before the call is durable (fsync(2), S3 2xx). Grouped over waiters. */
  reached(): Promise<void>;
  /** One sentence for `status`: what reached() waits for, or what a power cut may lose. */
  readonly text: string;
}

/** The metadata of one opened volume: a record of facets. A caller names the facet and reaches the code that does it. */
export interface Meta {
  readonly names: MetaNames;
  readonly data: MetaData;
  readonly objects: MetaObjects;
  readonly buckets: MetaBuckets;
  readonly uploads: MetaUploads;
  readonly users: MetaUsers;
  readonly upkeep: MetaUpkeep;
  readonly scan: MetaScan;
  readonly session: MetaSession;
  readonly durability: MetaDurability;
  /** Server time in microseconds, no round trip: after everything that was, before whatever is asked for next. */
  readonly clock: { nowUs(): number };
  /** What happens to the volume in and around this process. */
  readonly events: VolumeEvents;
  /** Ends the session (locks, hidden inodes released) and disconnects. */
  close(): Promise<void>;
}
