/**
 * Rows of numbers, sorted outside of memory: rows are gathered, sorted in runs of bounded size, written to files, and merged
 * when they are read. Equal rows come once, since a walk over a living Redis may meet a key twice.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Rows sorted in memory at once. */
const RUN_ROWS = 1 << 17;
/** Rows read ahead of each run while merging. */
const READ_ROWS = 1 << 11;
const NUMBER_BYTES = 8;

export type Row = readonly number[];

export class Spool {
  readonly #directory: string;
  readonly #name: string;
  readonly #width: number;
  readonly #runRows: number;
  #rows: number[][] = [];
  #runs: { path: string; rows: number }[] = [];

  /** @param directory where runs go; @param width numbers in a row, the first of which are the key it is sorted by. */
  constructor(directory: string, name: string, width: number, runRows = RUN_ROWS) {
    this.#directory = directory;
    this.#name = name;
    this.#width = width;
    this.#runRows = runRows;
  }

  add(...row: number[]): void {
    this.#rows.push(row);
    if (this.#rows.length >= this.#runRows) this.#spill();
  }

  /** All rows in order, each once. */
  *sorted(): Generator<Row> {
    this.#rows.sort(compareRows);
    const sources: RowSource[] = this.#runs.map((run) => new RunReader(run.path, run.rows, this.#width));
    sources.push(new MemoryReader(this.#rows));
    const open = sources.filter((source) => source.head !== undefined);
    let last: Row | undefined;
    while (open.length > 0) {
      let least = 0;
      for (let i = 1; i < open.length; i++) if (compareRows(open[i]!.head!, open[least]!.head!) < 0) least = i;
      const row = open[least]!.head!;
      open[least]!.advance();
      if (open[least]!.head === undefined) open.splice(least, 1);
      if (last !== undefined && compareRows(row, last) === 0) continue;
      last = row;
      yield row;
    }
  }

  /** Removes its files. */
  remove(): void {
    for (const { path } of this.#runs) rmSync(path, { force: true });
    this.#runs = [];
    this.#rows = [];
  }

  #spill(): void {
    this.#rows.sort(compareRows);
    const packed = new Float64Array(this.#rows.length * this.#width);
    this.#rows.forEach((row, i) => {
      packed.set(row, i * this.#width);
    });
    const path = join(this.#directory, `${this.#name}-${this.#runs.length}`);
    const fd = openSync(path, 'wx', 0o600);
    try {
      const bytes = Buffer.from(packed.buffer);
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    } finally {
      closeSync(fd);
    }
    this.#runs.push({ path, rows: this.#rows.length });
    this.#rows = [];
  }
}

interface RowSource {
  readonly head: Row | undefined;
  advance(): void;
}

class MemoryReader implements RowSource {
  readonly #rows: readonly Row[];
  #at = 0;

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  get head(): Row | undefined {
    return this.#rows[this.#at];
  }

  advance(): void {
    this.#at += 1;
  }
}

class RunReader implements RowSource {
  readonly #path: string;
  readonly #width: number;
  #left: number;
  #offset = 0;
  #block = new Float64Array(0);
  #at = 0;
  head: Row | undefined;

  constructor(path: string, rows: number, width: number) {
    this.#path = path;
    this.#left = rows;
    this.#width = width;
    this.advance();
  }

  advance(): void {
    if (this.#at >= this.#block.length) this.#fill();
    if (this.#block.length === 0) {
      this.head = undefined;
      return;
    }
    this.head = Array.from(this.#block.subarray(this.#at, this.#at + this.#width));
    this.#at += this.#width;
  }

  #fill(): void {
    const rows = Math.min(this.#left, READ_ROWS);
    this.#block = new Float64Array(rows * this.#width);
    this.#at = 0;
    if (rows === 0) return;
    const bytes = Buffer.from(this.#block.buffer);
    // Opened anew each time: there may be more runs than a process may have descriptors.
    const fd = openSync(this.#path, 'r');
    try {
      let done = 0;
      while (done < bytes.length) {
        const got = readSync(fd, bytes, done, bytes.length - done, this.#offset + done);
        if (got === 0) throw new Error(`${this.#path} ends early`);
        done += got;
      }
    } finally {
      closeSync(fd);
    }
    this.#offset += rows * this.#width * NUMBER_BYTES;
    this.#left -= rows;
  }
}

function compareRows(a: Row, b: Row): number {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The rows of several spools by the number they have in common, their first: for each such number a list of each spool's rows. */
export function* joinByKey<K extends string>(
  spools: Record<K, Spool>,
): Generator<{ key: number; rows: Record<K, Row[]> }> {
  const names = Object.keys(spools) as K[];
  const walks = names.map((name) => spools[name].sorted());
  const heads = walks.map((walk) => walk.next().value as Row | undefined);
  for (;;) {
    let key = Number.POSITIVE_INFINITY;
    for (const head of heads) if (head !== undefined && head[0]! < key) key = head[0]!;
    if (key === Number.POSITIVE_INFINITY) return;
    const rows = {} as Record<K, Row[]>;
    names.forEach((name, i) => {
      const same: Row[] = [];
      for (let head = heads[i]; head !== undefined && head[0] === key; head = heads[i]) {
        same.push(head);
        heads[i] = walks[i]!.next().value as Row | undefined;
      }
      rows[name] = same;
    });
    yield { key, rows };
  }
}
