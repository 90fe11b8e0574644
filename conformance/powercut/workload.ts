/**
 * What a writer does, from a seed: the same numbers give the same operations, so that the oracle can do them again on a model.
 * Each operation is one or more steps of the model; a power cut leaves the state after one of them.
 */
import { createHash } from 'node:crypto';

/** One content; hard links share it. */
export interface Content {
  bytes: Buffer;
}

/** Names of one writer's directory, or keys below its prefix. */
export type Tree = Map<string, Content>;

export type MountOperation =
  | { kind: 'create' | 'overwrite' | 'append'; name: string; seed: string; length: number }
  | { kind: 'patch'; name: string; seed: string; length: number; offset: number }
  | { kind: 'truncate'; name: string; length: number }
  | { kind: 'unlink'; name: string }
  | { kind: 'rename' | 'link'; name: string; to: string };

export type S3Operation =
  | { kind: 'put'; name: string; seed: string; length: number }
  | { kind: 'multipart'; name: string; seed: string; lengths: number[] }
  | { kind: 'copy'; name: string; to: string }
  | { kind: 'delete'; name: string };

export type AnyOperation = (MountOperation | S3Operation) & {
  /** Nothing of it need be there until a later operation is waited for. */
  lazy: boolean;
};

const NAMES = 40;
const PART = 5 * 2 ** 20;

export function bytesOf(seed: string, length: number): Buffer {
  return Buffer.alloc(length, createHash('sha256').update(seed).digest());
}

/** Numbers of a seed: mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Plan {
  kind: 'mount' | 's3';
  seed: number;
  /** Share of operations that nobody waits for. */
  lazyShare: number;
}

/** The operations of one writer, with the state of its names before each. */
export class Workload {
  readonly tree: Tree = new Map();
  readonly #plan: Plan;
  readonly #random: () => number;
  #count = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#random = randomOf(plan.seed);
  }

  /** The next operation; apply() it before the one after. */
  next(): AnyOperation {
    const lazy = this.#random() < this.#plan.lazyShare;
    const seed = `${this.#plan.seed}-${this.#count++}`;
    return { ...(this.#plan.kind === 'mount' ? this.#onMount(seed) : this.#onS3(seed)), lazy } as AnyOperation;
  }

  /** Does it on the model. `after` is called with the state after each step. */
  apply(operation: AnyOperation, after: () => void = () => {}): void {
    for (const step of stepsOf(operation, this.tree)) {
      step();
      after();
    }
  }

  #onMount(seed: string): MountOperation {
    const dice = this.#random();
    const name = this.#present();
    if (name === undefined || dice < 0.3) return { kind: 'create', name: this.#absent(), seed, length: this.#length() };
    const { length } = this.tree.get(name)!.bytes;
    if (dice < 0.4) return { kind: 'overwrite', name, seed, length: this.#length() };
    if (dice < 0.55) return { kind: 'append', name, seed, length: this.#within(1, 5000) };
    if (dice < 0.65)
      return { kind: 'patch', name, seed, length: this.#within(1, 5000), offset: this.#within(0, length) };
    if (dice < 0.72) return { kind: 'truncate', name, length: this.#within(0, length + 1000) };
    if (dice < 0.82) return { kind: 'unlink', name };
    if (dice < 0.9) return { kind: 'link', name, to: this.#absent() };
    const other = this.#present()!;
    // A rename onto another link of the same file does nothing.
    const to = this.#random() < 0.5 || this.tree.get(other) === this.tree.get(name) ? this.#absent() : other;
    return { kind: 'rename', name, to };
  }

  #onS3(seed: string): S3Operation {
    const dice = this.#random();
    const name = this.#present();
    if (name === undefined || dice < 0.5) return { kind: 'put', name: this.#absent(), seed, length: this.#length() };
    if (dice < 0.65) return { kind: 'put', name, seed, length: this.#length() };
    if (dice < 0.7) return { kind: 'multipart', name, seed, lengths: [PART, this.#within(1, 100_000)] };
    if (dice < 0.85) return { kind: 'copy', name, to: this.#absent() };
    return { kind: 'delete', name };
  }

  #present(): string | undefined {
    const names = [...this.tree.keys()];
    return names[Math.floor(this.#random() * names.length)];
  }

  /** A name that is not there: old names come back, so that a file that should be gone can be told from a new one by its bytes. */
  #absent(): string {
    const at = Math.floor(this.#random() * NAMES);
    for (let i = 0; ; i++) {
      const name = `n${at + i}`;
      if (!this.tree.has(name)) return name;
    }
  }

  #length(): number {
    const dice = this.#random();
    if (dice < 0.7) return this.#within(1, 4000);
    return dice < 0.97 ? this.#within(4000, 300_000) : this.#within(4_000_000, 6_000_000);
  }

  /** A whole number from `least` on, below `most`. */
  #within(least: number, most: number): number {
    return least + Math.floor(this.#random() * Math.max(1, most - least));
  }
}

/** What a power cut may leave in between is the state after any step. */
function stepsOf(operation: AnyOperation, tree: Tree): (() => void)[] {
  const { name } = operation;
  const there = tree.get(name);
  switch (operation.kind) {
    case 'create': {
      const content: Content = { bytes: Buffer.alloc(0) };
      return [
        () => tree.set(name, content),
        () => {
          content.bytes = bytesOf(operation.seed, operation.length);
        },
      ];
    }
    case 'overwrite':
      return [
        () => {
          there!.bytes = Buffer.alloc(0);
        },
        () => {
          there!.bytes = bytesOf(operation.seed, operation.length);
        },
      ];
    case 'append':
      return [() => patch(there!, operation.seed, operation.length, there!.bytes.length)];
    case 'patch':
      return [() => patch(there!, operation.seed, operation.length, operation.offset)];
    case 'truncate':
      return [
        () => {
          const bytes = Buffer.alloc(operation.length);
          there!.bytes.copy(bytes);
          there!.bytes = bytes;
        },
      ];
    case 'unlink':
    case 'delete':
      return [() => tree.delete(name)];
    case 'rename':
      return [
        () => {
          tree.set(operation.to, there!);
          tree.delete(name);
        },
      ];
    case 'link':
      return [() => tree.set(operation.to, there!)];
    case 'put':
      return [() => tree.set(name, { bytes: bytesOf(operation.seed, operation.length) })];
    case 'multipart': {
      const parts = operation.lengths.map((length, i) => bytesOf(`${operation.seed}-${i}`, length));
      return [() => tree.set(name, { bytes: Buffer.concat(parts) })];
    }
    case 'copy':
      return [() => tree.set(operation.to, { bytes: there!.bytes })];
  }
}

function patch(content: Content, seed: string, length: number, offset: number): void {
  const bytes = Buffer.alloc(Math.max(content.bytes.length, offset + length));
  content.bytes.copy(bytes);
  bytesOf(seed, length).copy(bytes, offset);
  content.bytes = bytes;
}
