import { FsError } from '../../base/errors.ts';

const KEEP_SIZE = 0x01;
const PUNCH_HOLE = 0x02;
const ZERO_RANGE = 0x10;

export type FallocateMode = 'extend' | 'keep-size' | 'punch' | 'zero' | 'zero-keep-size';

const MODES: ReadonlyMap<number, FallocateMode> = new Map<number, FallocateMode>([
  [0, 'extend'],
  [KEEP_SIZE, 'keep-size'],
  [PUNCH_HOLE | KEEP_SIZE, 'punch'],
  [ZERO_RANGE, 'zero'],
  [ZERO_RANGE | KEEP_SIZE, 'zero-keep-size'],
]);

/** Turns fallocate(2) mode bits into the metadata's mode. @throws FsError EOPNOTSUPP (collapse, insert, unshare, others). */
export function fallocateMode(bits: number): FallocateMode {
  const mode = MODES.get(bits);
  if (mode === undefined) throw new FsError('EOPNOTSUPP', 'fallocate');
  return mode;
}
