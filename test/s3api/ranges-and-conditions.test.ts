import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { checkReadConditions } from '../../src/s3api/protocol/conditions.ts';
import { parseCopyRange, parseRange } from '../../src/s3api/protocol/ranges.ts';
import { isS3Error } from '../../src/s3api/protocol/s3-error.ts';
import { httpDate, parseHttpDate } from '../../src/s3api/protocol/times.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { refusalCode } from '../support/refusal.ts';

const Bucket = 'bucket';

describe('S13: ranges', () => {
  const cases: [string, number, ReturnType<typeof parseRange>][] = [
    ['bytes=-8', 0, 'whole'],
    ['bytes=-0', 0, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=0-0', 0, 'unsatisfiable'],
    ['bytes=-8', 3, { offset: 0, length: 3 }],
    ['bytes=-0', 3, 'unsatisfiable'],
    ['BYTES=1-1', 3, { offset: 1, length: 1 }],
    ['bytes=3-', 3, 'unsatisfiable'],
    ['bytes=0-99999999999999999999', 3, { offset: 0, length: 3 }],
    ['bytes=9007199254740993-9007199254740992', 3, 'whole'],
    ...['bytes= -1', 'bytes=0- 1', 'bytes=\t-1', 'bytes =0-1', 'bytes=-', 'bytes=', 'bytes', '0-1', 'bytes=1-0'].map(
      (header): [string, number, 'whole'] => [header, 3, 'whole'],
    ),
    ...['bytes=--1', 'bytes=+1-2', 'bytes=0x1-2', 'bytes=1.0-2', 'bytes=0-1,2-2', 'items=0-1'].map(
      (header): [string, number, 'whole'] => [header, 3, 'whole'],
    ),
  ];
  it('that cannot be read are none; the last bytes of nothing are nothing', () => {
    for (const [header, size, expected] of cases) assert.deepEqual(parseRange(header, size), expected, header);
  });

  it('of a copy source are strict', () => {
    for (const header of ['bytes=0-', 'bytes=-1', 'bytes= 0-1', '0-1', 'bytes=1-0', 'bytes=0-1,2-2', '']) {
      assert.equal(parseCopyRange(header, 10), 'malformed', header);
    }
    assert.equal(parseCopyRange('bytes=0-10', 10), 'unsatisfiable');
    assert.deepEqual(parseCopyRange('bytes=0-9', 10), { offset: 0, length: 10 });
  });
});

describe('S14: dates', () => {
  const now = Date.UTC(2026, 10, 25);
  it('come in the three forms of RFC 9110', () => {
    const sec = Date.UTC(1994, 10, 6, 8, 49, 37) / 1000;
    for (const text of [
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
    ]) {
      assert.equal(parseHttpDate(text, now), sec, text);
    }
    assert.equal(parseHttpDate('Sunday, 06-Nov-76 08:49:37 GMT', now), Date.UTC(2076, 10, 6, 8, 49, 37) / 1000);
    assert.equal(parseHttpDate('Sunday, 06-Nov-77 08:49:37 GMT', now), Date.UTC(1977, 10, 6, 8, 49, 37) / 1000);
  });

  it('that are none are none', () => {
    for (const text of [
      '',
      'yesterday',
      '1',
      '1994',
      '1994-11-06T08:49:37Z',
      'Sun, 31 Feb 1994 08:49:37 GMT',
      'Sun, 06 Nov 1994 24:49:37 GMT',
      'Sun, 06 Nov 1994 08:49:37 CET',
      'Sun, 06 Nov 1994 08:49:37',
      'sun, 06 nov 1994 08:49:37 gmt',
    ]) {
      assert.equal(parseHttpDate(text, now), undefined, text);
    }
  });

  const current = { etag: 'e', mtimeSec: 1_763_800_000 };
  const future = httpDate(Math.floor(Date.now() / 1000) + 86_400);
  const at = httpDate(current.mtimeSec);
  const before = httpDate(current.mtimeSec - 1);
  const decided = (prefix: '' | 'x-amz-copy-source-', conditions: Record<string, string>): boolean | string => {
    const headers = Object.fromEntries(Object.entries(conditions).map(([name, value]) => [`${prefix}${name}`, value]));
    try {
      return checkReadConditions(headers, prefix, current);
    } catch (error) {
      assert.ok(isS3Error(error, 'PreconditionFailed'));
      return 'failed';
    }
  };

  it('S14: of the future and malformed ones are no condition, for copies either', () => {
    for (const prefix of ['', 'x-amz-copy-source-'] as const) {
      const unchanged = prefix === '' ? false : 'failed';
      assert.equal(decided(prefix, { 'if-modified-since': future }), true);
      assert.equal(decided(prefix, { 'if-modified-since': 'tomorrow' }), true);
      assert.equal(decided(prefix, { 'if-unmodified-since': 'yesterday' }), true);
      assert.equal(decided(prefix, { 'if-unmodified-since': future }), true);
      assert.equal(decided(prefix, { 'if-modified-since': at }), unchanged);
      assert.equal(decided(prefix, { 'if-modified-since': before }), true);
      assert.equal(decided(prefix, { 'if-unmodified-since': before }), 'failed');
      assert.equal(decided(prefix, { 'if-match': '"e"', 'if-unmodified-since': before }), true);
      assert.equal(decided(prefix, { 'if-none-match': '"e"', 'if-modified-since': before }), unchanged);
      assert.equal(decided(prefix, { 'if-none-match': '"f"', 'if-modified-since': at }), true);
    }
  });

  it('of a file that claims the future, sent back, find it unchanged', () => {
    const mtimeSec = Math.floor(Date.now() / 1000) + 86_400;
    assert.equal(checkReadConditions({ 'if-modified-since': httpDate(mtimeSec) }, '', { etag: 'e', mtimeSec }), false);
  });
});

describe('S13: parts', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await testGateway();
    await gateway.addBucket(Bucket);
    await gateway.alice.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: '' }));
    await gateway.alice.send(new PutObjectCommand({ Bucket, Key: 'simple', Body: 'hello' }));
  });
  const get = (Key: string, more: object) => gateway.alice.send(new GetObjectCommand({ Bucket, Key, ...more }));
  const head = (Key: string, more: object) => gateway.alice.send(new HeadObjectCommand({ Bucket, Key, ...more }));

  it('that cannot be are refused, whether or not there is the key', async () => {
    for (const Key of ['simple', 'absent']) {
      for (const PartNumber of [0, -1, 10_001, Number.NaN, 1.5]) {
        assert.equal(await refusalCode(get(Key, { PartNumber })), 'InvalidArgument 400', `${Key} ${PartNumber}`);
        assert.match(await refusalCode(head(Key, { PartNumber })), / 400$/);
      }
      assert.equal(await refusalCode(get(Key, { PartNumber: 1, Range: 'bytes=0-1' })), 'InvalidRequest 400');
    }
    assert.equal(await refusalCode(get('absent', { PartNumber: 1 })), 'NoSuchKey 404');
  });

  it('beyond the last are 416; the first of a simple object is the whole', async () => {
    assert.equal(await refusalCode(get('simple', { PartNumber: 2 })), 'InvalidPartNumber 416');
    assert.match(await refusalCode(head('simple', { PartNumber: 2 })), / 416$/);
    const first = await get('simple', { PartNumber: 1 });
    assert.deepEqual([first.$metadata.httpStatusCode, first.ContentRange], [206, 'bytes 0-4/5']);
    assert.equal(await first.Body!.transformToString(), 'hello');
  });

  it('S13: the last bytes of an empty object are 200 with nothing', async () => {
    const got = await get('empty', { Range: 'bytes=-8' });
    assert.deepEqual([got.$metadata.httpStatusCode, got.ContentLength, got.ContentRange], [200, 0, undefined]);
    assert.equal((await head('empty', { Range: 'bytes=-8' })).$metadata.httpStatusCode, 200);
    assert.equal(await refusalCode(get('empty', { Range: 'bytes=0-' })), 'InvalidRange 416');
  });
});
