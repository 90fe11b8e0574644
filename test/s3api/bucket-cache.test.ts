import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Attr, FLAG_ACL, ROOT_INO } from '../../src/base/vocabulary.ts';
import { BucketCache } from '../../src/s3api/http/bucket-cache.ts';
import type { Vfs } from '../../src/vfs/vfs.ts';
import { ALICE, BOB, MOUNT, ROOT_USER, userContext } from '../support/callers.ts';
import { withFaults } from '../support/faults.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const alice = userContext(ALICE);

/** A file system with a private bucket of alice's; the test says what it knows of its root directory. */
async function setUp() {
  const session = await joinVfs(await testVolume());
  const { attr } = await session.vfs.names.mkdir(MOUNT, ROOT_INO, 'photos', 0o700);
  await session.vfs.attributes.setattr(MOUNT, attr.ino, { uid: ALICE.uid, gid: ALICE.gid });
  await session.vfs.attributes.getattr(MOUNT, ROOT_INO);
  const state = { pushes: true, known: true, lookups: 0, root: {} as Partial<Attr> };
  const served = withFaults(session.vfs);
  served.faults.replace('buckets', 'find', (real) => (...args) => {
    state.lookups += 1;
    return real(...args);
  });
  served.faults.replace('attributes', 'getattr', (real) => (...args) => {
    const root = real(...args);
    if (root instanceof Promise || !state.known) return Promise.resolve(root);
    return { ...root, ...state.root };
  });
  const validity = (): ReturnType<Vfs['validity']> =>
    state.pushes ? session.vfs.validity() : { entrySec: 0, attrSec: 0 };
  return { vfs: { ...served.vfs, validity }, state };
}

describe('the bucket cache', () => {
  it('answers without a lookup until a top-level name changes', async () => {
    const { vfs, state } = await setUp();
    const cache = new BucketCache();
    assert.equal(cache.get(vfs, alice, 'photos'), undefined);
    const bucket = await cache.find(vfs, alice, 'photos');
    assert.equal(bucket.name, 'photos');
    assert.equal(cache.get(vfs, alice, 'photos'), bucket);
    assert.equal(state.lookups, 1);
    await vfs.names.mkdir(MOUNT, ROOT_INO, 'other', 0o755);
    assert.equal(cache.get(vfs, alice, 'photos'), undefined);
    const again = await cache.find(vfs, alice, 'photos');
    assert.equal(cache.get(vfs, alice, 'photos'), again);
  });

  it('answers nothing while pushes may be missed, or the root is not known', async () => {
    const { vfs, state } = await setUp();
    const cache = new BucketCache();
    state.pushes = false;
    await cache.find(vfs, alice, 'photos');
    state.pushes = true;
    assert.equal(cache.get(vfs, alice, 'photos'), undefined, 'was looked up while nothing was pushed');
    await cache.find(vfs, alice, 'photos');
    state.known = false;
    assert.equal(cache.get(vfs, alice, 'photos'), undefined);
    state.known = true;
    assert.ok(cache.get(vfs, alice, 'photos'));
    state.pushes = false;
    assert.equal(cache.get(vfs, alice, 'photos'), undefined);
  });

  it('is not used for callers who may not search, or whom only an ACL could let in', async () => {
    const { vfs, state } = await setUp();
    const cache = new BucketCache();
    await cache.find(vfs, alice, 'photos');
    assert.equal(cache.get(vfs, userContext(BOB), 'photos'), undefined);
    assert.ok(cache.get(vfs, userContext(ROOT_USER), 'photos'));
    state.root = { flags: FLAG_ACL };
    assert.equal(cache.get(vfs, alice, 'photos'), undefined);
    state.root = { mode: 0o40700 };
    assert.equal(cache.get(vfs, alice, 'photos'), undefined);
  });
});
