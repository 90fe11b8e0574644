import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, statfs, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { shell, startUp } from '../../conformance/cross-frontend/running-up.ts';

const MIB = 1024 * 1024;

test('R4: up on a full disk refuses what grows before Redis is hurt, deleting works, and room comes back at once', {
  timeout: 170_000,
}, async (t) => {
  if (process.getuid?.() !== 0) return t.skip('mounting a small tmpfs needs root');
  const root = await mkdtemp(join(tmpdir(), 'janusfs-fd-'));
  await shell(`mount -t tmpfs -o size=100m janusfs-test ${root}`);
  let up = await startUp({ root });
  try {
    await mkdir(up.at('bkt'));
    const file = Buffer.alloc(8 * MIB, 'f');
    let written = 0;
    let refused: NodeJS.ErrnoException | undefined;
    for (; written < 20 && refused === undefined; written++) {
      try {
        writeFileSync(up.at('bkt', `f${written}`), file);
      } catch (error) {
        refused = error as NodeJS.ErrnoException;
      }
    }
    assert.equal(refused?.code, 'ENOSPC');
    assert.ok(written > 8, `${written} files fitted`);
    const { bavail, bsize } = await statfs(root);
    assert.ok(bavail * bsize > 5 * MIB, 'a reserve is left for the log of Redis');
    await assert.rejects(
      up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'put', Body: file })),
      (error: { $metadata: { httpStatusCode: number } }) => error.$metadata.httpStatusCode === 507,
    );
    const seen = await statfs(up.at('bkt'));
    assert.ok(seen.bavail * seen.bsize < 8 * MIB, 'statfs of the mount tells the truth');
    assert.ok((await readFile(up.at('bkt', 'f0'))).equals(file));

    for (const name of ['f0', 'f1', 'f2']) await unlink(up.at('bkt', name));
    writeFileSync(up.at('bkt', 'again'), file);
    assert.ok((await readFile(up.at('bkt', 'again'))).equals(file));
    await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key: 'put', Body: file }));
    await up.stop();

    // Somebody else's file takes all that is left: it starts, can be read, and can be deleted in.
    mkdirSync(join(root, 'other'));
    await shell(`dd if=/dev/zero of=${join(root, 'other', 'filler')} bs=64k 2>/dev/null; true`);
    up = await startUp({ root });
    const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'put' }));
    assert.equal((await reply.Body!.transformToByteArray()).length, file.length);
    await assert.rejects(async () => writeFileSync(up.at('bkt', 'more'), file), { code: 'ENOSPC' });
  } finally {
    await up.stop().catch(() => {});
    await shell(`umount -l ${root}`);
    await rm(root, { recursive: true, force: true });
  }
});
