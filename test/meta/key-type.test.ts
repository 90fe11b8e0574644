import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyType } from '../../src/meta/codec/key-type.ts';
import { filesBelow, ROOT } from '../tidy/source-files.ts';

/** Names and types of the table in docs/FORMAT.md. */
function documented(): [name: string, type: string][] {
  const text = readFileSync(join(ROOT, 'docs/FORMAT.md'), 'utf8');
  const table = text.slice(text.indexOf('## Keys'), text.indexOf('Channels (pub/sub'));
  return table
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => {
      const [, names = '', types = ''] = line.split('|');
      const all = types.split(',').map((type) => type.trim());
      const found = [...names.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
      // `string, expires`: one type for all of them.
      const each = found.length === all.length ? all : found.map(() => all[0]!);
      return found.map((name, i): [string, string] => [name, each[i]!]);
    });
}

test('the type of every key that docs/FORMAT.md lists is known, and of no other', () => {
  const keys = documented();
  assert.ok(keys.length > 30, `${keys.length} kinds of keys`);
  for (const [name, type] of keys) {
    const key = name.replaceAll(/<(ino|slice|chunk|sid)>/g, '17').replaceAll(/<\w+>/g, 'some\nthing');
    assert.equal(keyType(key), type, name);
  }
  for (const foreign of ['', 'x', 'i', 'i1:2', 's1', 'n1', 'foo', 'os', 'up', 'upload:1', 'dump:1']) {
    assert.equal(keyType(foreign), undefined, foreign);
  }
});

test('docs/FORMAT.md lists every key that a script of Redis names', () => {
  const first = new Set(documented().map(([name]) => /^[a-z]+:?/.exec(name)![0]));
  for (const { path, text } of filesBelow(['src/meta/scripts'], /\.lua$/)) {
    for (const [, name = ''] of text.matchAll(/\bP \.\. '([a-z]+:?)/g)) {
      // A channel.
      if (name === 'dump:' || name === 'inv' || name === 'ping:') continue;
      assert.ok(first.has(name), `${path}: ${name}`);
    }
  }
});
