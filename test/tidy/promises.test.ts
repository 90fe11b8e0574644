import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filesBelow } from './source-files.ts';

const semantics = filesBelow(['docs'], /SEMANTICS\.md$/)[0];
const PROMISE = /^[-*] \*\*([VENLDSF]\d+)\*\*/gm;
/** `test('V1: ...'`, `it("V1, V2: ...")`: the numbers before the colon. */
const TITLE = /\b(?:test|it)(?:\.\w+)?\(\s*[`'"]((?:[VENLDSF]\d+(?:, | )?)+):/g;

const promised = [...(semantics?.text ?? '').matchAll(PROMISE)].map((match) => match[1]!);
const tested = new Set(
  filesBelow(['test', 'conformance'], /\.test\.ts$/).flatMap(({ text }) =>
    [...text.matchAll(TITLE)].flatMap((match) => match[1]!.split(/[, ]+/)),
  ),
);

test('every promise of docs/SEMANTICS.md is the title of a test', (t) => {
  if (semantics === undefined) return t.skip('docs/SEMANTICS.md is not there');
  assert.ok(promised.length > 0, 'docs/SEMANTICS.md numbers no promise');
  assert.deepEqual(
    promised.filter((number) => !tested.has(number)),
    [],
    'promises without a test',
  );
});

test('every number in a test title is a promise of docs/SEMANTICS.md', (t) => {
  if (semantics === undefined) return t.skip('docs/SEMANTICS.md is not there');
  assert.deepEqual(
    [...tested].filter((number) => !promised.includes(number)),
    [],
    'tests of promises that nobody makes',
  );
});

test('a promise is numbered once', () => {
  assert.deepEqual(
    promised.filter((number, i) => promised.indexOf(number) !== i),
    [],
  );
});
