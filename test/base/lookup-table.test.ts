import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lookupTable, wordSet } from '../../src/base/lookup-table.ts';

const INHERITED = ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf', ''];

describe('tables for text from outside', () => {
  it('have their own rows and nothing that objects inherit', () => {
    const table = lookupTable({ amp: '&', lt: '<' });
    assert.equal(table.get('amp'), '&');
    assert.ok(table.has('lt'));
    assert.deepEqual(table.names, ['amp', 'lt']);
    for (const text of [...INHERITED, 'AMP']) {
      assert.equal(table.get(text), undefined, text);
      assert.equal(table.has(text), false, text);
    }
  });

  it('do not change with the literal that they were made of', () => {
    const rows: Record<string, number> = { a: 1 };
    const table = lookupTable(rows);
    rows.b = 2;
    assert.equal(table.has('b'), false);
    assert.throws(() => Object.assign(table, { get: () => 3 }), TypeError);
  });

  it('sets of words find the word', () => {
    const set = wordSet(['COPY', 'REPLACE']);
    assert.equal(set.find('COPY'), 'COPY');
    assert.ok(set.has('REPLACE'));
    for (const text of [...INHERITED, 'copy']) {
      assert.equal(set.find(text), undefined, text);
      assert.equal(set.has(text), false, text);
    }
    assert.deepEqual(set.words, ['COPY', 'REPLACE']);
  });
});
