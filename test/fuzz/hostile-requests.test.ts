/** Signed S3 requests that make no sense, unsigned bytes, and readers that do not read: never a 5xx, no hang, no growth. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { sign } from '../support/signed-request.ts';

const LIMIT = { timeout: 170_000 };
let gateway: TestGateway;

before(async () => {
  gateway = await testGateway();
  // Nonsense may well remove the one; what goes on is looked at in the other.
  await gateway.addBucket('target');
  await gateway.addObject('target', 'object', 'content of an object');
  await gateway.addBucket('bkt');
  await gateway.alice.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'after', Body: 'x' }));
}, LIMIT);

const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'HEAD'];
const ODD_METHODS = ['OPTIONS', 'PATCH', 'TRACE', 'get'];
const QUERIES = [
  ...[
    'uploads',
    'uploadId',
    'partNumber',
    'acl',
    'tagging',
    'versioning',
    'versions',
    'versionId',
    'list-type',
    'delete',
    'policy',
  ],
  ...[
    'cors',
    'lifecycle',
    'location',
    'max-keys',
    'prefix',
    'delimiter',
    'continuation-token',
    'marker',
    'encoding-type',
    'select',
  ],
  ...[
    'response-content-type',
    'X-Amz-Expires',
    'X-Amz-Signature',
    'start-after',
    'attributes',
    'retention',
    'torrent',
    'restore',
  ],
];
const HEADERS = [
  ...[
    'range',
    'if-match',
    'if-none-match',
    'if-modified-since',
    'x-amz-copy-source',
    'x-amz-copy-source-range',
    'x-amz-tagging',
  ],
  ...[
    'x-amz-acl',
    'x-amz-checksum-crc32',
    'x-amz-sdk-checksum-algorithm',
    'content-md5',
    'content-type',
    'x-amz-meta-x',
    'x-amz-trailer',
  ],
  ...[
    'x-amz-storage-class',
    'x-amz-object-attributes',
    'x-amz-decoded-content-length',
    'content-encoding',
    'x-amz-mfa',
    'expires',
  ],
];
const text = fc.oneof(
  fc.constantFrom(
    '',
    '0',
    '-1',
    '1',
    '99999999999999999999',
    'bytes=0-',
    'bytes=5-1',
    'bytes=-0',
    '*',
    '"',
    '%00',
    '%',
    '%zz',
    '../../x',
    'target/object',
  ),
  fc.string({ maxLength: 40 }).map((value) => value.replaceAll(/[^\x21-\x7e]/g, '~')),
);
const segment = fc.oneof(
  fc.constantFrom(
    'target',
    'object',
    'none',
    '.',
    '..',
    '%2e%2e',
    '%2F',
    '%00',
    'a%0Ab',
    '%ff%fe',
    'x'.repeat(1100),
    '%E2%82%AC',
    '',
  ),
  fc.webPath({ size: 'small' }).map((path) => encodeURI(path).replaceAll('?', '%3F').replaceAll('#', '%23')),
);
const body = fc.oneof(
  fc.constant(''),
  fc.constantFrom(
    '<',
    '<Delete/>',
    '<Delete><Object><Key>x</Key></Object></Delete>',
    '<a>'.repeat(5_000),
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>',
    '<?xml version="1.1"?><Tagging/>',
    '<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>',
    '\0\0\0',
    '5;chunk-signature=0\r\nhello\r\n0\r\n\r\n',
  ),
  fc.string({ maxLength: 200 }),
);
const hostile = fc.record({
  method: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...METHODS) }, fc.constantFrom(...ODD_METHODS)),
  path: fc.oneof(fc.constant(['target']), fc.constant(['target', 'object']), fc.array(segment, { maxLength: 4 })),
  query: fc.oneof(
    fc.constant<[string, string][]>([]),
    fc.array(fc.tuple(fc.constantFrom(...QUERIES), text), { maxLength: 3 }),
  ),
  headers: fc.array(fc.tuple(fc.constantFrom(...HEADERS), text), { maxLength: 4 }),
  body,
});

test('signed nonsense is answered 2xx to 4xx or 501, and the endpoint goes on', LIMIT, async (t) => {
  const seed = Number(process.env.JANUSFS_TEST_SEED ?? Date.now() % 1e9);
  t.diagnostic(`seed ${seed}`);
  const wrong: string[] = [];
  const counts = new Map<number, number>();
  let connection = new RawConnection(gateway.port);
  for (const { method, path, query, headers, body } of fc.sample(hostile, { seed, numRuns: 3_000 })) {
    const asked = query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
    const target = `/${path.join('/')}${asked === '' ? '' : `?${asked}`}`;
    // Without a length the body would be the next request.
    const length = String(Buffer.byteLength(body, 'latin1'));
    const request = { method, target, headers: { ...Object.fromEntries(headers), 'content-length': length }, body };
    let head: string;
    try {
      ({ head } = sign(request, gateway.port));
    } catch {
      continue; // What cannot be signed is not sent.
    }
    if (connection.closed) connection = new RawConnection(gateway.port);
    connection.send(head);
    connection.send(body);
    const status = await statusOf(connection);
    counts.set(status, (counts.get(status) ?? 0) + 1);
    if (status >= 500 && status !== 501)
      wrong.push(`${status}: ${method} ${target} ${JSON.stringify(request.headers)} ${body.slice(0, 80)}`);
    // Whatever is left of the reply or the body must not be taken for the next one.
    connection.socket.destroy();
    connection = new RawConnection(gateway.port);
  }
  connection.socket.destroy();
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} answers of 5xx`);
  t.diagnostic(
    [...counts]
      .sort()
      .map(([status, count]) => `${status}: ${count}`)
      .join(', '),
  );
  assert.ok([...counts.keys()].filter((status) => status >= 200).length > 5, 'many kinds of answers');
  await gateway.alice.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'after', Body: 'x' }));
});

/** The status line's number; 0 when the connection was closed without one, as HTTP allows for what is no request. */
async function statusOf(connection: RawConnection): Promise<number> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('no answer within 20 s')), 20_000);
    let received = '';
    const done = (status: number): void => {
      clearTimeout(late);
      resolve(status);
    };
    connection.socket.on('data', (data) => {
      received += data.toString('latin1');
      const match = /^HTTP\/1\.1 (\d{3}) [\s\S]*?\r\n\r\n/.exec(
        received.replace(/^(HTTP\/1\.1 100 [\s\S]*?\r\n\r\n)+/, ''),
      );
      if (match !== null) done(Number(match[1]));
    });
    connection.socket.on('close', () => done(0));
  });
}

test('bytes that are no HTTP are refused, and hold nothing up', LIMIT, async () => {
  const sample = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 400 }), { seed: 5, numRuns: 200 });
  const shapes = sample.map((bytes, i) => {
    const noise = Buffer.from(bytes);
    if (i % 3 === 0) return noise;
    return Buffer.concat([
      Buffer.from(`GET /bkt/${'x'.repeat(i)} HTTP/1.1\r\nhost: x\r\n`),
      noise,
      Buffer.from('\r\n\r\n'),
    ]);
  });
  const sockets = shapes.map((bytes) => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write(bytes);
    return socket;
  });
  const reply = await gateway.alice.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'after' }));
  assert.equal(await reply.Body!.transformToString(), 'x');
  for (const socket of sockets) socket.destroy();
});

test('readers that do not read take no memory', LIMIT, async (t) => {
  await gateway.alice.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'large', Body: Buffer.alloc(24 * 2 ** 20, 1) }));
  const { head } = sign({ method: 'GET', target: '/bkt/large' }, gateway.port);
  const sockets = Array.from({ length: 150 }, () => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    socket.write(head);
    return socket;
  });
  await sleep(3_000);
  const early = process.memoryUsage.rss();
  await sleep(3_000);
  const late = process.memoryUsage.rss();
  t.diagnostic(`rss ${Math.round(early / 2 ** 20)} MiB, then ${Math.round(late / 2 ** 20)} MiB`);
  // All of it would be 3.6 GiB.
  assert.ok(late < 1.2 * 2 ** 30, `rss ${late}`);
  assert.ok(late - early < 100 * 2 ** 20, `grows by ${late - early}`);
  const reply = await gateway.alice.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'after' }));
  assert.equal(await reply.Body!.transformToString(), 'x');
  for (const socket of sockets) socket.destroy();
});
