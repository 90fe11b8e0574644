/** Giving up bytes that are nowhere any more, so that the rest of the file can be read: they read as zeros from then on. */
import { BLOCK_BYTES, CHUNK_BYTES, type SliceRecord } from '../base/slice-record.ts';
import { visibleSegments } from '../chunk/read/overlay.ts';
import type { Meta } from '../meta/meta.ts';
import type { LostBytes } from './findings.ts';

/** More records than compact-chunk takes at once. */
const RECORDS_MAX = 2_000;

/** Answers whether it is done. The content's version changes, as with any write. */
export async function giveUp(meta: Meta, lost: LostBytes): Promise<boolean> {
  const { ino, chunkIndex } = lost;
  const before = await readRecords(meta, ino, chunkIndex);
  for (const segment of visibleSegments(before)) {
    for (const { pos, len } of lostParts(segment, lost)) {
      await meta.data.fallocate(ino, 'punch', chunkIndex * CHUNK_BYTES + pos, len, false);
    }
  }
  const records = await readRecords(meta, ino, chunkIndex);
  if (records.length > RECORDS_MAX) return false;
  const kept = records.flatMap((record) => keptParts(record, lost));
  return meta.data.compactChunk(ino, chunkIndex, records, kept);
}

async function readRecords(meta: Meta, ino: number, chunkIndex: number): Promise<SliceRecord[]> {
  const { map } = await meta.data.readMap(ino, chunkIndex, 1, 0);
  return [...(map.chunks.get(chunkIndex) ?? [])];
}

interface Range {
  pos: number;
  len: number;
}

/** The ranges of a record that show lost bytes, in the chunk. */
function lostParts(record: Pick<SliceRecord, 'id' | 'pos' | 'off' | 'len' | 'inline'>, lost: LostBytes): Range[] {
  const { block, inlineId } = lost;
  if (inlineId !== undefined)
    return record.inline && record.id === inlineId ? [{ pos: record.pos, len: record.len }] : [];
  if (block === undefined || record.inline || record.id !== block.sliceId) return [];
  const from = Math.max(record.off, block.index * BLOCK_BYTES);
  const to = Math.min(record.off + record.len, block.index * BLOCK_BYTES + block.blockBytes);
  return from < to ? [{ pos: record.pos + from - record.off, len: to - from }] : [];
}

/** The record without its lost range. */
function keptParts(record: SliceRecord, lost: LostBytes): SliceRecord[] {
  const [gone] = lostParts(record, lost);
  if (gone === undefined) return [record];
  const ranges = [
    { pos: record.pos, len: gone.pos - record.pos },
    { pos: gone.pos + gone.len, len: record.pos + record.len - gone.pos - gone.len },
  ];
  return ranges
    .filter(({ len }) => len > 0)
    .map(({ pos, len }) => ({ ...record, pos, len, off: record.off + pos - record.pos }));
}
