/** Header values are bytes: what is white space in them, how other alphabets travel, and which names are too long. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { objectHeaders } from '../../src/s3api/operations/object/headers.ts';
import { parseEtags } from '../../src/s3api/protocol/conditions.ts';
import { decodeWords, encodeWords } from '../../src/s3api/protocol/encoded-words.ts';
import { ALICE, MOUNT } from '../support/callers.ts';
import { type TestGateway, testGateway } from '../support/gateway.ts';
import type { RawReply } from '../support/raw-connection.ts';
import { sampleAttr } from '../support/sample-attr.ts';
import { type RawRequest, rawRequest } from '../support/signed-request.ts';
import { lookupPath, writeFile } from '../support/vfs-files.ts';

const options = { timeout: 60_000 };
const Bucket = 'bytes';
let gateway: TestGateway;
before(async () => {
  gateway = await testGateway();
  await gateway.alice.send(new CreateBucketCommand({ Bucket }));
}, options);

/** JavaScript text as the bytes of its UTF-8. */
const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

function raw(
  method: string,
  key: string,
  headers: Record<string, string>,
  more: Partial<RawRequest> = {},
): Promise<RawReply> {
  const body = method === 'PUT' ? { body: 'bytes' } : {};
  return rawRequest(gateway, { method, target: `/${Bucket}/${key}`, user: ALICE, headers, ...body, ...more });
}

async function xattr(key: string, name: string): Promise<string> {
  const { attr } = await lookupPath(gateway.vfs, `${Bucket}/${key}`);
  return (await gateway.vfs.attributes.getxattr(MOUNT, attr.ino, name)).toString('latin1');
}

test('S7: every byte above 0x7f at the edge of a header value is signed and kept', options, async () => {
  for (let byte = 0x80; byte <= 0xff; byte++) {
    const value = `${String.fromCharCode(byte)}x${String.fromCharCode(byte)}`;
    const reply = await raw('PUT', 'edge', { 'x-amz-meta-k': value, 'content-disposition': value });
    assert.equal(reply.status, 200, byte.toString(16));
    const head = await raw('HEAD', 'edge', {});
    assert.equal(head.headers.get('x-amz-meta-k'), value);
    assert.equal(head.headers.get('content-disposition'), value);
  }
});

test(
  'S7: words that end in 0xa0 or 0x85 pass in metadata, Content-Disposition, Content-Type and tags',
  options,
  async () => {
    for (const word of ['testà', 'Milanà', 'ą…', '\u00a0x\u00a0', '\u0085', '\ufeff', '\u3000']) {
      const value = utf8(word);
      const sent = { 'x-amz-meta-k': value, 'content-disposition': value, 'content-type': value };
      assert.equal((await raw('PUT', 'word', sent)).status, 200, word);
      assert.equal(await xattr('word', 'user.k'), value);
      const { headers } = await raw('HEAD', 'word', {});
      assert.equal(decodeWords(headers.get('x-amz-meta-k')!), value);
      assert.equal(headers.get('content-disposition'), value);
      assert.equal(headers.get('x-amz-missing-meta'), undefined);
    }
    assert.deepEqual(parseEtags(' "a\u00a0"\t,\t\u00a0b', false), ['a\u00a0', '\u00a0b']);
  },
);

test(
  'S7: white space inside a value may be signed as it is, with runs folded, or with tabs folded',
  options,
  async () => {
    const forms: ((value: string) => string)[] = [
      (value) => value,
      (value) => value.replace(/ +/g, ' '),
      (value) => value.replace(/[ \t]+/g, ' '),
    ];
    for (const value of ['a\tb', 'a  b', 'a \t b', 'a\t\tb  c']) {
      for (const signedForm of forms) {
        const reply = await raw('PUT', 'runs', { 'x-amz-meta-k': value }, { signedForm });
        assert.equal(reply.status, 200, JSON.stringify(value));
        assert.equal((await raw('HEAD', 'runs', {})).headers.get('x-amz-meta-k'), value);
      }
      const wrong = await raw('PUT', 'runs', { 'x-amz-meta-k': value }, { signedForm: (one) => one.replace('a', 'b') });
      assert.equal(wrong.status, 403);
    }
  },
);

test('V11: an attribute in UTF-8 set on the mount is an encoded word on S3', options, async () => {
  const ino = await writeFile(gateway.vfs, 'city', 'x', Bucket);
  for (const [value, shown] of [
    ['Zürich', '=?UTF-8?Q?Z=C3=BCrich?='],
    ['Milanà', '=?UTF-8?Q?Milan=C3=A0?='],
    ['plain text', 'plain text'],
    ['=?UTF-8?Q?x?=', '=?UTF-8?Q?=3D=3FUTF-8=3FQ=3Fx=3F=3D?='],
  ] as const) {
    await gateway.vfs.attributes.setxattr(MOUNT, ino, 'user.city', Buffer.from(value), 0);
    await gateway.vfs.attributes.setxattr(MOUNT, ino, 'user.mime_type', Buffer.from(value), 0);
    const { headers } = await raw('HEAD', 'city', {});
    assert.equal(headers.get('x-amz-meta-city'), shown);
    assert.equal(headers.get('content-type'), shown);
    assert.equal(headers.get('x-amz-missing-meta'), undefined);
    // What a client read it can write back.
    assert.equal((await raw('PUT', 'back', { 'x-amz-meta-city': shown })).status, 200);
    assert.equal(await xattr('back', 'user.city'), utf8(value));
  }
});

test('V11: encoded words are decoded on the way in, single latin1 bytes stay', options, async () => {
  for (const [sent, kept] of [
    ['=?UTF-8?Q?Z=C3=BCrich?=', 'Zürich'],
    ['=?utf-8?b?WsO8cmljaA==?=', 'Zürich'],
    ['=?UTF-8?B?WsM=?= =?UTF-8?B?vHJpY2g=?=', 'Zürich'],
    ['=?ISO-8859-1?Q?Z=FCrich?=', 'Zürich'],
    ['in =?UTF-8?Q?Z=C3=BCrich?= now', 'in Zürich now'],
    ['=?UTF-8?Q?=C3?=', '=?UTF-8?Q?=C3?='],
    ['=?UTF-8?Q?a=0Ab?=', '=?UTF-8?Q?a=0Ab?='],
    ['=?KOI8-R?Q?=C3?=', '=?KOI8-R?Q?=C3?='],
  ] as const) {
    assert.equal((await raw('PUT', 'in', { 'x-amz-meta-k': sent })).status, 200);
    assert.equal(await xattr('in', 'user.k'), utf8(kept), sent);
  }
  const latin1 = 'Hello World\xe9';
  assert.equal((await raw('PUT', 'in', { 'x-amz-meta-k': latin1 })).status, 200);
  assert.equal((await raw('HEAD', 'in', {})).headers.get('x-amz-meta-k'), latin1);
});

test('encoded words hold 75 characters at most, whole characters each, and come back', () => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 120 }), fc.string({ unit: 'grapheme', maxLength: 120 }));
  const whole = new TextDecoder('utf-8', { fatal: true });
  const printable = text.map((one) => one.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, '').trim());
  fc.assert(
    fc.property(printable, (value) => {
      const words = encodeWords(utf8(value));
      assert.match(words, /^[\t\x20-\x7e]*$/);
      assert.equal(decodeWords(words), utf8(value));
      if (words === utf8(value)) return;
      for (const word of words.split(' ')) {
        assert.ok(word.length <= 75, word);
        assert.doesNotThrow(() => whole.decode(Buffer.from(decodeWords(word), 'latin1')), word);
      }
    }),
  );
});

test('an extended attribute that no header can carry hides no other, whichever comes first', () => {
  const huge = ['user.huge', Buffer.alloc(60_000, 'h')] as const;
  const fine = ['user.fine', Buffer.from('ja')] as const;
  for (const order of [
    [huge, fine],
    [fine, huge],
  ]) {
    const attr = sampleAttr({ ino: 2 });
    const walked = { parent: 1, name: 'k', attr, s3: undefined, xattrs: new Map(order), map: undefined };
    const headers = objectHeaders(walked, 'etag', false);
    assert.deepEqual([headers['x-amz-meta-fine'], headers['x-amz-missing-meta']], ['ja', 1]);
  }
});

test('S8: names of metadata up to the limit of 2 KB are kept, copied and completed', options, async () => {
  const Metadata = Object.fromEntries([239, 240, 250, 251, 900].map((length) => ['n'.repeat(length), `v${length}`]));
  const shown = async (Key: string) => (await gateway.alice.send(new HeadObjectCommand({ Bucket, Key }))).Metadata;
  await gateway.alice.send(new PutObjectCommand({ Bucket, Key: 'long', Body: 'x', Metadata }));
  assert.deepEqual(await shown('long'), Metadata);
  await gateway.alice.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/long` }));
  assert.deepEqual(await shown('copy'), Metadata);
  const replaced = { ['m'.repeat(300)]: 'other' };
  const replace = { CopySource: `${Bucket}/long`, MetadataDirective: 'REPLACE' as const, Metadata: replaced };
  await gateway.alice.send(new CopyObjectCommand({ Bucket, Key: 'copy', ...replace }));
  assert.deepEqual(await shown('copy'), replaced);
  const upload = { Bucket, Key: 'parts' };
  const { UploadId } = await gateway.alice.send(new CreateMultipartUploadCommand({ ...upload, Metadata }));
  const part = { ...upload, UploadId, PartNumber: 1 };
  const { ETag } = await gateway.alice.send(new UploadPartCommand({ ...part, Body: 'x' }));
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  await gateway.alice.send(new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload }));
  assert.deepEqual(await shown('parts'), Metadata);
  const tooLong = await raw('PUT', 'long', { [`x-amz-meta-${'n'.repeat(2048)}`]: 'v' });
  assert.match(tooLong.body, /<Code>MetadataTooLarge</);
});
