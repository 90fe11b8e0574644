/**
 * The list of files that make up the log of a Redis since 7.0: `DIR/appendonlydir/appendonly.aof.manifest`.
 *
 *     file appendonly.aof.1.base.rdb seq 1 type b      the snapshot
 *     file appendonly.aof.1.incr.aof seq 1 type i      commands since then; two and more while it is rewritten
 *     file appendonly.aof.0.incr.aof seq 0 type h      history: Redis deletes it
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const LOG_NAME = 'appendonly.aof';
export const LOG_DIRECTORY = 'appendonlydir';
export const MANIFEST_NAME = `${LOG_NAME}.manifest`;

export interface LogFile {
  name: string;
  seq: number;
  type: 'b' | 'i' | 'h';
}

/** Undefined when there is none; 'torn' when what is there is no manifest. */
export function readManifest(directory: string): LogFile[] | 'torn' | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, MANIFEST_NAME), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (!text.endsWith('\n')) return 'torn';
  const files: LogFile[] = [];
  for (const line of text.slice(0, -1).split('\n')) {
    if (line.startsWith('#')) continue;
    const match = /^file (\S+) seq (\d+) type ([bih])(?: .*)?$/.exec(line);
    if (match === null) return 'torn';
    files.push({ name: match[1]!, seq: Number(match[2]), type: match[3] as LogFile['type'] });
  }
  const incremental = files.filter(({ type }) => type === 'i').map(({ seq }) => seq);
  const isOrdered = incremental.every((seq, i) => i === 0 || seq > incremental[i - 1]!);
  if (files.length === 0 || !isOrdered || files.filter(({ type }) => type === 'b').length > 1) return 'torn';
  return files;
}

/** Files of a log that are there, in the order of their numbers, whatever a manifest says. */
export function filesThere(directory: string): LogFile[] {
  const files: LogFile[] = [];
  for (const name of readdirSync(directory)) {
    const match = /^appendonly\.aof\.(\d+)\.(?:(base)\.(?:rdb|aof)|incr\.aof)$/.exec(name);
    if (match !== null) files.push({ name, seq: Number(match[1]), type: match[2] === 'base' ? 'b' : 'i' });
  }
  return files.sort((a, b) => a.seq - b.seq || (a.type < b.type ? -1 : 1));
}

/**
 * The one manifest that the files allow: one snapshot, and commands that begin with its number without a gap, or one
 * file of them. Several snapshots, or commands from before the only one, are what a rewrite leaves in more than one way.
 */
export function onlySequence(files: readonly LogFile[]): LogFile[] | undefined {
  const [base, ...others] = files.filter(({ type }) => type === 'b');
  const incremental = files.filter(({ type }) => type === 'i');
  if (base === undefined || others.length > 0) return undefined;
  const isChain = incremental.every(({ seq }, i) => seq === base.seq + i);
  const isAlone = incremental.length === 1 && incremental[0]!.seq >= base.seq;
  return isChain || isAlone ? [base, ...incremental] : undefined;
}

export function manifestText(files: readonly LogFile[]): string {
  return files.map(({ name, seq, type }) => `file ${name} seq ${seq} type ${type}\n`).join('');
}
