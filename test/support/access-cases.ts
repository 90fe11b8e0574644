/**
 * The rules of permission as tables. ACCESS_CASES binds both implementations, TypeScript and Lua; the sticky bit is
 * decided in scripts only.
 */
import { type Attr, type Caller, FLAG_ACL, MAY_READ, MAY_SEARCH, MAY_WRITE } from '../../src/base/vocabulary.ts';

type Owned = Pick<Attr, 'mode' | 'uid' | 'gid' | 'flags'>;

export interface AccessCase {
  what: string;
  caller: Caller;
  attr: Owned;
  want: number;
  allowed: boolean;
}

export interface StickyCase {
  what: string;
  caller: Caller;
  dir: Owned;
  attr: Owned;
  allowed: boolean;
}

const kernel: Caller = { uid: 9, gid: 9, groups: [], check: false };
const who = (uid: number, gid: number, groups: number[] = []): Caller => ({ uid, gid, groups, check: true });
const inode = (mode: number, uid = 1, gid = 10, flags = 0): Owned => ({ mode, uid, gid, flags });
const DIR = 0o040000;
const FILE = 0o100000;

export const ACCESS_CASES: readonly AccessCase[] = [
  { what: 'the kernel has decided', caller: kernel, attr: inode(FILE), want: MAY_WRITE, allowed: true },
  { what: 'uid 0', caller: who(0, 0), attr: inode(FILE), want: MAY_READ + MAY_WRITE, allowed: true },
  { what: 'owner by the owner bits', caller: who(1, 2), attr: inode(FILE | 0o600), want: MAY_READ, allowed: true },
  { what: 'owner without them', caller: who(1, 10), attr: inode(FILE | 0o077), want: MAY_READ, allowed: false },
  { what: 'owner, one of two wants', caller: who(1, 2), attr: inode(FILE | 0o400), want: 6, allowed: false },
  { what: 'member by gid', caller: who(2, 10), attr: inode(FILE | 0o060), want: MAY_WRITE, allowed: true },
  { what: 'member by groups', caller: who(2, 3, [4, 10]), attr: inode(FILE | 0o040), want: MAY_READ, allowed: true },
  { what: 'member without bits', caller: who(2, 10), attr: inode(FILE | 0o607), want: MAY_READ, allowed: false },
  { what: 'member of nothing by bits', caller: who(2, 3), attr: inode(FILE | 0o004), want: MAY_READ, allowed: true },
  { what: 'member of nothing', caller: who(2, 3, [4]), attr: inode(FILE | 0o770), want: MAY_READ, allowed: false },
  { what: 'a group of the number of the uid', caller: who(10, 3), attr: inode(FILE | 0o070), want: 4, allowed: false },
  { what: 'search', caller: who(2, 3), attr: inode(DIR | 0o711), want: MAY_SEARCH, allowed: true },
  { what: 'search and write', caller: who(2, 3), attr: inode(DIR | 0o711), want: 3, allowed: false },
  {
    what: 'set-id and sticky bits are no access',
    caller: who(2, 3),
    attr: inode(DIR | 0o7000),
    want: 1,
    allowed: false,
  },
  { what: 'large ids', caller: who(2 ** 32 - 2, 3), attr: inode(FILE | 0o200, 2 ** 32 - 2), want: 2, allowed: true },
  { what: 'ACL flag, owner', caller: who(1, 2), attr: inode(FILE | 0o600, 1, 10, FLAG_ACL), want: 6, allowed: true },
  { what: 'ACL flag, member', caller: who(2, 10), attr: inode(FILE | 0o640, 1, 10, FLAG_ACL), want: 4, allowed: true },
  { what: 'ACL flag, others', caller: who(2, 3), attr: inode(FILE | 0o640, 1, 10, FLAG_ACL), want: 4, allowed: false },
];

export const STICKY_CASES: readonly StickyCase[] = [
  { what: 'no sticky bit', caller: who(5, 5), dir: inode(DIR | 0o777), attr: inode(FILE, 2), allowed: true },
  { what: 'a stranger', caller: who(5, 10), dir: inode(DIR | 0o1777), attr: inode(FILE, 2), allowed: false },
  { what: 'owner of the entry', caller: who(2, 5), dir: inode(DIR | 0o1777), attr: inode(FILE, 2), allowed: true },
  { what: 'owner of the directory', caller: who(1, 5), dir: inode(DIR | 0o1777), attr: inode(FILE, 2), allowed: true },
  { what: 'uid 0', caller: who(0, 0), dir: inode(DIR | 0o1777), attr: inode(FILE, 2), allowed: true },
  { what: 'the kernel has decided', caller: kernel, dir: inode(DIR | 0o1777), attr: inode(FILE, 2), allowed: true },
];
