/**
 * The virtual file system's contract: what both frontends call. Inode-based; every call takes a context; failures are
 * FsError. A return type `T | Promise<T>` means a plain value when nothing has to be waited for (hot paths).
 */

import type { Attr, ByteString, Entry, Ino, S3Record, Timestamp, VolumeUsage } from '../base/vocabulary.ts';
import type { VolumeEvents } from '../base/volume-events.ts';
import type {
  KeyPath,
  ListReply,
  MetaUsers,
  Part,
  Precondition,
  PublishReply,
  RenameRequest,
  Upload,
  WalkReply,
} from '../meta/meta.ts';

export interface Context {
  uid: number;
  gid: number;
  /** Supplementary groups; empty for the mount, whose kernel has decided. */
  groups: readonly number[];
  pid: number;
  /** False on the mount (default_permissions: the kernel decided), true for S3. */
  check: boolean;
}

/** How long the kernel may keep a reply, seconds; 0 while the push channel is broken. */
export interface Validity {
  entrySec: number;
  attrSec: number;
}

export interface SetattrChanges {
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  atime?: Timestamp | 'now';
  mtime?: Timestamp | 'now';
  killPriv?: boolean;
}

/** An open file of this process. Opaque to the frontends but for these. */
export interface FileHandle {
  readonly id: number;
  readonly ino: Ino;
  /** Linux open flags. */
  readonly flags: number;
}

export interface DirHandle {
  readonly id: number;
  readonly ino: Ino;
}

/** A directory entry as the mount shows it; `name` is the mount's (escaped where needed) name. */
export interface DirEntry {
  name: ByteString;
  attr: Attr;
  /** Cookie that continues after this entry; opaque, > 2, fits 63 bits. */
  cookie: number;
}

/** What the mount must drop from the kernel's caches. Implemented by src/fuse; calls resolve when the kernel has done it. */
export interface KernelCache {
  invalidateEntry(parent: Ino, name: ByteString): Promise<void>;
  /** Attributes, and pages [offset, offset+length); length 0 = to the end, offset -1 = attributes only. */
  invalidateInode(ino: Ino, offset: number, length: number): Promise<void>;
  /** Channel broken: everything the kernel holds must expire. */
  expireAll(): void;
}

/** What rename(2) is told: the mount's names. */
export type RenameNames = Pick<RenameRequest, 'parent' | 'name' | 'newParent' | 'newName' | 'mode'>;

/** Operations on names. Spelling and errnos are the system calls'; names are the mount's names (bytes). */
export interface VfsNames {
  lookup(ctx: Context, parent: Ino, name: ByteString): Promise<Entry>;
  readlink(ctx: Context, ino: Ino): Promise<Buffer>;
  mknod(ctx: Context, parent: Ino, name: ByteString, mode: number, rdev: number): Promise<Entry>;
  mkdir(ctx: Context, parent: Ino, name: ByteString, mode: number): Promise<Entry>;
  symlink(ctx: Context, parent: Ino, name: ByteString, target: Buffer): Promise<Entry>;
  link(ctx: Context, ino: Ino, newParent: Ino, newName: ByteString): Promise<Entry>;
  unlink(ctx: Context, parent: Ino, name: ByteString): Promise<void>;
  rmdir(ctx: Context, parent: Ino, name: ByteString): Promise<void>;
  rename(ctx: Context, request: RenameNames): Promise<void>;
}

/** Attributes and extended attributes of inodes, and figures of the volume. */
export interface VfsAttributes {
  getattr(ctx: Context, ino: Ino, handle?: FileHandle): Attr | Promise<Attr>;
  setattr(ctx: Context, ino: Ino, changes: SetattrChanges, handle?: FileHandle): Promise<Attr>;
  statfs(ctx: Context): Promise<VolumeUsage & { totalBytes: number; totalInodes: number }>;
  getxattr(ctx: Context, ino: Ino, name: string): Promise<Buffer>;
  setxattr(ctx: Context, ino: Ino, name: string, value: Buffer, flags: number): Promise<void>;
  listxattr(ctx: Context, ino: Ino): Promise<string[]>;
  removexattr(ctx: Context, ino: Ino, name: string): Promise<void>;
}

/** Open files. What a handle may do was decided when it was opened. */
export interface VfsFiles {
  create(
    ctx: Context,
    parent: Ino,
    name: ByteString,
    mode: number,
    flags: number,
  ): Promise<{ entry: Entry; handle: FileHandle }>;
  tmpfile(ctx: Context, parent: Ino, mode: number, flags: number): Promise<{ attr: Attr; handle: FileHandle }>;
  /** keepCache: the kernel's pages of this inode are still right. killPriv: O_TRUNC by a caller without CAP_FSETID. */
  open(
    ctx: Context,
    ino: Ino,
    flags: number,
    killPriv: boolean,
  ): Promise<{ handle: FileHandle; keepCache: boolean }> | { handle: FileHandle; keepCache: boolean };
  /** `flags`: open(2) flags of the descriptor as they are now, those of open() when left out. */
  read(ctx: Context, handle: FileHandle, offset: number, length: number, flags?: number): Buffer | Promise<Buffer>;
  /**
   * `data` is consumed before the call returns. Undefined result: done. `flags` as for read; 0 for write-back of pages.
   * With O_APPEND `offset` is only the kernel's guess.
   */
  write(
    ctx: Context,
    handle: FileHandle,
    offset: number,
    data: Buffer,
    killPriv: boolean,
    flags?: number,
  ): Promise<void> | undefined;
  flush(ctx: Context, handle: FileHandle): Promise<void> | undefined;
  fsync(ctx: Context, handle: FileHandle): Promise<void>;
  release(ctx: Context, handle: FileHandle): Promise<void> | undefined;
  fallocate(ctx: Context, handle: FileHandle, mode: number, offset: number, length: number): Promise<void>;
  lseek(ctx: Context, handle: FileHandle, offset: number, whence: 'data' | 'hole'): Promise<number>;
  copyFileRange(
    ctx: Context,
    source: FileHandle,
    sourceOffset: number,
    target: FileHandle,
    targetOffset: number,
    length: number,
  ): Promise<number>;
}

/** Open directories. */
export interface VfsDirectories {
  opendir(ctx: Context, ino: Ino): DirHandle;
  /** Entries after `cookie` (0 = first), without "." and ".."; empty array at the end. `limit` entries at most. */
  readdir(ctx: Context, handle: DirHandle, cookie: number, limit: number): DirEntry[] | Promise<DirEntry[]>;
  releasedir(ctx: Context, handle: DirHandle): void;
  fsyncdir(ctx: Context, handle: DirHandle): Promise<void>;
}

/** The virtual file system of one process: a record of facets. Each does what its callers name; none only forwards. */
export interface Vfs {
  readonly names: VfsNames;
  readonly attributes: VfsAttributes;
  readonly files: VfsFiles;
  readonly directories: VfsDirectories;
  readonly objects: VfsObjects;
  readonly buckets: VfsBuckets;
  readonly uploads: VfsUploads;
  readonly users: MetaUsers;
  /** What happens to the volume in and around this process. */
  readonly events: VolumeEvents;
  validity(): Validity;
  setKernelCache(cache: KernelCache | undefined): void;
  /** Flushes every open file, stops background work. Does not close meta. @throws the first error that kept bytes back. */
  close(): Promise<void>;
}

/** Bytes of a new object on their way: bounded memory, stored as they arrive. */
export interface ObjectWriter {
  /** Takes the bytes (copied or kept: the caller must not change the buffer afterwards). Waits for back-pressure. */
  write(data: Buffer): Promise<void> | undefined;
  readonly sizeBytes: number;
  /** Gives everything up; nothing was visible. */
  abort(): Promise<void>;
}

export interface PutOptions {
  path: KeyPath;
  precondition: Precondition;
  s3: S3Record;
  xattrs: Map<string, Buffer>;
}

/** Whole objects by key. Permissions are checked as ctx's user; results are durable when they resolve. */
export interface VfsObjects {
  /** Attributes, S3 record, xattrs and (small files) data of a key in one trip. @throws ENOENT, EACCES, ELOOP. */
  walk(ctx: Context, path: KeyPath, want: { data: boolean; xattrs: boolean; follow: boolean }): Promise<WalkReply>;
  /** Opens the walked inode's content as it is now: overwriting or deleting the key meanwhile does not disturb it. */
  openObject(ctx: Context, walked: WalkReply): ObjectReader;
  /** Starts an object; nothing is visible until putObject. */
  beginObject(ctx: Context): ObjectWriter;
  /** Publishes the written bytes atomically. On failure nothing is visible and the writer is aborted. */
  putObject(ctx: Context, writer: ObjectWriter, options: PutOptions): Promise<PublishReply>;
  /** Server-side copy: shares slices, moves no bytes. */
  copyObject(ctx: Context, source: WalkReply, options: PutOptions): Promise<PublishReply>;
  removeObject(ctx: Context, path: KeyPath, precondition: Precondition): Promise<{ existed: boolean }>;
  list(
    ctx: Context,
    root: Ino,
    request: { prefix: ByteString; after: ByteString; delimiter: ByteString; limit: number },
  ): Promise<ListReply>;
  setTags(ctx: Context, walked: WalkReply, tags: [string, string][]): Promise<void>;
}

/** Buckets: top-level directories. */
export interface VfsBuckets {
  /** Bucket by name; the volume's own name is the root (caller must be uid 0 or own the root directory: EACCES). @throws ENOENT. */
  find(ctx: Context, name: ByteString): Promise<Entry>;
  list(
    ctx: Context,
    after: ByteString,
    prefix: ByteString,
    limit: number,
  ): Promise<{ entries: Entry[]; truncated: boolean }>;
  create(ctx: Context, name: ByteString): Promise<Entry>;
  delete(ctx: Context, name: ByteString): Promise<void>;
}

/** A part on its way. */
export type PartRequest = Pick<Part, 'number' | 'etag' | 'checksums'> & { uploadId: string };

/** Multipart uploads. Results are durable when they resolve. */
export interface VfsUploads {
  create(ctx: Context, upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload>;
  get(ctx: Context, uploadId: string, root: Ino, key: ByteString): Promise<Upload>;
  putPart(ctx: Context, part: PartRequest, writer: ObjectWriter): Promise<Part>;
  /** A part that shares a range of the source's slices: moves no bytes. */
  copyPart(
    ctx: Context,
    part: PartRequest,
    source: WalkReply,
    range: { offset: number; length: number },
  ): Promise<Part>;
  listParts(
    ctx: Context,
    uploadId: string,
    root: Ino,
    key: ByteString,
    afterNumber: number,
    limit: number,
  ): Promise<{ upload: Upload; parts: Part[]; truncated: boolean }>;
  list(
    ctx: Context,
    root: Ino,
    prefix: ByteString,
    afterKey: ByteString,
    afterUploadId: string,
    limit: number,
  ): Promise<{ uploads: Upload[]; truncated: boolean }>;
  abort(ctx: Context, uploadId: string, root: Ino, key: ByteString): Promise<void>;
  /** Joins the parts (metadata only) and publishes; the upload vanishes in the same script. */
  complete(ctx: Context, upload: Upload, parts: Part[], options: PutOptions): Promise<PublishReply>;
  completed(uploadId: string): Promise<{ etag: string } | undefined>;
}

/** Reading a whole object or a range with bounded memory. */
export interface ObjectReader {
  readonly sizeBytes: number;
  /** A small range that is at hand comes back as a plain Buffer. At most `lengthMax` bytes are answered per call. */
  read(offset: number, lengthMax: number): Buffer | Promise<Buffer>;
  close(): void;
}
