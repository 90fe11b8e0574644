/** Least-recently-used cache bounded by the sum of its entries' weights (bytes or counts). */
export class LruCache<K, V> {
  readonly weightMax: number;
  #weight = 0;
  #entries = new Map<K, { value: V; weight: number }>();
  readonly #onEvict: ((key: K, value: V) => void) | undefined;

  constructor(weightMax: number, onEvict?: (key: K, value: V) => void) {
    this.weightMax = weightMax;
    this.#onEvict = onEvict;
  }

  get weight(): number {
    return this.#weight;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Answers the value and makes it the most recent. */
  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Answers the value without touching its age. */
  peek(key: K): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Stores a value and evicts the oldest until the bound holds. A value heavier than the bound is not kept. */
  set(key: K, value: V, weight = 1): void {
    this.delete(key);
    if (weight > this.weightMax) return;
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    while (this.#weight > this.weightMax) {
      const [oldest, entry] = this.#entries.entries().next().value!;
      this.delete(oldest);
      this.#onEvict?.(oldest, entry.value);
    }
  }

  delete(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
    return true;
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  keys(): IterableIterator<K> {
    return this.#entries.keys();
  }
}
