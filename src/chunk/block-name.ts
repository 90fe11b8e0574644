import { BLOCK_BYTES } from '../base/slice-record.ts';

/**
 * Names a block's object: `chunks/<id div 10^6>/<id div 10^3>/<id>_<index>_<size>` (JuiceFS's naming, so that volumes
 * can move between the two). `blockBytes` is this block's own length, so a name also tells what a whole GET must answer.
 */
export function blockName(sliceId: number, blockIndex: number, blockBytes: number): string {
  return `chunks/${Math.floor(sliceId / 1_000_000)}/${Math.floor(sliceId / 1_000)}/${sliceId}_${blockIndex}_${blockBytes}`;
}

/** Number of blocks of a slice. */
export function blockCount(sliceBytes: number): number {
  return Math.ceil(sliceBytes / BLOCK_BYTES);
}

/** Length of one block of a slice: BLOCK_BYTES, or what is left for the last. */
export function blockBytesAt(sliceBytes: number, blockIndex: number): number {
  return Math.min(BLOCK_BYTES, sliceBytes - blockIndex * BLOCK_BYTES);
}

/** Names of all objects of a slice. */
export function sliceBlockNames(sliceId: number, sliceBytes: number): string[] {
  const names: string[] = [];
  for (let index = 0; index < blockCount(sliceBytes); index++) {
    names.push(blockName(sliceId, index, blockBytesAt(sliceBytes, index)));
  }
  return names;
}

/** A block of a slice. `blockBytes`: its length as its readers see it. */
export interface Block {
  readonly sliceId: number;
  readonly index: number;
  readonly blockBytes: number;
}

/** Reads a block's name back; undefined when the key names no block. */
export function parseBlockName(key: string): Block | undefined {
  const match = /^chunks\/\d+\/\d+\/(\d{1,16})_(\d{1,2})_(\d{1,7})$/.exec(key);
  if (match === null) return undefined;
  const block = { sliceId: Number(match[1]), index: Number(match[2]), blockBytes: Number(match[3]) };
  return blockName(block.sliceId, block.index, block.blockBytes) === key ? block : undefined;
}
