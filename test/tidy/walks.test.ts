/** The two walks of docs/ARCHITECTURE.md: each names real files, in a number that a newcomer can follow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filesBelow } from './source-files.ts';

const architecture = filesBelow(['docs'], /ARCHITECTURE\.md$/)[0]!.text;
const sources = new Set(filesBelow(['src'], /./).map(({ path }) => path));

/** Files of the numbered lines of a section. */
function walk(number: number): string[] {
  const section = architecture.split(/^## /m).find((text) => text.startsWith(`Walk ${number}:`)) ?? '';
  return [...section.matchAll(/^ {4,}(\d+) {2}(src\/\S+)/gm)].map(([, count, path], index) => {
    assert.equal(Number(count), index + 1, path);
    return path!;
  });
}

for (const { number, what, most } of [
  { number: 1, what: 'an echo', most: 10 },
  { number: 2, what: 'a PutObject', most: 16 },
]) {
  test(`${what} passes at most ${most} files, and they exist`, () => {
    const files = walk(number);
    assert.ok(files.length > 5 && files.length <= most, `${files.length} files`);
    assert.deepEqual(
      files.filter((path) => !sources.has(path)),
      [],
    );
    assert.ok(files.at(-1)!.endsWith('.lua'), 'down to the script');
  });
}
