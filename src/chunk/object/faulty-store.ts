import { sleep } from '../../base/sleep.ts';
import type { ByteRange, ObjectStore } from '../chunks.ts';
import { StoreError } from './store-error.ts';

export type StoreOperation = 'get' | 'put' | 'delete' | 'list' | 'head';

export interface FaultPlan {
  /** Added to every request, milliseconds. */
  delayMs: number;
  /** Share of requests that fail before they reach the store, 0..1; by operation it overrides `errorRate`. */
  errorRate: number;
  putErrorRate: number | undefined;
  getErrorRate: number | undefined;
  /** Share of puts that store only a first part of the object and then fail. */
  tornRate: number;
  /** Share of puts that are carried out although they answer an error. */
  lostReplyRate: number;
}

export const NO_FAULTS: FaultPlan = {
  delayMs: 0,
  errorRate: 0,
  putErrorRate: undefined,
  getErrorRate: undefined,
  tornRate: 0,
  lostReplyRate: 0,
};

/**
 * Another store with faults: delays, errors, torn and unacknowledged puts. For tests and for measuring what a slow
 * store costs. `plan` and `intercept` may be changed at any time; `counts` tells how many requests arrived.
 */
export class FaultyStore implements ObjectStore {
  readonly inner: ObjectStore;
  plan: FaultPlan;
  /** Called before each request: what it throws (or rejects with) is the request's answer. */
  intercept: ((operation: StoreOperation, key: string) => void | Promise<void>) | undefined;
  readonly counts: Record<StoreOperation, number> = { get: 0, put: 0, delete: 0, list: 0, head: 0 };
  readonly #random: () => number;

  constructor(inner: ObjectStore, plan: FaultPlan, random: () => number = Math.random) {
    this.inner = inner;
    this.plan = plan;
    this.#random = random;
  }

  get url(): string {
    return `faulty+${this.inner.url}`;
  }

  async get(key: string, range: ByteRange | undefined, signal?: AbortSignal, progress?: () => void): Promise<Buffer> {
    await this.#before('get', key, this.plan.getErrorRate, signal);
    return this.inner.get(key, range, signal, progress);
  }

  async put(key: string, data: readonly Buffer[], signal?: AbortSignal, progress?: () => void): Promise<void> {
    await this.#before('put', key, this.plan.putErrorRate, signal);
    if (this.#happens(this.plan.tornRate)) {
      const whole = Buffer.concat(data);
      await this.inner.put(key, [whole.subarray(0, Math.floor(whole.length * this.#random()))], signal);
      throw injected('put', key, 'torn write');
    }
    await this.inner.put(key, data, signal, progress);
    if (this.#happens(this.plan.lostReplyRate)) throw injected('put', key, 'lost reply');
  }

  async deleteMany(keys: readonly string[], signal?: AbortSignal): Promise<{ key: string; error: Error }[]> {
    await this.#before('delete', keys[0] ?? '', undefined, signal);
    return this.inner.deleteMany(keys, signal);
  }

  async list(
    prefix: string,
    after: string,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ key: string; sizeBytes: number; modifiedMs: number }[]> {
    await this.#before('list', prefix, undefined, signal);
    return this.inner.list(prefix, after, limit, signal);
  }

  async head(key: string, signal?: AbortSignal): Promise<{ sizeBytes: number } | undefined> {
    await this.#before('head', key, undefined, signal);
    return this.inner.head(key, signal);
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  async #before(
    operation: StoreOperation,
    key: string,
    errorRate: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    this.counts[operation]++;
    if (this.plan.delayMs > 0) await sleep(this.plan.delayMs, signal);
    if (this.intercept !== undefined) await this.intercept(operation, key);
    if (this.#happens(errorRate ?? this.plan.errorRate)) throw injected(operation, key, 'error');
  }

  #happens(rate: number): boolean {
    return rate > 0 && this.#random() < rate;
  }
}

function injected(operation: StoreOperation, key: string, kind: string): StoreError {
  return new StoreError(`injected ${kind}: ${operation} ${key}`, { retryable: true });
}
