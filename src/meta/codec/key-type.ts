/** What Redis holds under a key, by its name (docs/FORMAT.md, Keys). */
export type KeyType = 'string' | 'hash' | 'zset' | 'set';

const TYPES: readonly (readonly [KeyType, RegExp])[] = [
  ['string', /^(?:fmt|sync|[ilab]\d+|s\d+:\d+|done:.+|lease:.+)$/s],
  ['hash', /^(?:n|users|ref|pk|pend|scrub|trashed|[pxo]\d+|upp?:.+|ses:.+)$/s],
  ['zset', /^(?:inq|pkdead|pkup|gc|del|ses|trash|[dk]\d+|up\d+)$/],
  ['set', /^(?:shared|open:.+|os\d+)$/s],
];

/** @param key without the volume's prefix. @returns undefined for one that no volume of the formats that are known here has. */
export function keyType(key: string): KeyType | undefined {
  return TYPES.find(([, names]) => names.test(key))?.[0];
}
