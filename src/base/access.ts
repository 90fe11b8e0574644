/**
 * Who may do what with an inode: the one rule of permission on this side. lib/access.lua is the same for the scripts (and
 * adds the sticky bit, which only they decide); test/support/access-cases.ts holds both to it.
 *
 * POSIX ACLs (FLAG_ACL) have no entries yet: mayAccess() is where they will be asked, before the bits of the group; until
 * then mode bits count, as in a file system without them.
 */
import type { Attr, Caller } from './vocabulary.ts';

/**
 * Tells whether the mode lets the caller read, write or search (MAY_READ, MAY_WRITE, MAY_SEARCH or a sum): the owner's
 * bits for the owner, else the group's for its members, else the others'. Callers whose kernel has decided, and uid 0,
 * may everything.
 */
export function mayAccess(caller: Caller, attr: Pick<Attr, 'mode' | 'uid' | 'gid'>, want: number): boolean {
  if (!caller.check || caller.uid === 0) return true;
  let bits = attr.mode;
  if (caller.uid === attr.uid) bits >>= 6;
  else if (caller.gid === attr.gid || caller.groups.includes(attr.gid)) bits >>= 3;
  return (bits & want) === want;
}
