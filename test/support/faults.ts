/**
 * Faults in a real file system: one method of one facet is replaced while the rest works as ever.
 *
 *     const { vfs, faults } = withFaults(session.vfs);
 *     const restore = faults.replace('objects', 'walk', (real) => async (...args) => slow(await real(...args)));
 */
import type { Vfs } from '../../src/vfs/vfs.ts';

const FACETS = ['names', 'attributes', 'files', 'directories', 'objects', 'buckets', 'uploads', 'users'] as const;
type Facet = (typeof FACETS)[number];

export class Faults {
  readonly #real: Vfs;
  readonly #replaced = new Map<string, unknown>();

  constructor(real: Vfs) {
    this.#real = real;
  }

  /** From now on callers reach what `make` makes of the method as it is now. @returns what takes that back */
  replace<F extends Facet, M extends keyof Vfs[F] & string>(
    facet: F,
    method: M,
    make: (real: Vfs[F][M]) => Vfs[F][M],
  ): () => void {
    const name = `${facet}.${method}`;
    const before = this.#replaced.get(name);
    this.#replaced.set(name, make(this.method(facet, method) as Vfs[F][M]));
    return () => void this.#replaced.set(name, before);
  }

  /** What a caller reaches. */
  method(facet: Facet, name: string | symbol): unknown {
    const replaced = this.#replaced.get(`${facet}.${String(name)}`);
    if (replaced !== undefined) return replaced;
    const target: object = this.#real[facet];
    const value: unknown = Reflect.get(target, name, target);
    return typeof value === 'function' ? value.bind(target) : value;
  }
}

/** The same file system, with a way to replace its methods. */
export function withFaults(real: Vfs): { vfs: Vfs; faults: Faults } {
  const faults = new Faults(real);
  const facets = FACETS.map((facet) => [
    facet,
    new Proxy(real[facet], { get: (_target, name) => faults.method(facet, name) }),
  ]);
  return { vfs: { ...real, ...Object.fromEntries(facets) } as Vfs, faults };
}
