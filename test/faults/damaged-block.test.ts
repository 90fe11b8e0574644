import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { openDoors } from '../../conformance/cross-door/doors.ts';

test('D6: a missing or shortened block is an error, never wrong bytes', { timeout: 170_000 }, async () => {
  let doors = await openDoors();
  try {
    await doors.s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
    const Body = Buffer.alloc(9 * 1024 * 1024, 'x');
    await doors.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'missing', Body }));
    const first = blocksOf(doors.data);
    await doors.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'short', Body }));
    const second = blocksOf(doors.data).filter((path) => !first.includes(path));
    await writeFile(doors.at('bkt', 'whole'), Body);
    await doors.stop(); // The next process has an empty block cache.

    await rm(first.find((path) => /_1_4194304$/.test(path))!);
    await truncate(second.find((path) => /_1_4194304$/.test(path))!, 1000);
    doors = await openDoors({ root: doors.root });
    for (const Key of ['missing', 'short']) {
      await assert.rejects(readFile(doors.at('bkt', Key)), { code: 'EIO' });
      await assert.rejects(async () => {
        const reply = await doors.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key }));
        await reply.Body!.transformToByteArray();
      });
    }
    assert.ok((await readFile(doors.at('bkt', 'whole'))).equals(Body));
  } finally {
    await doors.end();
  }
});

/** Paths of all block objects of an `up` data directory. */
function blocksOf(data: string): string[] {
  return readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^\d+_\d+_\d+$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}
