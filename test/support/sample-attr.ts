import { type Attr, S_IFREG } from '../../src/base/vocabulary.ts';

/** Attributes of a regular file; what matters to the test is given. */
export function sampleAttr(changes: Partial<Attr> & { ino: number }): Attr {
  return {
    mode: S_IFREG | 0o644,
    uid: 0,
    gid: 0,
    nlink: 1,
    size: 0,
    rdev: 0,
    flags: 0,
    atimeSec: 1,
    atimeNsec: 0,
    mtimeSec: 1,
    mtimeNsec: 0,
    ctimeSec: 1,
    ctimeNsec: 0,
    btimeSec: 1,
    btimeNsec: 0,
    parent: 1,
    version: 1,
    mtimeSetUs: 0,
    sparseBytes: 0,
    ...changes,
  };
}
