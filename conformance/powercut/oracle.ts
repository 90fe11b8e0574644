/** Compares what a power cut left with what a writer did. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { type Content, type Plan, type Tree, Workload } from './workload.ts';

/** Names and the digests of their bytes. */
export type Seen = ReadonlyMap<string, string>;

export interface Writer {
  plan: Plan;
  /** Operations that were begun; `begun` at most is there. */
  begun: number;
  /** Operations of which everything must be there. */
  bound: number;
  /** What a step under way may leave of the one file that it writes is not looked at (a control that tears by right). */
  tornByRight?: boolean;
}

/** How far the writer's state was kept: operations whose every step is there, and a further one in part. */
export interface Verdict {
  operations: number;
  wrong: string | undefined;
}

export function judge(seen: Seen, writer: Writer): Verdict {
  const workload = new Workload(writer.plan);
  let nearest: string | undefined;
  for (let i = 0; i < writer.bound; i++) workload.apply(workload.next());
  if (isSame(seen, workload.tree, undefined)) return { operations: writer.bound, wrong: undefined };
  nearest = difference(seen, workload.tree);
  for (let i = writer.bound; i < writer.begun; i++) {
    const operation = workload.next();
    let found = false;
    workload.apply(operation, () => {
      found ||= isSame(seen, workload.tree, writer.tornByRight ? workload.tree.get(operation.name) : undefined);
    });
    if (found) return { operations: i + 1, wrong: undefined };
    nearest = `${nearest}\nafter ${i} ${JSON.stringify(operation)}: ${difference(seen, workload.tree)}`;
  }
  return { operations: 0, wrong: `no state from ${writer.bound} to ${writer.begun}: ${nearest}` };
}

/** @param but the content whose bytes do not matter, under whatever names. */
function isSame(seen: Seen, tree: Tree, but: Content | undefined): boolean {
  if (seen.size !== tree.size) return false;
  for (const [name, content] of tree) {
    const found = seen.get(name);
    if (found === undefined || (content !== but && found !== digestOf(content.bytes))) return false;
  }
  return true;
}

function difference(seen: Seen, tree: Tree): string {
  const lines: string[] = [];
  for (const [name, { bytes }] of tree) {
    const found = seen.get(name);
    if (found === undefined) lines.push(`${name} is gone`);
    else if (found !== digestOf(bytes)) lines.push(`${name} is ${found} and not ${digestOf(bytes)}`);
  }
  for (const name of seen.keys()) if (!tree.has(name)) lines.push(`${name} is there`);
  return lines.slice(0, 5).join(', ');
}

/** Length and hash, so that a difference says something. */
export function digestOf(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

/** A directory, every byte of it read. */
export function seenOnMount(directory: string): Seen {
  const names = readdirSync(directory);
  return new Map(names.map((name) => [name, digestOf(readFileSync(join(directory, name)))]));
}

/** What lies below a prefix, every byte of it read. @throws Error when something is listed and cannot be read as listed. */
export async function seenOnS3(s3: S3Client, bucket: string, prefix: string): Promise<Seen> {
  const seen = new Map<string, string>();
  let token: string | undefined;
  do {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }));
    for (const { Key, Size } of page.Contents ?? []) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
      const bytes = await Body!.transformToByteArray();
      if (bytes.length !== Size) throw new Error(`${Key} is listed with ${Size} bytes and has ${bytes.length}`);
      seen.set(Key!.slice(prefix.length), digestOf(bytes));
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return seen;
}
