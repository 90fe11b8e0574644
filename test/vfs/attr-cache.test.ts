import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttrCache } from '../../src/vfs/cache/attr-cache.ts';
import { sampleAttr } from '../support/sample-attr.ts';

test('attributes are kept until a push names their inode', () => {
  const cache = new AttrCache(10);
  cache.fill(sampleAttr({ ino: 5, size: 3 }), cache.token());
  assert.equal(cache.get(5)?.size, 3);
  assert.equal(cache.pushed(6), undefined);
  assert.equal(cache.get(5)?.size, 3);
  assert.equal(cache.pushed(5)?.size, 3);
  assert.equal(cache.get(5), undefined);
});

test('a reply that a push overtook is answered but not kept', () => {
  const cache = new AttrCache(10);
  const token = cache.token();
  cache.pushed(5);
  assert.equal(cache.fill(sampleAttr({ ino: 5, size: 3 }), token).size, 3);
  assert.equal(cache.get(5), undefined);
  assert.ok(cache.pushedSince(5, token));
  cache.changed(sampleAttr({ ino: 5, size: 4 }), token);
  assert.equal(cache.get(5), undefined, 'a local change from before the push is as doubtful');
  cache.fill(sampleAttr({ ino: 5, size: 4 }), cache.token());
  assert.equal(cache.get(5)?.size, 4);
});

test('a read reply from before a local change does not bring the old attributes back', () => {
  const cache = new AttrCache(10);
  const read = cache.token();
  cache.changed(sampleAttr({ ino: 5, size: 9, version: 2 }), cache.token());
  assert.equal(cache.fill(sampleAttr({ ino: 5, size: 3, version: 1 }), read).size, 9);
  assert.equal(cache.get(5)?.size, 9);
});

test('content versions never go back', () => {
  const cache = new AttrCache(10);
  cache.fill(sampleAttr({ ino: 5, version: 7 }), cache.token());
  cache.fill(sampleAttr({ ino: 5, version: 6 }), cache.token());
  cache.changed(sampleAttr({ ino: 5, version: 6 }), cache.token());
  assert.equal(cache.get(5)?.version, 7);
});

test('the least recently used attributes go first', () => {
  const cache = new AttrCache(2);
  for (const ino of [1, 2]) cache.fill(sampleAttr({ ino }), cache.token());
  cache.get(1);
  cache.fill(sampleAttr({ ino: 3 }), cache.token());
  assert.equal(cache.get(2), undefined);
  assert.equal(cache.get(1)?.ino, 1);
  assert.equal(cache.size, 2);
});

test('while pushes may be missed nothing is kept, and nothing from before or meanwhile counts after', () => {
  const cache = new AttrCache(10);
  cache.fill(sampleAttr({ ino: 5 }), cache.token());
  const before = cache.token();
  cache.setHealthy(false);
  const meanwhile = cache.token();
  cache.fill(sampleAttr({ ino: 5 }), meanwhile);
  assert.equal(cache.get(5), undefined);
  cache.setHealthy(true);
  cache.fill(sampleAttr({ ino: 5 }), before);
  cache.fill(sampleAttr({ ino: 5 }), meanwhile);
  assert.equal(cache.get(5), undefined);
  cache.fill(sampleAttr({ ino: 5 }), cache.token());
  assert.equal(cache.get(5)?.ino, 5);
});

test('more events than are remembered make older replies doubtful, never trusted', () => {
  const cache = new AttrCache(10);
  const token = cache.token();
  cache.pushed(5);
  for (let ino = 100; ino < 70_000; ino++) cache.pushed(ino);
  cache.fill(sampleAttr({ ino: 5 }), token);
  assert.equal(cache.get(5), undefined);
  cache.fill(sampleAttr({ ino: 5 }), cache.token());
  assert.equal(cache.get(5)?.ino, 5);
});

test('an entry push makes the directory and that entry doubtful, not its other entries', () => {
  const cache = new AttrCache(10);
  const token = cache.token();
  cache.pushedEntry(1, 'a');
  assert.ok(cache.entryPushedSince(1, 'a', token));
  assert.ok(!cache.entryPushedSince(1, 'b', token));
  assert.ok(cache.pushedSince(1, token));
});
