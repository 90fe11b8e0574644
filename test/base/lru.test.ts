import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LruCache } from '../../src/base/lru.ts';

test('the least recently used entries go when the weights exceed the bound', () => {
  const evicted: string[] = [];
  const cache = new LruCache<string, number>(10, (key) => evicted.push(key));
  cache.set('a', 1, 4);
  cache.set('b', 2, 4);
  assert.equal(cache.get('a'), 1);
  cache.set('c', 3, 4);
  assert.deepEqual(evicted, ['b']);
  assert.equal(cache.peek('b'), undefined);
  assert.equal(cache.weight, 8);
});

test('peek does not refresh an entry', () => {
  const cache = new LruCache<string, number>(2);
  cache.set('a', 1);
  cache.set('b', 2);
  cache.peek('a');
  cache.set('c', 3);
  assert.deepEqual([...cache.keys()], ['b', 'c']);
});

test('a value heavier than the bound is not kept and evicts nothing else', () => {
  const cache = new LruCache<string, number>(10);
  cache.set('a', 1, 5);
  cache.set('huge', 2, 11);
  assert.equal(cache.get('huge'), undefined);
  assert.equal(cache.get('a'), 1);
});

test('replacing and deleting keep the weight right', () => {
  const cache = new LruCache<string, number>(10);
  cache.set('a', 1, 5);
  cache.set('a', 2, 3);
  assert.equal(cache.weight, 3);
  assert.equal(cache.delete('a'), true);
  assert.equal(cache.delete('a'), false);
  assert.equal(cache.weight, 0);
});
