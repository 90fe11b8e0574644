import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { UserError } from '../../src/base/errors.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { amzNow, hmac, rawRequest, sha256, sign, xmlText } from '../support/signed-request.ts';
import { type WatchedWriter, watchWriters } from '../support/watched-objects.ts';

describe('the gateway over HTTP', { timeout: 60_000 }, () => {
  let gateway: TestGateway;
  let writers: WatchedWriter[];
  let connections: RawConnection[] = [];

  const open = (): RawConnection => {
    const connection = new RawConnection(gateway.port);
    connections.push(connection);
    return connection;
  };

  before(async () => {
    gateway = await testGateway();
    writers = watchWriters(gateway.faults);
    await gateway.addBucket('bucket');
  });
  beforeEach(() => {
    for (const connection of connections) connection.destroy();
    connections = [];
  });
  after(() => {
    for (const connection of connections) connection.destroy();
  });

  it('S5: 100 Continue is answered only after authentication and the bucket check', async () => {
    const expecting = { method: 'PUT', body: 'hello', headers: { expect: '100-continue', 'content-length': '5' } };
    const good = open();
    good.send(sign({ ...expecting, target: '/bucket/k' }, gateway.port).head);
    assert.equal((await good.reply()).status, 100);
    good.send('hello');
    assert.equal((await good.reply()).status, 200);
    assert.equal(String(await gateway.content('bucket', 'k')), 'hello');

    const noBucket = open();
    noBucket.send(sign({ ...expecting, target: '/nowhere/k' }, gateway.port).head);
    const missing = await noBucket.reply();
    assert.deepEqual([missing.status, missing.headers.get('connection')], [404, 'close']);

    const stranger = open();
    stranger.send(sign({ ...expecting, target: '/bucket/k' }, gateway.port).head.replace(/Signature=./, 'Signature=x'));
    const refused = await stranger.reply();
    assert.deepEqual([refused.status, xmlText(refused.body, 'Code')], [403, 'SignatureDoesNotMatch']);
  });

  it('S6: what is not implemented answers 501 and changes nothing', async () => {
    const body = 'stored';
    await rawRequest(gateway, { method: 'PUT', target: '/bucket/k', body });
    const requests: [string, string][] = [
      ['GET', '/bucket?analytics&id=1'],
      ['PUT', '/bucket?versioning'],
      ['PUT', '/bucket?policy'],
      ['PUT', '/bucket?cors'],
      ['DELETE', '/bucket?lifecycle'],
      ['DELETE', '/bucket?website'],
      ['GET', '/bucket?session'],
      ['GET', '/bucket/k?torrent'],
      ['PUT', '/bucket/k?retention'],
      ['PUT', '/bucket/k?legal-hold='],
      ['PUT', '/bucket/k?renameObject'],
      ['PUT', '/bucket/k?annotation&x-id=PutObjectAnnotation'],
      ['DELETE', '/bucket/k?annotation'],
      ['POST', '/bucket/k?restore'],
      ['POST', '/bucket/k?select&select-type=2'],
      ['OPTIONS', '/bucket/k'],
    ];
    for (const [method, target] of requests) {
      const reply = await rawRequest(gateway, { method, target, body: 'never stored' });
      assert.deepEqual([reply.status, xmlText(reply.body, 'Code')], [501, 'NotImplemented'], `${method} ${target}`);
    }
    for (const headers of [
      { 'x-amz-server-side-encryption': 'AES256' },
      { 'x-amz-object-lock-mode': 'GOVERNANCE' },
      { 'x-amz-write-offset-bytes': '6' },
      { 'x-amz-acl': 'public-read' },
    ] as Record<string, string>[]) {
      const reply = await rawRequest(gateway, { method: 'PUT', target: '/bucket/k', headers, body: 'never stored' });
      assert.equal(reply.status, 501, JSON.stringify(headers));
    }
    assert.equal(String(await gateway.content('bucket', 'k')), body);
  });

  it('ignores other expectations', async () => {
    for (const expect of ['200', '']) {
      const connection = open();
      const headers = { expect, 'content-length': '5' };
      connection.send(sign({ method: 'PUT', target: '/bucket/k', body: 'hello', headers }, gateway.port).head);
      connection.send('hello');
      assert.equal((await connection.reply()).status, 200, expect);
    }
  });

  it('names every reply and repeats the name in error documents; HEAD errors have no body', async () => {
    const missing = await rawRequest(gateway, { method: 'GET', target: '/bucket/no%20such' });
    assert.equal(missing.status, 404);
    assert.equal(xmlText(missing.body, 'Code'), 'NoSuchKey');
    assert.equal(xmlText(missing.body, 'Key'), 'no such');
    assert.equal(xmlText(missing.body, 'Resource'), '/bucket/no such');
    assert.equal(xmlText(missing.body, 'RequestId'), missing.headers.get('x-amz-request-id'));
    assert.equal(xmlText(missing.body, 'HostId'), missing.headers.get('x-amz-id-2'));
    assert.equal(missing.body.includes('xmlns'), false);
    assert.equal(missing.headers.get('content-type'), 'application/xml');
    assert.equal(missing.headers.get('server'), 'janusfs');
    assert.ok(missing.headers.has('date'));

    const connection = open();
    for (const [target, status] of [
      ['/bucket/none', 404],
      ['/nowhere', 404],
      ['/bucket', 200],
    ] as const) {
      connection.send(sign({ method: 'HEAD', target }, gateway.port).head);
      const reply = await connection.reply(true);
      assert.equal(reply.status, status, target);
      assert.equal(reply.headers.get('x-amz-bucket-region'), 'us-east-1');
    }
  });

  it('answers what is no S3 request with an error document', async () => {
    const anonymous = open();
    anonymous.send('GET /bucket HTTP/1.1\r\nHost: x\r\n\r\n');
    const denied = await anonymous.reply();
    assert.deepEqual([denied.status, xmlText(denied.body, 'Code')], [403, 'AccessDenied']);

    const garbage = open();
    garbage.send('NONSENSE\r\n\r\n');
    assert.equal(xmlText((await garbage.reply()).body, 'Code'), 'BadRequest');
    await garbage.ended();

    const huge = open();
    huge.send(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(40_000)}\r\n\r\n`);
    const tooLarge = await huge.reply();
    assert.deepEqual([tooLarge.status, xmlText(tooLarge.body, 'Code')], [431, 'RequestHeaderSectionTooLarge']);

    for (const length of ['-1', '']) {
      const connection = open();
      connection.send(`PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
      assert.equal((await connection.reply()).status, 400, `length '${length}'`);
    }
    const strange = await rawRequest(gateway, { method: 'PROPFIND', target: '/bucket/k' });
    assert.deepEqual([strange.status, xmlText(strange.body, 'Code')], [405, 'MethodNotAllowed']);
    const badEscape = await rawRequest(gateway, { method: 'GET', target: '/bucket/%zz' });
    assert.deepEqual([badEscape.status, xmlText(badEscape.body, 'Code')], [400, 'InvalidURI']);
  });

  it('keeps a connection for many requests, refused ones with small bodies too', async () => {
    const connection = open();
    for (const [target, status] of [
      ['/bucket/a', 200],
      ['/nowhere/a', 404],
      ['/bucket/b', 200],
    ] as const) {
      const headers = { 'content-length': '5' };
      connection.send(sign({ method: 'PUT', target, body: 'hello', headers }, gateway.port).head);
      connection.send('hello');
      assert.equal((await connection.reply()).status, status, target);
    }
    assert.equal(connection.closed, false);
  });

  it('lets a client with a large refused body read the answer, then closes', async () => {
    const connection = open();
    const body = Buffer.alloc(4 * 1024 * 1024);
    const headers = { 'content-length': String(body.length) };
    connection.send(
      sign({ method: 'PUT', target: '/nowhere/k', payloadHash: 'UNSIGNED-PAYLOAD', headers }, gateway.port).head,
    );
    connection.send(body);
    const reply = await connection.reply();
    assert.deepEqual([reply.status, reply.headers.get('connection')], [404, 'close']);
    await connection.ended();
  });

  it('says that it serves, unsigned, and leaves every other path to S3', async () => {
    const ask = async (target: string, method = 'GET'): Promise<[number, string | null, string]> => {
      const reply = await fetch(gateway.url + target, { method });
      return [reply.status, reply.headers.get('content-type'), await reply.text()];
    };
    const json = 'application/json; charset=utf-8';
    assert.deepEqual(await ask('/_janusfs/health'), [200, json, '{"status":"ok"}']);
    assert.deepEqual(await ask('/_janusfs/health?x=1'), [200, json, '{"status":"ok"}']);
    assert.deepEqual(await ask('/_janusfs/health', 'HEAD'), [200, json, '']);
    for (const target of ['/_janusfs/', '/_janusfs', '/_janusfs/nothing', '/_janusfs/%zz', '/_janusfs/health/']) {
      const [status, type, text] = await ask(target);
      assert.equal(type, 'application/xml', target);
      assert.equal(xmlText(text, 'Code'), target.includes('%') ? 'InvalidURI' : 'AccessDenied');
      assert.equal(status, target.includes('%') ? 400 : 403);
    }
    assert.equal((await ask('/_janusfs/health', 'PUT'))[0], 403);
    assert.equal((await ask('/_janusfs/health', 'DELETE'))[0], 403);
  });

  it("keeps a bucket's host for its keys", async () => {
    const hosted = await testGateway({ domain: 's3.local' });
    const ask = (host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const options = { port: hosted.port, path: '/_janusfs/health', headers: { host } };
        httpRequest(options, (response) => resolve(response.resume().statusCode))
          .on('error', reject)
          .end();
      });
    assert.equal(await ask('s3.local'), 200);
    assert.equal(await ask('bucket.s3.local'), 403);
  });

  it('serves keys that a URL library would change', async () => {
    for (const [target, key] of [
      ['/bucket/a//b/../c/./', 'a//b/../c/./'],
      ['/bucket/%2e%2e/x', '../x'],
      ['/bucket//', '/'],
      ['/bucket/a%2Fb', 'a/b'],
      ['/bucket/sp%20ace+plus%2B', 'sp ace+plus+'],
      ['/bucket/%F0%9F%98%80%0A', '\xf0\x9f\x98\x80\n'],
    ] as const) {
      const body = key.endsWith('/') ? '' : 'x';
      const put = await rawRequest(gateway, {
        method: 'PUT',
        target,
        body,
        headers: { 'content-length': String(body.length) },
      });
      assert.equal(put.status, 200, `${target}: ${put.body}`);
      assert.ok((await gateway.content('bucket', key)) !== undefined, target);
    }
  });

  it('needs a length or HTTP chunks for what it stores, and none for an empty request', async () => {
    const chunked = { method: 'PUT', target: '/bucket/chunked', headers: { 'transfer-encoding': 'chunked' } };
    const connection = open();
    connection.send(sign({ ...chunked, payloadHash: 'UNSIGNED-PAYLOAD' }, gateway.port).head);
    connection.send('5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n');
    assert.equal((await connection.reply()).status, 200);
    assert.equal(String(await gateway.content('bucket', 'chunked')), 'hello there');
    const none = await rawRequest(gateway, { method: 'PUT', target: '/bucket/k' });
    assert.deepEqual([none.status, xmlText(none.body, 'Code')], [411, 'MissingContentLength']);
    const bucket = await rawRequest(gateway, { method: 'PUT', target: '/another' });
    assert.equal(bucket.status, 200);
    const headers = { 'content-length': String(6 * 1024 ** 3) };
    const large = await rawRequest(gateway, {
      method: 'PUT',
      target: '/bucket/k',
      payloadHash: 'UNSIGNED-PAYLOAD',
      headers,
    });
    assert.deepEqual([large.status, xmlText(large.body, 'Code')], [400, 'EntityTooLarge']);
  });

  it('takes HTTP chunks around aws-chunked, cut anywhere, signed to the trailer', async () => {
    const data = Buffer.alloc(70_000, 'signed bytes ');
    const md5Trailer = createHash('sha256').update(data).digest('base64');
    const signed = sign(
      {
        method: 'PUT',
        target: '/bucket/chunked',
        payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
        headers: {
          'x-amz-decoded-content-length': String(data.length),
          'x-amz-trailer': 'x-amz-checksum-sha256',
          'content-encoding': 'aws-chunked',
          'transfer-encoding': 'chunked',
        },
      },
      gateway.port,
    );
    const prefix = `${signed.amzDate}\n${signed.scope}`;
    let previous = signed.signature;
    let body = Buffer.alloc(0);
    for (const chunk of [data.subarray(0, 65_536), data.subarray(65_536), Buffer.alloc(0)]) {
      const text = `AWS4-HMAC-SHA256-PAYLOAD\n${prefix}\n${previous}\n${sha256('')}\n${sha256(chunk)}`;
      previous = hmac(signed.key, text).toString('hex');
      const head = Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`);
      body = Buffer.concat([body, head, chunk, Buffer.from(chunk.length === 0 ? '' : '\r\n')]);
    }
    const trailer = `x-amz-checksum-sha256:${md5Trailer}\n`;
    const trailing = hmac(signed.key, `AWS4-HMAC-SHA256-TRAILER\n${prefix}\n${previous}\n${sha256(trailer)}`).toString(
      'hex',
    );
    body = Buffer.concat([body, Buffer.from(`${trailer.trim()}\r\nx-amz-trailer-signature:${trailing}\r\n\r\n`)]);
    const connection = open();
    connection.send(signed.head);
    for (let at = 0; at < body.length; at += 9_999) {
      const piece = body.subarray(at, at + 9_999);
      connection.send(`${piece.length.toString(16)}\r\n`);
      connection.send(piece);
      connection.send('\r\n');
    }
    connection.send('0\r\n\r\n');
    const reply = await connection.reply();
    assert.equal(reply.status, 200, reply.body);
    assert.ok((await gateway.content('bucket', 'chunked'))?.equals(data));
  });

  it('publishes nothing of a body that stops, or is not what was signed', async () => {
    const headers = { 'content-length': '100' };
    const cut = open();
    cut.send(
      sign({ method: 'PUT', target: '/bucket/cut', payloadHash: 'UNSIGNED-PAYLOAD', headers }, gateway.port).head,
    );
    cut.send('half');
    while (!writers.some((writer) => writer.sizeBytes === 4)) await new Promise(setImmediate);
    cut.destroy();
    while (!writers.at(-1)!.aborted) await new Promise(setImmediate);
    assert.equal(await gateway.content('bucket', 'cut'), undefined);

    const wrong = await rawRequest(gateway, {
      method: 'PUT',
      target: '/bucket/wrong',
      body: 'hello',
      payloadHash: sha256('HELLO'),
    });
    assert.deepEqual([wrong.status, xmlText(wrong.body, 'Code')], [400, 'XAmzContentSHA256Mismatch']);
    assert.equal(await gateway.content('bucket', 'wrong'), undefined);
  });

  it('streams large objects both ways with the SDK', async () => {
    const s3 = gateway.alice;
    const Body = Buffer.alloc(9 * 1024 * 1024, 'large ');
    await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'large', Body }));
    const got = await s3.send(new GetObjectCommand({ Bucket: 'bucket', Key: 'large' }));
    assert.equal(got.ContentLength, Body.length);
    assert.ok(Buffer.from(await got.Body!.transformToByteArray()).equals(Body));
    const part = await s3.send(
      new GetObjectCommand({ Bucket: 'bucket', Key: 'large', Range: 'bytes=1000000-4000000' }),
    );
    assert.ok(Buffer.from(await part.Body!.transformToByteArray()).equals(Body.subarray(1_000_000, 4_000_001)));
  });

  it('survives clients that go away in the middle of a reply', async () => {
    const s3 = gateway.alice;
    await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'large', Body: Buffer.alloc(16 * 1024 * 1024) }));
    for (let i = 0; i < 5; i++) {
      const connection = open();
      connection.send(sign({ method: 'GET', target: '/bucket/large' }, gateway.port).head);
      await new Promise((resolve) => connection.socket.once('data', resolve));
      connection.destroy();
    }
    assert.equal((await rawRequest(gateway, { method: 'HEAD', target: '/bucket/large' })).status, 200);
  });

  it('answers a server clock error for old requests', async () => {
    const reply = await rawRequest(gateway, { method: 'GET', target: '/', amzDate: amzNow(-16 * 60_000) });
    assert.deepEqual([reply.status, xmlText(reply.body, 'Code')], [403, 'RequestTimeTooSkewed']);
    const elsewhere = await rawRequest(gateway, { method: 'GET', target: '/', region: 'mars-north-1' });
    assert.equal(elsewhere.status, 200, 'any region is accepted');
  });
});

describe('starting and stopping', { timeout: 60_000 }, () => {
  it('says what to do when the port is taken', async () => {
    const { port } = await testGateway();
    await assert.rejects(
      testGateway({ listen: { host: '127.0.0.1', port } }),
      (error) => error instanceof UserError && /another process listens there/.test(error.message),
    );
  });

  it('serves a unix socket', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'janusfs-s3-'));
    const path = join(directory, 's3.sock');
    const gateway = await testGateway({ listen: { path } });
    assert.equal(gateway.url, `http+unix://${path}`);
    const status = await new Promise((resolve, reject) => {
      httpRequest({ socketPath: path, path: '/' }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
    assert.equal(status, 403);
    await gateway.stop();
    await rm(directory, { recursive: true });
  });

  it('stops with idle connections open, and ends requests in progress first', async () => {
    const gateway = await testGateway();
    const writers = watchWriters(gateway.faults);
    await gateway.addBucket('bucket');
    const idle = new RawConnection(gateway.port);
    idle.send(sign({ method: 'GET', target: '/' }, gateway.port).head);
    await idle.reply();
    const busy = new RawConnection(gateway.port);
    const headers = { 'content-length': '5' };
    busy.send(sign({ method: 'PUT', target: '/bucket/k', body: 'hello', headers }, gateway.port).head);
    busy.send('he');
    while (writers.at(-1)?.sizeBytes !== 2) await new Promise(setImmediate);
    const closed = gateway.stop();
    await idle.ended();
    busy.send('llo');
    assert.equal((await busy.reply()).status, 200);
    await closed;
    await busy.ended();
  });
});
