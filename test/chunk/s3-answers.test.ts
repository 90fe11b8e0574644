/** What the S3 driver makes of a server's answers, the same for blocks (own requests) and for all else (the SDK's). */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { FsError } from '../../src/base/errors.ts';
import { ObjectMissingError } from '../../src/chunk/chunks.ts';
import { readErrorBody } from '../../src/chunk/object/s3-failure.ts';
import type { S3StoreOptions } from '../../src/chunk/object/s3-options.ts';
import { S3Store } from '../../src/chunk/object/s3-store.ts';
import { StoreError } from '../../src/chunk/object/store-error.ts';
import { withRetry } from '../../src/chunk/retry.ts';
import { pattern } from './fake-volume.ts';
import { errorAnswer, S3TestServer, TEST_BUCKET, TEST_KEY, TEST_REGION, TEST_SECRET } from './s3-test-server.ts';

const LIMITS = { retryMs: 5_000 };
const good = { accessKeyId: TEST_KEY, secretAccessKey: TEST_SECRET };
const HTML = '<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><p>nginx<br></body></html>';
const NO_DOCUMENTS = [
  HTML,
  'upstream connect error',
  '',
  '\u0000\u0001',
  '<Error><Code>AccessDe',
  '<Error></Error>',
  '<Error><Code><b>AccessDenied</b></Code></Error>',
  '<!DOCTYPE x [<!ENTITY a "AccessDenied">]><Error><Code>&a;</Code></Error>',
  `${'<a>'.repeat(5_000)}${'</a>'.repeat(5_000)}`,
];
const OTHERS = ['<html><body><Code>AccessDenied</Code></body></html>', '<__proto__><Code>A</Code></__proto__>'];

describe('answers of an S3 server', { timeout: 60_000 }, () => {
  const server = new S3TestServer();
  const stores: S3Store[] = [];
  before(() => server.start());
  beforeEach(() => {
    server.objects.clear();
    server.requests.length = 0;
    server.planned.length = 0;
    server.undeletable.clear();
    server.clockOffsetMs = 0;
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

  /** Every call whose answer has a body, with what its failures say. */
  const calls: [string, RegExp, (store: S3Store, signal?: AbortSignal) => Promise<unknown>][] = [
    ['get', /^cannot read object k at /, (store, signal) => store.get('k', undefined, signal)],
    ['put', /^cannot store object k at /, (store, signal) => store.put('k', [pattern(10, 1)], signal)],
    ['list', /^cannot list bucket bucket at /, (store, signal) => store.list('', '', 10, signal)],
    ['delete', /^cannot delete from bucket bucket at /, (store, signal) => store.deleteMany(['k'], signal)],
  ];

  for (const [name, start, call] of calls) {
    const failed = async (store: S3Store): Promise<StoreError> => {
      const error = await call(store).then(
        () => assert.fail('it must fail'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof StoreError, String(error));
      return error;
    };

    test(`${name}: code, message and advice of an error document`, async () => {
      const store = open();
      server.planned.push(errorAnswer(403, 'AccessDenied'));
      const denied = await failed(store);
      assert.match(denied.message, start);
      assert.match(denied.message, /: 403 AccessDenied said by the test; the credentials lack s3:GetObject/);
      assert.ok(!denied.retryable);
      const headers = { 'x-amz-bucket-region': 'eu-west-9' };
      server.planned.push(errorAnswer(301, 'PermanentRedirect', headers), errorAnswer(404, 'NoSuchBucket'));
      assert.match((await failed(store)).message, /it is not in region test-region-1 but in eu-west-9$/);
      assert.match((await failed(store)).message, /create the bucket or correct the store URL$/);
      server.planned.push({ status: 403, body: '<Error><Code>AccessDenied</Code></Error>' });
      assert.match((await failed(store)).message, /: 403 AccessDenied ; the credentials lack/);
      server.planned.push(errorAnswer(400, 'BadDigest'));
      assert.ok((await failed(store)).retryable, 'a code can say that it may pass');
      assert.equal(server.requests.length, 5, 'nothing is tried again below the retries of the data layer');
    });

    test(`${name}: an error that is no document of S3 is known by its status alone`, async () => {
      const store = open();
      for (const body of NO_DOCUMENTS) {
        server.planned.push({ status: 502, body }, { status: 403, body });
        const passing = await failed(store);
        assert.match(passing.message, start, body);
        assert.match(passing.message, /: 502$/, body);
        assert.ok(passing.retryable, body);
        const final = await failed(store);
        assert.match(final.message, /: 403$/, body);
        assert.ok(!final.retryable, body);
      }
    });

    test(`${name}: Retry-After is heard`, async () => {
      const store = open();
      server.planned.push(errorAnswer(503, 'SlowDown', { 'retry-after': '7' }));
      const busy = await failed(store);
      assert.deepEqual([busy.retryable, busy.retryAfterMs], [true, 7_000]);
      server.planned.push(errorAnswer(503, 'SlowDown', { 'retry-after': 'soon' }));
      assert.equal((await failed(store)).retryAfterMs, 0);
    });

    test(`${name}: expired credentials are fetched anew`, async () => {
      let fetched = 0;
      const store = open({ credentials: async () => ({ ...good, sessionToken: `token-${++fetched}` }) });
      await call(store).catch((error) => assert.ok(error instanceof ObjectMissingError));
      server.planned.push(errorAnswer(400, 'ExpiredToken'));
      await withRetry(name, LIMITS, undefined, () => call(store)).catch((error) =>
        assert.ok(error instanceof ObjectMissingError),
      );
      assert.deepEqual(
        server.requests.map((request) => request.token),
        name === 'put' || name === 'list' || name === 'delete' || name === 'get'
          ? ['token-1', 'token-1', 'token-2']
          : [],
      );
    });

    test(`${name}: without credentials it says what to set`, async () => {
      const store = open({ credentials: () => Promise.reject(new Error('none here')) });
      assert.match((await failed(store)).message, /^no credentials for the object store: set AWS_ACCESS_KEY_ID/);
      assert.equal(server.requests.length, 0);
    });

    test(`${name}: a wrong clock is set by the server's answer`, async () => {
      const store = open();
      server.objects.set('p/k', { data: pattern(10, 1), modified: new Date() });
      for (const offsetMs of [3_600_000, -7_200_000]) {
        server.clockOffsetMs = offsetMs;
        server.requests.length = 0;
        await withRetry(name, LIMITS, undefined, () => call(store));
        assert.equal(server.requests.length, 2, 'one answer is enough');
        await call(store).catch((error) => assert.ok(error instanceof ObjectMissingError));
        assert.equal(server.requests.length, 3);
      }
    });

    test(`${name}: an abort ends it at once with its own reason`, async () => {
      const store = open();
      const reason = new FsError('EINTR', 'read');
      await assert.rejects(call(store, AbortSignal.abort(reason)), (error) => error === reason);
      assert.equal(server.requests.length, 0, 'an aborted call sends nothing');
      let release: () => void = () => {};
      server.planned.push({ status: 200, after: new Promise((resolve) => (release = resolve)) });
      const abort = new AbortController();
      const running = call(store, abort.signal);
      while (server.planned.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      abort.abort(reason);
      await assert.rejects(running, (error) => error === reason);
      release();
    });

    test(`${name}: a refused connection may be tried again`, async () => {
      const gone = new S3TestServer();
      await gone.start();
      const endpoint = new URL(gone.endpoint);
      await gone.stop();
      const refused = await failed(open({ endpoint }));
      assert.match(refused.message, /^no answer: /);
      assert.ok(refused.retryable);
    });

    test(`${name}: goes to the bucket's own host in virtual style`, async () => {
      const asked: string[] = [];
      const endpoint = new URL(server.endpoint.replace('127.0.0.1', 's3.test'));
      const store = open({
        style: 'virtual',
        endpoint,
        lookup: (hostname, options, callback) => {
          asked.push(hostname);
          if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }]);
          else callback(null, '127.0.0.1', 4);
        },
      });
      await call(store).catch((error) => assert.ok(error instanceof ObjectMissingError));
      assert.deepEqual(asked, [`${TEST_BUCKET}.s3.test`]);
      assert.equal(server.requests[0]!.host, `${TEST_BUCKET}.${endpoint.host}`);
    });
  }

  test('head: has no body to tell by', async () => {
    const store = open();
    server.planned.push({ status: 404 }, { status: 403 }, { status: 503, headers: { 'retry-after': '2' } });
    assert.equal(await store.head('k'), undefined);
    await assert.rejects(store.head('k'), (error: unknown) => {
      assert.ok(error instanceof StoreError && !error.retryable);
      return /^cannot look at object k at \S+: 403$/.test(error.message);
    });
    await assert.rejects(store.head('k'), (error: unknown) => {
      return error instanceof StoreError && error.retryable && error.retryAfterMs === 2_000;
    });
    assert.equal(server.requests.length, 3);
  });

  test('head: a wrong clock is set by the server, a refusal stays one', async () => {
    const store = open();
    server.clockOffsetMs = 3_600_000;
    assert.equal(await withRetry('head', LIMITS, undefined, () => store.head('k')), undefined);
    assert.equal(server.requests.length, 2);
    server.planned.push({ status: 403 });
    await assert.rejects(store.head('k'), (error: unknown) => error instanceof StoreError && !error.retryable);
  });

  test('keys with characters that XML reserves are listed and deleted as they are', async () => {
    const store = open();
    const keys = ['a&amp;b', "a'b", 'a"b', 'a<b', 'a>b', 'a&b', 'a]]>b', '<Key>', '&#65;', 'ü&ß', '__proto__', ' a '];
    for (const key of keys) await store.put(key, [pattern(3, 1)]);
    const sorted = [...keys].sort();
    const seen: string[] = [];
    for (let last = ''; ; last = seen[seen.length - 1]!) {
      const page = await store.list('', last, 5);
      seen.push(...page.map((object) => object.key));
      if (page.length < 5) break;
    }
    assert.deepEqual(seen, sorted);
    server.undeletable.add('p/a<b').add("p/a'b");
    const failures = await store.deleteMany(keys);
    assert.deepEqual(failures.map((failure) => failure.key).sort(), ["a'b", 'a<b']);
    assert.match(failures[0]!.error.message, /^cannot delete object a'b: AccessDenied: no$/);
    assert.deepEqual([...server.objects.keys()].sort(), ["p/a'b", 'p/a<b']);
  });

  test('only multi-object delete has a checksum, the one that all servers know', async () => {
    const store = open();
    await store.put('k', [pattern(3, 1)]);
    await store.list('', '', 10);
    await store.head('k');
    await store.deleteMany(['k']);
    for (const { method, headers } of server.requests) {
      const checksums = Object.keys(headers).filter((name) => /checksum|content-md5/.test(name));
      assert.deepEqual(checksums, method === 'POST' ? ['content-md5'] : []);
    }
  });

  test('a page of somebody else does not pass for an empty store', async () => {
    const store = open();
    for (const body of ['<html><body>sign in</body></html>', HTML, 'hello', '']) {
      server.planned.push({ status: 200, body });
      await assert.rejects(store.list('', '', 10), (error: unknown) => {
        assert.ok(error instanceof StoreError && error.retryable, body);
        return /^cannot list bucket bucket at \S+: the answer is none of S3's/.test(error.message);
      });
    }
    assert.deepEqual(await store.list('', '', 10), []);
  });
});

test('error documents are read without believing them', () => {
  for (const text of [...NO_DOCUMENTS, ...OTHERS]) {
    assert.deepEqual(readErrorBody(Buffer.from(text)), { code: '', message: '' }, text);
  }
  const error = (inner: string): Buffer => Buffer.from(`<?xml version="1.0"?>\n<Error xmlns="urn:x">${inner}</Error>`);
  assert.deepEqual(readErrorBody(error('<Code>A</Code><Message>&lt;b&gt; &amp; &quot;c&apos;</Message><X>1</X>')), {
    code: 'A',
    message: '<b> & "c\'',
  });
  assert.deepEqual(readErrorBody(error('<Code>123</Code>')), { code: '123', message: '' });
  const wrapped = '<ErrorResponse><Error><Code>A</Code></Error><RequestId>1</RequestId></ErrorResponse>';
  assert.deepEqual(readErrorBody(Buffer.from(wrapped)), { code: 'A', message: '' });
  assert.deepEqual(readErrorBody(Buffer.from('<s3:Error><s3:Code>A</s3:Code></s3:Error>')), { code: 'A', message: '' });
  assert.deepEqual(readErrorBody(error(`<Code>A</Code><Message>${'x'.repeat(70_000)}</Message>`)), {
    code: '',
    message: '',
  });
});
