import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { startUp } from '../../conformance/cross-frontend/running-up.ts';

test('D6: a missing or shortened block is an error, never wrong bytes', { timeout: 170_000 }, async () => {
  let up = await startUp();
  try {
    await up.s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
    const Body = Buffer.alloc(9 * 1024 * 1024, 'x');
    await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'missing', Body }));
    const first = blocksOf(up.data);
    await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'short', Body }));
    const second = blocksOf(up.data).filter((path) => !first.includes(path));
    await writeFile(up.at('bkt', 'whole'), Body);
    await up.stop(); // The next process has an empty block cache.

    await rm(first.find((path) => /_1_4194304$/.test(path))!);
    await truncate(second.find((path) => /_1_4194304$/.test(path))!, 1000);
    up = await startUp({ root: up.root });
    for (const Key of ['missing', 'short']) {
      await assert.rejects(readFile(up.at('bkt', Key)), { code: 'EIO' });
      await assert.rejects(async () => {
        const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key }));
        await reply.Body!.transformToByteArray();
      });
    }
    assert.ok((await readFile(up.at('bkt', 'whole'))).equals(Body));
  } finally {
    await up.end();
  }
});

/** Paths of all block objects of an `up` data directory. */
function blocksOf(data: string): string[] {
  return readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^\d+_\d+_\d+$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}
