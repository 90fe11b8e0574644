import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { type RunningUp, shell, startUp } from '../../conformance/cross-frontend/running-up.ts';
import { askRedis } from '../../src/cli/embedded/redis-probe.ts';

/** [fsyncs to wait for before the cut, whether the log is being rewritten meanwhile]. */
const CUTS: [number, boolean][] = [
  [0, false],
  [1, false],
  [5, true],
  [20, false],
  [3, true],
  [40, false],
  [15, true],
  [2, false],
  [30, true],
  [10, false],
];

/** The file system stops at once, as if the machine had lost its power; its journal is not flushed (flag 2). @see ext4's ioctl.h */
const CUT = `
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for log in sys.argv[2:]: print(os.path.getsize(log) if os.path.exists(log) else 0, flush=True)
fcntl.ioctl(fd, 0x8004587d, struct.pack('I', 2))
`;

/** Names go to the log, which lies on another disk, after fsync(2) returned. */
const WRITER = `
import os, sys
bucket, log, prefix = sys.argv[1:4]
out = open(log, 'a', buffering=1)
i = 0
while True:
    name = '%s%d' % (prefix, i)
    fd = os.open(os.path.join(bucket, name), os.O_WRONLY | os.O_CREAT)
    size = 300000 if i % 20 == 19 else 1000
    os.write(fd, (name.encode() + b'.') * (size // (len(name) + 1) + 1))
    os.fsync(fd)
    out.write(name + '\\n')
    os.close(fd)
    i += 1
`;

test('D9: ten power cuts, from the first second on: each start works, nothing acknowledged is lost', {
  timeout: 300_000,
  skip: whyNot(),
}, async () => {
  const base = mkdtempSync(join(tmpdir(), 'janusfs-cut-'));
  const [image, root] = [join(base, 'image'), join(base, 'disk')];
  let up: RunningUp | undefined;
  try {
    await shell(
      `truncate -s 1G ${image} && mkfs.ext4 -q -F ${image} && mkdir ${root} && mount -o loop ${image} ${root}`,
    );
    const acknowledged = new Set<string>();
    for (const [round, [fsyncs, rewrites]] of CUTS.entries()) {
      up = await startUp({ root });
      const bucket = up.at('bkt');
      await shell(`mkdir -p ${bucket}`);
      await check(up, acknowledged);
      const log = join(base, `log${round}`);
      const writer = spawn('python3', ['-c', WRITER, bucket, log, `f${round}-`], { stdio: 'ignore' });
      const exited = once(writer, 'exit');
      const puts = putUntilCut(up, `p${round}-`, acknowledged);
      await until(() => fsyncs === 0 || (existsSync(log) && countOf(log) >= fsyncs));
      if (rewrites) await askRedis(join(up.data, 'redis', 'redis.sock'), 'BGREWRITEAOF', 10_000);
      // A call that is under way while the disk is shut down may still return 0; at a power cut nobody would hear of it. So
      // only what was acknowledged before counts.
      const putsBefore = new Set(acknowledged);
      const cut = spawnSync('python3', ['-c', CUT, root, log], { encoding: 'utf8' });
      assert.equal(cut.status, 0, cut.stderr);
      writer.kill('SIGKILL');
      await up.kill();
      await puts;
      await shell(`umount -l ${up.mount} 2> /dev/null; true`);
      await exited;
      acknowledged.clear();
      for (const name of putsBefore) acknowledged.add(name);
      const logged = existsSync(log) ? readFileSync(log, 'utf8').slice(0, Number(cut.stdout)) : '';
      for (const name of logged.split('\n').slice(0, -1)) acknowledged.add(name);
      await unmount(root);
      await shell(`mount -o loop ${image} ${root}`);
    }
    up = await startUp({ root });
    await check(up, acknowledged);
    assert.ok(acknowledged.size > 50, `only ${acknowledged.size} were acknowledged`);
  } finally {
    if (up !== undefined) {
      await up.kill().catch(() => {});
      await shell(`umount -l ${up.mount} 2> /dev/null; true`);
    }
    await unmount(root).catch(() => shell(`umount -l ${root} 2> /dev/null; true`));
    rmSync(base, { recursive: true, force: true });
  }
});

/** Everything acknowledged is there byte for byte, and everything listed can be read whole. */
async function check(up: RunningUp, acknowledged: ReadonlySet<string>): Promise<void> {
  const seen = new Set<string>();
  let token: string | undefined;
  do {
    const page = await up.s3.send(new ListObjectsV2Command({ Bucket: 'bkt', ContinuationToken: token }));
    for (const { Key, Size } of page.Contents ?? []) {
      const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key }));
      const bytes = Buffer.from(await reply.Body!.transformToByteArray());
      assert.equal(bytes.length, Size, Key);
      const pattern = Buffer.alloc(bytes.length, `${Key}.`);
      assert.ok(bytes.equals(pattern), `${Key} holds other bytes`);
      if (acknowledged.has(Key!)) assert.ok(bytes.length > 0, `${Key} was acknowledged and is empty`);
      seen.add(Key!);
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  assert.deepEqual(
    [...acknowledged].filter((name) => !seen.has(name)),
    [],
    'acknowledged and gone',
  );
}

async function putUntilCut(up: RunningUp, prefix: string, acknowledged: Set<string>): Promise<void> {
  for (let i = 0; ; i++) {
    const Key = `${prefix}${i}`;
    const Body = Buffer.alloc(i % 10 === 9 ? 200_000 : 2000, `${Key}.`);
    try {
      await up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key, Body }));
    } catch {
      return; // The cut: this PUT was not answered.
    }
    acknowledged.add(Key);
  }
}

function countOf(log: string): number {
  return readFileSync(log, 'utf8').split('\n').length - 1;
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 3000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(condition(), 'the writer made no progress');
}

/** Killed processes let go of their files a moment after they are gone. */
async function unmount(path: string): Promise<void> {
  await shell(`for i in $(seq 100); do umount ${path} && exit 0; sleep 0.1; done; exit 1`);
}

/** Why there can be no power cut here; false when there can. */
function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'mounting a loop device takes root';
  if (!existsSync('/dev/loop-control') || !existsSync('/dev/fuse')) return 'no loop devices or no FUSE here';
  const base = mkdtempSync(join(tmpdir(), 'janusfs-loop-'));
  try {
    writeFileSync(join(base, 'cut.py'), CUT);
    const script = `truncate -s 16M image && mkfs.ext4 -q -F image && mkdir d && mount -o loop image d && { python3 cut.py d; s=$?; umount d; exit $s; }`;
    const tried = spawnSync('bash', ['-c', script], { cwd: base, encoding: 'utf8', timeout: 60_000 });
    return tried.status === 0
      ? false
      : `no ext4 on a loop device that can be shut down: ${tried.stderr.trim().slice(-200)}`;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
