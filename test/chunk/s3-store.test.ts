import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { FsError } from '../../src/base/errors.ts';
import type { S3StoreOptions } from '../../src/chunk/object/s3-options.ts';
import { S3Signer } from '../../src/chunk/object/s3-signer.ts';
import { S3Store } from '../../src/chunk/object/s3-store.ts';
import { StoreError } from '../../src/chunk/object/store-error.ts';
import { withRetry } from '../../src/chunk/retry.ts';
import { pattern } from './fake-volume.ts';
import { errorAnswer, S3TestServer, TEST_BUCKET, TEST_KEY, TEST_REGION, TEST_SECRET } from './s3-test-server.ts';

const LIMITS = { retryMs: 2_000 };
const good = { accessKeyId: TEST_KEY, secretAccessKey: TEST_SECRET };

describe('s3 store', { timeout: 60_000 }, () => {
  const server = new S3TestServer();
  const stores: S3Store[] = [];
  before(() => server.start());
  beforeEach(() => {
    server.objects.clear();
    server.requests.length = 0;
    server.planned.length = 0;
  });
  after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await server.stop();
  });

  const open = (changes: Partial<S3StoreOptions> = {}): S3Store => {
    const store = new S3Store({
      bucket: TEST_BUCKET,
      prefix: 'p/',
      endpoint: new URL(server.endpoint),
      region: TEST_REGION,
      style: 'path',
      payload: 'unsigned',
      connections: 4,
      credentials: async () => good,
      ...changes,
    });
    stores.push(store);
    return store;
  };

  test('signs as the example of the AWS documentation', () => {
    const signed = new S3Signer('us-east-1').sign(
      {
        method: 'GET',
        host: 'examplebucket.s3.amazonaws.com',
        path: '/test.txt',
        headers: { range: 'bytes=0-9' },
        payloadHash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      },
      { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
      Date.UTC(2013, 4, 24),
    );
    assert.match(signed.authorization!, /f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/);
  });

  test('puts the bucket into the host name in virtual style', { timeout: 60_000 }, async () => {
    const endpoint = new URL(server.endpoint.replace('127.0.0.1', 's3.test'));
    const asked: string[] = [];
    const store = open({
      style: 'virtual',
      endpoint,
      lookup: (hostname, options, callback) => {
        asked.push(hostname);
        if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }]);
        else callback(null, '127.0.0.1', 4);
      },
    });
    await store.put('k', [pattern(10, 1)]);
    assert.deepEqual(asked, [`${TEST_BUCKET}.s3.test`]);
    assert.equal(server.requests[0]!.host, `${TEST_BUCKET}.${endpoint.host}`);
    assert.equal(server.requests[0]!.url, '/p/k');
  });

  test('tries again what may pass and gives the answer that comes then', { timeout: 60_000 }, async () => {
    const store = open();
    server.planned.push(errorAnswer(503, 'SlowDown'), errorAnswer(500, 'InternalError'));
    await withRetry('put', LIMITS, undefined, () => store.put('k', [pattern(10, 1)]));
    assert.equal(server.requests.length, 3);
    assert.ok(server.objects.has('p/k'));
  });

  test('gives up at once where trying again is of no use, and says what to do', { timeout: 60_000 }, async () => {
    const store = open();
    const cases: [ReturnType<typeof errorAnswer>, RegExp][] = [
      [errorAnswer(403, 'AccessDenied'), /credentials lack/],
      [errorAnswer(403, 'InvalidAccessKeyId'), /AWS_ACCESS_KEY_ID/],
      [errorAnswer(404, 'NoSuchBucket'), /create the bucket/],
      [errorAnswer(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-9' }), /in eu-west-9/],
    ];
    for (const [answer, advice] of cases) {
      server.requests.length = 0;
      server.planned.push(answer);
      await assert.rejects(
        withRetry('put', LIMITS, undefined, () => store.put('k', [pattern(10, 1)])),
        (error: unknown) => error instanceof FsError && error.code === 'EIO' && advice.test(error.message),
      );
      assert.equal(server.requests.length, 1, `${advice} is not tried again`);
    }
  });

  test('says that the secret is wrong without showing it', { timeout: 60_000 }, async () => {
    const store = open({ credentials: async () => ({ ...good, secretAccessKey: 'another' }) });
    await assert.rejects(store.get('k', undefined), (error: unknown) => {
      assert.ok(error instanceof StoreError && !error.retryable);
      assert.match(error.message, /AWS_SECRET_ACCESS_KEY/);
      assert.ok(!error.message.includes('another'));
      return true;
    });
  });

  test('fetches new credentials when the old ones expire', { timeout: 60_000 }, async () => {
    let fetched = 0;
    const store = open({
      credentials: async () => ({
        ...good,
        sessionToken: `token-${++fetched}`,
        expiration: new Date(Date.now() + 3_600_000),
      }),
    });
    await Promise.all([store.put('a', [pattern(1, 1)]), store.put('b', [pattern(1, 1)])]);
    assert.equal(fetched, 1, 'concurrent requests share one fetch');
    server.planned.push(errorAnswer(400, 'ExpiredToken'));
    await withRetry('put', LIMITS, undefined, () => store.put('c', [pattern(1, 1)]));
    assert.deepEqual(
      server.requests.map((request) => request.token),
      ['token-1', 'token-1', 'token-1', 'token-2'],
    );
  });

  test('a refused connection may be tried again', { timeout: 60_000 }, async () => {
    const gone = new S3TestServer();
    await gone.start();
    const endpoint = new URL(gone.endpoint);
    await gone.stop();
    const store = open({ endpoint });
    await assert.rejects(store.get('k', undefined), (error: unknown) => error instanceof StoreError && error.retryable);
  });

  test('names the objects that could not be deleted, over several requests', { timeout: 60_000 }, async () => {
    const store = open();
    const keys = Array.from({ length: 1500 }, (_, i) => `k${i}`);
    for (const key of keys) server.objects.set(`p/${key}`, { data: Buffer.alloc(1), modified: new Date() });
    server.undeletable.add('p/k7').add('p/k1400');
    const failures = await store.deleteMany(keys);
    assert.deepEqual(
      failures.map((failure) => failure.key),
      ['k7', 'k1400'],
    );
    assert.equal(server.requests.length, 2);
    assert.equal(server.objects.size, 2);
    server.undeletable.clear();
  });

  test('follows the pages of a listing and strips the prefix', { timeout: 60_000 }, async () => {
    const store = open();
    const keys = ["a'&<b", ...Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(2, '0')}`)];
    for (const key of keys) server.objects.set(`p/${key}`, { data: Buffer.alloc(3), modified: new Date() });
    server.objects.set('other', { data: Buffer.alloc(1), modified: new Date() });
    server.pageKeysMax = 10;
    const found = await store.list('', '', 100);
    server.pageKeysMax = 1000;
    assert.deepEqual(
      found.map((object) => object.key),
      [...keys].sort(),
    );
    assert.ok(server.requests.length >= 3);
  });

  test('an aborted request ends at once', { timeout: 60_000 }, async () => {
    const store = open();
    const abort = new AbortController();
    const put = store.put('k', [pattern(1024 * 1024, 1)], abort.signal);
    abort.abort(new Error('enough'));
    await assert.rejects(put, /enough/);
  });
});
