/** Which extended attributes there are, their limits and who may touch them. @see xattr(7) */
import { FsError } from '../../base/errors.ts';
import { XATTR_NAME_BYTES_MAX, XATTR_VALUE_BYTES_MAX } from '../../base/vocabulary.ts';
import type { Context } from '../vfs.ts';

const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
const NAMESPACES: readonly string[] = ['user.', 'trusted.', 'security.'];

/**
 * Checks name and namespace.
 * @throws FsError ERANGE for a name that is too long, EOPNOTSUPP for a namespace that is not kept (system.posix_acl_*
 * too), and for trusted.* by anybody but root: ENODATA when reading, EPERM when writing.
 */
export function checkXattrName(op: string, ctx: Context, name: string, access: 'read' | 'write'): void {
  if (name.length > XATTR_NAME_BYTES_MAX) throw new FsError('ERANGE', op);
  const namespace = NAMESPACES.find((prefix) => name.startsWith(prefix));
  if (namespace === undefined) throw new FsError('EOPNOTSUPP', op);
  if (name.length === namespace.length) throw new FsError('EINVAL', op);
  if (namespace === 'trusted.' && ctx.uid !== 0) throw new FsError(access === 'read' ? 'ENODATA' : 'EPERM', op);
}

/** Names a caller may see: trusted.* is root's. */
export function isVisibleXattr(ctx: Context, name: string): boolean {
  return ctx.uid === 0 || !name.startsWith('trusted.');
}

/** Turns setxattr(2) flags into the metadata's mode. @throws FsError EINVAL for flags that contradict each other. */
export function xattrMode(flags: number): 'set' | 'create' | 'replace' {
  if (flags === 0) return 'set';
  if (flags === XATTR_CREATE) return 'create';
  if (flags === XATTR_REPLACE) return 'replace';
  throw new FsError('EINVAL', 'setxattr');
}

/** @throws FsError E2BIG beyond 64 KiB. */
export function checkXattrValue(value: Buffer): void {
  if (value.length > XATTR_VALUE_BYTES_MAX) throw new FsError('E2BIG', 'setxattr');
}
