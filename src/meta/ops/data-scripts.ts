/** File content: slice maps, commits, clones. One script each; what it means is in scripts/*.lua and lib/slices.lua. */
import { FsError } from '../../base/errors.ts';
import { FILE_BYTES_MAX, packSliceRecords, type SliceRecord } from '../../base/slice-record.ts';
import type { Attr, FileMap, Ino } from '../../base/vocabulary.ts';
import { decodeAttr, decodeNumber } from '../codec/codec.ts';
import { inlineMap, noteInline, noteInlineTotal, packPieces, unpackRecords } from '../codec/pieces.ts';
import type { CommitReply, CommitRequest, MetaData } from '../meta.ts';
import type { Reply } from '../redis/connection.ts';
import type { Engine } from '../redis/engine.ts';

/** Chunks of one readMap: bounds the script and its reply. */
const MAP_CHUNKS_MAX = 256;
/** Records one cloneRange script appends at most. */
const CLONE_RECORDS_MAX = 500;
const INLINE_READ_MAX = 1_000;

export class DataOps implements MetaData {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async readMap(ino: Ino, chunkIndex: number, count: number, inlineBytesMax: number): Promise<FileMap> {
    const chunkCount = Math.min(count, MAP_CHUNKS_MAX);
    const reply = await this.#engine.read('read-map', [ino, chunkIndex, chunkCount, inlineBytesMax]);
    const chunks = (reply[2] as Reply[]).map((packed, i) => ({
      chunkIndex: chunkIndex + i,
      records: unpackRecords('read-map', packed),
    }));
    return { attr: decodeAttr(ino, reply[1] as Buffer), chunks, inline: inlineMap(reply[3], reply.slice(4)) };
  }

  async readInline(ids: number[]): Promise<(Buffer | undefined)[]> {
    const found: (Buffer | undefined)[] = [];
    for (let from = 0; from < ids.length; from += INLINE_READ_MAX) {
      const reply = await this.#engine.read('read-inline', ids.slice(from, from + INLINE_READ_MAX));
      for (const bytes of reply[1] as (Buffer | null)[]) found.push(bytes ?? undefined);
    }
    return found;
  }

  async commit(request: CommitRequest): Promise<CommitReply> {
    const { ino, pieces, placement, mtime } = request;
    const { packed, inline } = packPieces('commit', pieces);
    const reply = await this.#engine.mutate('commit', [
      ino,
      placement === 'append' ? 'a' : 'w',
      mtime.sec,
      mtime.nsec,
      (request.killPriv ? 1 : 0) + (request.timeShown === true ? 2 : 0),
      packed,
      ...inline,
    ]);
    noteInlineTotal(this.#engine, reply[3]);
    const offset = decodeNumber(reply[2]);
    const inlineIds = noteInline(this.#engine, ino, pieces, reply[4] as Buffer, Math.max(offset, 0));
    return {
      attr: decodeAttr(ino, reply[1] as Buffer),
      offset,
      inlineIds,
      recordCounts: unpackCounts(reply[5] as Buffer),
    };
  }

  async reserveSlices(count: number): Promise<number> {
    return decodeNumber((await this.#engine.mutate('reserve-slices', [count]))[1]);
  }

  async fallocate(
    ino: Ino,
    mode: 'extend' | 'keep-size' | 'punch' | 'zero' | 'zero-keep-size',
    offset: number,
    length: number,
    killPriv: boolean,
  ): Promise<Attr> {
    if (offset < 0 || length <= 0) throw new FsError('EINVAL', 'fallocate');
    if (offset + length > FILE_BYTES_MAX) throw new FsError('EFBIG', 'fallocate');
    const reply = await this.#engine.mutate('fallocate', [ino, mode, offset, length, killPriv ? 1 : 0]);
    noteInlineTotal(this.#engine, reply[2]);
    return decodeAttr(ino, reply[1] as Buffer);
  }

  async cloneRange(
    source: Ino,
    sourceOffset: number,
    target: Ino,
    targetOffset: number,
    length: number,
    killPriv = false,
  ): Promise<{ attr: Attr; copied: number }> {
    if (source === target && Math.abs(sourceOffset - targetOffset) < length) {
      throw new FsError('EINVAL', 'clone-range', 'ranges of one file overlap');
    }
    let copied = 0;
    for (;;) {
      const left = length - copied;
      const from = sourceOffset + copied;
      const to = targetOffset + copied;
      const args = [source, from, target, to, left, CLONE_RECORDS_MAX, killPriv ? 1 : 0];
      const reply = await this.#engine.mutate('clone-range', args);
      const step = decodeNumber(reply[2]);
      copied += step;
      // The script answers how much the source really had: a short source ends the copy.
      if (step >= decodeNumber(reply[3])) return { attr: decodeAttr(target, reply[1] as Buffer), copied };
    }
  }

  async seek(ino: Ino, offset: number, whence: 'data' | 'hole'): Promise<number> {
    let from = offset;
    for (;;) {
      const reply = await this.#engine.read('seek', [ino, from, whence]);
      from = decodeNumber(reply[1]);
      if ((reply[0] as Buffer).toString() === 'OK') return from;
    }
  }

  async compactChunk(
    ino: Ino,
    chunkIndex: number,
    prefix: SliceRecord[],
    replacement: SliceRecord[],
  ): Promise<boolean> {
    const args = [ino, chunkIndex, packSliceRecords(prefix), packSliceRecords(replacement)];
    return (await this.#engine.mutate('compact-chunk', args))[1] === 1;
  }
}

function unpackCounts(packed: Buffer): { chunkIndex: number; count: number }[] {
  const counts: { chunkIndex: number; count: number }[] = [];
  for (let at = 0; at < packed.length; at += 8) {
    counts.push({ chunkIndex: packed.readUInt32LE(at), count: packed.readUInt32LE(at + 4) });
  }
  return counts;
}
