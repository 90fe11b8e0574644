/** Sharing the slices of what was walked to, and of nothing newer. */
import { FsError, isFsError } from '../../base/errors.ts';
import type { Attr, Ino } from '../../base/vocabulary.ts';
import type { Meta } from '../../meta/meta.ts';

/**
 * Clones a range of a walked inode and proves that every byte belongs to the walked content version. Cloning takes
 * several scripts and the map may change before and between them, with the length staying the same: the version after
 * the last script is what tells. The target is to be thrown away on failure.
 * @param range bytes of the source; goes to the target's beginning
 * @throws FsError ESTALE when the source was changed or removed since it was walked: walk again.
 */
export async function cloneWalked(
  meta: Meta,
  source: Attr,
  range: { offset: number; length: number },
  target: Ino,
): Promise<void> {
  if (range.length === 0) return;
  try {
    const { copied } = await meta.data.cloneRange({
      source: source.ino,
      sourceOffset: range.offset,
      target,
      targetOffset: 0,
      length: range.length,
    });
    const now = await meta.names.getattr(source.ino);
    if (copied === range.length && now.version === source.version) return;
  } catch (error) {
    if (!isFsError(error, 'ENOENT')) throw error;
    throw new FsError('ESTALE', 'cloneRange', 'the source was removed while it was copied; try again', {
      cause: error,
    });
  }
  throw new FsError('ESTALE', 'cloneRange', 'the source was changed while it was copied; try again');
}
