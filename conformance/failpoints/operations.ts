/**
 * Operations of both doors in steps. After a kill in the middle a bucket must look as it did after one of the steps, not earlier than
 * the last that was answered and binds.
 */
import { createHash } from 'node:crypto';
import {
  chmod,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rmdir,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  NoSuchBucket,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';

/** Where an operation works. */
export interface Place {
  s3: S3Client;
  bucket: string;
  /** Directory of the bucket on the mount. */
  dir: string;
  /** What earlier steps left for later ones. */
  handle?: FileHandle;
  uploadId?: string;
}

export interface Step {
  run(place: Place): Promise<unknown>;
  /** What it did is there once it is answered; else only when a later step is. Yes, unless said otherwise. */
  binds?: boolean;
}

export interface Operation {
  name: string;
  prepare?(place: Place): Promise<unknown>;
  steps: Step[];
}

const MIB = 2 ** 20;
const [SMALL, LARGE, PART] = [1000, 9 * MIB, 5 * MIB];

export function bytesOf(seed: string, length: number): Buffer {
  return Buffer.alloc(length, createHash('sha256').update(seed).digest());
}

const at = ({ dir }: Place, name: string): string => join(dir, name);

function openStep(name: string, flags: string): Step {
  return {
    async run(place) {
      place.handle = await open(at(place, name), flags);
    },
  };
}

function writeStep(seed: string, length: number, offset?: number): Step {
  return {
    binds: false,
    run: ({ handle }) => handle!.write(bytesOf(seed, length), 0, length, offset ?? null),
  };
}

const FSYNC: Step = { run: ({ handle }) => handle!.sync() };
const CLOSE: Step = {
  async run(place) {
    const { handle } = place;
    delete place.handle;
    await handle!.close();
  },
};

const onMount = (run: (place: Place) => Promise<unknown>): Step[] => [{ run }];
const file = (name: string, length: number) => (place: Place) => writeFile(at(place, name), bytesOf(name, length));

const MOUNT: Operation[] = [
  { name: 'create small', steps: [openStep('f', 'w'), writeStep('f', SMALL), CLOSE] },
  { name: 'create large', steps: [openStep('f', 'w'), writeStep('f', LARGE), FSYNC, CLOSE] },
  {
    name: 'write in place',
    prepare: file('f', LARGE),
    steps: [openStep('f', 'r+'), writeStep('new', PART, 3 * MIB), FSYNC, CLOSE],
  },
  { name: 'append', prepare: file('f', SMALL), steps: [openStep('f', 'a'), writeStep('more', 100), FSYNC, CLOSE] },
  {
    name: 'overwrite',
    prepare: file('f', LARGE),
    steps: [openStep('f', 'w'), writeStep('new', SMALL), FSYNC, CLOSE],
  },
  { name: 'truncate', prepare: file('f', LARGE), steps: onMount((place) => truncate(at(place, 'f'), 5 * MIB + 1)) },
  { name: 'mkdir', steps: onMount((place) => mkdir(at(place, 'd'))) },
  { name: 'rmdir', prepare: (place) => mkdir(at(place, 'd')), steps: onMount((place) => rmdir(at(place, 'd'))) },
  { name: 'chmod', prepare: file('f', SMALL), steps: onMount((place) => chmod(at(place, 'f'), 0o600)) },
  { name: 'link', prepare: file('f', SMALL), steps: onMount((place) => link(at(place, 'f'), at(place, 'g'))) },
  { name: 'symlink', steps: onMount((place) => symlink('target', at(place, 's'))) },
  { name: 'unlink', prepare: file('f', LARGE), steps: onMount((place) => unlink(at(place, 'f'))) },
  {
    name: 'rename over',
    async prepare(place) {
      await file('f', SMALL)(place);
      await file('g', LARGE)(place);
    },
    steps: onMount((place) => rename(at(place, 'f'), at(place, 'g'))),
  },
];

const put = (Key: string, length: number) => (place: Place) =>
  place.s3.send(new PutObjectCommand({ Bucket: place.bucket, Key, Body: bytesOf(Key, length) }));
const one = (run: (place: Place) => Promise<unknown>): Step[] => [{ run }];

const beginUpload: Step['run'] = async (place) => {
  const { UploadId } = await place.s3.send(new CreateMultipartUploadCommand({ Bucket: place.bucket, Key: 'm' }));
  place.uploadId = UploadId!;
};
const part = (PartNumber: number, length: number) => (place: Place) =>
  place.s3.send(
    new UploadPartCommand({
      Bucket: place.bucket,
      Key: 'm',
      UploadId: place.uploadId,
      PartNumber,
      Body: bytesOf(`part${PartNumber}`, length),
    }),
  );
/** The parts' tags are known: the content is. */
const tagOf = (seed: string, length: number): string =>
  `"${createHash('md5').update(bytesOf(seed, length)).digest('hex')}"`;

const S3: Operation[] = [
  { name: 'PutObject small', steps: one(put('k', SMALL)) },
  { name: 'PutObject large', steps: one(put('a/b/k', LARGE)) },
  { name: 'PutObject over', prepare: put('k', LARGE), steps: one((place) => put('k', LARGE + 1)(place)) },
  {
    name: 'CopyObject',
    prepare: put('k', LARGE),
    steps: one(({ s3, bucket }) =>
      s3.send(new CopyObjectCommand({ Bucket: bucket, Key: 'c', CopySource: `${bucket}/k` })),
    ),
  },
  {
    name: 'DeleteObject',
    prepare: put('a/k', LARGE),
    steps: one(({ s3, bucket }) => s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'a/k' }))),
  },
  {
    name: 'DeleteObjects',
    prepare: put('k', SMALL),
    steps: one(({ s3, bucket }) =>
      s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [{ Key: 'k' }, { Key: 'none' }] } })),
    ),
  },
  {
    name: 'PutObjectTagging',
    prepare: put('k', SMALL),
    steps: one(({ s3, bucket }) =>
      s3.send(
        new PutObjectTaggingCommand({ Bucket: bucket, Key: 'k', Tagging: { TagSet: [{ Key: 'a', Value: 'b' }] } }),
      ),
    ),
  },
  {
    name: 'multipart upload',
    steps: [
      { run: beginUpload },
      { run: part(1, PART) },
      { run: part(2, SMALL) },
      {
        run: ({ s3, bucket, uploadId }) =>
          s3.send(
            new CompleteMultipartUploadCommand({
              Bucket: bucket,
              Key: 'm',
              UploadId: uploadId,
              MultipartUpload: {
                Parts: [
                  { PartNumber: 1, ETag: tagOf('part1', PART) },
                  { PartNumber: 2, ETag: tagOf('part2', SMALL) },
                ],
              },
            }),
          ),
      },
    ],
  },
  {
    name: 'UploadPartCopy, abort',
    prepare: put('k', LARGE),
    steps: [
      { run: beginUpload },
      {
        run: ({ s3, bucket, uploadId }) =>
          s3.send(
            new UploadPartCopyCommand({
              Bucket: bucket,
              Key: 'm',
              UploadId: uploadId,
              PartNumber: 1,
              CopySource: `${bucket}/k`,
            }),
          ),
      },
      {
        run: ({ s3, bucket, uploadId }) =>
          s3.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: 'm', UploadId: uploadId })),
      },
    ],
  },
  {
    name: 'CreateBucket, DeleteBucket',
    prepare: ({ s3, bucket }) => s3.send(new DeleteBucketCommand({ Bucket: bucket })),
    steps: [
      { run: ({ s3, bucket }) => s3.send(new CreateBucketCommand({ Bucket: bucket })) },
      { run: ({ s3, bucket }) => s3.send(new DeleteBucketCommand({ Bucket: bucket })) },
    ],
  },
];

export const OPERATIONS: readonly Operation[] = [...MOUNT, ...S3];

/** All that both doors show of a bucket, but for times and numbers. */
export async function look({ s3, bucket, dir }: Place): Promise<string> {
  const lines: string[] = [];
  await lookBelow(dir, '', lines);
  try {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    for (const { Key, Size, ETag } of Contents) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
      const bytes = await Body!.transformToByteArray();
      if (bytes.length !== Size) lines.push(`${Key} has ${bytes.length} bytes and lists ${Size}`);
      const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket: bucket, Key }));
      // That of a file that was written through the mount is derived from its number and version.
      const tag = ETag!.endsWith('-1"') ? 'derived' : ETag;
      lines.push(`s3 ${Key} ${Size} ${tag} ${digest(bytes)} ${JSON.stringify(TagSet)}`);
    }
    const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    for (const { Key, UploadId } of Uploads) {
      const { Parts = [] } = await s3.send(new ListPartsCommand({ Bucket: bucket, Key, UploadId }));
      lines.push(`upload ${Key} ${Parts.map((one) => `${one.PartNumber}:${one.Size}:${one.ETag}`).join(' ')}`);
    }
  } catch (error) {
    if (!(error instanceof NoSuchBucket)) throw error;
    lines.push('no bucket');
  }
  return lines.join('\n');
}

async function lookBelow(dir: string, prefix: string, lines: string[]): Promise<void> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.sort()) {
    const path = join(dir, name);
    const found = await lstat(path);
    const mode = (found.mode & 0o7777).toString(8);
    if (found.isDirectory()) {
      lines.push(`dir ${prefix}${name} ${mode}`);
      await lookBelow(path, `${prefix}${name}/`, lines);
    } else if (found.isSymbolicLink()) lines.push(`link ${prefix}${name} ${await readlink(path)}`);
    else {
      const bytes = await readFile(path);
      lines.push(`file ${prefix}${name} ${mode} ${found.nlink} ${found.size} ${digest(bytes)}`);
    }
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
