/**
 * File-system benchmark with a reference: each step runs on both directories in turn, round after round, and the report
 * gives the ratio of medians with the spread. One client process, as a shell or a build would be.
 *
 *     node dist/bench/fs-bench.js --dir MNT/somewhere --reference DIR [--files 1000] [--mib 128] [--rounds 5]
 *
 * Caches of the kernel are dropped before each cold step, which needs root.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compare, type Figures } from './figures.ts';

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    reference: { type: 'string' },
    files: { type: 'string', default: '1000' },
    mib: { type: 'string', default: '128' },
    rounds: { type: 'string', default: '5' },
  },
});
if (values.dir === undefined || values.reference === undefined) {
  process.stderr.write('usage: fs-bench --dir DIR --reference DIR [--files N] [--mib N] [--rounds N]\n');
  process.exit(2);
}
const fileCount = Number(values.files);
const mibCount = Number(values.mib);
const SMALL = Buffer.alloc(4096, 'x');
const MIB = Buffer.alloc(1 << 20, 'y');
const RANDOM_COUNT = 500;

interface Step {
  name: string;
  unit: string;
  /** The kernel's caches are dropped before it, or filled by an unmeasured run: the other system's step has dropped them, too. */
  caches: 'as they are' | 'dropped' | 'filled';
  count: number;
  run(root: string): void;
}

const name = (root: string, letter: string, i: number): string => join(root, 'd', `${letter}${i}`);
const each = (body: (i: number) => void): void => {
  for (let i = 0; i < fileCount; i++) body(i);
};
const withFile = (path: string, flags: string, body: (fd: number) => void): void => {
  const fd = openSync(path, flags);
  try {
    body(fd);
  } finally {
    closeSync(fd);
  }
};
const scratch = Buffer.alloc(1 << 20);

const STEPS: Step[] = [
  step('create + write 4 KiB + close', 'files/s', fileCount, (root) =>
    each((i) => withFile(name(root, 'f', i), 'wx', (fd) => writeSync(fd, SMALL))),
  ),
  step('create empty', 'files/s', fileCount, (root) => each((i) => closeSync(openSync(name(root, 'e', i), 'wx')))),
  cold('stat cold', 'files/s', fileCount, (root) => each((i) => statSync(name(root, 'f', i)))),
  warm('stat warm', 'files/s', fileCount, (root) => each((i) => statSync(name(root, 'f', i)))),
  cold('readdir + stat', 'entries/s', 2 * fileCount, (root) => {
    for (const entry of readdirSync(join(root, 'd'))) statSync(join(root, 'd', entry));
  }),
  cold('open + read 4 KiB cold', 'files/s', fileCount, (root) =>
    each((i) => withFile(name(root, 'f', i), 'r', (fd) => readSync(fd, scratch, 0, 4096, 0))),
  ),
  warm('open + read 4 KiB warm', 'files/s', fileCount, (root) =>
    each((i) => withFile(name(root, 'f', i), 'r', (fd) => readSync(fd, scratch, 0, 4096, 0))),
  ),
  step('rename', 'files/s', fileCount, (root) => each((i) => renameSync(name(root, 'f', i), name(root, 'g', i)))),
  step('mkdir', 'dirs/s', fileCount, (root) => each((i) => mkdirSync(name(root, 'm', i)))),
  step('rmdir', 'dirs/s', fileCount, (root) => each((i) => rmdirSync(name(root, 'm', i)))),
  step('unlink', 'files/s', 2 * fileCount, (root) =>
    each((i) => {
      unlinkSync(name(root, 'g', i));
      unlinkSync(name(root, 'e', i));
    }),
  ),
  step('sequential write', 'MiB/s', mibCount, (root) =>
    withFile(join(root, 'big'), 'w', (fd) => {
      for (let i = 0; i < mibCount; i++) writeSync(fd, MIB);
      fsyncSync(fd);
    }),
  ),
  cold('sequential read cold', 'MiB/s', mibCount, (root) =>
    withFile(join(root, 'big'), 'r', (fd) => {
      for (let i = 0; i < mibCount; i++) readSync(fd, scratch, 0, 1 << 20, i << 20);
    }),
  ),
  cold('random read 4 KiB', 'reads/s', RANDOM_COUNT, (root) =>
    withFile(join(root, 'big'), 'r', (fd) => {
      for (let i = 0; i < RANDOM_COUNT; i++) readSync(fd, scratch, 0, 4096, randomPage(i));
    }),
  ),
  step('random write 4 KiB', 'writes/s', RANDOM_COUNT, (root) =>
    withFile(join(root, 'big'), 'r+', (fd) => {
      for (let i = 0; i < RANDOM_COUNT; i++) writeSync(fd, SMALL, 0, 4096, randomPage(i));
      fsyncSync(fd);
    }),
  ),
  step('append 4 KiB + fsync', 'appends/s', 100, (root) =>
    withFile(join(root, 'log'), 'a', (fd) => {
      for (let i = 0; i < 100; i++) {
        writeSync(fd, SMALL);
        fsyncSync(fd);
      }
    }),
  ),
];

/** A fixed pseudo-random page of the big file, the same for both systems. */
function randomPage(i: number): number {
  return ((i * 2_654_435_761) % (mibCount * 256)) * 4096;
}

function step(stepName: string, unit: string, count: number, run: (root: string) => void): Step {
  return { name: stepName, unit, caches: 'as they are', count, run };
}

function cold(stepName: string, unit: string, count: number, run: (root: string) => void): Step {
  return { ...step(stepName, unit, count, run), caches: 'dropped' };
}

function warm(stepName: string, unit: string, count: number, run: (root: string) => void): Step {
  return { ...step(stepName, unit, count, run), caches: 'filled' };
}

const subjects = [values.dir, values.reference].map((dir) => ({ dir, figures: new Map<string, number[]>() }));
for (let round = 0; round < Number(values.rounds); round++) {
  const roots = subjects.map(({ dir }) => {
    const root = join(dir, `fs-bench-${process.pid}-${round}`);
    mkdirSync(join(root, 'd'), { recursive: true });
    return root;
  });
  for (const current of STEPS) {
    for (const [i, subject] of subjects.entries()) {
      if (current.caches === 'dropped') dropCaches();
      if (current.caches === 'filled') current.run(roots[i]!);
      const begun = process.hrtime.bigint();
      current.run(roots[i]!);
      const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
      const figures = subject.figures.get(current.name) ?? [];
      figures.push(current.count / seconds);
      subject.figures.set(current.name, figures);
    }
  }
  for (const root of roots) rmSync(root, { recursive: true });
}

function dropCaches(): void {
  if (process.getuid?.() !== 0) return;
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}

const rows: Figures[] = STEPS.map(({ name: stepName, unit }) => ({
  name: stepName,
  unit,
  subject: subjects[0]!.figures.get(stepName)!,
  reference: subjects[1]!.figures.get(stepName)!,
}));
process.stdout.write(compare(rows));
