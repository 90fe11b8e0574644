import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import type { User } from '../../src/base/vocabulary.ts';
import { authenticate, type SignedRequest } from '../../src/s3api/auth/authenticate.ts';
import { UserDirectory } from '../../src/s3api/auth/user-directory.ts';
import { parseQuery } from '../../src/s3api/http/query.ts';
import { AwsChunkedDecoder } from '../../src/s3api/payload/aws-chunked.ts';
import { isS3Error, type S3Error } from '../../src/s3api/protocol/s3-error.ts';
import { ALICE } from '../support/callers.ts';
import { withFaults } from '../support/faults.ts';
import { until } from '../support/until.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

// The examples of AWS's documentation, with its credentials, host and date.
const AWS_EXAMPLE: User = {
  name: 'example',
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  uid: 1,
  gid: 1,
  groups: [],
};
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const SCOPE = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';

function authorization(signedHeaders: string, signature: string, credential = SCOPE): string {
  return `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${signedHeaders},Signature=${signature}`;
}

function request(method: string, path: string, query: string, headers: Record<string, string>): SignedRequest {
  return {
    method,
    rawPath: path,
    decodedPath: decodeURIComponent(path),
    query: parseQuery(query),
    headers: { host: 'examplebucket.s3.amazonaws.com', ...headers },
  };
}

// Read once, before the clock is turned back.
const { vfs } = await joinVfs(await testVolume({ users: [AWS_EXAMPLE] }));
const users = new UserDirectory(vfs, silentLogger);
await users.find(AWS_EXAMPLE.accessKey);

async function refusal(signed: SignedRequest): Promise<S3Error> {
  const error = await authenticate(signed, users).then(
    () => assert.fail('the request was let in'),
    (reason: unknown) => reason,
  );
  assert.ok(isS3Error(error), String(error));
  return error;
}

const DATE_HEADERS = { 'x-amz-date': '20130524T000000Z', 'x-amz-content-sha256': EMPTY };

describe('signatures of the examples in AWS documentation', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date'], now: Date.parse('2013-05-24T00:01:00Z') }));
  afterEach(() => mock.timers.reset());

  it('GET Object with a range', async () => {
    const signature = 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';
    const signed = 'host;range;x-amz-content-sha256;x-amz-date';
    const headers = { range: 'bytes=0-9', ...DATE_HEADERS, authorization: authorization(signed, signature) };
    const answer = await authenticate(request('GET', '/test.txt', '', headers), users);
    assert.equal(answer.user.name, 'example');
    assert.equal(answer.presigned, false);
  });

  it('PUT Object', async () => {
    const payload = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072';
    const signature = '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd';
    const signed = 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class';
    const headers = {
      ...DATE_HEADERS,
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'x-amz-content-sha256': payload,
      authorization: authorization(signed, signature),
    };
    const answer = await authenticate(request('PUT', '/test%24file.text', '', headers), users);
    assert.equal(answer.payloadHash, payload);
  });

  it('PUT Object whose path came unescaped', async () => {
    const payload = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072';
    const signature = '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd';
    const signed = 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class';
    const headers = {
      ...DATE_HEADERS,
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'x-amz-content-sha256': payload,
      authorization: authorization(signed, signature),
    };
    await authenticate(request('PUT', '/test$file.text', '', headers), users);
  });

  it('GET with an empty query value', async () => {
    const signature = 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543';
    const headers = {
      ...DATE_HEADERS,
      authorization: authorization('host;x-amz-content-sha256;x-amz-date', signature),
    };
    for (const query of ['lifecycle', 'lifecycle=']) {
      await authenticate(request('GET', '/', query, headers), users);
    }
  });

  it('GET with two query parameters in either order', async () => {
    const signature = '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7';
    const headers = {
      ...DATE_HEADERS,
      authorization: authorization('host;x-amz-content-sha256;x-amz-date', signature),
    };
    for (const query of ['max-keys=2&prefix=J', 'prefix=J&max-keys=2']) {
      await authenticate(request('GET', '/', query, headers), users);
    }
  });

  it('a presigned URL, until it expires', async () => {
    const query =
      'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
      '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
      '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
    const answer = await authenticate(request('GET', '/test.txt', query, {}), users);
    assert.equal(answer.presigned, true);
    assert.equal(answer.payloadHash, 'UNSIGNED-PAYLOAD');
    mock.timers.setTime(Date.parse('2013-05-25T00:00:01Z'));
    const error = await refusal(request('GET', '/test.txt', query, {}));
    assert.equal(error.code, 'AccessDenied');
    assert.equal(error.message, 'Request has expired');
    mock.timers.setTime(Date.parse('2013-05-24T00:01:00Z'));
    const foreign = await refusal(request('GET', '/test.txt', query, { 'x-amz-acl': 'public-read' }));
    assert.equal(foreign.fields.HeadersNotSigned, 'x-amz-acl');
  });

  it('the chunks of a signed streaming upload', async () => {
    const headers = {
      'x-amz-date': '20130524T000000Z',
      'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      'x-amz-decoded-content-length': '66560',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'content-encoding': 'aws-chunked',
      'content-length': '66824',
      host: 's3.amazonaws.com',
      authorization: authorization(
        'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
        '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
      ),
    };
    const answer = await authenticate(request('PUT', '/examplebucket/chunkObject.txt', '', headers), users);
    const decoder = new AwsChunkedDecoder({ decodedBytes: 66_560, signing: answer.signing, trailers: false });
    const body = [
      `10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n${'a'.repeat(65_536)}\r\n`,
      `400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n${'a'.repeat(1024)}\r\n`,
      '0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n',
    ].join('');
    assert.equal(body.length, 66_824);
    const out: Buffer[] = [];
    decoder.push(Buffer.from(body), out);
    decoder.end();
    assert.equal(Buffer.concat(out).toString(), 'a'.repeat(66_560));
  });
});

describe('refused signatures', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date'], now: Date.parse('2013-05-24T00:01:00Z') }));
  afterEach(() => mock.timers.reset());

  const signature = '0'.repeat(64);
  const signedHeaders = 'host;x-amz-content-sha256;x-amz-date';
  const get = (headers: Record<string, string>, query = ''): SignedRequest =>
    request('GET', '/test.txt', query, { ...DATE_HEADERS, ...headers });
  const withCredential = (credential: string): SignedRequest =>
    get({ authorization: authorization(signedHeaders, signature, credential) });

  it('a wrong signature answers what the server signed', async () => {
    const error = await refusal(get({ authorization: authorization(signedHeaders, signature) }));
    assert.equal(error.code, 'SignatureDoesNotMatch');
    assert.match(String(error.fields.CanonicalRequest), /^GET\n\/test\.txt\n\nhost:examplebucket/);
    assert.match(String(error.fields.StringToSign), /^AWS4-HMAC-SHA256\n20130524T000000Z\n20130524\/us-east-1\/s3/);
    assert.equal(error.fields.SignatureProvided, signature);
  });

  it('an unknown key', async () => {
    const error = await refusal(withCredential('NOBODY/20130524/us-east-1/s3/aws4_request'));
    assert.equal(error.code, 'InvalidAccessKeyId');
    assert.equal(error.fields.AWSAccessKeyId, 'NOBODY');
  });

  it('a malformed credential', async () => {
    const cases: [string, RegExp][] = [
      ['AKIAIOSFODNN7EXAMPLE', /Credential is mal-formed/],
      ['AKIAIOSFODNN7EXAMPLE/2013/us-east-1/s3/aws4_request', /incorrect date format "2013"/],
      ['AKIAIOSFODNN7EXAMPLE/20130523/us-east-1/s3/aws4_request', /Invalid credential date "20130523"/],
      ['AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/ec2/aws4_request', /incorrect service "ec2"/],
      ['AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws3_request', /incorrect terminal "aws3_request"/],
      ['AKIAIOSFODNN7EXAMPLE/20130524//s3/aws4_request', /non-empty region/],
    ];
    for (const [credential, message] of cases) {
      const error = await refusal(withCredential(credential));
      assert.equal(error.code, 'AuthorizationHeaderMalformed', credential);
      assert.match(error.message, message);
    }
    const parts = await refusal(get({ authorization: `AWS4-HMAC-SHA256 Credential=${SCOPE}` }));
    assert.match(parts.message, /requires three components/);
  });

  it('a clock that is off by more than fifteen minutes', async () => {
    mock.timers.setTime(Date.parse('2013-05-24T00:15:01Z'));
    assert.equal(
      (await refusal(get({ authorization: authorization(signedHeaders, signature) }))).code,
      'RequestTimeTooSkewed',
    );
    mock.timers.setTime(Date.parse('2013-05-23T23:44:59Z'));
    assert.equal(
      (await refusal(get({ authorization: authorization(signedHeaders, signature) }))).code,
      'RequestTimeTooSkewed',
    );
  });

  it('nobody, Signature Version 2, SigV4A, other schemes, two at once, session tokens, no date', async () => {
    const good = authorization(signedHeaders, signature);
    const cases: [SignedRequest, string][] = [
      [get({}), 'AccessDenied'],
      [get({ authorization: '' }), 'AccessDenied'],
      [get({ authorization: 'AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=' }), 'InvalidRequest'],
      [get({}, 'AWSAccessKeyId=A&Signature=B&Expires=1'), 'InvalidRequest'],
      [get({ authorization: 'AWS4-ECDSA-P256-SHA256 Credential=x' }), 'InvalidRequest'],
      [get({ authorization: 'Bearer x' }), 'InvalidArgument'],
      [get({ authorization: good }, 'X-Amz-Algorithm=AWS4-HMAC-SHA256'), 'InvalidArgument'],
      [get({ authorization: good, 'x-amz-security-token': 't' }), 'InvalidToken'],
      [get({ authorization: good, 'x-amz-date': 'yesterday' }), 'AccessDenied'],
      [get({ authorization: authorization('x-amz-content-sha256;x-amz-date', signature) }), 'AccessDenied'],
      [get({ authorization: good, 'x-amz-acl': 'private' }), 'AccessDenied'],
    ];
    for (const [signed, code] of cases)
      assert.equal((await refusal(signed)).code, code, JSON.stringify(signed.headers));
  });

  it('presigned parameters that are missing or wrong', async () => {
    const good: Record<string, string> = {
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': SCOPE,
      'X-Amz-Date': '20130524T000000Z',
      'X-Amz-Expires': '60',
      'X-Amz-SignedHeaders': 'host',
      'X-Amz-Signature': signature,
    };
    const code = async (change: Record<string, string>): Promise<string> =>
      (await refusal(request('GET', '/k', new URLSearchParams({ ...good, ...change }).toString(), {}))).code;
    assert.equal(await code({ 'X-Amz-Expires': '59' }), 'AccessDenied');
    for (const change of [
      { 'X-Amz-Expires': '604801' },
      { 'X-Amz-Expires': '0' },
      { 'X-Amz-Expires': '-1' },
      { 'X-Amz-Expires': 'soon' },
      { 'X-Amz-Date': '2013-05-24' },
      { 'X-Amz-Algorithm': 'AWS4-HMAC-SHA1' },
      { 'X-Amz-Credential': 'x' },
      { 'X-Amz-SignedHeaders': '' },
    ]) {
      assert.equal(await code(change), 'AuthorizationQueryParametersError', JSON.stringify(change));
    }
    assert.equal(await code({ 'X-Amz-Expires': '61' }), 'SignatureDoesNotMatch');
  });
});

describe('users', () => {
  it('are read again when the volume says so, and for unknown keys at most once a second', async () => {
    const volume = await testVolume({ users: [ALICE] });
    const served = withFaults((await joinVfs(volume)).vfs);
    let loads = 0;
    served.faults.replace('users', 'list', (real) => () => {
      loads += 1;
      return real();
    });
    const directory = new UserDirectory(served.vfs, silentLogger);
    assert.equal((await directory.find('AKALICE'))?.name, 'alice');
    assert.equal(await directory.find('AKCAROL'), undefined);
    assert.equal(await directory.find('AKCAROL'), undefined);
    assert.equal(loads, 1);
    const elsewhere = await volume.join();
    await elsewhere.users.put({ ...AWS_EXAMPLE, accessKey: 'AKCAROL' });
    await elsewhere.users.remove('alice');
    // Nothing but the push tells: a key that is known is not asked for again.
    await until(async () => (await directory.find('AKALICE')) === undefined, 'the push to be obeyed');
    assert.equal((await directory.find('AKCAROL'))?.name, 'example');
  });
});
