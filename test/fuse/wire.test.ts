/** The protocol's structs, byte by byte, against offsets taken from include/uapi/linux/fuse.h. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Attr } from '../../src/base/vocabulary.ts';
import { encodeInvalidEntry, encodeInvalidInode } from '../../src/fuse/transport/notify.ts';
import { BODY, Request, uniqueKey, WireBuffer } from '../../src/fuse/wire/decode.ts';
import {
  appendDirent,
  appendDirentPlus,
  encodeCreate,
  encodeEntry,
  encodeFuseAttr,
  encodeInit,
  encodeNegativeEntry,
  encodeStatfs,
  encodeStatus,
  encodeStatx,
} from '../../src/fuse/wire/encode.ts';
import { negotiate } from '../../src/fuse/wire/init.ts';
import { INIT, INIT2, OP } from '../../src/fuse/wire/protocol.ts';

const ATTR: Attr = {
  ino: 2 ** 40 + 5,
  mode: 0o100644,
  uid: 1000,
  gid: 2000,
  nlink: 3,
  size: 2 ** 33 + 1,
  rdev: 0x12c4,
  flags: 0,
  atimeSec: -1,
  atimeNsec: 1,
  mtimeSec: 2 ** 35,
  mtimeNsec: 2,
  ctimeSec: 7,
  ctimeNsec: 3,
  btimeSec: 9,
  btimeNsec: 4,
  parent: 1,
  version: 1,
  mtimeSetUs: 0,
  sparseBytes: 0,
};

/** A request of the given opcode: header, body words, bytes, extensions. */
function request(
  opcode: number,
  words: number[],
  tail: Buffer = Buffer.alloc(0),
  extensions = Buffer.alloc(0),
): Request {
  const input = new WireBuffer(8192);
  const end = 40 + words.length * 4 + tail.length;
  input.words.set([end + extensions.length, opcode, 0x11, 0x8000_0000, 42, 0, 1000, 100, 77, extensions.length / 8]);
  input.words.set(words, BODY);
  tail.copy(input.bytes, 40 + words.length * 4);
  extensions.copy(input.bytes, end);
  return new Request(input, 0);
}

describe('requests', () => {
  test('the header gives inode, caller and unique id', () => {
    const { ino, uid, gid, pid, uniqueLow, uniqueHigh, key } = request(OP.GETATTR, [0, 0, 0, 0]);
    assert.deepEqual({ ino, uid, gid, pid }, { ino: 42, uid: 1000, gid: 100, pid: 77 });
    assert.deepEqual([uniqueLow, uniqueHigh], [0x11, 0x8000_0000]);
    assert.equal(key, uniqueKey(0x11, 0), 'a request that is sent again keeps its key');
  });

  test('64-bit fields are read as unsigned and as signed', () => {
    const { u64, i64 } = { u64: 10, i64: 12 };
    const read = request(OP.READ, [5, 1, 0xffff_ffff, 0xffff_ffff]);
    assert.equal(read.u64(u64), 2 ** 32 + 5);
    assert.equal(read.i64(i64), -1);
  });

  test('names are bytes and end where data begins', () => {
    const two = request(OP.RENAME, [7, 0], Buffer.from('a\xff\0b c\0', 'latin1'));
    assert.equal(two.name(48), 'a\xff');
    assert.equal(two.name(51), 'b c');
    assert.equal(request(OP.LOOKUP, [], Buffer.from('name\0')).lastName(40), 'name');
  });

  test('names over 255 bytes are ENAMETOOLONG, names without an end EINVAL', () => {
    const long = Buffer.from(`${'n'.repeat(256)}\0`);
    assert.throws(() => request(OP.LOOKUP, [], long).lastName(40), { code: 'ENAMETOOLONG' });
    assert.equal(request(OP.LOOKUP, [], long.subarray(1)).lastName(40).length, 255);
    assert.throws(() => request(OP.RENAME, [7, 0], Buffer.from('endless')).name(48), { code: 'EINVAL' });
  });

  test('the supplementary group of a create comes from the extension', () => {
    const extension = Buffer.alloc(16);
    extension.writeUInt32LE(16, 0);
    extension.writeUInt32LE(32, 4);
    extension.writeUInt32LE(1, 8);
    extension.writeUInt32LE(555, 12);
    const made = request(OP.MKDIR, [0o755, 0o22], Buffer.from('odd\0'), extension);
    assert.deepEqual(made.groups, [555]);
    assert.equal(made.lastName(48), 'odd', 'the extension is no part of the name');
    extension.writeUInt32LE(4, 0);
    assert.deepEqual(request(OP.MKDIR, [0, 0], Buffer.from('x\0'), extension).groups, [], 'a damaged one is ignored');
  });
});

describe('replies', () => {
  const out = new WireBuffer(8192);
  const at = (offset: number): bigint => out.bytes.readBigUInt64LE(offset);
  const at32 = (offset: number): number => out.bytes.readUInt32LE(offset);

  test('errors are negative', () => {
    assert.equal(encodeStatus(out, 2), 16);
    assert.deepEqual([at32(0), out.bytes.readInt32LE(4)], [16, -2]);
  });

  test('fuse_attr_out', () => {
    assert.equal(encodeFuseAttr(out, ATTR, { entrySec: 1, attrSec: 1.5 }), 16 + 104);
    assert.deepEqual([at(16), at32(24)], [1n, 500_000_000]);
    assert.deepEqual([at(32), at(40), at(48)], [2n ** 40n + 5n, 2n ** 33n + 1n, 2n ** 24n + 8n]);
    assert.deepEqual([out.bytes.readBigInt64LE(56), at(64), at(72)], [-1n, 2n ** 35n, 7n]);
    assert.deepEqual([80, 84, 88, 92, 96, 100, 104, 108].map(at32), [1, 2, 3, 0o100644, 3, 1000, 2000, 0x12c4]);
  });

  test('fuse_entry_out, and the negative one', () => {
    assert.equal(encodeEntry(out, ATTR, { entrySec: 3, attrSec: 4 }), 16 + 128);
    assert.deepEqual([at(16), at(24), at(32), at(40)], [2n ** 40n + 5n, 0n, 3n, 4n]);
    assert.equal(at(56), 2n ** 40n + 5n, 'attributes follow at 40');
    assert.equal(encodeNegativeEntry(out, 0.25), 16 + 128);
    assert.deepEqual([at(16), at(32), at32(48)], [0n, 0n, 250_000_000]);
  });

  test('CREATE carries an entry and an open file', () => {
    assert.equal(encodeCreate(out, ATTR, { entrySec: 1, attrSec: 1 }, 99, 2), 16 + 128 + 16);
    assert.deepEqual([at(144), at32(152)], [99n, 2]);
  });

  test('fuse_statx_out has the time of birth and a decoded device', () => {
    assert.equal(encodeStatx(out, ATTR, { entrySec: 1, attrSec: 1 }), 16 + 288);
    const stat = 16 + 32;
    assert.equal(at32(stat), 0xfff);
    assert.equal(at32(stat + 28) & 0xffff, 0o100644);
    assert.deepEqual([at(stat + 32), at(stat + 40)], [2n ** 40n + 5n, 2n ** 33n + 1n]);
    assert.deepEqual([at(stat + 80), at32(stat + 88)], [9n, 4], 'btime');
    assert.deepEqual([at32(stat + 128), at32(stat + 132)], [0x12, 0xc4]);
  });

  test('fuse_statfs_out never says 0 blocks', () => {
    const space = {
      usedBytes: 4097,
      usedInodes: 3,
      inlineBytes: 0,
      totalBytes: 40_960,
      totalInodes: 10,
      maxBytes: undefined,
      maxInodes: undefined,
    };
    assert.equal(encodeStatfs(out, space), 16 + 80);
    assert.deepEqual([16, 24, 32, 40, 48].map(at), [10n, 8n, 8n, 10n, 7n]);
    assert.deepEqual([56, 60, 64].map(at32), [4096, 255, 4096]);
    encodeStatfs(out, { ...space, totalBytes: 0 });
    assert.equal(at(16), 1n);
  });

  test('directory records are padded to 8 bytes and stop at the limit', () => {
    const entry = { ino: 9, mode: 0o040755, name: 'abc', cookie: 2 ** 40 };
    const next = appendDirent(out, 16, 4096, entry);
    assert.equal(next, 16 + 32);
    assert.deepEqual([at(16), at(24), at32(32), at32(36)], [9n, 2n ** 40n, 3, 4]);
    assert.equal(out.bytes.toString('latin1', 40, 48), 'abc\0\0\0\0\0');
    assert.equal(appendDirent(out, next, next + 31, entry), 0);
    assert.equal(appendDirentPlus(out, 16, 4096, entry, undefined, { entrySec: 1, attrSec: 1 }), 16 + 128 + 32);
    assert.equal(at(16), 0n, 'without attributes the kernel takes no reference');
  });

  test('notify messages', () => {
    const inode = encodeInvalidInode(5, -1, 0);
    assert.deepEqual([inode.length, inode.readInt32LE(4), inode.readBigUInt64LE(8)], [40, 2, 0n]);
    assert.deepEqual([inode.readBigUInt64LE(16), inode.readBigInt64LE(24)], [5n, -1n]);
    const entry = encodeInvalidEntry(5, '\xffn', true);
    assert.deepEqual([entry.length, entry.readUInt32LE(0), entry.readInt32LE(4)], [35, 35, 3]);
    assert.deepEqual([entry.readUInt32LE(24), entry.readUInt32LE(28)], [2, 1]);
    assert.deepEqual([...entry.subarray(32)], [0xff, 0x6e, 0]);
  });
});

describe('INIT', () => {
  test('agrees on the smaller minor and on what both want', () => {
    const got = negotiate(request(OP.INIT, [7, 45, 131_072, 0x73ff_fffb, 0x5fd, ...new Array<number>(11).fill(0)]));
    assert.ok(got.kind === 'agreed');
    assert.equal(got.protocol.minor, 45);
    assert.equal(got.protocol.entrySecMax, Number.POSITIVE_INFINITY);
    assert.ok(got.protocol.flags & INIT.MAX_PAGES && got.protocol.flags & INIT.HANDLE_KILLPRIV_V2);
    assert.equal(got.protocol.flags & (INIT.WRITEBACK_CACHE | INIT.POSIX_LOCKS | INIT.FLOCK_LOCKS | INIT.DONT_MASK), 0);
    assert.equal(got.protocol.flags2, INIT2.CREATE_SUPP_GROUP | INIT2.HAS_EXPIRE_ONLY | INIT2.HAS_RESEND);
    const out = new WireBuffer(256);
    assert.equal(encodeInit(out, 7, got.reply), 16 + 64);
    assert.deepEqual([out.words[4], out.words[5], out.words[6]], [7, 45, 131_072]);
    assert.deepEqual([out.bytes.readUInt16LE(32), out.bytes.readUInt16LE(34)], [128, 96]);
    assert.deepEqual([out.words[9], out.words[10], out.bytes.readUInt16LE(44)], [1024 * 1024, 1, 256]);
  });

  test('a kernel without INIT_EXT gets no second flags, one without epochs short entries', () => {
    const got = negotiate(request(OP.INIT, [7, 31, 131_072, 0x3fff_fffb]));
    assert.ok(got.kind === 'agreed');
    assert.equal(got.protocol.flags2, 0);
    assert.equal(got.protocol.entrySecMax, 1);
  });

  test('a newer major is asked again, an older protocol refused', () => {
    assert.equal(negotiate(request(OP.INIT, [8, 0, 0, 0])).kind, 'again');
    assert.equal(negotiate(request(OP.INIT, [7, 30, 0, 0])).kind, 'too-old');
  });
});
