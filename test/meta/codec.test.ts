import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readI64, writeI64 } from '../../src/base/integers.ts';
import {
  decodeAttr,
  decodeInvalidations,
  decodeMember,
  encodeAttr,
  nameBytes,
  packCaller,
} from '../../src/meta/codec/codec.ts';
import { ScriptLibrary } from '../../src/meta/redis/script-library.ts';

const u32 = fc.nat({ max: 2 ** 32 - 1 });
const u53 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const i53 = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });

test('signed 64-bit numbers survive', () => {
  fc.assert(
    fc.property(i53, (value) => {
      const buffer = Buffer.alloc(8);
      writeI64(buffer, 0, value);
      assert.equal(readI64(buffer, 0), value);
      assert.equal(buffer.readBigInt64LE(0), BigInt(value));
    }),
  );
});

test('attributes survive packing', () => {
  const attr = fc.record({
    ino: u53,
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    size: u53,
    rdev: u32,
    flags: u32,
    atimeSec: i53,
    atimeNsec: u32,
    mtimeSec: i53,
    mtimeNsec: u32,
    ctimeSec: i53,
    ctimeNsec: u32,
    btimeSec: i53,
    btimeNsec: u32,
    parent: u53,
    version: u53,
    mtimeSetUs: u53,
    sparseBytes: u53,
  });
  fc.assert(fc.property(attr, (value) => assert.deepEqual(decodeAttr(value.ino, encodeAttr(value)), { ...value })));
  assert.throws(() => decodeAttr(1, Buffer.alloc(111)), /EIO/);
});

test('entries are taken apart', () => {
  const member = (text: string) => decodeMember(Buffer.from(text, 'latin1'));
  assert.deepEqual(member('a\0' + '12'), { name: 'a', ino: 12, dir: false, shadowed: false });
  assert.deepEqual(member('\xff~/9007199254740991~'), {
    name: '\xff~',
    ino: 9007199254740991,
    dir: true,
    shadowed: true,
  });
  assert.deepEqual(member('/3'), { name: '', ino: 3, dir: true, shadowed: false });
  assert.throws(() => member('a'), /damaged/);
});

test('names that no entry can hold are refused', () => {
  assert.throws(() => nameBytes('lookup', 'x'.repeat(256)), /ENAMETOOLONG/);
  assert.throws(() => nameBytes('lookup', 'a/b'), /EINVAL/);
  assert.throws(() => nameBytes('lookup', 'a\0b'), /EINVAL/);
  assert.equal(nameBytes('lookup', '\xff').length, 1);
});

test('a caller whose kernel has decided is empty', () => {
  assert.equal(packCaller({ uid: 1, gid: 2, groups: [3], check: false }).length, 0);
  assert.deepEqual([...packCaller({ uid: 1, gid: 2, groups: [3], check: true })], [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
});

test('a message nobody can read throws', () => {
  assert.throws(() => decodeInvalidations(Buffer.concat([Buffer.alloc(8), Buffer.from('?')])), /unknown kind/);
  assert.deepEqual(decodeInvalidations(Buffer.concat([Buffer.alloc(8), Buffer.from('S')])).batch, [{ kind: 'users' }]);
});

test('every script is there with what it needs', () => {
  const library = new ScriptLibrary(7);
  assert.ok(library.names().includes('rename'));
  for (const name of library.names()) {
    const { source, sha } = library.get(name);
    assert.match(sha, /^[0-9a-f]{40}$/);
    assert.doesNotMatch(source, /^--\s*@needs/m, `${name}.lua has a need that was not resolved`);
  }
  assert.throws(() => library.get('nothing'), /no script/);
});
