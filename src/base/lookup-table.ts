/**
 * Tables that text from outside is looked up in: names of algorithms, entities, words of a header, query parameters. An
 * object literal would not do, since every object inherits `constructor`, `toString` and `__proto__`; nor would a bare
 * Map, which anybody may change and whose keys tell the type checker nothing.
 */

/** Rows by name, read-only. */
export interface LookupTable<Name extends string, Value> {
  /** The row of that name, undefined when there is none. */
  get(text: string): Value | undefined;
  /** Tells whether there is such a row, and narrows the text to its names. */
  has(text: string): text is Name;
  /** In the order in which they were written. */
  readonly names: readonly Name[];
}

/** A fixed set of words, read-only. */
export interface WordSet<Word extends string> {
  /** Tells whether the text is one of the words, and narrows it to them. */
  has(text: string): text is Word;
  /** The word itself when the text is one. */
  find(text: string): Word | undefined;
  readonly words: readonly Word[];
}

/** Makes a table of an object literal. */
export function lookupTable<Name extends string, Value>(rows: Readonly<Record<Name, Value>>): LookupTable<Name, Value> {
  const names = Object.keys(rows) as Name[];
  const kept = new Map<string, Value>(Object.entries(rows));
  return Object.freeze({
    names,
    get: (text: string) => kept.get(text),
    has: (text: string): text is Name => kept.has(text),
  });
}

/** Makes a set of words. */
export function wordSet<const Word extends string>(words: readonly Word[]): WordSet<Word> {
  const kept = new Set<string>(words);
  const has = (text: string): text is Word => kept.has(text);
  return Object.freeze({ words, has, find: (text: string) => (has(text) ? text : undefined) });
}
