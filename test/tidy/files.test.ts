import assert from 'node:assert/strict';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import { filesAtTop, filesBelow } from './source-files.ts';

const LINES_MAX = 600;
const FOLDER_FILES_MAX = 25;

const code = filesBelow(['src', 'test', 'conformance', 'bench', 'scripts', 'bin'], /\.(ts|mjs|lua|c)$/);
const documents = [
  ...filesBelow(['docs', 'docker', '.ci'], /./),
  ...filesAtTop(/\.(md|json)$/).filter(({ path }) => path !== 'package-lock.json'),
];

test(`no file is longer than ${LINES_MAX} lines`, () => {
  const long = code
    .map(({ path, text }) => ({ path, lines: text.split('\n').length }))
    .filter(({ lines }) => lines > LINES_MAX);
  assert.deepEqual(long, []);
});

test(`no folder of sources holds more than ${FOLDER_FILES_MAX} files, and no two sources have one name`, () => {
  const sources = filesBelow(['src'], /\.(ts|lua|c|h)$/).map(({ path }) => path);
  const crowded = groups(sources, dirname).filter(([, files]) => files.length > FOLDER_FILES_MAX);
  assert.deepEqual(crowded, []);
  const shared = groups(sources, (path) => basename(path)).filter(([, files]) => files.length > 1);
  assert.deepEqual(shared, []);
});

test('file names are kebab-case and say what is inside', () => {
  const wrong = code
    .map(({ path }) => path)
    .filter((path) => {
      const stem = basename(path).replace(/(\.test)?\.\w+$/, '');
      return !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem) || /^(utils?|helpers?|managers?|common|misc|index)$/.test(stem);
    });
  assert.deepEqual(wrong, []);
});

test('sources have no default export and no barrel', () => {
  const wrong = filesBelow(['src', 'test', 'conformance', 'bench'], /\.ts$/)
    .filter(({ text }) => /^\s*export\s+default\b/m.test(text) || /^\s*export\s+\*/m.test(text))
    .map(({ path }) => path);
  assert.deepEqual(wrong, []);
});

test('nothing is left to do, switched off or tied to one machine', () => {
  // Written in pieces, so that this file does not find itself.
  const forbidden = [
    ['TO', 'DO'],
    ['FIX', 'ME'],
    ['X', 'XX'],
    ['@ts-', 'ignore'],
    ['@ts-', 'nocheck'],
    ['debugger', ';'],
    ['/wo', 'rk/'],
    ['as ', 'any[;,)]'],
  ].map((parts) => parts.join(''));
  const word = new RegExp(forbidden.map((text) => (/^\w+$/.test(text) ? `\\b${text}\\b` : text)).join('|'));
  const wrong = [...code, ...documents].flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, i) => (word.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  );
  assert.deepEqual(wrong, []);
});

test('sources log through the logger, not the console', () => {
  const wrong = filesBelow(['src'], /\.ts$/)
    .filter(({ text }) => /\bconsole\.\w+\(/.test(text))
    .map(({ path }) => path);
  assert.deepEqual(wrong, []);
});

test('no test is switched off for everybody or narrowed to itself', () => {
  const switchedOff = ['\\.on', 'ly\\(|\\bon', 'ly: true|\\.to', 'do\\(|sk', 'ip: true'].join('');
  const wrong = filesBelow(['test', 'conformance'], /\.test\.ts$/)
    .filter(({ text }) => new RegExp(switchedOff).test(text))
    .map(({ path }) => path);
  assert.deepEqual(wrong, []);
});

function groups(paths: string[], keyOf: (path: string) => string): [string, string[]][] {
  const found = new Map<string, string[]>();
  for (const path of paths) found.set(keyOf(path), [...(found.get(keyOf(path)) ?? []), path]);
  return [...found];
}
