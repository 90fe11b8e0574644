/**
 * The descriptors of the operations: they agree with Amazon's own description (the SDK's), and docs/S3.md shows them.
 * `UPDATE_DOCS=1 node scripts/test.mjs test/s3api/operations` writes the table again.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as sdk from '@aws-sdk/client-s3';
import type { Binding, Operation } from '../../src/s3api/operations/operation.ts';
import { OPERATIONS } from '../../src/s3api/operations/registry.ts';
import { UNBUILT } from '../../src/s3api/operations/unbuilt.ts';
import { ROOT } from '../tidy/source-files.ts';

const DOCUMENT = join(ROOT, 'docs', 'S3.md');
const BEGIN = '<!-- operations -->\n';
const END = '<!-- end -->\n';

/** Operations of other hosts than a bucket's. */
const ELSEWHERE = new Set(['ListDirectoryBuckets', 'WriteGetObjectResponse']);

interface SdkBinding {
  name: string;
  method: string;
  scope: 'root' | 'object';
  /** Of the query, what the SDK always sends. */
  query: string[];
}

/** The operations' schemas: [9, namespace, name, { http: [method, path, status] }, ...]. */
function sdkBindings(): SdkBinding[] {
  return Object.values(sdk as Record<string, unknown>).flatMap((value) => {
    if (!Array.isArray(value) || value[0] !== 9) return [];
    const [method, target] = (value[3] as { http: [string, string] }).http;
    const [path, query = ''] = target.split('?');
    const parameters = query.split('&').filter((one) => one !== '' && !one.startsWith('x-id='));
    return [{ name: value[2] as string, method, scope: path === '/' ? 'root' : 'object', query: parameters }];
  });
}

test('every operation of the SDK is implemented or known not to be, with its method and resource', () => {
  const known = new Map<string, Binding>([...OPERATIONS, ...UNBUILT].map((one) => [one.name, one]));
  const bindings = sdkBindings().filter(({ name }) => !ELSEWHERE.has(name));
  assert.ok(bindings.length > 100, 'the SDK describes its operations in another way now');
  for (const { name, method, scope, query } of bindings) {
    const ours = known.get(name);
    assert.ok(ours !== undefined, `${name} is in no list`);
    assert.equal(ours.method, method, name);
    assert.equal(ours.scope === 'object', scope === 'object', name);
    const [subresource] = query;
    if (subresource === undefined || subresource === 'list-type=2') continue;
    assert.equal(ours.subresource, subresource, name);
  }
  const theirs = new Set(bindings.map(({ name }) => name));
  const names = [...known.keys()];
  assert.deepEqual(
    names.filter((name) => !theirs.has(name)),
    [],
  );
  assert.equal(names.length, OPERATIONS.length + UNBUILT.length, 'a name stands in both lists');
});

test('a complete subresource has no operation that is not implemented, and all of its operations say so', () => {
  for (const one of OPERATIONS.filter(({ complete }) => complete === true)) {
    const same = ({ scope, subresource }: Binding): boolean => scope === one.scope && subresource === one.subresource;
    assert.ok(
      OPERATIONS.filter(same).every(({ complete }) => complete === true),
      one.name,
    );
    assert.deepEqual(UNBUILT.filter(same), [], one.name);
  }
});

test('what an operation needs of the bucket fits its scope', () => {
  for (const { name, scope, bucket, allowed, payload, method } of OPERATIONS) {
    if (scope === 'object') assert.equal(bucket, 'ino', name);
    if (scope === 'service') assert.equal(bucket, 'nothing', name);
    // Who owns it now is not known from memory.
    if (allowed !== undefined) assert.equal(bucket, 'attributes', name);
    if (method === 'GET' || method === 'HEAD' || method === 'DELETE') assert.equal(payload, 'none', name);
  }
});

test('docs/S3.md shows the operations as they are', () => {
  const text = readFileSync(DOCUMENT, 'utf8');
  const begin = text.indexOf(BEGIN) + BEGIN.length;
  const end = text.indexOf(END);
  assert.ok(begin >= BEGIN.length && end >= begin, 'the marks are gone');
  if (process.env.UPDATE_DOCS === '1') {
    writeFileSync(DOCUMENT, text.slice(0, begin) + tables() + text.slice(end));
    return;
  }
  assert.equal(text.slice(begin, end), tables());
});

function tables(): string {
  const built = OPERATIONS.map((one) => [one.name, requestLine(one), one.action, bodyText(one), bucketText(one)]);
  const unbuilt = UNBUILT.map((one) => [one.name, requestLine(one), one.action]);
  return `
## Implemented

${table(['operation', 'request', 'IAM action', 'body', 'bucket'], built)}
## Answered with 501 NotImplemented

${table(['operation', 'request', 'IAM action'], unbuilt)}
`;
}

function table(head: string[], rows: string[][]): string {
  const sorted = rows.sort(([a], [b]) => (a! < b! ? -1 : 1));
  const lines = [head, head.map(() => '---'), ...sorted].map((cells) => `| ${cells.join(' | ')} |\n`);
  return lines.join('');
}

const PATHS = { service: '/', bucket: '/bucket', object: '/bucket/key' };

function requestLine({ method, scope, subresource, variant }: Binding): string {
  const query = subresource === undefined ? [] : [subresource];
  if (variant !== undefined && 'query' in variant) {
    query.push(variant.value === undefined ? variant.query : `${variant.query}=${variant.value}`);
  }
  const target = PATHS[scope] + (query.length === 0 ? '' : `?${query.join('&')}`);
  return `\`${method} ${target}\`${variant !== undefined && 'header' in variant ? ` with \`${variant.header}\`` : ''}`;
}

function bodyText({ payload, checksumsOf }: Operation): string {
  const kind = { none: '', document: 'XML', stream: 'bytes' }[payload];
  return checksumsOf === 'object' ? `${kind}${kind === '' ? '' : ', '}checksums are the object's` : kind;
}

function bucketText({ bucket, allowed }: Operation): string {
  const known = { nothing: '', ino: 'exists', attributes: 'exists, looked up' }[bucket];
  return allowed === undefined ? known : `${known}, is the caller's`;
}
