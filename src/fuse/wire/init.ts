/** INIT: what kernel and server agree on. */
import type { Protocol } from '../ops/fuse-session.ts';
import { BODY, type Request } from './decode.ts';
import type { InitReply } from './encode.ts';
import {
  EPOCH_MINOR,
  FUSE_MAJOR,
  FUSE_MINOR,
  FUSE_MINOR_OLDEST,
  INIT,
  INIT2,
  IO_BYTES_MAX,
  IO_PAGES_MAX,
} from './protocol.ts';

/** READs and write-backs that the kernel may have under way for one mount. */
const BACKGROUND_MAX = 128;
/** A kernel without INC_EPOCH cannot drop every name at once when the push channel breaks, so it gets names briefly. */
const ENTRY_SEC_MAX_WITHOUT_EPOCH = 1;
const READAHEAD_BYTES_MAX = 1024 * 1024;

/**
 * What we want, where the kernel offers it. Not wanted, on purpose:
 * - WRITEBACK_CACHE: the kernel would own size and times, which are stale as soon as another machine writes;
 * - AUTO_INVAL_DATA: it would win over EXPLICIT_INVAL_DATA, by which pages stay until we say so;
 * - POSIX_LOCKS, FLOCK_LOCKS: without them locks work within this mount, by the kernel alone;
 * - DONT_MASK, POSIX_ACL: the kernel applies the umask.
 */
const WANTED =
  INIT.ASYNC_READ |
  INIT.ATOMIC_O_TRUNC |
  INIT.EXPORT_SUPPORT |
  INIT.BIG_WRITES |
  INIT.DO_READDIRPLUS |
  INIT.READDIRPLUS_AUTO |
  INIT.ASYNC_DIO |
  INIT.PARALLEL_DIROPS |
  INIT.MAX_PAGES |
  INIT.CACHE_SYMLINKS |
  INIT.EXPLICIT_INVAL_DATA |
  INIT.HANDLE_KILLPRIV_V2 |
  INIT.INIT_EXT;

const WANTED2 = INIT2.CREATE_SUPP_GROUP | INIT2.HAS_EXPIRE_ONLY | INIT2.HAS_RESEND;

export type Negotiation =
  | { kind: 'agreed'; protocol: Protocol; reply: InitReply }
  /** The kernel speaks a newer major: it asks again with ours. */
  | { kind: 'again' }
  | { kind: 'too-old'; version: string };

/** Reads an INIT request and decides. */
export function negotiate(request: Request): Negotiation {
  const major = request.u32(BODY);
  const minor = request.u32(BODY + 1);
  if (major > FUSE_MAJOR) return { kind: 'again' };
  if (major < FUSE_MAJOR || minor < FUSE_MINOR_OLDEST) return { kind: 'too-old', version: `${major}.${minor}` };
  const offered = request.u32(BODY + 3);
  const flags = WANTED & offered;
  const extended = (flags & INIT.INIT_EXT) !== 0;
  const flags2 = extended ? WANTED2 & request.u32(BODY + 4) : 0;
  const agreedMinor = Math.min(minor, FUSE_MINOR);
  return {
    kind: 'agreed',
    protocol: {
      minor: agreedMinor,
      flags,
      flags2,
      entrySecMax: agreedMinor >= EPOCH_MINOR ? Number.POSITIVE_INFINITY : ENTRY_SEC_MAX_WITHOUT_EPOCH,
    },
    reply: {
      minor: agreedMinor,
      readaheadBytes: Math.min(request.u32(BODY + 2), READAHEAD_BYTES_MAX),
      flags,
      flags2,
      backgroundMax: BACKGROUND_MAX,
      writeBytesMax: IO_BYTES_MAX,
      pagesMax: IO_PAGES_MAX,
    },
  };
}
