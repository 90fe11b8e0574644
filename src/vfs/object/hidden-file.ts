import { type Ino, S_IFREG } from '../../base/vocabulary.ts';
import type { Meta } from '../../meta/meta.ts';
import type { Context } from '../vfs.ts';

/** What a part of a multipart upload or a copy is until a name leads to it. */
const HIDDEN_MODE = S_IFREG | 0o600;

/** Makes a file of the caller's that no name leads to. 1 round trip. @throws FsError ENOSPC, EIO. */
export async function makeHiddenFile(meta: Meta, ctx: Context): Promise<Ino> {
  return (await meta.names.mkHidden(HIDDEN_MODE, ctx.uid, ctx.gid)).ino;
}
