/**
 * Power cuts, one after the other, on one disk:
 *
 *     start -> compare with all that was done before -> writers on both doors -> cut -> start -> ...
 *
 * Moments come from a seed: a time, or the N-th passing of a failpoint; in the first rounds the cut comes while it starts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NoSuchBucket } from '@aws-sdk/client-s3';
import { runMain, shell } from '../cross-frontend/running-up.ts';
import type { LoopDisk } from './disk.ts';
import { judge, type Seen, seenOnMount, seenOnS3, type Writer } from './oracle.ts';
import { S3Writer } from './s3-writer.ts';
import type { System } from './systems.ts';
import { type Plan, randomOf } from './workload.ts';

const MOUNT_WRITER = join(dirname(fileURLToPath(import.meta.url)), 'mount-writer.js');
const MOUNT_WRITERS = 2;
const S3_WRITERS = 2;
const BUCKET = 'bkt';
/** Longest time that writers have, and in which a start is cut, ms. */
const TOOL_MS_MAX = 90_000;
const [WORK_MS_MAX, START_MS_MAX, POINT_MS_MAX] = [1_500, 800, 3_000];

const START_POINTS = [
  'write credentials',
  'rename credentials',
  'done credentials',
  'write volume',
  'rename volume',
  'write redis.conf',
  'rename redis.conf',
  'mend log',
  'send format',
  'done format',
  'rename block',
  'send session-open',
  'done session-open',
] as const;

const WORK_POINTS = [
  'put block',
  'rename block',
  'stored block',
  'journaled block',
  'upload journaled',
  'uploaded journaled',
  'send commit',
  'done commit',
  'send publish',
  'done publish',
  'sync log',
  'synced log',
  'send unlink',
  'done unlink',
  'done rename',
  'send mknod',
  'done link',
  'send put-part',
  'done put-part',
  'send remove',
  'send pack-begin',
  'done pack-begin',
  'send pack-swap',
  'done pack-swap',
  'send pack-end',
  'send compact-chunk',
  'done compact-chunk',
  'send reap-now',
  'done reap',
  'delete blocks',
  'deleted blocks',
  'write durable-length',
  'rename durable-length',
] as const;

export interface CutOptions {
  seed: number;
  cuts: number;
  /** How many of the first rounds are cut while the system starts. */
  earlyCuts: number;
  say?: (line: string) => void;
}

export interface CutFigures {
  cuts: number;
  /** Operations that had to be there, and were. */
  bound: number;
  /** Operations beyond that which were there. */
  beyond: number;
  /** Cuts at a failpoint that was come to. */
  atPoints: number;
  wrong: string[];
}

interface Past {
  name: string;
  door: 'mount' | 's3';
  writer: Writer;
  /** What was found after the cut: from then on it never changes. */
  settled?: Seen;
}

export async function cutRounds(disk: LoopDisk, system: System, options: CutOptions): Promise<CutFigures> {
  const random = randomOf(options.seed);
  const figures: CutFigures = { cuts: 0, bound: 0, beyond: 0, atPoints: 0, wrong: [] };
  const say = options.say ?? (() => {});
  const past: Past[] = [];
  for (let round = 0; round < options.cuts && figures.wrong.length === 0; round++) {
    if (round < options.earlyCuts && system.s3 === undefined && system.volume !== undefined) {
      say(`round ${round}: ${await cutStart(disk, system, random, figures)}`);
      continue;
    }
    await system.start();
    await compare(system, past, figures);
    if (figures.wrong.length > 0) break;
    const before = past.length;
    const moment = await cutWork(disk, system, { random, round, seed: options.seed }, past, figures);
    say(
      `round ${round}: ${moment}; ${past
        .slice(before)
        .map(({ writer }) => `${writer.bound}/${writer.begun}`)
        .join(' ')}`,
    );
  }
  await system.start();
  await compare(system, past, figures);
  await collectGarbage(system, figures);
  await system.kill();
  return figures;
}

/** The power fails while it starts. */
async function cutStart(disk: LoopDisk, system: System, random: () => number, figures: CutFigures): Promise<string> {
  let moment: string;
  const point = START_POINTS[Math.floor(random() * START_POINTS.length)]!;
  const atPoint = random() < 0.6;
  if (atPoint) system.arm(`stop ${point}`);
  const starting = system.start().catch(() => {});
  if (atPoint) {
    const reached = await until(() => system.isStopped(), POINT_MS_MAX);
    if (reached) figures.atPoints += 1;
    moment = `starting, ${point}${reached ? '' : ' (not come to)'}`;
  } else {
    const ms = Math.floor(random() * START_MS_MAX);
    await sleep(ms);
    moment = `starting, ${ms} ms`;
  }
  disk.cut([]);
  await system.kill();
  await starting;
  await system.kill();
  system.arm('');
  await disk.remount();
  figures.cuts += 1;
  return moment;
}

interface Moment {
  random: () => number;
  round: number;
  seed: number;
}

async function cutWork(
  disk: LoopDisk,
  system: System,
  { random, round, seed }: Moment,
  past: Past[],
  figures: CutFigures,
): Promise<string> {
  mkdirSync(system.directory, { recursive: true });
  for (const path of [system.directory, dirname(system.directory)]) syncPath(path);
  const lazyShare = system.volume === undefined ? 0 : 0.3;
  const mounted = Array.from({ length: MOUNT_WRITERS }, (_, i) => {
    const plan: Plan = { kind: 'mount', seed: seed * 1_000_000 + round * 100 + i, lazyShare };
    const name = `m${round}-${i}`;
    const log = join(disk.base, name);
    const child = spawn(
      process.execPath,
      [MOUNT_WRITER, join(system.directory, name), log, String(plan.seed), String(lazyShare)],
      { stdio: 'ignore' },
    );
    return { name, plan, log, child, exited: once(child, 'exit') };
  });
  const { s3 } = system;
  const sending = Array.from({ length: s3 === undefined ? 0 : S3_WRITERS }, (_, i) => {
    const plan: Plan = { kind: 's3', seed: seed * 1_000_000 + round * 100 + 50 + i, lazyShare: 0 };
    const name = `s${round}-${i}`;
    const writer = new S3Writer(s3!, BUCKET, `${name}/`);
    return { name, plan, writer, done: writer.run(plan.seed) };
  });
  const rewrites = random() < 0.3;
  const moment = await waitForMoment(system, random, rewrites, figures);
  // A call that is under way while the disk is stopped may still return 0; at a power cut nobody would hear of it. So only
  // what was acknowledged before counts, and the event loop stands still meanwhile.
  const lengths = disk.cut(mounted.map(({ log }) => log));
  const answered = sending.map(({ writer }) => writer.answered);
  for (const { child } of mounted) child.kill('SIGKILL');
  await system.kill();
  await Promise.all(sending.map(({ done }) => done));
  await Promise.all(mounted.map(({ child, exited }) => ended(child, exited)));
  await disk.remount();
  figures.cuts += 1;
  for (const [i, { name, plan, log }] of mounted.entries()) {
    const all = existsSync(log) ? readFileSync(log, 'latin1') : '';
    const known = all.slice(0, lengths[i]);
    const begun = [...all].filter((mark) => mark === 'b').length;
    // Everything before what was waited for is there, too.
    const bound = system.binds
      ? [...known.slice(0, known.lastIndexOf('A') + 1)].filter((mark) => mark === 'b').length
      : 0;
    const writer: Writer = { plan, begun, bound, tornByRight: system.volume === undefined };
    past.push({ name, door: 'mount', writer });
  }
  for (const [i, { name, plan, writer }] of sending.entries()) {
    past.push({ name, door: 's3', writer: { plan, begun: writer.begun, bound: system.binds ? answered[i]! : 0 } });
  }
  return `${moment}${rewrites ? ', log rewritten' : ''}`;
}

async function waitForMoment(
  system: System,
  random: () => number,
  rewrites: boolean,
  figures: CutFigures,
): Promise<string> {
  const ms = 50 + Math.floor(random() * WORK_MS_MAX);
  const point = WORK_POINTS[Math.floor(random() * WORK_POINTS.length)]!;
  const nth = 1 + Math.floor(random() * 30);
  const atPoint = random() < 0.6 && system.volume !== undefined;
  await sleep(ms / 2);
  if (rewrites) system.rewriteLog();
  if (!atPoint) {
    await sleep(rewrites ? random() * 200 : ms / 2);
    return `${ms} ms`;
  }
  system.arm(`${nth} stop ${point}`);
  const reached = await until(() => system.isStopped(), POINT_MS_MAX);
  system.arm('');
  if (reached) figures.atPoints += 1;
  return `${point} ${nth}${reached ? '' : ' (not come to)'}`;
}

/** Everything that was done before this start is there as it must be, and fsck finds nothing. */
async function compare(system: System, past: Past[], figures: CutFigures): Promise<void> {
  for (const one of past) {
    let seen: Seen;
    try {
      seen = await look(system, one);
    } catch (error) {
      figures.wrong.push(`${one.name}: ${error}`);
      continue;
    }
    if (one.settled === undefined) {
      const { operations, wrong } = judge(seen, one.writer);
      if (wrong !== undefined) figures.wrong.push(`${one.name}: ${wrong}`);
      figures.bound += one.writer.bound;
      figures.beyond += Math.max(0, operations - one.writer.bound);
      one.settled = seen;
    } else if (!isSame(seen, one.settled)) figures.wrong.push(`${one.name} has changed since its own cut`);
  }
  if (system.volume === undefined || past.length === 0) return;
  const found = await fsck(system.volume, []);
  if (found !== '') figures.wrong.push(`fsck: ${found}`);
}

async function look(system: System, { name, door }: Past): Promise<Seen> {
  if (door === 's3') {
    try {
      return await seenOnS3(system.s3!, BUCKET, `${name}/`);
    } catch (error) {
      // The making of the bucket, too, is lost where nothing binds.
      if (error instanceof NoSuchBucket && !system.binds) return new Map();
      throw error;
    }
  }
  const directory = join(system.directory, name);
  // Its first operation is making it.
  return existsSync(directory) ? seenOnMount(directory) : new Map();
}

/** No block belongs to nobody afterwards. */
async function collectGarbage(system: System, figures: CutFigures): Promise<void> {
  if (system.volume === undefined || system.store === undefined) return;
  // Nothing is on its way into a file any more; gc takes nothing that could be, by its age.
  await shell(`find ${system.store} -type f -exec touch -d '3 hours ago' {} +`);
  const swept = await tool(['gc', ...system.volume, '--delete', '--age', '2h']);
  if (swept.failed) figures.wrong.push(`gc: ${swept.stderr}`);
  const found = await fsck(system.volume, ['--deep', '--age', '2h']);
  if (found !== '') figures.wrong.push(`fsck after gc: ${found}`);
}

/** Sessions of killed processes are no damage: whoever serves ends them when their lease is over. */
async function fsck(volume: string[], flags: string[]): Promise<string> {
  const { stdout, stderr } = await tool(['fsck', ...volume, ...flags, '--json']);
  const lines = stdout.split('\n').slice(0, -1);
  if (lines.length === 0) return `fsck said nothing: ${stderr}`;
  return lines
    .slice(0, -1)
    .filter((line) => !line.includes('"stale-session"'))
    .join('\n');
}

/** Runs a command. A cut may have brought the lease of the last fsck back: then it runs again when that is over. */
async function tool(args: string[]): Promise<{ stdout: string; stderr: string; failed: boolean }> {
  for (const end = Date.now() + TOOL_MS_MAX; ; await sleep(5_000)) {
    try {
      return { ...(await runMain(args)), failed: false };
    } catch (error) {
      const { stdout = '', stderr = String(error) } = error as { stdout?: string; stderr?: string };
      if (!/killed less than a minute ago/.test(stderr) || Date.now() > end) return { stdout, stderr, failed: true };
    }
  }
}

function isSame(a: Seen, b: Seen): boolean {
  return a.size === b.size && [...a].every(([name, digest]) => b.get(name) === digest);
}

function syncPath(path: string): void {
  const descriptor = openSync(path, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/** A writer that hangs in the mount of a killed process goes with that mount. */
async function ended(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await exited;
}

async function until(condition: () => boolean, ms: number): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(10)) if (condition()) return true;
  return condition();
}
