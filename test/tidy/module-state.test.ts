/**
 * A module holds no state that changes after it has loaded: two mounts or two gateways of one process share nothing, and
 * a test sees only what it made. What is looked at, by the form of the text:
 *
 *     top-level let, var; static fields that are not readonly         never
 *     top-level Map, Set or array                                     its type is a readonly one
 *     any other top-level constant                                    nothing in src writes into it
 *     top-level instance of a class                                   one of a class that keeps no state between calls
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { filesBelow, type SourceFile } from './source-files.ts';

/** Classes whose instances are as good as functions. */
const STATELESS = new Set(['XMLParser', 'TextDecoder', 'TextEncoder', 'RegExp', 'URL']);
const MUTATORS =
  'set|add|delete|clear|push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|write\\w*|copy|load|save';

interface Constant {
  name: string;
  exported: boolean;
  /** The type as written, or ''. */
  type: string;
  value: string;
}

/** Top-level constants of a file that biome has formatted: a statement begins in the first column. */
function constantsOf(text: string): Constant[] {
  const found: Constant[] = [];
  for (const match of text.matchAll(/^(export )?const (\w+)(?=[:\s])([\s\S]*?;)\n(?=\S|\n|$)/gm)) {
    const rest = match[3]!;
    const at = rest.search(/\s=\s/);
    found.push({
      name: match[2]!,
      exported: match[1] !== undefined,
      type: rest.slice(0, at).replace(/^:\s*/, '').trim(),
      value: rest.slice(at + 3).trim(),
    });
  }
  return found;
}

function isReadonly({ type, value }: Constant): boolean {
  return /^(readonly |Readonly(Map|Set|Array)?<)/.test(type) || /\bas const( satisfies [^;]+)?;$/.test(value);
}

/** What is wrong with one file's own text. */
function violations({ path, text }: SourceFile): string[] {
  const wrong: string[] = [];
  for (const match of text.matchAll(/^(?:export )?(?:let|var) .*$/gm)) wrong.push(match[0]);
  for (const match of text.matchAll(/^\s+static (?!readonly\b|async\b|get\b)#?\w+\s*[:=;].*$/gm)) wrong.push(match[0]);
  for (const constant of constantsOf(text)) {
    const made = /^new (\w+)/.exec(constant.value)?.[1];
    const isCollection = /^(\[|Array\.|Object\.(keys|values|entries|from)|new (Map|Set|Array)\b)/.test(constant.value);
    if (isCollection && !isReadonly(constant)) wrong.push(`${constant.name} is no readonly collection`);
    if (made !== undefined && !isCollection && !STATELESS.has(made)) wrong.push(`${constant.name} is a ${made}`);
  }
  return wrong.map((one) => `${path}: ${one.trim()}`);
}

/** Where a text writes into a constant of this name. */
function writesTo(name: string, text: string): string[] {
  const target = `(?<![.\\w#])${name}(?:\\.\\w+|\\[[^\\]\\n]*\\])*`;
  const forms = [
    `${target}(?:\\.\\w+|\\[[^\\]\\n]*\\])\\s*(?:[-+*/|&^%]|\\?\\?|\\|\\||&&|<<|>>>?|\\*\\*)?=(?![=>])`,
    `${target}(?:\\.\\w+|\\[[^\\]\\n]*\\])(?:\\+\\+|--)`,
    `(?:\\+\\+|--|\\bdelete )${target}[.[]`,
    `${target}\\.(?:${MUTATORS})\\(`,
    `Object\\.(?:assign|defineProperty|setPrototypeOf)\\(${name}\\b`,
  ];
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
  return forms.flatMap((form) => [...code.matchAll(new RegExp(form, 'g'))].map((match) => match[0]));
}

describe('modules keep no state', () => {
  const sources = filesBelow(['src'], /\.ts$/);

  test('their top-level bindings are constants of readonly or stateless things', () => {
    assert.ok(sources.flatMap(({ text }) => constantsOf(text)).length > 300, 'the constants were read');
    const wrong = sources.flatMap((file) => violations(file));
    assert.deepEqual(wrong, []);
  });

  test('nothing writes into a constant of a module', () => {
    const wrong: string[] = [];
    for (const file of sources) {
      for (const { name, exported } of constantsOf(file.text)) {
        const readers = exported
          ? sources.filter(({ text }) => text === file.text || new RegExp(`\\b${name}\\b[^;]*from '`).test(text))
          : [file];
        for (const reader of readers) {
          for (const write of writesTo(name, reader.text)) wrong.push(`${reader.path}: ${write}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  });

  test('the rules find what they forbid, and nothing else', () => {
    const bad = [
      'let count = 0;\n',
      'export var mode;\n',
      'const seen = new Map<string, number>();\n',
      'export const queue: string[] = [];\n',
      'const CACHE: WeakMap<object, string> = new WeakMap();\n',
      'const LONG = [\n  1,\n  2,\n];\n',
      'const pool = new Pool();\n',
      'class A {\n  static count = 0;\n}\n',
      'class A {\n  static #all: A[] = [];\n}\n',
    ];
    for (const text of bad) assert.equal(violations({ path: 'x', text }).length, 1, text);
    const good = [
      'const A: ReadonlyMap<string, number> = new Map([\n  ["a", 1],\n]);\n',
      "const B = ['a', 'b'] as const;\nexport const C: readonly string[] = [];\n",
      'const D = { a: 1 };\nconst E = 5;\nconst parser = new XMLParser({\n  a: 1,\n});\n',
      'class A {\n  static readonly NONE = new A();\n  static of(a: number) {\n    let b = a;\n  }\n}\n',
    ];
    for (const text of good) assert.deepEqual(violations({ path: 'x', text }), [], text);
    const writes = [
      'X.set(1, 2)',
      'X[3] = 4',
      'X.a.b += 1',
      'X.n++',
      '--X.n',
      'delete X.a',
      'X.list.push(1)',
      'X.a ??= 1',
    ];
    for (const write of writes) assert.equal(writesTo('X', `  ${write};\n`).length, 1, write);
    const reads = [
      'X.get(1)',
      'X[3] === 4',
      'f(X.a)',
      'y.X = 1',
      'const y = { X }',
      'X.a >= 1',
      '(X) => X.a',
      'X.map(f)',
    ];
    for (const read of reads) assert.deepEqual(writesTo('X', `  ${read};\n`), [], read);
  });
});
