import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { KeyPath } from '../../src/meta/meta.ts';
import { decodeBytes, existingKeyPath, keyPath, parseTarget } from '../../src/s3api/http/key-path.ts';
import { canonicalQuery, parseQuery, uriEncode } from '../../src/s3api/http/query.ts';
import { Router } from '../../src/s3api/http/router.ts';
import type { Scope } from '../../src/s3api/operations/operation.ts';
import { OPERATIONS } from '../../src/s3api/operations/registry.ts';
import { FOREIGN_SUBRESOURCES, UNBUILT } from '../../src/s3api/operations/unbuilt.ts';
import { isS3Error } from '../../src/s3api/protocol/s3-error.ts';

const router = new Router({ operations: OPERATIONS, unbuilt: UNBUILT, foreign: FOREIGN_SUBRESOURCES });

function routed(method: string, scope: Scope, query = '', headers: Record<string, string> = {}): string {
  try {
    return router.route({ method, scope, query: parseQuery(query).first, headers }).name;
  } catch (error) {
    assert.ok(isS3Error(error), String(error));
    return error.code;
  }
}

describe('routing', () => {
  it('names the operation by method, scope and subresource', () => {
    const rows: [string, Scope, string, string][] = [
      ['GET', 'service', '', 'ListBuckets'],
      ['GET', 'service', 'x-id=ListBuckets', 'ListBuckets'],
      ['PUT', 'bucket', '', 'CreateBucket'],
      ['GET', 'bucket', 'prefix=a&delimiter=/', 'ListObjects'],
      ['GET', 'bucket', 'list-type=2', 'ListObjectsV2'],
      ['GET', 'bucket', 'versions', 'ListObjectVersions'],
      ['GET', 'bucket', 'uploads=', 'ListMultipartUploads'],
      ['POST', 'bucket', 'delete', 'DeleteObjects'],
      ['GET', 'object', 'versionId=null&x-id=GetObject', 'GetObject'],
      ['HEAD', 'object', 'partNumber=1', 'HeadObject'],
      ['PUT', 'object', 'partNumber=1&uploadId=u', 'UploadPart'],
      ['POST', 'object', 'uploads', 'CreateMultipartUpload'],
      ['POST', 'object', 'uploadId=u', 'CompleteMultipartUpload'],
      ['DELETE', 'object', 'uploadId=u', 'AbortMultipartUpload'],
      ['GET', 'object', 'attributes', 'GetObjectAttributes'],
    ];
    for (const [method, scope, query, name] of rows) assert.equal(routed(method, scope, query), name);
    const copy = { 'x-amz-copy-source': 'b/k' };
    assert.equal(routed('PUT', 'object', '', copy), 'CopyObject');
    assert.equal(routed('PUT', 'object', 'partNumber=1&uploadId=u', copy), 'UploadPartCopy');
  });

  it('never falls through: unknown subresources, methods and mixtures are refused', () => {
    const rows: [string, Scope, string, string][] = [
      ['PUT', 'bucket', 'versioning', 'NotImplemented'],
      ['PUT', 'bucket', 'lifecycle', 'NotImplemented'],
      ['GET', 'bucket', 'analytics&id=1', 'NotImplemented'],
      ['GET', 'object', 'torrent', 'NotImplemented'],
      ['PUT', 'object', 'retention', 'NotImplemented'],
      ['POST', 'object', 'select&select-type=2', 'NotImplemented'],
      ['PUT', 'object', 'renameObject', 'NotImplemented'],
      ['GET', 'object', 'uploads', 'InvalidRequest'],
      ['GET', 'object', 'versions', 'InvalidRequest'],
      ['PUT', 'object', 'policy', 'InvalidRequest'],
      ['DELETE', 'bucket', 'uploadId=u', 'InvalidRequest'],
      ['PUT', 'object', 'partNumber=1', 'InvalidArgument'],
      ['POST', 'object', '', 'MethodNotAllowed'],
      ['POST', 'bucket', '', 'MethodNotAllowed'],
      ['PATCH', 'object', '', 'MethodNotAllowed'],
      ['DELETE', 'service', '', 'MethodNotAllowed'],
      ['PUT', 'bucket', 'uploads', 'MethodNotAllowed'],
      ['HEAD', 'bucket', 'acl', 'MethodNotAllowed'],
      ['OPTIONS', 'object', '', 'NotImplemented'],
      ['PUT', 'object', '__proto__', 'PutObject'],
    ];
    for (const [method, scope, query, name] of rows)
      assert.equal(routed(method, scope, query), name, `${method} ${scope} ?${query}`);
    assert.equal(routed('GET', 'object', '', { 'x-amz-copy-source': 'b/k' }), 'InvalidRequest');
    assert.equal(routed('POST', 'bucket', '', { 'content-type': 'multipart/form-data; boundary=x' }), 'NotImplemented');
  });
});

/** The key that a path was made from. */
function pathKey({ components, directory }: KeyPath): string {
  return components.join('/') + (directory ? '/' : '');
}

const parsed = (url: string, host?: string, domain?: string): [string | undefined, string | undefined] => {
  const { bucket, key } = parseTarget(url, host, domain);
  return [bucket, key];
};

const refusedAs = (code: Parameters<typeof isS3Error>[1], work: () => unknown): void => {
  assert.throws(work, (error) => isS3Error(error, code));
};

describe('targets', () => {
  it('name bucket and key without normalising anything', () => {
    assert.deepEqual(parsed('/'), [undefined, undefined]);
    assert.deepEqual(parsed('/b'), ['b', undefined]);
    assert.deepEqual(parsed('/b/?acl'), ['b', undefined]);
    assert.deepEqual(parsed('/b/a//b/../c/./'), ['b', 'a//b/../c/./']);
    assert.deepEqual(parsed('/b//'), ['b', '/']);
    assert.deepEqual(parsed('/b/%2e%2e/a%2Fb'), ['b', '../a/b']);
    assert.deepEqual(parsed('/b/a+b%20c'), ['b', 'a+b c']);
    assert.deepEqual(parsed('/b/%C3%A9%F0%9F%98%80'), ['b', '\xc3\xa9\xf0\x9f\x98\x80']);
    assert.deepEqual(parsed('/b/a?b?c=/d'), ['b', 'a']);
    assert.deepEqual(parsed('http://host:1/b/k?x'), ['b', 'k']);
  });

  it('take the bucket from the host below the configured domain', () => {
    assert.deepEqual(parsed('/k/l', 'My-B.s3.local:9000', 's3.local'), ['my-b', 'k/l']);
    assert.deepEqual(parsed('/', 'b.c.s3.local', 's3.local'), ['b.c', undefined]);
    assert.deepEqual(parsed('/b/k', 's3.local:9000', 's3.local'), ['b', 'k']);
    assert.deepEqual(parsed('/b/k', '10.0.0.1', 's3.local'), ['b', 'k']);
  });

  it('are refused when no key can be meant', () => {
    for (const url of ['/b/%', '/b/%2', '/b/%zz', '/b/a%00b', '*', 'ftp://x/'])
      refusedAs('InvalidURI', () => parsed(url));
    refusedAs('InvalidBucketName', () => parsed('//k'));
    refusedAs('KeyTooLongError', () => parsed(`/b/${'a/'.repeat(513)}`));
    assert.equal(parsed(`/b/${'a/'.repeat(512)}`)[1]?.length, 1024);
  });

  it('keys and tree paths are the same thing', () => {
    const path = keyPath(7, 'a//b/');
    assert.deepEqual(path, { root: 7, components: ['a', '', 'b'], directory: true });
    assert.deepEqual(keyPath(7, '/'), { root: 7, components: [''], directory: true });
    const key = fc.stringMatching(/^[ab/.]{1,20}$/);
    fc.assert(fc.property(key, (one) => assert.equal(pathKey(keyPath(1, one)), one)));
    assert.equal(keyPath(1, 'x'.repeat(255)).components.length, 1);
    refusedAs('KeyTooLongError', () => keyPath(1, `a/${'x'.repeat(256)}`));
    refusedAs('NoSuchKey', () => existingKeyPath(1, 'x'.repeat(256)));
  });
});

describe('queries', () => {
  it('are decoded and signed as S3 does', () => {
    const { first, pairs } = parseQuery('b=2&a=x+y%2Bz&acl&empty=&b=1&%C3%A9=%2F');
    assert.deepEqual(
      [...first],
      [
        ['b', '2'],
        ['a', 'x y+z'],
        ['acl', ''],
        ['empty', ''],
        ['\xc3\xa9', '/'],
      ],
    );
    assert.equal(canonicalQuery(pairs), '%C3%A9=%2F&a=x%20y%2Bz&acl=&b=1&b=2&empty=');
    assert.equal(canonicalQuery(pairs, 'b'), '%C3%A9=%2F&a=x%20y%2Bz&acl=&empty=');
  });

  it('encoding and decoding are inverse for all bytes', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1');
    assert.equal(decodeBytes(uriEncode(all)), all);
    assert.equal(uriEncode("a/b c~-_.!'()*"), 'a%2Fb%20c~-_.%21%27%28%29%2A');
    assert.equal(uriEncode('a/b c', true), 'a/b%20c');
  });
});
