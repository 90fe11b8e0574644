/** Bodies as no client writes them: chunked payloads and XML. The answer is an S3 error or what the bytes say; never anything else, never slow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AwsChunkedDecoder } from '../../src/s3api/payload/aws-chunked.ts';
import { isS3Error } from '../../src/s3api/protocol/s3-error.ts';
import { parseXml } from '../../src/s3api/protocol/xml.ts';

const SIGNING = {
  key: Buffer.from('key'),
  scope: '20261122/us-east-1/s3/aws4_request',
  amzDate: '20261122T000000Z',
  signature: 'f'.repeat(64),
};

/** Pieces of a chunked body, in any order and number. */
const framing = fc.constantFrom(
  ...[
    '5\r\nhello\r\n',
    '0\r\n\r\n',
    '0\r\n',
    '\r\n',
    '\n',
    '5',
    'ffffffffffffffff\r\n',
    '-1\r\n',
    '5;chunk-signature=',
    'g\r\n',
    '00000005\r\nhello\r\n',
  ],
  ...[
    `5;chunk-signature=${'a'.repeat(64)}\r\nhello\r\n`,
    'x-amz-checksum-crc32:AAAAAA==\r\n',
    'x-amz-trailer-signature:x\r\n',
    '\0',
    'a'.repeat(9_000),
  ],
);

test('chunked bodies, cut anywhere', () => {
  const source = fc.record({
    parts: fc.array(fc.oneof(framing, fc.string({ maxLength: 20 })), { maxLength: 12 }),
    cuts: fc.array(fc.nat(200), { maxLength: 6 }),
    decodedBytes: fc.constantFrom(0, 5, 10, 2 ** 40),
    signed: fc.boolean(),
    trailers: fc.boolean(),
  });
  let accepted = 0;
  fc.assert(
    fc.property(source, ({ parts, cuts, decodedBytes, signed, trailers }) => {
      const decoder = new AwsChunkedDecoder({ decodedBytes, signing: signed ? SIGNING : undefined, trailers });
      const body = Buffer.from(parts.join(''), 'latin1');
      const out: Buffer[] = [];
      try {
        let at = 0;
        for (const cut of [...cuts.sort((a, b) => a - b), body.length]) {
          decoder.push(body.subarray(at, Math.max(at, cut)), out);
          at = Math.max(at, cut);
        }
        decoder.end();
        assert.equal(
          out.reduce((sum, { length }) => sum + length, 0),
          decodedBytes,
          'as long as announced',
        );
        accepted += 1;
      } catch (error) {
        if (error instanceof assert.AssertionError || !isS3Error(error)) throw error;
      }
    }),
    {
      numRuns: 5_000,
      examples: [
        [{ parts: ['5\r\nhello\r\n', '0\r\n\r\n'], cuts: [], decodedBytes: 5, signed: false, trailers: false }],
      ],
    },
  );
  assert.ok(accepted > 0, 'a sound body passes');
});

const piece = fc.constantFrom(
  ...[
    '<Delete>',
    '</Delete>',
    '<Object>',
    '</Object>',
    '<Key>',
    '</Key>',
    '<Key/>',
    '&amp;',
    '&lt;',
    '&#x0;',
    '&#55296;',
    '&bogus;',
    '<![CDATA[',
    ']]>',
  ],
  ...[
    '<!--',
    '-->',
    '<?xml version="1.0"?>',
    '<?pi?>',
    '<!DOCTYPE x>',
    ' xmlns="y"',
    'a="b"',
    "'",
    '"',
    '<',
    '>',
    '/',
    '\0',
    '\xff',
    'ü',
    'text',
  ],
);

test('XML in pieces', () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 5, arbitrary: piece }, fc.string({ maxLength: 5 })), { maxLength: 30 }),
      (parts) => {
        for (const text of [parts.join(''), `<Delete>${parts.join('')}</Delete>`]) {
          try {
            const root = parseXml(Buffer.from(text), 'Delete');
            assert.equal(root.name, 'Delete');
            accepted += 1;
          } catch (error) {
            if (error instanceof assert.AssertionError || !isS3Error(error)) throw error;
          }
        }
      },
    ),
    { numRuns: 5_000 },
  );
  assert.ok(accepted > 10, `${accepted} documents were accepted`);
});

test('XML that is deep, wide or long is refused or read in bounded time', { timeout: 20_000 }, () => {
  const deep = '<a>'.repeat(100_000) + '</a>'.repeat(100_000);
  const wide = `<Delete>${'<Object/>'.repeat(200_000)}</Delete>`;
  const attributes = `<Delete ${Array.from({ length: 20_000 }, (_, i) => `a${i}="x"`).join(' ')}/>`;
  const text = `<Delete>${'&amp;'.repeat(300_000)}</Delete>`;
  for (const document of [deep, wide, attributes, text, '<'.repeat(500_000), `<Delete>${']]>'.repeat(100_000)}`]) {
    try {
      parseXml(Buffer.from(document), 'Delete');
    } catch (error) {
      assert.ok(isS3Error(error), `${error}`);
    }
  }
});
