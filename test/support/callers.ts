/** Who calls in tests: users of a volume, and callers as each layer names them. */
import type { Caller, User } from '../../src/base/vocabulary.ts';
import type { Context } from '../../src/vfs/vfs.ts';

export const ROOT_USER: User = { name: 'root', accessKey: 'AKROOT', secretKey: 'sr', uid: 0, gid: 0, groups: [] };
export const ALICE: User = { name: 'alice', accessKey: 'AKALICE', secretKey: 'sa', uid: 1001, gid: 1001, groups: [] };
export const BOB: User = { name: 'bob', accessKey: 'AKBOB', secretKey: 'sb', uid: 1002, gid: 1002, groups: [] };

/** The mount's caller of metadata: the kernel has decided. */
export const KERNEL: Caller = { uid: 0, gid: 0, groups: [], check: false };

/** The mount's caller of a file system: the kernel has decided. */
export const MOUNT: Context = { uid: 0, gid: 0, groups: [], pid: 1, check: false };

/** A caller whose permission the scripts decide. */
export function caller(uid: number, gid = uid, groups: number[] = []): Caller {
  return { uid, gid, groups, check: true };
}

/** A caller from S3. */
export function userContext({ uid, gid, groups }: User): Context {
  return { uid, gid, groups, pid: 1, check: true };
}
