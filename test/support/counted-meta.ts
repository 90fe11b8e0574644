import type { Meta } from '../../src/meta/meta.ts';

/** Facets whose calls cost a round trip, and the calls that cost none or happen once a second beside the operations. */
const COUNTED = new Set(['names', 'data', 'objects', 'buckets', 'uploads', 'users', 'upkeep', 'session', 'durability']);
const FREE = new Set(['inlineFill', 'usage', 'memory']);

/** Metadata whose calls are counted in `trips`, by method, where they cost a round trip. */
export function countedMeta(meta: Meta, trips: Map<string, number>): Meta {
  const facets = Object.entries(meta).map(([name, facet]) => [
    name,
    COUNTED.has(name) ? countedFacet(facet, trips) : facet,
  ]);
  return Object.fromEntries(facets) as Meta;
}

function countedFacet(facet: object, trips: Map<string, number>): object {
  return new Proxy(facet, {
    get(target, property) {
      const value = Reflect.get(target, property, target);
      if (typeof value !== 'function' || typeof property !== 'string') return value;
      if (FREE.has(property)) return value.bind(target);
      return (...args: unknown[]) => {
        trips.set(property, (trips.get(property) ?? 0) + 1);
        return value.apply(target, args);
      };
    },
  });
}
