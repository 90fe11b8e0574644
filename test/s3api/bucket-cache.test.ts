import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Attr, type Entry, FLAG_ACL, ROOT_INO } from '../../src/base/vocabulary.ts';
import { BucketCache } from '../../src/s3api/http/bucket-cache.ts';
import type { Context, Vfs } from '../../src/vfs/vfs.ts';
import { ALICE, BOB, MemoryVolume } from './support/memory-vfs.ts';

const context = ({ uid, gid }: { uid: number; gid: number }): Context => ({
  uid,
  gid,
  groups: [],
  pid: 1,
  check: true,
});

/** A volume whose root directory's cached attributes the test moves. */
function setUp(): {
  vfs: Vfs;
  volume: MemoryVolume;
  root: Attr;
  state: { pushes: boolean; known: boolean };
  bucket: Entry;
} {
  const volume = new MemoryVolume();
  const bucket = volume.addBucket('photos');
  const root: Attr = { ...bucket.attr, ino: ROOT_INO, mode: 0o40755, uid: 0 };
  const state = { pushes: true, known: true };
  const vfs = volume.vfs();
  vfs.validity = () => ({ entrySec: state.pushes ? 3600 : 0, attrSec: 0 });
  vfs.attributes.getattr = () => (state.known ? { ...root } : Promise.resolve({ ...root }));
  return { vfs, volume, root, state, bucket };
}

describe('the bucket cache', () => {
  it('answers without a lookup until a top-level name changes', async () => {
    const { vfs, volume, root, bucket } = setUp();
    const cache = new BucketCache();
    const alice = context(ALICE);
    assert.equal(cache.get(vfs, alice, 'photos'), undefined);
    await cache.find(vfs, alice, 'photos');
    assert.equal(cache.get(vfs, alice, 'photos'), bucket);
    assert.equal(volume.bucketLookups, 1);
    root.ctimeNsec += 1;
    assert.equal(cache.get(vfs, alice, 'photos'), undefined);
    await cache.find(vfs, alice, 'photos');
    assert.equal(cache.get(vfs, alice, 'photos'), bucket);
  });

  it('answers nothing while pushes may be missed, or the root is not known', async () => {
    const { vfs, state } = setUp();
    const cache = new BucketCache();
    state.pushes = false;
    await cache.find(vfs, context(ALICE), 'photos');
    state.pushes = true;
    assert.equal(cache.get(vfs, context(ALICE), 'photos'), undefined, 'was looked up while nothing was pushed');
    await cache.find(vfs, context(ALICE), 'photos');
    state.known = false;
    assert.equal(cache.get(vfs, context(ALICE), 'photos'), undefined);
    state.known = true;
    state.pushes = false;
    assert.equal(cache.get(vfs, context(ALICE), 'photos'), undefined);
  });

  it('is not used for callers who may not search, or whom only an ACL could let in', async () => {
    const { vfs, root } = setUp();
    const cache = new BucketCache();
    await cache.find(vfs, context(ALICE), 'photos');
    assert.equal(cache.get(vfs, context(BOB), 'photos'), undefined);
    assert.ok(cache.get(vfs, context({ uid: 0, gid: 0 }), 'photos'));
    root.flags = FLAG_ACL;
    assert.equal(cache.get(vfs, context(ALICE), 'photos'), undefined);
    root.flags = 0;
    root.mode = 0o40700;
    assert.equal(cache.get(vfs, context(ALICE), 'photos'), undefined);
  });
});
