/** Headers and documents that say who owns or may use something, and what CreateBucket takes from its configuration. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  type CreateBucketCommandInput,
  CreateMultipartUploadCommand,
  GetBucketLocationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketTaggingCommand,
  HeadBucketCommand,
  type ObjectCannedACL,
  PutBucketAclCommand,
  PutBucketOwnershipControlsCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { ALICE } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { refusalCode } from '../support/refusal.ts';
import { rawRequest, xmlText } from '../support/signed-request.ts';

const options = { timeout: 60_000 };
const Bucket = 'owned';
let gateway: TestGateway;
before(async () => {
  gateway = await testGateway();
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
  await gateway.alice.send(new PutObjectCommand({ Bucket, Key: 'source', Body: 'x' }));
}, options);

/** Sends every request that may carry access headers. */
const senders: [string, (access: object) => Promise<unknown>][] = [
  ['PutObject', (access) => gateway.alice.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...access }))],
  [
    'CopyObject',
    (access) =>
      gateway.alice.send(new CopyObjectCommand({ Bucket, Key: 'c', CopySource: `${Bucket}/source`, ...access })),
  ],
  [
    'CreateMultipartUpload',
    (access) => gateway.alice.send(new CreateMultipartUploadCommand({ Bucket, Key: 'm', ...access })),
  ],
  ['PutObjectAcl', (access) => gateway.alice.send(new PutObjectAclCommand({ Bucket, Key: 'source', ...access }))],
  ['PutBucketAcl', (access) => gateway.alice.send(new PutBucketAclCommand({ Bucket, ...access }))],
  ['CreateBucket', (access) => gateway.alice.send(new CreateBucketCommand({ Bucket, ...access }))],
];

test('S9: canned ACLs and grants that mean the owner are accepted, all others refused', options, async () => {
  const owner = [
    ...(['private', 'bucket-owner-full-control', 'bucket-owner-read'] as ObjectCannedACL[]).map((ACL) => ({ ACL })),
    { GrantFullControl: 'id="1001"' },
    { GrantRead: 'id=1001', GrantReadACP: 'id="1001", id="1001"' },
    { GrantWriteACP: 'ID="1001"' },
  ];
  const others = [
    { ACL: 'public-read' },
    { ACL: 'authenticated-read' },
    { GrantRead: 'id="1002"' },
    { GrantRead: 'id="1001",uri="http://acs.amazonaws.com/groups/global/AllUsers"' },
    { GrantFullControl: 'emailAddress="a@example.com"' },
  ];
  const wrong = [{ ACL: 'constructor' }, { GrantRead: '1001' }, { GrantRead: 'id=' }];
  for (const [name, send] of senders) {
    for (const access of owner) await assert.doesNotReject(send(access), `${name} ${JSON.stringify(access)}`);
    for (const access of others) assert.equal(await refusalCode(send(access)), 'NotImplemented 501', name);
    for (const access of wrong) assert.equal(await refusalCode(send(access)), 'InvalidArgument 400', name);
    const both = send({ ACL: 'private', GrantRead: 'id="1001"' });
    assert.equal(await refusalCode(both), 'InvalidRequest 400', name);
  }
});

test('S9: an ACL document may give the owner any permission', options, async () => {
  const policy = (ID: string, Permission: string) => ({
    AccessControlPolicy: {
      Owner: { ID: '1001' },
      Grants: [{ Grantee: { ID, Type: 'CanonicalUser' as const }, Permission: Permission as 'READ' }],
    },
  });
  for (const [name, send] of senders.filter(([one]) => one.endsWith('Acl'))) {
    for (const right of ['READ', 'READ_ACP', 'FULL_CONTROL']) await send(policy('1001', right));
    assert.equal(await refusalCode(send(policy('1002', 'READ'))), 'NotImplemented 501', name);
    assert.equal(await refusalCode(send(policy('1001', 'constructor'))), 'MalformedACLError 400', name);
  }
});

test('S9: object ownership is kept with the bucket and answered', options, async () => {
  const shown = async (bucket: string) => {
    const answer = await gateway.alice.send(new GetBucketOwnershipControlsCommand({ Bucket: bucket }));
    return answer.OwnershipControls!.Rules![0]!.ObjectOwnership;
  };
  assert.equal(await shown(Bucket), 'ObjectWriter');
  for (const ObjectOwnership of ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const) {
    const bucket = `own-${ObjectOwnership.toLowerCase()}`;
    await gateway.alice.send(new CreateBucketCommand({ Bucket: bucket, ObjectOwnership }));
    assert.equal(await shown(bucket), ObjectOwnership);
    const OwnershipControls = { Rules: [{ ObjectOwnership }] };
    await gateway.alice.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls }));
    assert.equal(await shown(Bucket), ObjectOwnership);
  }
  const wrong = { Bucket: 'own-wrong', ObjectOwnership: 'constructor' as 'ObjectWriter' };
  assert.equal(await refusalCode(gateway.alice.send(new CreateBucketCommand(wrong))), 'InvalidArgument 400');
});

test(
  'S9: x-amz-content-sha256 may be left out of the signed headers, other x-amz headers may not',
  options,
  async () => {
    const port = Number(new URL(gateway.url).port);
    const put = { method: 'PUT', target: `/${Bucket}/unsigned`, user: ALICE, body: 'bytes' };
    assert.equal((await rawRequest({ port }, { ...put, unsigned: ['x-amz-content-sha256'] })).status, 200);
    const meta = { headers: { 'x-amz-meta-k': 'v' }, unsigned: ['x-amz-meta-k'] };
    assert.equal((await rawRequest({ port }, { ...put, ...meta })).status, 403);
    // Its value is part of what is signed: another one does not pass.
    const signedFor = {
      ...put,
      unsigned: ['x-amz-content-sha256'],
      headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
    };
    assert.equal((await rawRequest({ port }, { ...signedFor, payloadHash: '0'.repeat(64) })).status, 403);
  },
);

test('S10: a bucket is in the region that the client signs for', options, async () => {
  const credentials = { accessKeyId: ALICE.accessKey, secretAccessKey: ALICE.secretKey };
  const shared = { endpoint: gateway.url, forcePathStyle: true, maxAttempts: 1, credentials };
  for (const region of ['eu-central-1', 'us-east-1', 'auto', 'eu-west-1']) {
    const client = new S3Client({ ...shared, region });
    const make = (LocationConstraint: string | undefined, name: string) =>
      client.send(
        new CreateBucketCommand({
          Bucket: name,
          ...(LocationConstraint === undefined ? {} : { CreateBucketConfiguration: { LocationConstraint } }),
        } as CreateBucketCommandInput),
      );
    await make(region, `at-${region}`);
    await make(undefined, `any-${region}`);
    if (region === 'eu-west-1') await make('EU', 'at-old');
    assert.equal(await refusalCode(make('mars-north-1', 'at-mars')), 'InvalidLocationConstraint 400');
    const location = await client.send(new GetBucketLocationCommand({ Bucket: `at-${region}` }));
    assert.equal(location.LocationConstraint, region === 'us-east-1' ? undefined : region);
    const head = await client.send(new HeadBucketCommand({ Bucket: `at-${region}` }));
    assert.equal(head.BucketRegion, region);
    client.destroy();
  }
});

test('S10: tags in the configuration of a new bucket are its tags', options, async () => {
  const Tags = [
    { Key: 'a', Value: '1' },
    { Key: 'ü', Value: '' },
  ];
  const make = (name: string, tags: object[]) =>
    gateway.alice.send(
      new CreateBucketCommand({ Bucket: name, CreateBucketConfiguration: { Tags: tags } } as CreateBucketCommandInput),
    );
  await make('tagged', Tags);
  const { TagSet } = await gateway.alice.send(new GetBucketTaggingCommand({ Bucket: 'tagged' }));
  assert.deepEqual(TagSet, Tags);
  const twice = [Tags[0]!, Tags[0]!];
  assert.equal(await refusalCode(make('twice', twice)), 'InvalidTag 400');
  assert.equal(await refusalCode(gateway.alice.send(new HeadBucketCommand({ Bucket: 'twice' }))), 'NotFound 404');
  const port = Number(new URL(gateway.url).port);
  const body = '<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>';
  const directory = await rawRequest({ port }, { method: 'PUT', target: '/directory', user: ALICE, body });
  assert.equal(xmlText(directory.body, 'Code'), 'NotImplemented');
});
