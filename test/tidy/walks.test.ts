/** The two walks of docs/ARCHITECTURE.md: each names real files, in a number that a newcomer can follow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { RedisConnection } from '../../src/meta/redis/connection.ts';
import { testGateway } from '../support/gateway.ts';
import { filesBelow } from './source-files.ts';

const architecture = filesBelow(['docs'], /ARCHITECTURE\.md$/)[0]!.text;
const sources = new Set(filesBelow(['src'], /./).map(({ path }) => path));

/** Files of the numbered lines of a section. */
function walk(number: number): string[] {
  const section = architecture.split(/^## /m).find((text) => text.startsWith(`Walk ${number}:`)) ?? '';
  return [...section.matchAll(/^ {4,}(\d+) {2}(src\/\S+)/gm)].map(([, count, path], index) => {
    assert.equal(Number(count), index + 1, path);
    return path!;
  });
}

for (const { number, what, most } of [
  { number: 1, what: 'an echo', most: 10 },
  { number: 2, what: 'a PutObject', most: 16 },
]) {
  test(`${what} passes at most ${most} files, and they exist`, () => {
    const files = walk(number);
    assert.ok(files.length > 5 && files.length <= most, `${files.length} files`);
    assert.deepEqual(
      files.filter((path) => !sources.has(path)),
      [],
    );
    assert.ok(files.at(-1)!.endsWith('.lua'), 'down to the script');
  });
}

test('the walk of a PutObject is the one it takes', { timeout: 60_000 }, async (t) => {
  const gateway = await testGateway();
  await gateway.addBucket('bkt');
  const put = (Key: string) => gateway.alice.send(new PutObjectCommand({ Bucket: 'bkt', Key, Body: 'x' }));
  // The first request makes the bucket known, and a trip of its own for it.
  await put('a/first.txt');
  const passed = new Set<string>();
  const real = RedisConnection.prototype.call;
  t.mock.method(
    RedisConnection.prototype,
    'call',
    function call(this: RedisConnection, ...args: Parameters<typeof real>) {
      if (args[0].startsWith('EVAL')) for (const file of stackFiles()) passed.add(file);
      return real.apply(this, args);
    },
  );
  await put('a/b.txt');
  const walked = walk(2);
  assert.ok(passed.size > 5, [...passed].join(' '));
  assert.deepEqual(
    [...passed].filter((file) => !walked.includes(file)),
    [],
  );
});

/** Sources in the present call stack, across awaits. */
function stackFiles(): string[] {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  const { stack = '' } = new Error('where');
  Error.stackTraceLimit = stackTraceLimit;
  // Compiled paths, or with source maps the sources'.
  const frames = stack.matchAll(/\/(src\/(?:meta|vfs|s3api)\/\S+?)\.[jt]s:\d+/g);
  return [...frames].map(([, path]) => `${path}.ts`);
}
