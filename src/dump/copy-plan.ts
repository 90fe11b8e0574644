/** When copies of the metadata are taken, and the job that takes them. The plan is the volume's: fields of `n`. */
import type { Logger } from '../base/log.ts';
import type { ObjectStore } from '../chunk/chunks.ts';
import type { MendStep, Meta } from '../meta/meta.ts';
import type { Job } from '../upkeep/job-loop.ts';
import { pruneCopies, takeCopy } from './copies.ts';

export interface CopyPlan {
  /** 0: no copies. */
  everyMs: number;
  keep: number;
  /** When the newest complete copy began, server milliseconds; 0 when there is none. */
  copiedMs: number;
}

const LOOK_MS = 30_000;
const LEASE_MS = 120_000;

export async function readPlan(meta: Meta): Promise<CopyPlan> {
  const fields = new Map<string, number>();
  for await (const page of meta.scan.fields('n'))
    for (const [field, value] of page) fields.set(field, Number(value.toString()));
  return {
    everyMs: fields.get('copyEveryMs') ?? 0,
    keep: fields.get('copyKeep') ?? 0,
    copiedMs: fields.get('copiedMs') ?? 0,
  };
}

/**
 * Begins or changes the plan: from now on blocks that the newest copy names stay until the next one is there
 * (scripts/upkeep/dead-slices.lua). @param plan undefined ends it.
 */
export async function setPlan(meta: Meta, plan: Pick<CopyPlan, 'everyMs' | 'keep'> | undefined): Promise<void> {
  if (plan === undefined) {
    await meta.scan.apply(
      ['copyEveryMs', 'copyKeep', 'copiedMs'].map((field): MendStep => ['delete-field', 'n', field]),
    );
    return;
  }
  const nowMs = Math.floor(meta.clock.nowUs() / 1000);
  const { copiedMs } = await readPlan(meta);
  await meta.scan.apply([
    ['set-field', 'n', 'copyEveryMs', plan.everyMs],
    ['set-field', 'n', 'copyKeep', plan.keep],
    ...(copiedMs === 0 ? [['set-field', 'n', 'copiedMs', nowMs] as const] : []),
  ]);
}

/** Takes a copy now and removes those that are too many. @throws as takeCopy(). */
export async function copyNow(
  meta: Meta,
  store: ObjectStore,
  options: { version: string; keep: number; signal: AbortSignal },
): Promise<{ name: string; bytes: number }> {
  const copy = await takeCopy(meta, store, options);
  const { everyMs } = await readPlan(meta);
  if (everyMs > 0) await meta.scan.apply([['set-field', 'n', 'copiedMs', copy.beganMs]]);
  await pruneCopies(store, options.keep, Date.now());
  return { name: copy.name, bytes: copy.bytes };
}

/** Takes copies when they are due. One session of the volume does it: lease `copy`. */
export class CopyJob implements Job {
  readonly name = 'copy';
  readonly pauseMs = LOOK_MS;
  readonly #meta: Meta;
  readonly #store: ObjectStore;
  readonly #version: string;
  readonly #logger: Logger;
  #begunMs = 0;

  constructor(meta: Meta, store: ObjectStore, version: string, logger: Logger) {
    this.#meta = meta;
    this.#store = store;
    this.#version = version;
    this.#logger = logger;
  }

  async round(signal: AbortSignal): Promise<number> {
    const { everyMs, keep, copiedMs } = await readPlan(this.#meta);
    const nowMs = Math.floor(this.#meta.clock.nowUs() / 1000);
    const dueMs = Math.max(copiedMs, this.#begunMs) + everyMs;
    if (everyMs === 0 || nowMs < dueMs) return Math.min(LOOK_MS, Math.max(1_000, dueMs - nowMs));
    if (!(await this.#meta.upkeep.lease('copy', LEASE_MS))) return LOOK_MS;
    // A copy that fails is tried again at the next time, not at once.
    this.#begunMs = nowMs;
    const renew = setInterval(() => void this.#meta.upkeep.lease('copy', LEASE_MS).catch(() => {}), LEASE_MS / 4);
    try {
      const { name, bytes } = await copyNow(this.#meta, this.#store, { version: this.#version, keep, signal });
      this.#logger.info({ copy: name, bytes }, 'copied the metadata into the store');
    } finally {
      clearInterval(renew);
    }
    return LOOK_MS;
  }
}
