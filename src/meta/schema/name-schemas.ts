/** The scripts of scripts/names. */

import { packSetattr } from '../codec/setattr-changes.ts';
import type { SetattrRequest } from '../records.ts';
import { byteString, bytes, caller, entryKind, entryName, ino, list, number, word } from './argument-types.ts';
import * as reply from './reply-types.ts';
import { type ArgumentType, mutation, read } from './script-schema.ts';

/** `arg.which`, `arg.changes` (SETATTR_FORMAT). */
const setattrChanges: ArgumentType<SetattrRequest> = {
  count: 2,
  encode: (value, out) => {
    const { which, fields } = packSetattr(value);
    out.push(which, fields);
  },
  lua: (name, at) => ({ which: `tonumber(ARGV[${at}])`, [name]: `ARGV[${at + 1}]` }),
};

export const lookup = read(
  'lookup',
  { parent: ino, name: entryName, kind: entryKind, caller },
  reply.fields({ attr: reply.attr, shadowed: reply.flag }),
);

export const setattr = mutation(
  'setattr',
  { ino, caller, changes: setattrChanges },
  reply.fields({ attr: reply.attrOf('ino') }),
);

export const mknod = mutation(
  'mknod',
  {
    parent: ino,
    name: entryName,
    /** Type and permission bits, umask already applied. */
    mode: number,
    uid: number,
    gid: number,
    rdev: number,
    caller,
    /** Of a symbolic link, else empty. */
    target: bytes,
  },
  reply.fields({ attr: reply.attr, parentAttr: reply.attrOf('parent') }),
);

export const mkHidden = mutation(
  'mk-hidden',
  { mode: number, uid: number, gid: number },
  reply.fields({ attr: reply.attr }),
);

export const link = mutation(
  'link',
  { ino, newParent: ino, newName: entryName, caller },
  reply.fields({ attr: reply.attrOf('ino'), parentAttr: reply.attrOf('newParent') }),
);

const taken = reply.fields({ attr: reply.attr, parentAttr: reply.attrOf('parent') });

export const unlink = mutation('unlink', { parent: ino, name: entryName, kind: entryKind, caller }, taken);
export const rmdir = mutation('rmdir', { parent: ino, name: entryName, kind: entryKind, caller }, taken);

export const rename = mutation(
  'rename',
  {
    parent: ino,
    name: entryName,
    kind: entryKind,
    newParent: ino,
    newName: entryName,
    newKind: entryKind,
    mode: word<'replace' | 'noreplace' | 'exchange'>(),
    caller,
  },
  reply.fields({
    attr: reply.attr,
    parentAttr: reply.attrOf('parent'),
    newParentAttr: reply.attrOf('newParent'),
    /** What stood at the new name and lost this name (nlink may be 0), or the other side of an exchange. */
    replaced: reply.attrOrNone,
  }),
);

export const readdir = read(
  'readdir',
  { ino, cursor: byteString, limit: number },
  reply.fields({ end: reply.flag, page: reply.bytes }),
);

export const setXattr = mutation(
  'set-xattr',
  { ino, name: byteString, value: bytes, mode: word<'set' | 'create' | 'replace'>() },
  reply.fields({ attr: reply.attrOf('ino') }),
);

export const removeXattr = mutation(
  'remove-xattr',
  { ino, name: byteString },
  reply.fields({ attr: reply.attrOf('ino') }),
);

export const sustain = mutation(
  'sustain',
  { inos: list },
  reply.custom(0, reply.ANY, (elements, request) => {
    const attrs = [];
    for (let i = 1; i < elements.length; i += 2) attrs.push(reply.attr.decode(elements, i, request));
    return attrs;
  }),
);

export const release = mutation('release', { ino }, reply.nothing);
