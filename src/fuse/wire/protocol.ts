/**
 * Numbers of the FUSE kernel protocol, 7.31 to 7.45. Everything here is named and numbered as in the kernel's
 * include/uapi/linux/fuse.h. In this range no reply changes its size; what newer minors add are opcodes, INIT flags and
 * notify codes, each marked with its minor where it is used.
 */

export const FUSE_MAJOR = 7;
/** The newest minor this code speaks; both sides use the smaller one. */
export const FUSE_MINOR = 45;
/** Linux 5.4. Older kernels lack MAX_PAGES, EXPLICIT_INVAL_DATA and CACHE_SYMLINKS. */
export const FUSE_MINOR_OLDEST = 31;

export const IN_HEADER_BYTES = 40;
export const OUT_HEADER_BYTES = 16;
export const ENTRY_OUT_BYTES = 128;
export const ATTR_OUT_BYTES = 104;
export const OPEN_OUT_BYTES = 16;
export const STATFS_OUT_BYTES = 80;
export const INIT_OUT_BYTES = 64;
export const STATX_OUT_BYTES = 288;
/** fuse_write_in with its header: where the data of a WRITE begins. */
export const WRITE_DATA_AT = 80;
/** fuse_dirent without its name. */
export const DIRENT_BYTES = 24;

/** Largest READ, WRITE, READDIR: 256 pages, what /proc/sys/fs/fuse/max_pages_limit allows by default. */
export const IO_BYTES_MAX = 1024 * 1024;
export const IO_PAGES_MAX = 256;
/** The largest request: a WRITE of IO_BYTES_MAX with its headers; the kernel wants a page of room. */
export const REQUEST_BYTES_MAX = IO_BYTES_MAX + 4096;

export const OP = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

const OPCODE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(OP).map(([name, opcode]) => [opcode, name.toLowerCase()]),
);

/** The opcode's name for messages, in lower case. */
export function opcodeName(opcode: number): string {
  return OPCODE_NAMES.get(opcode) ?? `opcode ${opcode}`;
}

/** INIT flags, bits 0-31 (fuse_init_in.flags). Not libfuse's FUSE_CAP_* numbers, which differ. */
export const INIT = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  FLOCK_LOCKS: 1 << 10,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  EXPLICIT_INVAL_DATA: 1 << 25,
  HANDLE_KILLPRIV_V2: 1 << 28,
  SETXATTR_EXT: 1 << 29,
  INIT_EXT: 1 << 30,
} as const;

/** INIT flags, bits 32-63 (flags2); the kernel reads them only beside INIT_EXT. */
export const INIT2 = {
  /** 7.39: a create carries the supplementary group that matches the parent's group. */
  CREATE_SUPP_GROUP: 1 << 2,
  /** 7.38: INVAL_ENTRY may expire an entry instead of dropping it. */
  HAS_EXPIRE_ONLY: 1 << 3,
  /** 7.40: requests that a dead server had read are sent again on demand. */
  HAS_RESEND: 1 << 7,
} as const;

export const NOTIFY = {
  INVAL_INODE: 2,
  INVAL_ENTRY: 3,
  /** 7.44: every name the kernel holds expires. */
  INC_EPOCH: 8,
} as const;
export const EPOCH_MINOR = 44;
/** Flag of INVAL_ENTRY (7.38). */
export const EXPIRE_ONLY = 1;

/** fuse_setattr_in.valid. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  KILL_SUIDGID: 1 << 11,
} as const;

export const GETATTR_FH = 1;
export const OPEN_KILL_SUIDGID = 1;
/** The pages of a mapping, written back by the kernel. */
export const WRITE_CACHE = 1 << 0;
export const WRITE_KILL_SUIDGID = 1 << 2;
/** fuse_open_out.open_flags. */
export const FOPEN_KEEP_CACHE = 1 << 1;
/** 7.35: close(2) sends no FLUSH. */
export const FOPEN_NOFLUSH = 1 << 5;
/** renameat2(2). */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
/** Extension type of CREATE_SUPP_GROUP. */
export const EXT_GROUPS = 32;
/** The kernel sets this bit of a request's unique number when it sends the request again (7.40). */
export const UNIQUE_RESEND_HIGH = 0x8000_0000;
