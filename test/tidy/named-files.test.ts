/** What documents and comments say about files is true: every file that they name exists. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filesAtTop, filesBelow } from './source-files.ts';

const CODE = ['src', 'test', 'conformance', 'bench', 'scripts', 'bin'];
const code = filesBelow(CODE, /\.(ts|mjs|cjs|lua|c|h)$/);
// Decisions and the history say what was; generated tables are held to the sources elsewhere.
const documents = [
  ...filesBelow(['docs'], /\.md$/).filter(({ path }) => !path.includes('/adr/')),
  ...filesAtTop(/\.md$/).filter(({ path }) => path !== 'CHANGELOG.md'),
];
const known = [...filesBelow([...CODE, 'docs', 'docker', '.ci'], /./), ...filesAtTop(/./)].map(
  ({ path }) => `/${path}`,
);

/** A path or a bare name, as prose writes it. Placeholders are in capitals (NAME.lua). */
const FILE = /(?<![\w./@*<-])((?:[\w-]+\/)*[a-z][\w-]*(?:\.test)?\.(?:ts|lua|mjs|c|md))\b(?![\w/(])/g;

/** Tells whether some file has this path, or a path that ends in it. */
function exists(named: string): boolean {
  return known.some((path) => path.endsWith(`/${named}`));
}

function commentsOf(path: string, text: string): string {
  if (path.endsWith('.lua')) return text.replace(/^(?!\s*--).*$/gm, '');
  return [...text.matchAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm)].map(([comment]) => comment).join('\n');
}

function missingIn(path: string, text: string): string[] {
  const named = [...text.matchAll(FILE)].map((match) => match[1]!);
  return named.filter((one) => !exists(one)).map((one) => `${path} names ${one}`);
}

test('documents name files that exist', () => {
  assert.deepEqual(
    documents.flatMap(({ path, text }) => missingIn(path, text)),
    [],
  );
});

test('comments name files that exist', () => {
  assert.deepEqual(
    code.flatMap(({ path, text }) => missingIn(path, commentsOf(path, text))),
    [],
  );
});
