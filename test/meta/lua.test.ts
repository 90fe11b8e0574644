import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { mayAccess } from '../../src/base/access.ts';
import type { Attr } from '../../src/base/vocabulary.ts';
import { encodeAttr, packCaller } from '../../src/meta/codec/codec.ts';
import { linkScript } from '../../src/meta/redis/link-script.ts';
import { parseScript, withConstants } from '../../src/meta/redis/lua-source.ts';
import { readLuaFiles, ScriptLibrary } from '../../src/meta/redis/script-library.ts';
import { LUA_CONSTANTS } from '../../src/meta/schema/lua-constants.ts';
import { ACCESS_CASES, STICKY_CASES } from '../support/access-cases.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let m: Member;

before(async () => {
  volume = await testVolume();
  m = await volume.join();
}, LIMIT);

/** Runs an expression of the libraries on packed arguments. */
async function inLua(expression: string, args: Buffer[]): Promise<boolean> {
  const script = parseScript('case', `--@needs access attrs\nreturn ${expression} and 1 or 0`);
  const source = withConstants('case', linkScript(script, readLuaFiles().libraries, ''), LUA_CONSTANTS);
  return (await m.engine.command('EVAL', [source, 1, m.engine.prefix, ...args])) === 1;
}

const ZERO = { ino: 1, nlink: 1, size: 0, rdev: 0, atimeSec: 0, atimeNsec: 0, mtimeSec: 0, mtimeNsec: 0 };
const MORE = { ctimeSec: 0, ctimeNsec: 0, btimeSec: 0, btimeNsec: 0, parent: 1, version: 1, mtimeSetUs: 0 };

function packed(attr: Pick<Attr, 'mode' | 'uid' | 'gid' | 'flags'>): Buffer {
  return encodeAttr({ ...ZERO, ...MORE, sparseBytes: 0, ...attr });
}

test('every script compiles', LIMIT, async () => {
  const library = new ScriptLibrary(7);
  for (const name of library.names()) {
    const { source, sha } = library.get(name);
    assert.equal(String(await m.engine.command('SCRIPT', ['LOAD', source])), sha, name);
  }
});

for (const { what, caller, attr, want, allowed } of ACCESS_CASES) {
  test(`access in both languages: ${what}`, LIMIT, async () => {
    assert.equal(mayAccess(caller, attr, want), allowed, 'TypeScript');
    const expression = `access.may(access.caller(ARGV[1]), attrs.unpack(ARGV[2]), ${want})`;
    assert.equal(await inLua(expression, [packCaller(caller), packed(attr)]), allowed, 'Lua');
  });
}

for (const { what, caller, dir, attr, allowed } of STICKY_CASES) {
  test(`sticky directories: ${what}`, LIMIT, async () => {
    const expression = 'access.sticky_allows(access.caller(ARGV[1]), attrs.unpack(ARGV[2]), attrs.unpack(ARGV[3]))';
    assert.equal(await inLua(expression, [packCaller(caller), packed(dir), packed(attr)]), allowed);
  });
}
