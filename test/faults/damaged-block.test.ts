import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { startUp } from '../../conformance/cross-frontend/running-up.ts';

test('D6: a missing, shortened, flipped or swapped block is an error with its name in the log, never wrong bytes', {
  timeout: 170_000,
}, async () => {
  let up = await startUp();
  try {
    await up.s3.send(new CreateBucketCommand({ Bucket: 'bkt' }));
    const Body = Buffer.alloc(9 * 1024 * 1024, 'x');
    await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'missing', Body }));
    const first = blocksOf(up.data);
    await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'short', Body }));
    const second = blocksOf(up.data).filter((path) => !first.includes(path));
    await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'flipped', Body }));
    const third = blocksOf(up.data).filter((path) => ![...first, ...second].includes(path));
    await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'swapped', Body }));
    const fourth = blocksOf(up.data).filter((path) => ![...first, ...second, ...third].includes(path));
    await writeFile(up.at('bkt', 'whole'), Body);
    await up.stop(); // The next process has an empty block cache.

    await rm(first.find((path) => /_1_4194304$/.test(path))!);
    await truncate(second.find((path) => /_1_4194304$/.test(path))!, 1000);
    const flipped = third.find((path) => /_1_4194304$/.test(path))!;
    const bytes = await readFile(flipped);
    bytes[123_456]! ^= 1;
    await writeFile(flipped, bytes);
    await copyFile(fourth.find((path) => /_0_4194304$/.test(path))!, fourth.find((path) => /_1_4194304$/.test(path))!);
    up = await startUp({ root: up.root });
    for (const Key of ['missing', 'short', 'flipped', 'swapped']) {
      await assert.rejects(readFile(up.at('bkt', Key)), { code: 'EIO' });
      await assert.rejects(async () => {
        const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key }));
        await reply.Body!.transformToByteArray();
      });
    }
    assert.ok((await readFile(up.at('bkt', 'whole'))).equals(Body));
    for (const blocks of [first, second, third, fourth]) {
      const name = basename(blocks.find((path) => /_1_4194304$/.test(path))!);
      assert.ok(up.stderr.includes(name), `the log names the block ${name}`);
    }
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
