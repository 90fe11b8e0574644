/** What every object store must do, run against each driver. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ObjectMissingError, type ObjectStore } from '../../src/chunk/chunks.ts';
import { openStore } from '../../src/chunk/object/open-store.ts';
import { pattern } from './fake-volume.ts';
import { S3TestServer, TEST_BUCKET, TEST_KEY, TEST_REGION, TEST_SECRET } from './s3-test-server.ts';

interface Subject {
  name: string;
  open(): Promise<{ store: ObjectStore; dispose(): Promise<void> }>;
}

async function openInDirectory(scheme: string): Promise<{ store: ObjectStore; dispose(): Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'janusfs-store-'));
  const store = await openStore(`${scheme}://${directory}/objects`, { create: true });
  return {
    store,
    dispose: async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
}

async function openOnServer(style: string): Promise<{ store: ObjectStore; dispose(): Promise<void> }> {
  const server = new S3TestServer();
  await server.start();
  const url = `s3://${TEST_BUCKET}/some%20dir/vol?endpoint=${server.endpoint}&region=${TEST_REGION}&style=path&payload=${style}`;
  const credentials = async (): Promise<{ accessKeyId: string; secretAccessKey: string }> => ({
    accessKeyId: TEST_KEY,
    secretAccessKey: TEST_SECRET,
  });
  const store = await openStore(url, { create: false, credentials });
  return {
    store,
    dispose: async () => {
      await store.close();
      await server.stop();
    },
  };
}

const subjects: Subject[] = [
  {
    name: 'memory',
    open: async () => {
      const store = await openStore('memory:', { create: false });
      return { store, dispose: () => store.close() };
    },
  },
  { name: 'file', open: () => openInDirectory('file') },
  { name: 'faulty (without faults) over file', open: () => openInDirectory('faulty+file') },
  { name: 's3, unsigned payload', open: () => openOnServer('unsigned') },
  { name: 's3, signed payload', open: () => openOnServer('signed') },
];

for (const subject of subjects) {
  describe(`object store contract: ${subject.name}`, { timeout: 60_000 }, () => {
    const withStore = (name: string, body: (store: ObjectStore) => Promise<void>): void => {
      test(name, { timeout: 60_000 }, async () => {
        const { store, dispose } = await subject.open();
        try {
          await body(store);
        } finally {
          await dispose();
        }
      });
    };

    withStore('gives back what was put, made of any number of parts', async (store) => {
      const whole = pattern(3 * 1024 * 1024 + 17, 1);
      const cuts = [0, 1, 5000, 5001, 2 * 1024 * 1024, whole.length];
      const parts = cuts.slice(1).map((end, i) => whole.subarray(cuts[i]!, end));
      await store.put('chunks/0/0/1_0_3145745', parts);
      await store.put('empty', []);
      await store.put('empty-part', [Buffer.alloc(0)]);
      assert.ok((await store.get('chunks/0/0/1_0_3145745', undefined)).equals(whole));
      assert.equal((await store.get('empty', undefined)).length, 0);
      assert.equal((await store.get('empty-part', undefined)).length, 0);
    });

    withStore('replaces an object as a whole', async (store) => {
      await store.put('k', [pattern(1000, 1)]);
      await store.put('k', [pattern(10, 2)]);
      assert.ok((await store.get('k', undefined)).equals(pattern(10, 2)));
    });

    withStore('answers ranges, cut where the object ends', async (store) => {
      const data = pattern(10_000, 3);
      await store.put('a/b', [data]);
      const range = async (offset: number, length: number): Promise<Buffer> => store.get('a/b', { offset, length });
      assert.ok((await range(0, 10)).equals(data.subarray(0, 10)));
      assert.ok((await range(9_990, 10)).equals(data.subarray(9_990)));
      assert.ok((await range(9_990, 100)).equals(data.subarray(9_990)));
      assert.equal((await range(10_000, 5)).length, 0);
    });

    withStore('says what is missing', async (store) => {
      await assert.rejects(store.get('no/such', undefined), ObjectMissingError);
      await assert.rejects(store.get('no/such', { offset: 5, length: 5 }), ObjectMissingError);
      assert.equal(await store.head('no/such'), undefined);
      await store.put('no/such', [pattern(7, 1)]);
      assert.deepEqual(await store.head('no/such'), { sizeBytes: 7 });
    });

    withStore('deletes many, missing ones too', async (store) => {
      const keys = Array.from({ length: 30 }, (_, i) => `d/${i}`);
      await Promise.all(keys.map((key) => store.put(key, [pattern(5, 1)])));
      assert.deepEqual(await store.deleteMany([...keys.slice(1), 'd/none', "d/quote'&<>"]), []);
      assert.deepEqual(
        (await store.list('', '', 100)).map((object) => object.key),
        ['d/0'],
      );
      await store.put('d/1', [pattern(9, 1)]);
      assert.equal((await store.get('d/1', undefined)).length, 9);
    });

    withStore('lists in byte order by page under a prefix', async (store) => {
      const keys = ['a-b/x', 'a/b/c', 'a/bb', 'a0', 'b/1', 'b/10', 'b/2', 'c'];
      await Promise.all(keys.map((key, i) => store.put(key, [pattern(i + 1, 1)])));
      const sorted = [...keys].sort();
      assert.deepEqual(
        (await store.list('', '', 100)).map((object) => object.key),
        sorted,
      );
      const seen: string[] = [];
      for (let after = ''; ; after = seen[seen.length - 1]!) {
        const page = await store.list('', after, 3);
        seen.push(...page.map((object) => object.key));
        if (page.length < 3) break;
      }
      assert.deepEqual(seen, sorted);
      const page = await store.list('b/1', '', 100);
      assert.deepEqual(
        page.map(({ key, sizeBytes }) => ({ key, sizeBytes })),
        ['b/1', 'b/10'].map((key) => ({ key, sizeBytes: keys.indexOf(key) + 1 })),
      );
      assert.ok(Math.abs(page[0]!.modifiedMs - Date.now()) < 3_600_000, 'a time near now');
      assert.deepEqual(await store.list('nothing', '', 100), []);
    });

    withStore('takes many puts into the same new directory at once', async (store) => {
      const keys = Array.from({ length: 40 }, (_, i) => `new/deep/dir/${i}`);
      await Promise.all(keys.map((key, i) => store.put(key, [pattern(100, i)])));
      const found = await Promise.all(keys.map((key) => store.get(key, undefined)));
      found.forEach((data, i) => {
        assert.ok(data.equals(pattern(100, i)), keys[i]);
      });
    });

    withStore('stops at an aborted signal', async (store) => {
      const signal = AbortSignal.abort(new Error('enough'));
      await assert.rejects(store.put('k', [pattern(10, 1)], signal), /enough/);
      await assert.rejects(store.get('k', undefined, signal), /enough/);
      assert.equal(await store.head('k'), undefined);
    });
  });
}
