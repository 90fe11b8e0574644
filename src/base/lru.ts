/** Least-recently-used cache bounded by the sum of its entries' weights (bytes or counts). */
export class LruCache<K, V> {
  readonly weightMax: number;
  #weight = 0;
  #entries = new Map<K, { value: V; weight: number }>();
  /**
   * Stands before the oldest entry. Kept from one eviction to the next: a new iterator would step over everything that
   * was deleted since the map last grew, which makes evicting from a large cache cost tens of microseconds.
   */
  #oldest: MapIterator<[K, { value: V; weight: number }]> | undefined;
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
    while (this.#weight > this.weightMax) this.#evictOldest();
  }

  delete(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
    return true;
  }

  clear(): void {
    this.#oldest = undefined;
    this.#entries.clear();
    this.#weight = 0;
  }

  keys(): IterableIterator<K> {
    return this.#entries.keys();
  }

  /** Every entry that the iterator has passed is gone or was moved to the end, so the next one is the oldest. */
  #evictOldest(): void {
    let next = this.#oldest?.next();
    if (next === undefined || next.done === true) {
      this.#oldest = this.#entries.entries();
      next = this.#oldest.next();
    }
    const [key, entry] = next.value!;
    this.delete(key);
    this.#onEvict?.(key, entry.value);
  }
}
