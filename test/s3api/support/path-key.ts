import type { ByteString } from '../../../src/base/vocabulary.ts';
import type { KeyPath } from '../../../src/meta/meta.ts';

/** The key that a path was made from. */
export function pathKey(path: KeyPath): ByteString {
  const joined = path.components.join('/');
  return path.directory ? `${joined}/` : joined;
}
