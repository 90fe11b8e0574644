import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, createChecksum } from '../../src/base/checksums.ts';
import type { Signing } from '../../src/s3api/auth/authenticate.ts';
import { declaredDigests, payloadForm } from '../../src/s3api/payload/form.ts';
import { type ByteSource, VerifiedPayload } from '../../src/s3api/payload/verified.ts';
import { isS3Error } from '../../src/s3api/protocol/s3-error.ts';

const SIGNING: Signing = {
  key: Buffer.from('a signing key'),
  scope: '20261122/us-east-1/s3/aws4_request',
  amzDate: '20261122T000000Z',
  signature: 'f'.repeat(64),
};
const EMPTY = createHash('sha256').digest('hex');
const FORMS = [
  'literal',
  'UNSIGNED-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
] as const;
type Form = (typeof FORMS)[number];
const TRAILING: Form[] = ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'];

const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');
const hmac = (text: string): string => createHmac('sha256', SIGNING.key).update(text, 'latin1').digest('hex');

function checksum(algorithm: ChecksumAlgorithm, data: Buffer): string {
  const sum = createChecksum(algorithm);
  sum.update(data);
  return sum.digest().toString('base64');
}

/** The body as a client writes it, by the documentation: independent of the decoder. */
function encode(form: Form, data: Buffer, chunkBytes: number, trailers: Record<string, string> = {}): Buffer {
  if (!form.startsWith('STREAMING')) return data;
  const signed = form.includes('HMAC');
  const prefix = `${SIGNING.amzDate}\n${SIGNING.scope}`;
  let previous = SIGNING.signature;
  const out: Buffer[] = [];
  const header = (chunk: Buffer): string => {
    const size = chunk.length.toString(16);
    if (!signed) return `${size}\r\n`;
    previous = hmac(`AWS4-HMAC-SHA256-PAYLOAD\n${prefix}\n${previous}\n${EMPTY}\n${sha256(chunk)}`);
    return `${size};chunk-signature=${previous}\r\n`;
  };
  for (let at = 0; at < data.length; at += chunkBytes) {
    const chunk = data.subarray(at, at + chunkBytes);
    out.push(Buffer.from(header(chunk)), chunk, Buffer.from('\r\n'));
  }
  out.push(Buffer.from(header(Buffer.alloc(0))));
  const names = Object.keys(trailers).sort();
  for (const name of names) out.push(Buffer.from(`${name}:${trailers[name]}\r\n`));
  if (signed && names.length > 0) {
    const canonical = names.map((name) => `${name}:${trailers[name]}\n`).join('');
    const signature = hmac(`AWS4-HMAC-SHA256-TRAILER\n${prefix}\n${previous}\n${sha256(canonical)}`);
    out.push(Buffer.from(`x-amz-trailer-signature:${signature}\r\n`));
  }
  out.push(Buffer.from('\r\n'));
  return Buffer.concat(out);
}

/** Cuts a body into pieces; every second one comes later, as from a socket. */
function source(body: Buffer, cuts: readonly number[]): ByteSource {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const cut of [...cuts].map((one) => one % (body.length + 1)).sort((a, b) => a - b)) {
    if (cut > at) pieces.push(body.subarray(at, cut));
    at = Math.max(at, cut);
  }
  if (at < body.length) pieces.push(body.subarray(at));
  let reads = 0;
  return {
    read() {
      const piece = pieces.shift();
      reads += 1;
      return reads % 2 === 0 ? Promise.resolve(piece) : piece;
    },
  };
}

function payload(form: Form, headers: Record<string, string>, data: Buffer, from: ByteSource): VerifiedPayload {
  const hash = form === 'literal' ? sha256(data) : form;
  const length = form.startsWith('STREAMING') ? 'x-amz-decoded-content-length' : 'content-length';
  const all = { [length]: String(data.length), ...headers };
  const decided = payloadForm(hash, all);
  return new VerifiedPayload({
    source: from,
    form: decided,
    declared: declaredDigests(all, new Map(), decided),
    signing: SIGNING,
  });
}

async function refused(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.ok(isS3Error(error), String(error));
    return error.code;
  }
  return 'accepted';
}

const algorithms: readonly ChecksumAlgorithm[] = CHECKSUM_ALGORITHMS;

describe('payload forms', () => {
  it('give back the same bytes and digests, however they are cut', async () => {
    const cases = fc.record({
      form: fc.constantFrom(...FORMS),
      algorithm: fc.constantFrom(...algorithms),
      size: fc.integer({ min: 0, max: 40_000 }),
      chunkBytes: fc.integer({ min: 8192, max: 20_000 }),
      cuts: fc.array(fc.nat(), { maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ form, algorithm, size, chunkBytes, cuts }) => {
        const data = Buffer.alloc(size, 'some bytes that repeat ');
        const value = checksum(algorithm, data);
        const name = `x-amz-checksum-${algorithm.toLowerCase()}`;
        const trailing = TRAILING.includes(form);
        const headers: Record<string, string> = trailing ? { 'x-amz-trailer': name } : { [name]: value };
        const body = encode(form, data, chunkBytes, trailing ? { [name]: value } : {});
        const read = payload(form, headers, data, source(body, cuts));
        read.want({ md5: true });
        const pieces: Buffer[] = [];
        for await (const piece of read) pieces.push(piece);
        const summary = await read.finish();
        assert.ok(Buffer.concat(pieces).equals(data));
        assert.deepEqual(summary.declared, { algorithm, value });
        assert.equal(summary.sizeBytes, size);
        assert.equal(summary.md5?.toString('hex'), createHash('md5').update(data).digest('hex'));
      }),
      { numRuns: 150 },
    );
  });

  it('refuse a payload with any one byte changed, or cut short', async () => {
    const data = Buffer.alloc(9000, 'payload ');
    const name = 'x-amz-checksum-crc32';
    for (const form of FORMS) {
      const trailing = TRAILING.includes(form);
      const value = checksum('CRC32', data);
      const headers: Record<string, string> = trailing ? { 'x-amz-trailer': name } : { [name]: value };
      const body = encode(form, data, 8192, trailing ? { [name]: value } : {});
      await fc.assert(
        fc.asyncProperty(fc.nat(data.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
          const changed = Buffer.from(body);
          const target = changed.indexOf('payload ') + at;
          // Framing between the two chunks is no payload.
          if (form.startsWith('STREAMING') && at >= 8192) return;
          changed[target] = changed[target]! ^ flip;
          const code = await refused(() => payload(form, headers, data, source(changed, [])).readAll(1e6));
          assert.notEqual(code, 'accepted');
        }),
        { numRuns: 30 },
      );
      const cut = await refused(() => payload(form, headers, data, source(body.subarray(0, 5000), [])).readAll(1e6));
      assert.equal(cut, 'IncompleteBody', form);
    }
  });

  it('never take more than the announced length', async () => {
    const data = Buffer.alloc(20_000, 1);
    for (const form of FORMS.slice(2)) {
      const body = encode(form, data, 8192);
      const read = payload(form, { 'x-amz-decoded-content-length': '10000' }, data, source(body, []));
      let got = 0;
      const code = await refused(async () => {
        for await (const piece of read) got += piece.length;
      });
      assert.equal(code, 'IncompleteBody');
      assert.ok(got <= 10_000, `${got} bytes came through`);
    }
  });
});

describe('payload refusals', () => {
  const data = Buffer.from('hello');
  const unsigned = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  const read = (form: Form, headers: Record<string, string>, body: Buffer | string): Promise<string> =>
    refused(() => payload(form, headers, data, source(Buffer.from(body), [])).readAll(1e6));

  it('Content-MD5 that is none, or another', async () => {
    for (const bad of ['', 'YWJyYWNhZGFicmE=', 'not base64', 'rL0Y20zC+Fzt72VPzMSk2']) {
      assert.equal(await read('UNSIGNED-PAYLOAD', { 'content-md5': bad }, data), 'InvalidDigest', bad);
    }
    assert.equal(await read('UNSIGNED-PAYLOAD', { 'content-md5': 'rL0Y20zC+Fzt72VPzMSk2A==' }, data), 'BadDigest');
    const good = createHash('md5').update(data).digest('base64');
    assert.equal(await read('UNSIGNED-PAYLOAD', { 'content-md5': good }, data), 'accepted');
  });

  it('a literal hash of other bytes, and no hash at all', async () => {
    assert.equal(await read('literal', {}, 'HELLO'), 'XAmzContentSHA256Mismatch');
    for (const name of Object.getOwnPropertyNames(Object.prototype)) {
      assert.throws(
        () => payloadForm(name, { 'x-amz-decoded-content-length': '1' }),
        (error) => isS3Error(error, 'InvalidArgument'),
      );
    }
    assert.throws(
      () => payloadForm('abc', {}),
      (error) => isS3Error(error, 'InvalidArgument'),
    );
    assert.throws(
      () => payloadForm('STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', {}),
      (error) => isS3Error(error, 'NotImplemented'),
    );
    assert.throws(
      () => payloadForm(unsigned, { 'content-length': '9' }),
      (error) => isS3Error(error, 'MissingContentLength'),
    );
  });

  it('checksum headers that are wrong, several, unknown, newer or without value', async () => {
    const value = checksum('CRC32', data);
    const cases: [Record<string, string>, string][] = [
      [{ 'x-amz-checksum-crc32': 'AAAAAA==' }, 'BadDigest'],
      [{ 'x-amz-checksum-crc32': 'AAAA' }, 'InvalidRequest'],
      [{ 'x-amz-checksum-crc32': '' }, 'InvalidRequest'],
      [{ 'x-amz-checksum-crc32': `${value},${value}` }, 'InvalidRequest'],
      [{ 'x-amz-checksum-sha256': createHash('sha256').update(data).digest('hex') }, 'InvalidRequest'],
      [{ 'x-amz-checksum-crc32': value, 'x-amz-checksum-sha1': checksum('SHA1', data) }, 'InvalidRequest'],
      [{ 'x-amz-checksum-rot13': value }, 'InvalidRequest'],
      [{ 'x-amz-checksum-sha512': value }, 'InvalidRequest'],
      [{ 'x-amz-checksum-xxhash3': 'AAAAAAAAAAA=' }, 'BadDigest'],
      [{ 'x-amz-checksum-xxhash3': checksum('XXHASH3', data) }, 'accepted'],
      [{ 'x-amz-sdk-checksum-algorithm': 'CRC32' }, 'InvalidRequest'],
      [{ 'x-amz-sdk-checksum-algorithm': 'SHA1', 'x-amz-checksum-crc32': value }, 'InvalidRequest'],
      [{ 'x-amz-sdk-checksum-algorithm': 'CRC32', 'x-amz-checksum-crc32': value }, 'accepted'],
    ];
    for (const [headers, code] of cases) {
      assert.equal(await read('UNSIGNED-PAYLOAD', headers, data), code, JSON.stringify(headers));
    }
  });

  it('a presigned URL with the checksum of an empty body only chooses the algorithm', () => {
    const form = payloadForm('UNSIGNED-PAYLOAD', { 'content-length': '5' });
    const query = new Map([
      ['x-amz-checksum-crc32', 'AAAAAA=='],
      ['x-amz-sdk-checksum-algorithm', 'CRC32'],
    ]);
    const declared = declaredDigests({}, query, form);
    assert.equal(declared.checksum, undefined);
    assert.equal(declared.algorithm, 'CRC32');
  });

  it('trailers that are missing, others, malformed or wrong', async () => {
    const announced = { 'x-amz-trailer': 'x-amz-checksum-crc32' };
    const value = checksum('CRC32', data);
    const cases: [string, string][] = [
      [`5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${value}\r\n\r\n`, 'accepted'],
      [`5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${value}\n\r\n`, 'accepted'],
      [`5\r\nhello\r\n0\r\nX-Amz-Checksum-Crc32: ${value}\r\n`, 'accepted'],
      ['5\r\nhello\r\n0\r\n\r\n', 'MalformedTrailerError'],
      ['5\r\nhello\r\n0\r\nx-amz-checksum-sha1:AAAA\r\n\r\n', 'MalformedTrailerError'],
      ['5\r\nhello\r\n0\r\nno colon\r\n\r\n', 'MalformedTrailerError'],
      [`5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${value}\r\n\r\nmore\r\n`, 'MalformedTrailerError'],
      ['5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n', 'InvalidRequest'],
      ['5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n', 'BadDigest'],
      [`5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${value}`, 'IncompleteBody'],
      ['5\r\nhello\r\n', 'IncompleteBody'],
      ['5\r\nhelloworld\r\n0\r\n\r\n', 'InvalidRequest'],
      ['five\r\nhello\r\n0\r\n\r\n', 'InvalidRequest'],
      ['-5\r\nhello\r\n0\r\n\r\n', 'InvalidRequest'],
      ['\r\nhello\r\n0\r\n\r\n', 'InvalidRequest'],
      ['4\r\nhell\r\n0\r\n\r\n', 'IncompleteBody'],
      [`${'0'.repeat(9000)}5\r\nhello\r\n`, 'InvalidRequest'],
    ];
    for (const [body, code] of cases) assert.equal(await read(unsigned, announced, body), code, body.slice(0, 80));
    assert.equal(await read(unsigned, { 'x-amz-trailer': 'x-amz-meta-a' }, ''), 'InvalidRequest');
  });

  it('a small chunk before the last in the signed form, one of another signer, one without signature', async () => {
    const form = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
    assert.equal(await read(form, {}, encode(form, data, 2)), 'InvalidChunkSizeError');
    const body = encode(form, data, 8192)
      .toString()
      .replace(/signature=./, 'signature=e');
    const other = encode(form, data, 8192)
      .toString()
      .replace(/signature=./, 'signature=d');
    assert.equal(
      (await Promise.all([read(form, {}, body), read(form, {}, other)])).includes('SignatureDoesNotMatch'),
      true,
    );
    assert.equal(await read(form, {}, '5\r\nhello\r\n0\r\n\r\n'), 'InvalidRequest');
  });

  it('a document over its limit', async () => {
    const announced = refused(() => payload('UNSIGNED-PAYLOAD', {}, data, source(data, [])).readAll(4));
    assert.equal(await announced, 'MaxMessageLengthExceeded');
    const form = payloadForm('UNSIGNED-PAYLOAD', {});
    const silent = new VerifiedPayload({ source: source(data, []), form, signing: SIGNING });
    assert.equal(await refused(() => silent.readAll(4)), 'MaxMessageLengthExceeded');
  });
});
