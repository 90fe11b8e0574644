import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { FaultyStore } from '../../src/chunk/object/faulty-store.ts';
import { openStore } from '../../src/chunk/object/open-store.ts';
import { pattern } from './fake-volume.ts';

test('wrong store URLs are refused with what is wrong', { timeout: 60_000 }, async () => {
  const cases: [string, RegExp][] = [
    ['', /is no store URL/],
    ['/var/lib/x', /is no store URL/],
    ['ftp://host/x', /no kind of object store/],
    ['file://host/x', /three slashes/],
    ['file:///', /names no directory/],
    ['file:///x?y=1', /no parameter "y"/],
    ['file:///%zz', /percent-encoded/],
    ['s3://', /names no bucket|is no store URL/],
    ['s3://b/p?endpoint=nonsense', /is no URL/],
    ['s3://b/p?endpoint=ftp://h', /must be http/],
    ['s3://b/p?endpoint=http://h/path', /nothing more/],
    ['s3://b/p?style=other', /style must be path or virtual/],
    ['s3://b/p?access_key=1', /no parameter "access_key"/],
    ['s3://key:hunter2@b/p', /do not belong into the URL/],
    ['faulty+memory:?delayMs=x', /delayMs must be a number/],
    ['faulty+memory:?errorRate=2', /from 0 to 1/],
    ['faulty+memory:?other=2', /no parameter "other"/],
  ];
  for (const [url, message] of cases) {
    await assert.rejects(openStore(url, { create: false }), (error: unknown) => {
      assert.ok(error instanceof UserError, `${url}: ${String(error)}`);
      assert.match(error.message, message, url);
      assert.ok(!error.message.includes('hunter2'), 'no secret is shown');
      assert.equal(error.exitStatus, 2);
      return true;
    });
  }
});

test('store URLs say which store it is, without secrets', { timeout: 60_000 }, async () => {
  const credentials = async (): Promise<{ accessKeyId: string; secretAccessKey: string }> => ({
    accessKeyId: 'a',
    secretAccessKey: 'b',
  });
  const s3 = await openStore('s3://b/p/q/?endpoint=http://127.0.0.1:9&region=r', { create: false, credentials });
  assert.equal(s3.url, 's3://b/p/q/?endpoint=http://127.0.0.1:9&region=r&style=path');
  await s3.close();
  const aws = await openStore('s3://b?region=eu-west-9', { create: false, credentials });
  assert.equal(aws.url, 's3://b/?endpoint=https://s3.eu-west-9.amazonaws.com&region=eu-west-9&style=virtual');
  await aws.close();
});

test('faults come from the URL', { timeout: 60_000 }, async () => {
  const store = await openStore('faulty+memory:?delayMs=1&putErrorRate=1', { create: false });
  assert.ok(store instanceof FaultyStore);
  await assert.rejects(store.put('k', [pattern(1, 1)]), /injected error/);
  assert.equal(await store.head('k'), undefined);
  assert.deepEqual(store.counts, { get: 0, put: 1, delete: 0, list: 0, head: 1 });
});

test('torn puts store a part, lost replies all of it, and both answer an error', { timeout: 60_000 }, async () => {
  const torn = await openStore('faulty+memory:?tornRate=1', { create: false });
  await assert.rejects(torn.put('k', [pattern(1000, 1)]), /torn write/);
  assert.ok((await torn.get('k', undefined)).length < 1000);
  const lost = await openStore('faulty+memory:?lostReplyRate=1', { create: false });
  await assert.rejects(lost.put('k', [pattern(1000, 1)]), /lost reply/);
  assert.equal((await lost.get('k', undefined)).length, 1000);
});
