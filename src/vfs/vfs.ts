/**
 * The virtual file system's contract: what both frontends call. Inode-based; every call takes a context; failures are
 * FsError. A return type `T | Promise<T>` means a plain value when nothing has to be waited for (hot paths); a failure then
 * is thrown or rejected, whichever comes first.
 *
 * Any call that has to ask may fail, beside what is named here, with EIO (Redis is silent or refuses; SessionLostError when
 * this session is fenced), any that makes something with ENOSPC (Redis is full), and any that names an inode with ENOENT
 * (it is gone). What the mount calls by an open handle was permitted when the handle was opened.
 */

import type { Attr, ByteString, Entry, Ino, S3Record, VolumeUsage } from '../base/vocabulary.ts';
import type { VolumeEvents } from '../base/volume-events.ts';
import type {
  KeyPath,
  ListReply,
  MetaUsers,
  Part,
  PartsReply,
  PartsRequest,
  Precondition,
  PublishReply,
  RenameRequest,
  SetattrRequest,
  Upload,
  UploadRef,
  UploadsRequest,
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

/**
 * Operations on names. Spelling and errnos are the system calls'; names are the mount's names (bytes). Those that take a
 * parent fail with ENOTDIR when it is no directory, ENOENT when it was removed, EACCES where ctx.check and its mode forbids;
 * those that make a name with ENAMETOOLONG above 255 bytes, EINVAL for a reserved or impossible one.
 */
export interface VfsNames {
  /** @throws ENOENT; ESTALE for '.' of an inode that has lost its last name; EIO when the entry's inode is missing. */
  lookup(ctx: Context, parent: Ino, name: ByteString): Promise<Entry>;
  /** @throws EINVAL when it is no symbolic link. */
  readlink(ctx: Context, ino: Ino): Promise<Buffer>;
  /** Files, fifos, sockets, devices. @throws EEXIST, EINVAL (a directory). */
  mknod(ctx: Context, parent: Ino, name: ByteString, mode: number, rdev: number): Promise<Entry>;
  /** @throws EEXIST. */
  mkdir(ctx: Context, parent: Ino, name: ByteString, mode: number): Promise<Entry>;
  /** @throws EEXIST, ENOENT (an empty target), ENAMETOOLONG (a target above 4095 bytes). */
  symlink(ctx: Context, parent: Ino, name: ByteString, target: Buffer): Promise<Entry>;
  /** @throws EEXIST, EPERM (a directory), EMLINK (65,000 names), ENOENT (the inode has lost its last name). */
  link(ctx: Context, ino: Ino, newParent: Ino, newName: ByteString): Promise<Entry>;
  /** @throws ENOENT, EISDIR, EPERM (a sticky directory). */
  unlink(ctx: Context, parent: Ino, name: ByteString): Promise<void>;
  /** @throws ENOENT, ENOTDIR, ENOTEMPTY, EPERM (a sticky directory). */
  rmdir(ctx: Context, parent: Ino, name: ByteString): Promise<void>;
  /** @throws ENOENT, EEXIST (noreplace), EISDIR, ENOTDIR, ENOTEMPTY, EINVAL (a directory into itself), EPERM (sticky). */
  rename(ctx: Context, request: RenameNames): Promise<void>;
}

/** Attributes and extended attributes of inodes, and figures of the volume. */
export interface VfsAttributes {
  /** Bytes written but not committed count. With a handle it works for an inode without a name, too. */
  getattr(ctx: Context, ino: Ino, handle?: FileHandle): Attr | Promise<Attr>;
  /** @throws EPERM (not the owner), EACCES (utimes to now without write permission), EFBIG, EINVAL and EISDIR (size). */
  setattr(ctx: Context, ino: Ino, changes: SetattrRequest, handle?: FileHandle): Promise<Attr>;
  /** Bytes and inodes in use, and how many there may be. */
  statfs(ctx: Context): Promise<VolumeUsage & { totalBytes: number; totalInodes: number }>;
  /** @throws ENODATA, EOPNOTSUPP (a namespace that is not kept), ERANGE (a name above 255 bytes). */
  getxattr(ctx: Context, ino: Ino, name: string): Promise<Buffer>;
  /** @throws EEXIST (create), ENODATA (replace), E2BIG above 64 KiB, EPERM (trusted.* by others than root), as getxattr. */
  setxattr(ctx: Context, ino: Ino, name: string, value: Buffer, flags: number): Promise<void>;
  /** Names the caller may see. */
  listxattr(ctx: Context, ino: Ino): Promise<string[]>;
  /** @throws ENODATA, EPERM, EOPNOTSUPP. */
  removexattr(ctx: Context, ino: Ino, name: string): Promise<void>;
}

/** Open files. What a handle may do was decided when it was opened. A handle that was released answers EBADF. */
export interface VfsFiles {
  /** open(2) with O_CREAT of a name the kernel does not know. @throws EEXIST (O_EXCL), EACCES, EISDIR, as mknod. */
  create(
    ctx: Context,
    parent: Ino,
    name: ByteString,
    mode: number,
    flags: number,
  ): Promise<{ entry: Entry; handle: FileHandle }>;
  /** O_TMPFILE: an inode without a name, gone with its last handle unless it is linked before. */
  tmpfile(ctx: Context, parent: Ino, mode: number, flags: number): Promise<{ attr: Attr; handle: FileHandle }>;
  /**
   * keepCache: the kernel's pages of this inode are still right. killPriv: O_TRUNC by a caller without CAP_FSETID.
   * @throws ESTALE (it was removed), EISDIR, EINVAL (neither file nor directory).
   */
  open(
    ctx: Context,
    ino: Ino,
    flags: number,
    killPriv: boolean,
  ): Promise<{ handle: FileHandle; keepCache: boolean }> | { handle: FileHandle; keepCache: boolean };
  /**
   * Fewer bytes at the end of the file. The buffer belongs to a cache: callers only read it. `flags`: open(2) flags of the
   * descriptor as they are now, those of open() when left out.
   * @throws EIO when a block cannot be read within the retry time.
   */
  read(ctx: Context, handle: FileHandle, offset: number, length: number, flags?: number): Buffer | Promise<Buffer>;
  /**
   * `data` is consumed before the call returns. Undefined result: done. `flags` as for read; 0 for write-back of pages.
   * With O_APPEND `offset` is only the kernel's guess.
   * @throws EFBIG beyond 1 PiB; an error that lost earlier bytes of the file until flush or fsync has reported it.
   */
  write(
    ctx: Context,
    handle: FileHandle,
    offset: number,
    data: Buffer,
    killPriv: boolean,
    flags?: number,
  ): Promise<void> | undefined;
  /** close(2): what was written is visible to everybody. @throws ENOSPC, EDQUOT, EROFS, EIO of the store, once. */
  flush(ctx: Context, handle: FileHandle): Promise<void> | undefined;
  /** What was written is durable, with its metadata. @throws as flush. */
  fsync(ctx: Context, handle: FileHandle): Promise<void>;
  /** The handle ends. Failures were reported by flush; later ones go to the log. */
  release(ctx: Context, handle: FileHandle): Promise<void> | undefined;
  /** @throws EOPNOTSUPP (a mode that is not kept), EINVAL, EFBIG, EBADF (opened for reading), ENOSPC (more than is free). */
  fallocate(ctx: Context, handle: FileHandle, mode: number, offset: number, length: number): Promise<void>;
  /** @throws ENXIO at or behind the end of the file. */
  lseek(ctx: Context, handle: FileHandle, offset: number, whence: 'data' | 'hole'): Promise<number>;
  /** Shares slices: moves no bytes. Answers how many were copied. @throws EBADF, EINVAL (overlap in one file), EFBIG. */
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
  /** No round trip: what is wrong is told by readdir. */
  opendir(ctx: Context, ino: Ino): DirHandle;
  /**
   * Entries after `cookie` (0 = first), without "." and ".."; empty array at the end. `limit` entries at most. What is there
   * all the while is answered once, whatever else comes and goes.
   * @throws ENOTDIR, EINVAL (a cookie that this handle did not give out).
   */
  readdir(ctx: Context, handle: DirHandle, cookie: number, limit: number): DirEntry[] | Promise<DirEntry[]>;
  releasedir(ctx: Context, handle: DirHandle): void;
  /** Every change of names that was answered before is durable. */
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
  /**
   * Takes the bytes (copied or kept: the caller must not change the buffer afterwards). Waits for back-pressure.
   * @throws EFBIG beyond 1 PiB, EBADF after its end, ENOSPC, EDQUOT, EROFS and EIO when the store keeps refusing.
   */
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

/**
 * Whole objects by key. Permissions are checked as ctx's user (EACCES); results are durable when they resolve. ELOOP: more
 * than 40 symbolic links on the way. ECANCELED: a precondition does not hold.
 */
export interface VfsObjects {
  /**
   * Attributes, S3 record, xattrs and (small files) data of a key in one trip.
   * @throws ENOENT (nothing there that is an object), EACCES, ELOOP.
   */
  walk(ctx: Context, path: KeyPath, want: { data: boolean; xattrs: boolean; follow: boolean }): Promise<WalkReply>;
  /** Opens the walked inode's content as it is now: overwriting or deleting the key meanwhile does not disturb it. */
  openObject(ctx: Context, walked: WalkReply): ObjectReader;
  /**
   * Takes room for a new object before its body is read; 0 when its length is not known.
   * @throws EDQUOT (limits of the volume), ENOSPC (the disk, or Redis, is full but for a reserve).
   */
  admit(ctx: Context, sizeBytes: number): Promise<void>;
  /** Starts an object; nothing is visible until putObject. */
  beginObject(ctx: Context): ObjectWriter;
  /**
   * Publishes the written bytes atomically. On failure nothing is visible and the writer is aborted.
   * @throws ENOENT (the bucket is gone, or If-Match without an object), ECANCELED, EACCES, ELOOP, EISDIR (`dir/` with
   *   bytes), ENAMETOOLONG, EBADF (not a writer of this volume), and what the store refused.
   */
  putObject(ctx: Context, writer: ObjectWriter, options: PutOptions): Promise<PublishReply>;
  /**
   * Server-side copy: shares slices, moves no bytes.
   * @throws as putObject; ESTALE when the source was changed or removed meanwhile.
   */
  copyObject(ctx: Context, source: WalkReply, options: PutOptions): Promise<PublishReply>;
  /** @throws ENOENT (the bucket is gone, or a precondition without an object), ECANCELED, EACCES, ELOOP. */
  removeObject(ctx: Context, path: KeyPath, precondition: Precondition): Promise<{ existed: boolean }>;
  /** One page of keys and common prefixes in byte order. @throws ENOENT (the bucket is gone), EACCES. */
  list(
    ctx: Context,
    root: Ino,
    request: { prefix: ByteString; after: ByteString; delimiter: ByteString; limit: number },
  ): Promise<ListReply>;
  /** @throws ENOENT, EACCES (no write permission). */
  setTags(ctx: Context, walked: WalkReply, tags: [string, string][]): Promise<void>;
}

/** Buckets: top-level directories whose names S3 allows. */
export interface VfsBuckets {
  /** Bucket by name; the volume's own name is the root. @throws ENOENT, EACCES (the root, by others than uid 0 and its owner). */
  find(ctx: Context, name: ByteString): Promise<Entry>;
  /** The caller's buckets by name, everybody's for uid 0. */
  list(
    ctx: Context,
    after: ByteString,
    prefix: ByteString,
    limit: number,
  ): Promise<{ entries: Entry[]; truncated: boolean }>;
  /** @throws EEXIST, EINVAL (no bucket name). */
  create(ctx: Context, name: ByteString): Promise<Entry>;
  /** @throws ENOENT, ENOTEMPTY, EACCES (not its owner), EBUSY (the root). */
  delete(ctx: Context, name: ByteString): Promise<void>;
}

/** A part on its way. */
export type PartRequest = Pick<Part, 'number' | 'etag' | 'checksums'> & { uploadId: string };

/** Multipart uploads. Results are durable when they resolve. ENOENT: there is no such upload (any more). */
export interface VfsUploads {
  /** @throws ENOENT (the bucket is gone). */
  create(ctx: Context, upload: Omit<Upload, 'uploadId' | 'initiatedMs'>): Promise<Upload>;
  /** @throws ENOENT. */
  get(ctx: Context, upload: UploadRef): Promise<Upload>;
  /** On failure the writer is aborted. @throws ENOENT, EFBIG, and what the store refused. */
  putPart(ctx: Context, part: PartRequest, writer: ObjectWriter): Promise<Part>;
  /** A part that shares a range of the source's slices: moves no bytes. @throws ENOENT, ESTALE (the source changed). */
  copyPart(
    ctx: Context,
    part: PartRequest,
    source: WalkReply,
    range: { offset: number; length: number },
  ): Promise<Part>;
  /** Parts after a number. @throws ENOENT. */
  listParts(ctx: Context, request: PartsRequest): Promise<PartsReply>;
  /** Uploads of a bucket in key order, then order of initiation. */
  list(ctx: Context, request: UploadsRequest): Promise<{ uploads: Upload[]; truncated: boolean }>;
  /** @throws ENOENT. */
  abort(ctx: Context, upload: UploadRef): Promise<void>;
  /**
   * Joins the parts (metadata only) and publishes; the upload vanishes in the same script.
   * @throws ESTALE (the upload or a part is gone or another one by now), EFBIG beyond 1 PiB, as putObject.
   */
  complete(ctx: Context, upload: Upload, parts: Part[], options: PutOptions): Promise<PublishReply>;
  /** What a completed upload answered, for a repeated Complete; undefined when it is none, or a day has passed. */
  completed(uploadId: string): Promise<{ etag: string } | undefined>;
}

/** Reading a whole object or a range with bounded memory. */
export interface ObjectReader {
  readonly sizeBytes: number;
  /**
   * A small range that is at hand comes back as a plain Buffer. At most `lengthMax` bytes are answered per call.
   * @throws ESTALE when the content was changed before its map was read, EIO, EBADF after close().
   */
  read(offset: number, lengthMax: number): Buffer | Promise<Buffer>;
  close(): void;
}
