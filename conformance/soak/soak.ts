/**
 * Load from many sides at once, with a look at the server's memory and descriptors all the while:
 *
 *     open files on the mount, each written and read now and then, closed and opened again in turn
 *     S3 connections that put, get, list and delete, some of them slow readers
 */
import { readdirSync, readFileSync } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { ACCESS_KEY, type RunningUp, SECRET_KEY } from '../cross-frontend/running-up.ts';

export interface SoakPlan {
  ms: number;
  files: number;
  connections: number;
}

export interface Sample {
  atMs: number;
  rssMib: number;
  descriptors: number;
}

export interface SoakFigures {
  samples: Sample[];
  operations: number;
  /** What failed, first of each kind. */
  failures: string[];
}

const FILES_AT_ONCE = 32;
const BUCKET = 'soak';

export async function soak(up: RunningUp, plan: SoakPlan): Promise<SoakFigures> {
  const end = Date.now() + plan.ms;
  const figures: SoakFigures = { samples: [], operations: 0, failures: [] };
  await mkdir(up.at(BUCKET));
  await mkdir(up.at(BUCKET, 'open'));
  const files = await openMany(up, plan.files);
  const began = Date.now();
  const failed = (what: string, error: unknown): void => {
    if (figures.failures.length < 20) figures.failures.push(`${what}: ${error}`);
  };
  const look = async (): Promise<void> => {
    while (Date.now() < end) {
      figures.samples.push({ atMs: Date.now() - began, ...measure(up.child.pid!) });
      await sleep(Math.min(5_000, plan.ms / 20));
    }
  };
  const touch = async (lane: number): Promise<void> => {
    for (let i = lane; Date.now() < end; i = (i + FILES_AT_ONCE) % files.length) {
      try {
        await useFile(files, i, up);
        figures.operations += 1;
      } catch (error) {
        failed('file', error);
      }
    }
  };
  const clients = spreadClients(up, plan.connections);
  const send = async (index: number): Promise<void> => {
    while (Date.now() < end) {
      try {
        await useObject(clients[index % clients.length]!, index);
        figures.operations += 1;
      } catch (error) {
        failed('object', error);
      }
    }
  };
  await Promise.all([
    look(),
    ...Array.from({ length: FILES_AT_ONCE }, (_, lane) => touch(lane)),
    ...Array.from({ length: plan.connections }, (_, index) => send(index)),
  ]);
  for (const client of clients) client.destroy();
  for (const file of files) await file.close();
  return figures;
}

async function openMany(up: RunningUp, count: number): Promise<FileHandle[]> {
  const files: FileHandle[] = [];
  for (let i = 0; i < count; i += FILES_AT_ONCE) {
    const batch = Array.from({ length: Math.min(FILES_AT_ONCE, count - i) }, (_, k) => open(pathOf(up, i + k), 'w+'));
    files.push(...(await Promise.all(batch)));
  }
  return files;
}

function pathOf(up: RunningUp, i: number): string {
  return join(up.at(BUCKET, 'open'), `f${i}`);
}

async function useFile(files: FileHandle[], i: number, up: RunningUp): Promise<void> {
  const file = files[i]!;
  const text = Buffer.alloc(1_000 + (i % 50) * 400, `file ${i} `);
  await file.write(text, 0, text.length, 0);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(text.length), 0, text.length, 0);
  if (bytesRead !== text.length || !buffer.equals(text))
    throw new Error(`file ${i} reads other bytes than were written`);
  if (i % 7 !== 0) return;
  await file.close();
  files[i] = await open(pathOf(up, i), 'r+');
}

/** Connections are kept open, each client its own. */
function spreadClients(up: RunningUp, connections: number): S3Client[] {
  const each = 25;
  return Array.from(
    { length: Math.ceil(connections / each) },
    () =>
      new S3Client({
        endpoint: up.endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        maxAttempts: 1,
        credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
        requestHandler: { httpAgent: new Agent({ keepAlive: true, maxSockets: each }) },
      }),
  );
}

async function useObject(s3: S3Client, index: number): Promise<void> {
  const where = { Bucket: BUCKET, Key: `object-${index}` };
  const Body = Buffer.alloc(index % 10 === 0 ? 300_000 : 2_000, `object ${index} `);
  await s3.send(new PutObjectCommand({ ...where, Body }));
  const reply = await s3.send(new GetObjectCommand(where));
  if (index % 25 === 0) await sleep(500); // A reader that takes its time.
  const bytes = Buffer.from(await reply.Body!.transformToByteArray());
  if (!bytes.equals(Body)) throw new Error(`object ${index} has other bytes than were put`);
  if (index % 5 === 0) await s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'object-1', MaxKeys: 50 }));
  if (index % 3 === 0) await s3.send(new DeleteObjectCommand(where));
}

function measure(pid: number): { rssMib: number; descriptors: number } {
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024;
  return { rssMib: Math.round(rss), descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

/** By how much the last quarter of samples is above the second quarter, as a share: the first one is the start. */
export function growth(values: readonly number[]): number {
  const quarter = Math.floor(values.length / 4);
  const median = (of: readonly number[]): number => [...of].sort((a, b) => a - b)[Math.floor(of.length / 2)]!;
  return median(values.slice(-quarter)) / median(values.slice(quarter, 2 * quarter)) - 1;
}
