/** ListMultipartUploads in pages of any size, with any delimiter: one sequence. And markers that no page gave. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { testGateway } from '../support/gateway.ts';
import { refusalCode } from '../support/refusal.ts';

const options = { timeout: 120_000 };
const key = fc.stringMatching(/^[ab/-]{0,4}[ab]$/);

const gateway = await testGateway();
let buckets = 0;

/** A bucket of the test's own. */
async function emptyBucket(): Promise<string> {
  buckets += 1;
  await gateway.addBucket(`bucket-${buckets}`);
  return `bucket-${buckets}`;
}

test('S11: pages of any size give every upload and prefix once, in order', options, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(key, { maxLength: 12 }),
      fc.constantFrom('', '/', '-', 'a', 'a/'),
      fc.constantFrom('', 'a', 'a/'),
      fc.integer({ min: 1, max: 4 }),
      async (keys, Delimiter, Prefix, MaxUploads) => {
        const Bucket = await emptyBucket();
        const uploads: string[][] = [];
        for (const Key of keys) {
          const { UploadId } = await gateway.alice.send(new CreateMultipartUploadCommand({ Bucket, Key }));
          uploads.push([Key, UploadId!]);
        }
        const expected = new Set<string>();
        for (const [name, id] of uploads.sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1))) {
          if (!name!.startsWith(Prefix)) continue;
          const at = Delimiter === '' ? -1 : name!.indexOf(Delimiter, Prefix.length);
          expected.add(at < 0 ? `${name} ${id}` : name!.slice(0, at + Delimiter.length));
        }
        const seen: string[] = [];
        let markers: object = {};
        for (let pages = 0; ; pages++) {
          assert.ok(pages <= keys.length, 'paging does not end');
          const page = await gateway.alice.send(
            new ListMultipartUploadsCommand({ Bucket, Delimiter, Prefix, MaxUploads, ...markers }),
          );
          const items = [
            ...(page.Uploads ?? []).map(({ Key, UploadId }) => `${Key} ${UploadId}`),
            ...(page.CommonPrefixes ?? []).map((one) => one.Prefix!),
          ];
          assert.ok(items.length <= MaxUploads);
          seen.push(...items);
          if (page.IsTruncated !== true) break;
          assert.notEqual(page.NextUploadIdMarker ?? '', '');
          markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
        }
        assert.equal(new Set(seen).size, seen.length);
        assert.deepEqual([...seen].sort(), [...expected].sort());
      },
    ),
    { numRuns: 40 },
  );
});

test('S11: an upload-id-marker counts beside a key-marker only, listed or not, and is checked', options, async () => {
  const Bucket = await emptyBucket();
  const start = (Key: string) => gateway.alice.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const ids: string[] = [];
  for (const Key of ['a', 'b', 'b', 'dir/x', 'dir/x']) ids.push((await start(Key)).UploadId!);
  const list = async (markers: object) => {
    const page = await gateway.alice.send(new ListMultipartUploadsCommand({ Bucket, ...markers }));
    const uploads = (page.Uploads ?? []).map(({ UploadId }) => ids.indexOf(UploadId!));
    return [...uploads, ...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix)];
  };
  assert.deepEqual(await list({ UploadIdMarker: ids[1] }), [0, 1, 2, 3, 4]);
  assert.deepEqual(await list({ UploadIdMarker: 'garbage' }), [0, 1, 2, 3, 4]);
  assert.deepEqual(await list({ KeyMarker: 'b', UploadIdMarker: ids[1] }), [2, 3, 4]);
  assert.deepEqual(await list({ KeyMarker: 'b' }), [3, 4]);
  assert.deepEqual(await list({ KeyMarker: 'aa', UploadIdMarker: ids[4] }), [1, 2, 3, 4]);
  const below = { Delimiter: '/', KeyMarker: 'dir/x' };
  assert.deepEqual(await list({ ...below, UploadIdMarker: ids[3] }), ['dir/']);
  assert.deepEqual(await list({ ...below, UploadIdMarker: ids[4] }), []);
  assert.deepEqual(await list({ Delimiter: '/', KeyMarker: 'dir/', UploadIdMarker: ids[3] }), []);
  for (const UploadIdMarker of ['garbage', 'constructor', '..', '1'])
    assert.equal(await refusalCode(list({ KeyMarker: 'a', UploadIdMarker })), 'InvalidArgument 400');
});
