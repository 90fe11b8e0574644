import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Attr, type Caller, FLAG_ACL, MAY_READ, MAY_WRITE } from '../../src/base/vocabulary.ts';
import {
  authorize,
  type Decision,
  decideAccess,
  decideSearch,
  decideUpload,
  enforce,
} from '../../src/s3api/auth/authorize.ts';
import { putBucketTagging } from '../../src/s3api/operations/bucket/bucket-tagging.ts';
import { createBucket } from '../../src/s3api/operations/bucket/create-bucket.ts';
import { getObject } from '../../src/s3api/operations/object/get-object.ts';
import { isS3Error } from '../../src/s3api/protocol/s3-error.ts';
import { ALICE, BOB } from '../support/callers.ts';
import { sampleAttr } from '../support/sample-attr.ts';

const caller = ({ uid, gid }: { uid: number; gid: number }, groups: number[] = []): Caller => ({
  uid,
  gid,
  groups,
  check: true,
});
const root = caller({ uid: 0, gid: 0 });
const alice = caller(ALICE);
const bob = caller(BOB);

function inode(changes: Partial<Attr>): Attr {
  return sampleAttr({ ino: 2, uid: ALICE.uid, gid: ALICE.gid, mode: 0o40750, ...changes });
}

const said = ({ allow, reason }: Decision): string => `${allow ? 'yes' : 'no'}: ${reason}`;

describe('authorisation', () => {
  it('lets who may search the bucket go on, and says why', () => {
    const bucket = inode({});
    assert.equal(said(authorize(createBucket, alice, undefined, undefined)), 'yes: authenticated');
    assert.equal(said(authorize(getObject, alice, bucket, undefined)), 'yes: mode bits');
    assert.equal(said(authorize(getObject, root, inode({ mode: 0o40000 }), undefined)), 'yes: root');
    assert.equal(said(authorize(getObject, bob, bucket, undefined)), 'no: mode bits');
    assert.equal(said(authorize(getObject, caller(BOB, [ALICE.gid]), bucket, undefined)), 'yes: mode bits');
    assert.equal(said(authorize(getObject, bob, inode({ flags: FLAG_ACL }), undefined)), 'yes: undecided');
  });

  it('asks the expected owner after that, and the real one last', () => {
    const open = inode({ mode: 0o40755 });
    const own = String(ALICE.uid);
    assert.equal(said(authorize(getObject, bob, inode({}), '7')), 'no: mode bits');
    assert.equal(said(authorize(getObject, bob, open, '7')), 'no: not the expected bucket owner');
    assert.equal(said(authorize(getObject, bob, open, own)), 'yes: mode bits');
    assert.equal(said(authorize(putBucketTagging, bob, open, '7')), 'no: not the expected bucket owner');
    assert.equal(said(authorize(putBucketTagging, bob, open, own)), 'no: not the owner');
    assert.equal(said(authorize(putBucketTagging, alice, open, own)), 'yes: owner');
    assert.equal(said(authorize(putBucketTagging, root, open, undefined)), 'yes: root');
  });

  it('takes the bits of the class that the caller is in, whatever the others say', () => {
    const file = inode({ mode: 0o100406 });
    assert.equal(said(decideAccess(alice, file, MAY_READ)), 'yes: mode bits');
    assert.equal(said(decideAccess(alice, file, MAY_WRITE)), 'no: mode bits');
    assert.equal(said(decideAccess(caller(BOB, [ALICE.gid]), file, MAY_READ)), 'no: mode bits');
    assert.equal(said(decideAccess(bob, file, MAY_READ | MAY_WRITE)), 'yes: mode bits');
  });

  it('lets only the owner by where an ACL decides', () => {
    const file = inode({ mode: 0o100666, flags: FLAG_ACL });
    assert.equal(said(decideAccess(alice, file, MAY_WRITE)), 'yes: mode bits');
    assert.equal(said(decideAccess(bob, file, MAY_READ)), 'no: an ACL decides');
    assert.equal(said(decideSearch(bob, file)), 'yes: undecided');
  });

  it('gives an upload to its initiator and to the owner of the bucket', () => {
    const bucket = inode({});
    const upload = { owner: String(BOB.uid) };
    assert.equal(said(decideUpload(bob, upload, bucket)), 'yes: owner');
    assert.equal(said(decideUpload(alice, upload, bucket)), 'yes: owner');
    assert.equal(said(decideUpload(root, upload, bucket)), 'yes: root');
    assert.equal(said(decideUpload(caller({ uid: 4242, gid: 1 }), upload, bucket)), 'no: not the owner');
  });

  it('refuses with AccessDenied, the reason for the log only', () => {
    const no = authorize(getObject, bob, inode({}), undefined);
    assert.throws(
      () => enforce(no),
      (error) =>
        isS3Error(error, 'AccessDenied') && error.reason === 'mode bits' && !error.message.includes('mode bits'),
    );
  });
});
