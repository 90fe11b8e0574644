import assert from 'node:assert/strict';
import { before, beforeEach, describe, it } from 'node:test';
import {
  ListObjectsCommand,
  type ListObjectsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListObjectVersionsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { MOUNT } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { rawRequest, xmlText } from '../support/signed-request.ts';
import { lookupPath } from '../support/vfs-files.ts';

/** A new one for each test. */
let Bucket = '';
let buckets = 0;

function shown(page: ListObjectsCommandOutput | ListObjectsV2CommandOutput): string[] {
  const keys = (page.Contents ?? []).map(({ Key }) => Key!);
  const prefixes = (page.CommonPrefixes ?? []).map(({ Prefix }) => `[${Prefix}]`);
  return [...keys, ...prefixes];
}

describe('listings, with the AWS SDK', { timeout: 60_000 }, () => {
  let gateway: TestGateway;
  let s3: S3Client;

  before(async () => {
    gateway = await testGateway();
    s3 = gateway.alice;
  });
  beforeEach(async () => {
    buckets += 1;
    Bucket = `list-${buckets}`;
    await gateway.addBucket(Bucket);
  });

  const add = async (...keys: string[]): Promise<void> => {
    for (const key of keys) await gateway.addObject(Bucket, Buffer.from(key).toString('latin1'), 'data');
  };

  it('show key, size, time, a quoted ETag, storage class and owner', async () => {
    await add('k');
    const { attr } = await lookupPath(gateway.vfs, `${Bucket}/k`);
    await gateway.vfs.attributes.setattr(MOUNT, attr.ino, { mtime: { sec: 1_700_000_000, nsec: 123_456_789 } });
    const { Contents } = await s3.send(new ListObjectsCommand({ Bucket }));
    const item = Contents![0]!;
    assert.match(item.ETag!, /^"[0-9a-f]{32}-1"$/);
    assert.equal(item.Size, 4);
    assert.equal(item.LastModified?.toISOString(), '2023-11-14T22:13:20.123Z');
    assert.equal(item.StorageClass, 'STANDARD');
    assert.equal(item.Owner?.DisplayName, 'alice');
    const second = await s3.send(new ListObjectsV2Command({ Bucket }));
    assert.equal(second.Contents![0]!.Owner, undefined);
    const owners = await s3.send(new ListObjectsV2Command({ Bucket, FetchOwner: true }));
    assert.equal(owners.Contents![0]!.Owner?.ID, item.Owner?.ID);
  });

  it('page with tokens: every item once, also when a page ends in a common prefix', async () => {
    await add('a', 'b/1', 'b/2', 'c/1', 'd', 'e/1', 'f');
    for (const MaxKeys of [1, 2, 3, 1000]) {
      const seen: string[] = [];
      let ContinuationToken: string | undefined;
      do {
        const request = { Bucket, Delimiter: '/', MaxKeys, ContinuationToken };
        const page = await s3.send(new ListObjectsV2Command(request));
        assert.equal(page.KeyCount, shown(page).length);
        assert.equal(page.IsTruncated, page.NextContinuationToken !== undefined);
        seen.push(...shown(page));
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
      assert.deepEqual(seen.toSorted(), ['[b/]', '[c/]', '[e/]', 'a', 'd', 'f'], `max-keys ${MaxKeys}`);
    }
  });

  it('version 1 gives NextMarker with a delimiter only, and continues behind any marker', async () => {
    await add('a', 'b/1', 'b/2', 'c');
    const plain = await s3.send(new ListObjectsCommand({ Bucket, MaxKeys: 2 }));
    assert.deepEqual([plain.IsTruncated, plain.NextMarker, plain.Marker], [true, undefined, '']);
    const cut = await s3.send(new ListObjectsCommand({ Bucket, MaxKeys: 2, Delimiter: '/' }));
    assert.equal(cut.NextMarker, 'b/');
    const rest = await s3.send(new ListObjectsCommand({ Bucket, Delimiter: '/', Marker: 'b/' }));
    assert.deepEqual(shown(rest), ['c']);
    const inside = await s3.send(new ListObjectsCommand({ Bucket, Delimiter: '/', Marker: 'b/1' }));
    assert.deepEqual(shown(inside), ['c']);
  });

  it('version 2 ignores start-after once there is a token', async () => {
    await add('a', 'b', 'c', 'd');
    const first = await s3.send(new ListObjectsV2Command({ Bucket, StartAfter: 'a', MaxKeys: 1 }));
    assert.deepEqual([shown(first), first.StartAfter], [['b'], 'a']);
    const request = { Bucket, StartAfter: 'c', ContinuationToken: first.NextContinuationToken };
    assert.deepEqual(shown(await s3.send(new ListObjectsV2Command(request))), ['c', 'd']);
  });

  it('encode keys for encoding-type=url and leave tokens alone', async () => {
    await add('quux ab/thud', 'foo+1/bar', 'é/x', 'a\u0001b', 'c\rd\n e');
    const encoded = await s3.send(
      new ListObjectsV2Command({ Bucket, EncodingType: 'url', Delimiter: '/', MaxKeys: 4 }),
    );
    assert.equal(encoded.EncodingType, 'url');
    assert.deepEqual(shown(encoded), ['a%01b', 'c%0Dd%0A%20e', '[foo%2B1/]', '[quux%20ab/]']);
    const plain = await rawRequest(gateway, { method: 'GET', target: `/${Bucket}?prefix=a` });
    assert.equal(
      Buffer.from(xmlText(plain.body, 'Key')!, 'latin1').toString('utf8'),
      'a\ufffdb',
      'XML 1.0 cannot hold it',
    );
    const next = await s3.send(
      new ListObjectsV2Command({ Bucket, Delimiter: '/', ContinuationToken: encoded.NextContinuationToken }),
    );
    assert.deepEqual(shown(next), ['[é/]']);
  });

  it('treat max-keys as S3 does', async () => {
    await add('a', 'b');
    const none = await s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 0 }));
    assert.deepEqual([shown(none), none.IsTruncated, none.MaxKeys], [[], false, 0]);
    assert.equal((await s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 5000 }))).MaxKeys, 1000);
    for (const query of [
      'max-keys=-1',
      'max-keys=blah',
      'max-keys=3000000000',
      'encoding-type=utf',
      'list-type=2&continuation-token=x',
    ]) {
      const reply = await rawRequest(gateway, { method: 'GET', target: `/${Bucket}?${query}` });
      assert.equal(xmlText(reply.body, 'Code'), 'InvalidArgument', query);
    }
    // A client that has no token yet may send an empty one.
    const first = await s3.send(new ListObjectsV2Command({ Bucket, ContinuationToken: '', StartAfter: 'a' }));
    assert.deepEqual(shown(first), ['b']);
  });

  it('echo what was asked, an empty delimiter is none', async () => {
    await add('a/b');
    const page = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'a', Delimiter: '' }));
    assert.deepEqual([page.Name, page.Prefix, page.Delimiter, shown(page)], [Bucket, 'a', undefined, ['a/b']]);
    const odd = await s3.send(new ListObjectsV2Command({ Bucket, Delimiter: '%' }));
    assert.equal(odd.Delimiter, '%');
  });

  it('of versions show each object as its version null', async () => {
    await add('a', 'b/1', 'c');
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket, MaxKeys: 1 }));
    const version = page.Versions![0]!;
    assert.deepEqual([version.Key, version.VersionId, version.IsLatest], ['a', 'null', true]);
    assert.deepEqual([page.IsTruncated, page.NextKeyMarker, page.NextVersionIdMarker], [true, 'a', 'null']);
    const rest = await s3.send(
      new ListObjectVersionsCommand({ Bucket, Delimiter: '/', KeyMarker: 'a', VersionIdMarker: 'null' }),
    );
    assert.deepEqual(
      rest.Versions?.map(({ Key }) => Key),
      ['c'],
    );
    assert.deepEqual(
      rest.CommonPrefixes?.map(({ Prefix }) => Prefix),
      ['b/'],
    );
    const lone = await rawRequest(gateway, { method: 'GET', target: `/${Bucket}?versions&version-id-marker=null` });
    assert.equal(xmlText(lone.body, 'Code'), 'InvalidArgument');
  });
});
