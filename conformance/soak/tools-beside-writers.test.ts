/**
 * Every tool for whole volumes, one after the other and again, beside programs on the mount and clients of S3, with everything on
 * that may be on. No tool finds anything, each succeeds, and what was written reads back, from a copy in the store too.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { type RunningUp, runMain, shell, startUp } from '../cross-frontend/running-up.ts';

const MS = Number(process.env.JANUSFS_TEST_MS ?? 25_000);
const OPTIONS = { timeout: MS + 150_000 };
const Bucket = 'bkt';
/** A tree of small files: the compiled program itself. */
const TREE = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src', 's3api');
const RANDOM_FILE_BYTES = 20 << 20;
const PART_BYTES = 6 << 20;

const TOOLS: readonly (readonly [string[], RegExp])[] = [
  [['fsck'], /: clean\n/],
  [['fsck', '--repair'], /: clean\n/],
  [['gc', '--delete', '--age', '1h'], /^\d+ objects/],
  [['fsck', '--deep'], /: clean\n/],
  [['backup', '--now'], /\d{4}-\d\d-\d\dT/],
  [['scrub', '--now'], /\d/],
  [['dump', '--output', '/dev/null'], /^$/],
  [['trash', '--empty', '--older', '5s'], /^\d+ files freed\n/],
];

class Writers {
  readonly #up: RunningUp;
  #stop = false;
  rounds = 0;
  /** What the random writer's file must hold. */
  readonly model = Buffer.alloc(RANDOM_FILE_BYTES);
  modelBytes = 0;
  /** SHA-256 of what each object holds. */
  readonly objects = new Map<string, string>();

  constructor(up: RunningUp) {
    this.#up = up;
  }

  async run(): Promise<void> {
    await Promise.all([this.#trees(), this.#randomWrites(), this.#s3Objects()]);
  }

  stop(): void {
    this.#stop = true;
  }

  /** cp -a, mv, tar and rm -rf of trees; copies within the mount share their bytes. */
  async #trees(): Promise<void> {
    for (let i = 0; !this.#stop; i++) {
      const at = this.#up.at(Bucket, `tree-${i % 3}`);
      await shell(
        `rm -rf ${at}.old; if [ -d ${at} ]; then mv ${at} ${at}.old; fi; cp -a ${TREE} ${at} && ` +
          `cp -a ${at} ${at}.copy && diff -r ${TREE} ${at}.copy && tar cf ${at}.tar -C ${at}.copy . && rm -rf ${at}.copy`,
      );
      this.rounds += 1;
    }
  }

  /** Many small records in a chunk, holes, truncations: what compaction and the trash work on. */
  async #randomWrites(): Promise<void> {
    const file = await open(this.#up.at(Bucket, 'random'), 'w+');
    try {
      while (!this.#stop) {
        for (let i = 0; i < 100; i++) {
          const bytes = randomBytes([100, 4096, 70_000][i % 3]!);
          const at = randomBytes(4).readUInt32LE() % (RANDOM_FILE_BYTES - bytes.length);
          await file.write(bytes, 0, bytes.length, at);
          bytes.copy(this.model, at);
          this.modelBytes = Math.max(this.modelBytes, at + bytes.length);
        }
        await file.sync();
        if (this.rounds % 4 === 3) {
          this.modelBytes = randomBytes(4).readUInt32LE() % this.modelBytes;
          this.model.fill(0, this.modelBytes);
          await file.truncate(this.modelBytes);
        }
        this.rounds += 1;
      }
    } finally {
      await file.close();
    }
  }

  async #s3Objects(): Promise<void> {
    const { s3 } = this.#up;
    for (let i = 0; !this.#stop; i++) {
      const [Key, body] = [`object-${i % 4}`, randomBytes(i % 2 === 0 ? 300_000 : PART_BYTES + 1_000)];
      if (body.length < PART_BYTES) await s3.send(new PutObjectCommand({ Bucket, Key, Body: body }));
      else await putInParts(s3, Key, body);
      this.objects.set(Key, digest(body));
      assert.equal(digest(await getObject(s3, Key)), digest(body), Key);
      await s3.send(new CopyObjectCommand({ Bucket, Key: `${Key}-copy`, CopySource: `${Bucket}/${Key}` }));
      if (i % 3 === 0) await s3.send(new DeleteObjectCommand({ Bucket, Key: `${Key}-copy` }));
      this.rounds += 1;
    }
  }
}

async function putInParts(s3: S3Client, Key: string, body: Buffer): Promise<void> {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const Parts = await Promise.all(
    [body.subarray(0, PART_BYTES), body.subarray(PART_BYTES)].map(async (Body, i) => {
      const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: i + 1, Body }));
      return { PartNumber: i + 1, ETag };
    }),
  );
  await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
}

async function getObject(s3: S3Client, Key: string): Promise<Uint8Array> {
  return (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body!.transformToByteArray();
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function compare(up: RunningUp, writers: Writers): Promise<void> {
  const random = await readFile(up.at(Bucket, 'random'));
  assert.equal(random.length, writers.modelBytes);
  assert.ok(random.equals(writers.model.subarray(0, writers.modelBytes)), 'what was written at random');
  for (const [key, wanted] of writers.objects) assert.equal(digest(await getObject(up.s3, key)), wanted, key);
  for (const i of [0, 1]) await shell(`diff -r ${TREE} ${up.at(Bucket, `tree-${i}`)}`);
}

/** Runs a tool to its end. @throws AssertionError with its output when it fails. */
async function tool(up: RunningUp, args: readonly string[], env: Record<string, string>): Promise<string> {
  const [name = '', ...rest] = args;
  try {
    return (await runMain([name, '--data', up.data, ...rest], env)).stdout;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    throw new assert.AssertionError({ message: `${args.join(' ')}: ${message}\n${stdout}${stderr}` });
  }
}

for (const [kind, flags, env] of [
  ['as it is', [], {}],
  ['encrypted, compressed, behind a journal', ['--encrypt', '--compress', 'zstd'], { JANUSFS_PASSPHRASE: 'of a test' }],
] as [string, string[], Record<string, string>][]) {
  test(`C4, C7, B2, B5, T1: all tools beside writers of both doors, on a volume ${kind}`, OPTIONS, async (t) => {
    const journal = flags.length === 0 ? [] : ['--writeback', join(temporaryDirectory(t, 'wb'), 'journal')];
    const up = await startUp({ flags: [...flags, ...journal], env });
    let again: RunningUp | undefined;
    try {
      mkdirSync(up.at(Bucket));
      await tool(up, ['trash', '--keep', '1h'], env);
      await tool(up, ['backup', '--every', '1m', '--keep', '3'], env);
      await tool(up, ['scrub', '--every', '1d'], env);
      const writers = new Writers(up);
      const writing = writers.run();
      writing.catch(() => {}); // Awaited below.
      let count = 0;
      for (const end = Date.now() + MS; Date.now() < end; count++) {
        const [args, wanted] = TOOLS[count % TOOLS.length]!;
        assert.match(await tool(up, args, env), wanted, args.join(' '));
      }
      writers.stop();
      await writing;
      t.diagnostic(`${count} tools beside ${writers.rounds} rounds of writing`);
      assert.ok(count >= TOOLS.length && writers.rounds > 10, `${count} tools, ${writers.rounds} rounds`);
      await compare(up, writers);
      assert.match(await tool(up, ['fsck', '--deep'], env), /: clean\n/);
      await tool(up, ['backup', '--now'], env);
      assert.equal(await up.stop(), 0);
      assert.doesNotMatch(up.stderr, /"level":50|a background task failed/);

      const root = `${up.root}-again`;
      mkdirSync(join(root, 'data'), { recursive: true });
      await shell(`cp -a ${join(up.data, 'blocks')} ${join(root, 'data', 'blocks')}`);
      await runMain(['load', `file://${join(up.data, 'blocks')}`, '--data', join(root, 'data')], env);
      again = await startUp({ root, env });
      await compare(again, writers);
      assert.match(await tool(again, ['fsck', '--deep'], env), /: clean\n/);
    } finally {
      await again?.end();
      await up.end();
    }
  });
}
