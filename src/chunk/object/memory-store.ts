import type { ByteRange, ObjectStore } from '../chunks.ts';
import { ObjectMissingError } from '../chunks.ts';

/** An object store in this process's memory, for tests and dry runs: durable until the process ends. */
export class MemoryStore implements ObjectStore {
  readonly url = 'memory:';
  readonly objects = new Map<string, { data: Buffer; modifiedMs: number }>();

  async get(key: string, range: ByteRange | undefined, signal?: AbortSignal): Promise<Buffer> {
    signal?.throwIfAborted();
    const object = this.objects.get(key);
    if (object === undefined) throw new ObjectMissingError(key);
    return range === undefined ? object.data : object.data.subarray(range.offset, range.offset + range.length);
  }

  async put(key: string, data: readonly Buffer[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.objects.set(key, { data: Buffer.concat(data), modifiedMs: Date.now() });
  }

  async deleteMany(keys: readonly string[], signal?: AbortSignal): Promise<{ key: string; error: Error }[]> {
    signal?.throwIfAborted();
    for (const key of keys) this.objects.delete(key);
    return [];
  }

  async list(
    prefix: string,
    after: string,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ key: string; sizeBytes: number; modifiedMs: number }[]> {
    signal?.throwIfAborted();
    return [...this.objects]
      .filter(([key]) => key.startsWith(prefix) && key > after)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([key, object]) => ({ key, sizeBytes: object.data.length, modifiedMs: object.modifiedMs }));
  }

  async head(key: string, signal?: AbortSignal): Promise<{ sizeBytes: number } | undefined> {
    signal?.throwIfAborted();
    const object = this.objects.get(key);
    return object === undefined ? undefined : { sizeBytes: object.data.length };
  }

  async close(): Promise<void> {}
}
