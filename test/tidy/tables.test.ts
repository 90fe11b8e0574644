/**
 * Every object inherits `constructor`, `toString` and `__proto__`: a table that text from outside is looked up in is a
 * Map, a Set, or asked with Object.hasOwn. The type checker lets a string index an object in three ways only: the
 * object is a Record<string, ...>, the key is cast, or `in` asks for it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filesBelow } from './source-files.ts';

const ASKS_OWN = /Object\.hasOwn\(/;
/** A table of the module by any string. */
const STRING_TABLE = /^(?:export )?const \w+: [^=]*\bRecord<string, .*= \{/;
/** `table[name as Key]` */
const CAST_KEY = /\w\[\w+(?:\.\w+)* as [A-Za-z]/;
/** `code in ERRNO`, but neither a loop nor `'literal' in value`, which narrows a union. */
const IN_TABLE = /(?<!for \((?:const|let) )\b[\w.]+ in [\w.]+/;

const sources = filesBelow(['src'], /\.ts$/);

function lines(text: string): [number, string][] {
  const code = text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .replace(/`(?:[^`\\]|\\.)*`/g, (literal) => literal.replace(/[^\n]/g, ''))
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''")
    .replace(/\/\/.*$/gm, '');
  return code.split('\n').map((line, i) => [i + 1, line]);
}

function found(wanted: (line: string, text: string) => boolean): string[] {
  return sources.flatMap(({ path, text }) =>
    lines(text).flatMap(([number, line]) => (wanted(line, text) ? [`${path}:${number}: ${line.trim()}`] : [])),
  );
}

test('a table of a module by any string is a Map, or its file asks Object.hasOwn', () => {
  assert.deepEqual(
    found((line, text) => STRING_TABLE.test(line) && !ASKS_OWN.test(text)),
    [],
  );
});

test('a key is cast to a key of its table only beside Object.hasOwn', () => {
  assert.deepEqual(
    found((line) => CAST_KEY.test(line) && !ASKS_OWN.test(line)),
    [],
  );
});

test('no name is looked up with `in`', () => {
  assert.deepEqual(
    found((line) => IN_TABLE.test(line) && !/\bin keyof\b|\bunique symbol\b|\[\w+ in \w+\]/.test(line)),
    [],
  );
});

const inFrontend = (at: string): boolean => at.startsWith('src/s3api/');

test('bytes of requests are not trimmed, folded or matched as Unicode text', () => {
  // What JavaScript calls white space, a letter's case or equal text is about characters; see src/base/byte-string.ts.
  const methods = /\.(?:trim|trimStart|trimEnd|to(?:Locale)?(?:Lower|Upper)Case|localeCompare|normalize)\(/;
  const classes = /\\[sS]/;
  assert.deepEqual(found((line) => methods.test(line) || classes.test(line)).filter(inFrontend), []);
});

test('bytes become strings and strings bytes in one way', () => {
  const conversions = sources.flatMap(({ path, text }) =>
    inFrontend(path)
      ? text.split('\n').flatMap((line, i) => {
          const converts = /Buffer\.from\([^']*, 'latin1'\)|\.toString\('latin1'/.test(line);
          return converts ? [`${path}:${i + 1}: ${line.trim()}`] : [];
        })
      : [],
  );
  assert.deepEqual(conversions, []);
});

test('what text from outside is looked up in is a lookupTable or a wordSet', () => {
  const guarded = (at: string): boolean => /^src\/(?:s3api|cli)\//.test(at);
  const tables = found(
    (line) =>
      /^(?:export )?const \w+(?:: [^=]*)? = new (?:Map|Set)(?:<[^(]*>)?\(\[/.test(line) ||
      STRING_TABLE.test(line) ||
      ASKS_OWN.test(line),
  );
  // Numbers are no text.
  assert.deepEqual(
    tables.filter(guarded).filter((at) => !/new Set\(\[\d/.test(at)),
    [],
  );
  const literals = sources.flatMap(({ path, text }) => {
    if (!guarded(path)) return [];
    const code = lines(text)
      .map(([, line]) => line)
      .join('\n');
    // A literal with rows, declared by any string, and read by a name that is not its own.
    const declared = [...code.matchAll(/\bconst (\w+)(?::[^=\n]*\bRecord<string, [^=\n]*) = \{\n/g)].map(
      (match) => match[1]!,
    );
    const loops = new Set([...code.matchAll(/for \((?:const|let) (\w+) in /g)].map((match) => match[1]!));
    return declared.flatMap((name) =>
      [...code.matchAll(new RegExp(`\\b${name}\\[(\\w+)\\](?! (?:\\?\\?)?= )`, 'g'))]
        .filter((match) => !loops.has(match[1]!))
        .map((match) => `${path}: ${match[0]}`),
    );
  });
  assert.deepEqual(literals, []);
});

test('permission bits of a mode are read by one rule', () => {
  const shifts = found((line) => />>>?=? ?[36]\b|<< ?[36]\b/.test(line));
  const rule = shifts.filter((at) => /^src\/(?:base\/access|s3api\/|vfs\/)/.test(at));
  assert.deepEqual(
    rule.filter((at) => !at.startsWith('src/base/access.ts:')),
    [],
  );
  assert.ok(rule.length > 0, 'the rule is written in another way now: find it anew');
});
