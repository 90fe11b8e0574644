import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkScript, unusedNeeds } from '../../src/meta/redis/link-script.ts';
import { parseLibrary, parseScript, withConstants } from '../../src/meta/redis/lua-source.ts';
import { readLuaFiles, ScriptLibrary } from '../../src/meta/redis/script-library.ts';
import { SCHEMAS } from '../../src/meta/schema/all-schemas.ts';
import * as argument from '../../src/meta/schema/argument-types.ts';
import { LUA_CONSTANTS } from '../../src/meta/schema/lua-constants.ts';
import { fields, nothing, number } from '../../src/meta/schema/reply-types.ts';
import { luaFields, mutation, prologueOf, read } from '../../src/meta/schema/script-schema.ts';

/** Lua 5.1 allows 200 in a function. */
const TOP_LOCALS_MAX = 120;

const { libraries: LIBRARIES, scripts: SCRIPTS } = readLuaFiles();
const FILES = [...LIBRARIES.values(), ...SCRIPTS];

function link(script: string, libraries: Record<string, string>, prologue = ''): string {
  const parsed = new Map(Object.entries(libraries).map(([name, text]) => [name, parseLibrary(name, text)]));
  return linkScript(parseScript('script', script), parsed, prologue);
}

const A = '--@needs b\nlocal a = {}\nfunction a.one()\n  return b.two()\nend\nfunction a.other()\n  return 1\nend\n';
const B = 'local b = {}\nlocal LIMIT = 2\nlocal UNUSED = 3\nfunction b.two()\n  return LIMIT\nend\n';

test('a script is linked with what it reaches, each library behind those it needs', () => {
  const source = link('--@needs a\nreturn a.one()\n', { a: A, b: B });
  assert.ok(source.indexOf('local b = { two = false }') < source.indexOf('local a = { one = false }'));
  assert.match(source, /LIMIT = 2/);
  assert.doesNotMatch(source, /other|UNUSED/);
});

test('circles, missing libraries, missing functions and undeclared uses are errors at load', () => {
  const circle = { a: A, b: '--@needs c\nlocal b = {}\n', c: '--@needs a\nlocal c = {}\n' };
  assert.throws(() => link('--@needs a\nreturn a.one()', circle), /circle of needs: script -> a -> b -> c -> a/);
  assert.throws(() => link('--@needs nothing\nreturn 1', {}), /script\.lua needs nothing, which is not in/);
  assert.throws(() => link('--@needs a\nreturn a.one()', { a: A }), /a\.lua needs b, which is not in/);
  assert.throws(() => link('--@needs b\nreturn b.three()', { b: B }), /uses b\.three, which lib\/b\.lua lacks/);
  assert.throws(() => link('return b.two()', { b: B }), /uses b without need/);
  assert.throws(() => withConstants('x', 'return NO_SUCH', new Map()), /NO_SUCH is no constant/);
});

test('every need is used, and an unused one is seen', () => {
  const unused = parseScript('script', '--@needs b\nreturn 1');
  assert.deepEqual(unusedNeeds(unused, new Map([['b', parseLibrary('b', B)]])), ['b']);
  const wrong = FILES.flatMap((file) => unusedNeeds(file, LIBRARIES).map((need) => `${file.name} needs ${need}`));
  assert.deepEqual(wrong, []);
});

test(`no script has ${TOP_LOCALS_MAX} locals at its top level`, (t) => {
  const library = new ScriptLibrary(7);
  const counts = library.names().map((name) => ({ name, count: topLocals(library.get(name).source) }));
  counts.sort((x, y) => y.count - x.count);
  t.diagnostic(`most: ${counts[0]!.name} with ${counts[0]!.count}`);
  assert.ok(counts[0]!.count > 5, 'locals are counted');
  assert.ok(counts[0]!.count < TOP_LOCALS_MAX, `${counts[0]!.name} has ${counts[0]!.count}`);
});

function topLocals(source: string): number {
  const top = source.replace(/^do -- (\w+)\n[\s\S]*?^end -- \1$/gm, '');
  let count = 0;
  for (const [, names] of top.matchAll(/^local (?!function)([\w, ]+)/gm)) count += names!.split(',').length;
  return count + [...top.matchAll(/^local function /gm)].length;
}

test('every script has a schema, every schema a script, and every argument is used', () => {
  assert.deepEqual(SCHEMAS.map(({ name }) => name).sort(), SCRIPTS.map(({ name }) => name).sort());
  const unused = SCHEMAS.flatMap((schema) => {
    const text = SCRIPTS.find(({ name }) => name === schema.name)!.text;
    const names = Object.keys(schema.args).map((field) => field.replace(/[A-Z]/g, (l) => `_${l.toLowerCase()}`));
    return [...luaFields(schema).all.keys()]
      .filter((field) => names.includes(field) && !new RegExp(`\\barg\\.${field}\\b`).test(text))
      .map((field) => `${schema.name}: ${field}`);
  });
  assert.deepEqual(unused, []);
});

test('the prologue names the arguments that a script uses', () => {
  const schema = mutation(
    'x',
    {
      parent: argument.ino,
      newName: argument.entryName,
      size: argument.number,
      on: argument.flag,
      rest: argument.list,
    },
    nothing,
  );
  assert.equal(prologueOf(schema, 'return 1'), '');
  assert.match(
    prologueOf(schema, 'return arg.new_name, arg.on, arg.size, arg.rest_at'),
    /^local arg = \{ new_name = ARGV\[5\], size = tonumber\(ARGV\[6\]\), on = ARGV\[7\] == '1', rest_at = 8 \}$/m,
  );
  assert.throws(() => prologueOf(schema, 'return arg.name'), /uses name, which its schema lacks/);
  const out: (Buffer | string | number)[] = [];
  schema.encode({ parent: 1, newName: 'n', size: 5, on: true, rest: ['a', 'b'] }, out);
  assert.deepEqual(out, [1, Buffer.from('n'), 5, 1, 'a', 'b']);
  assert.throws(() => schema.encode({ parent: 1, newName: 'a/b', size: 5, on: true, rest: [] }, []), /EINVAL/);
});

test('two tails stand behind all fixed arguments', () => {
  const schema = read('x', { xattrs: argument.xattrs, pieces: argument.pieces }, nothing);
  const all = luaFields(schema).all;
  assert.deepEqual([all.get('xattrs_at'), all.get('inline_at')], ['3', '3 + 2 * tonumber(ARGV[1])']);
  const publish = luaFields(SCHEMAS.find(({ name }) => name === 'publish')!).all;
  const count = /^tonumber\((ARGV\[\d+\])\)$/.exec(publish.get('xattr_count')!)![1];
  assert.equal(publish.get('inline_at'), `${publish.get('xattrs_at')} + 2 * tonumber(${count})`);
});

test('a list behind one without a known end is refused at load', () => {
  const schema = read('x', { rest: argument.list, pieces: argument.pieces }, nothing);
  assert.throws(() => luaFields(schema), /x: pieces stands behind a list without a known end/);
});

test('a reply of another number of elements than its schema says is refused', () => {
  const schema = read('x', {}, fields({ a: number, b: number }));
  assert.deepEqual(schema.decode([Buffer.from('OK'), 1, Buffer.from('2')], {}), { a: 1, b: 2 });
  assert.throws(() => schema.decode([Buffer.from('OK'), 1], {}), /x answered 1 elements, its schema says 2/);
});

test('Lua files declare no constant of their own that TypeScript has, and use no argument by its number', () => {
  const wrong = FILES.flatMap(({ name, text }) => {
    const code = text.replace(/--.*$/gm, '');
    const found = [...code.matchAll(/\blocal (?:[\w, ]+, )?([A-Z][A-Z0-9_]{2,})\b/g)]
      .filter(([, constant]) => LUA_CONSTANTS.has(constant!))
      .map(([line]) => line);
    const numbers = /\b0x[0-9a-fA-F]+|\b(?:512|1024|2048|4095|16384|32768|40960|61440|67108864|2147483648)\b/g;
    const records = /'<I4I8I4I4I4'|'<I4I4I4I4I8/g;
    const flags = /\bflags [+-] \d|\bhas\([\w.]+, \d|\bmay\([^)]*, \d\)|\bwants\(\d/g;
    const places = name === 'mutate' ? [] : [...code.matchAll(/ARGV\[\d/g)].map(([place]) => place);
    for (const rule of [numbers, records, flags]) found.push(...[...code.matchAll(rule)].map(([part]) => part));
    return [...found, ...places].map((part) => `${name}.lua: ${part}`);
  });
  assert.deepEqual(wrong, []);
});

test('no local of a Lua file has the name of a library', () => {
  const wrong = FILES.flatMap(({ name, text }) => {
    const code = text.replace(/--.*$/gm, '').replace(`local ${name} = {}`, '');
    const declared = [
      ...code.matchAll(/\blocal (?:function )?([\w, ]+)|\bfunction [\w.]*\(([\w, ]*)\)|\bfor ([\w, ]+) in/g),
    ];
    const names = declared.flatMap(([, local, parameters, loop]) =>
      (local ?? parameters ?? loop ?? '').trim().split(/, */),
    );
    return names.filter((local) => LIBRARIES.has(local) || local === 'arg').map((local) => `${name}.lua: ${local}`);
  });
  assert.deepEqual(wrong, []);
});
