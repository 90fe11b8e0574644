import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketTaggingCommand,
  GetBucketAclCommand,
  GetBucketCorsCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLocationCommand,
  GetBucketLoggingCommand,
  GetBucketNotificationConfigurationCommand,
  GetBucketPolicyCommand,
  GetBucketRequestPaymentCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetBucketWebsiteCommand,
  GetObjectLockConfigurationCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutBucketAclCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { BOB, MOUNT } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { refusal } from '../support/refusal.ts';
import { rawRequest, xmlText } from '../support/signed-request.ts';
import { lookupPath } from '../support/vfs-files.ts';

async function failure(work: Promise<unknown>): Promise<[string, number]> {
  const { code, status } = await refusal(work);
  return [code, status];
}

describe('buckets, with the AWS SDK', { timeout: 60_000 }, () => {
  let gateway: TestGateway;
  let s3: S3Client;

  before(async () => {
    gateway = await testGateway();
    s3 = gateway.alice;
  });

  it('are made, found, listed with their making and deleted', async () => {
    const made = await s3.send(new CreateBucketCommand({ Bucket: 'photos' }));
    assert.equal(made.Location, '/photos');
    const head = await s3.send(new HeadBucketCommand({ Bucket: 'photos' }));
    assert.equal(head.BucketRegion, 'us-east-1');
    const list = await s3.send(new ListBucketsCommand({}));
    assert.deepEqual(
      list.Buckets?.map(({ Name }) => Name),
      ['photos'],
    );
    const { attr } = await lookupPath(gateway.vfs, 'photos');
    const bornMs = attr.btimeSec * 1000 + Math.floor(attr.btimeNsec / 1_000_000);
    assert.equal(list.Buckets?.[0]?.CreationDate?.getTime(), bornMs);
    assert.ok(Math.abs(bornMs - Date.now()) < 60_000);
    assert.equal(list.Owner?.DisplayName, 'alice');
    await s3.send(new DeleteBucketCommand({ Bucket: 'photos' }));
    assert.deepEqual(await failure(s3.send(new HeadBucketCommand({ Bucket: 'photos' }))), ['NotFound', 404]);
  });

  it('are listed in pages, by prefix, and only to their owner', async () => {
    for (const name of ['aaa', 'bb1', 'bb2', 'bb3', 'ccc']) await gateway.addBucket(name);
    await gateway.addBucket('bobs', BOB);
    const first = await s3.send(new ListBucketsCommand({ MaxBuckets: 2, Prefix: 'bb' }));
    assert.deepEqual(
      first.Buckets?.map(({ Name }) => Name),
      ['bb1', 'bb2'],
    );
    assert.equal(first.Prefix, 'bb');
    const second = await s3.send(
      new ListBucketsCommand({ MaxBuckets: 2, Prefix: 'bb', ContinuationToken: first.ContinuationToken }),
    );
    assert.deepEqual(
      second.Buckets?.map(({ Name }) => Name),
      ['bb3'],
    );
    assert.equal(second.ContinuationToken, undefined);
    const bobs = await gateway.bob.send(new ListBucketsCommand({}));
    assert.deepEqual(
      bobs.Buckets?.map(({ Name }) => Name),
      ['bobs'],
    );
    assert.deepEqual(await failure(s3.send(new ListBucketsCommand({ MaxBuckets: 0 }))), ['InvalidArgument', 400]);
    assert.deepEqual(await failure(s3.send(new ListBucketsCommand({ ContinuationToken: '!' }))), [
      'InvalidArgument',
      400,
    ]);
  });

  it('have names by the rules', async () => {
    for (const name of [
      'ab',
      'Abc',
      'a_b',
      '-ab',
      'ab-',
      'a..b',
      'a.-b',
      'a-.b',
      '1.2.3.4',
      'xn--abc',
      'abc-s3alias',
      'x'.repeat(64),
    ]) {
      const reply = await rawRequest(gateway, { method: 'PUT', target: `/${name}` });
      assert.equal(xmlText(reply.body, 'Code'), 'InvalidBucketName', name);
    }
    await s3.send(new CreateBucketCommand({ Bucket: 'a.b-c.1' }));
  });

  it('made again succeed for the owner in us-east-1 and conflict for others', async () => {
    await s3.send(new CreateBucketCommand({ Bucket: 'mine' }));
    await s3.send(new CreateBucketCommand({ Bucket: 'mine' }));
    const other = gateway.bob.send(new CreateBucketCommand({ Bucket: 'mine' }));
    assert.deepEqual(await failure(other), ['BucketAlreadyExists', 409]);
  });

  it('made again conflict for the owner in other regions, and the constraint must be the region', async () => {
    const { alice: client } = await testGateway({ region: 'eu-west-1' });
    const configured = (constraint: string): CreateBucketCommand =>
      new CreateBucketCommand({
        Bucket: 'mine',
        CreateBucketConfiguration: { LocationConstraint: constraint as 'eu-west-1' },
      });
    assert.deepEqual(await failure(client.send(configured('eu-central-1'))), ['InvalidLocationConstraint', 400]);
    await client.send(configured('eu-west-1'));
    assert.deepEqual(await failure(client.send(configured('eu-west-1'))), ['BucketAlreadyOwnedByYou', 409]);
    const location = await client.send(new GetBucketLocationCommand({ Bucket: 'mine' }));
    assert.equal(location.LocationConstraint, 'eu-west-1');
  });

  it('are private: another user gets AccessDenied', async () => {
    const ino = await gateway.addBucket('private');
    await gateway.vfs.attributes.setattr(MOUNT, ino, { mode: 0o700 });
    const bob = gateway.bob;
    assert.deepEqual(await failure(bob.send(new GetBucketLocationCommand({ Bucket: 'private' }))), [
      'AccessDenied',
      403,
    ]);
    assert.equal((await failure(bob.send(new HeadBucketCommand({ Bucket: 'private' }))))[1], 403);
  });

  it('that hold something are not deleted', async () => {
    await gateway.addBucket('full');
    await gateway.addObject('full', 'k');
    assert.deepEqual(await failure(s3.send(new DeleteBucketCommand({ Bucket: 'full' }))), ['BucketNotEmpty', 409]);
  });

  it('answer settings that were never set as AWS does', async () => {
    const Bucket = 'plain';
    await gateway.addBucket(Bucket);
    assert.equal((await s3.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint, undefined);
    assert.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, undefined);
    assert.equal((await s3.send(new GetBucketLoggingCommand({ Bucket }))).LoggingEnabled, undefined);
    assert.equal((await s3.send(new GetBucketRequestPaymentCommand({ Bucket }))).Payer, 'BucketOwner');
    await s3.send(new GetBucketNotificationConfigurationCommand({ Bucket }));
    const unset: [Promise<unknown>, string][] = [
      [s3.send(new GetBucketCorsCommand({ Bucket })), 'NoSuchCORSConfiguration'],
      [s3.send(new GetBucketEncryptionCommand({ Bucket })), 'ServerSideEncryptionConfigurationNotFoundError'],
      [s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket })), 'NoSuchLifecycleConfiguration'],
      [s3.send(new GetBucketPolicyCommand({ Bucket })), 'NoSuchBucketPolicy'],
      [s3.send(new GetBucketWebsiteCommand({ Bucket })), 'NoSuchWebsiteConfiguration'],
      [s3.send(new GetObjectLockConfigurationCommand({ Bucket })), 'ObjectLockConfigurationNotFoundError'],
    ];
    for (const [work, code] of unset) assert.deepEqual(await failure(work), [code, 404]);
    const versioning = new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } });
    assert.deepEqual(await failure(s3.send(versioning)), ['NotImplemented', 501]);
  });

  it('belong to whom the client says, or the request is refused', async () => {
    const Bucket = 'expected';
    await gateway.addBucket(Bucket);
    const owner = (await s3.send(new GetBucketAclCommand({ Bucket }))).Owner!.ID!;
    await s3.send(new HeadBucketCommand({ Bucket, ExpectedBucketOwner: owner }));
    const put = { Bucket, Key: 'k', Body: 'x' };
    await s3.send(new PutObjectCommand({ ...put, ExpectedBucketOwner: owner }));
    const refused = s3.send(new PutObjectCommand({ ...put, Key: 'no', ExpectedBucketOwner: `${owner}9` }));
    assert.deepEqual(await failure(refused), ['AccessDenied', 403]);
    assert.equal(await gateway.content(Bucket, 'no'), undefined);
  });

  it('have the private ACL and take no other', async () => {
    const Bucket = 'guarded';
    await gateway.addBucket(Bucket);
    const acl = await s3.send(new GetBucketAclCommand({ Bucket }));
    assert.equal(acl.Grants?.[0]?.Permission, 'FULL_CONTROL');
    assert.equal(acl.Grants?.[0]?.Grantee?.ID, acl.Owner?.ID);
    await s3.send(new PutBucketAclCommand({ Bucket, ACL: 'private' }));
    await s3.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy: { Owner: acl.Owner, Grants: acl.Grants } }));
    assert.deepEqual(await failure(s3.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }))), [
      'NotImplemented',
      501,
    ]);
  });

  it('carry tags', async () => {
    const Bucket = 'tagged';
    await gateway.addBucket(Bucket);
    assert.deepEqual(await failure(s3.send(new GetBucketTaggingCommand({ Bucket }))), ['NoSuchTagSet', 404]);
    const TagSet = [
      { Key: 'é', Value: 'ü <b>' },
      { Key: 'z', Value: '' },
    ];
    const Tagging = {
      TagSet: [
        { Key: 'é', Value: 'ü' },
        { Key: 'z', Value: '' },
      ],
    };
    assert.deepEqual(await failure(s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }))), [
      'InvalidTag',
      400,
    ]);
    await s3.send(new PutBucketTaggingCommand({ Bucket, Tagging }));
    const read = await s3.send(new GetBucketTaggingCommand({ Bucket }));
    assert.deepEqual(
      read.TagSet?.toSorted((a, b) => (a.Key! < b.Key! ? 1 : -1)),
      Tagging.TagSet,
    );
    await s3.send(new DeleteBucketTaggingCommand({ Bucket }));
    assert.deepEqual(await failure(s3.send(new GetBucketTaggingCommand({ Bucket }))), ['NoSuchTagSet', 404]);
  });

  it('are found through the host name below the configured domain', async () => {
    const hosted = await testGateway({ domain: 's3.test' });
    await hosted.addBucket('web');
    await hosted.addObject('web', 'index.html', 'hi');
    const reply = await rawRequest(hosted, { method: 'GET', target: '/', headers: { host: 'web.s3.test' } });
    assert.equal(xmlText(reply.body, 'Key'), 'index.html');
  });
});
