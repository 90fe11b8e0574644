/** File content: slice maps, commits, clones. One script each; what it means is in scripts/*.lua and lib/slices.lua. */
import { FsError } from '../../base/errors.ts';
import { FILE_BYTES_MAX, packSliceRecords, type SliceRecord } from '../../base/slice-record.ts';
import type { CommitReply, FileMap } from '../../base/slices.ts';
import type { Attr, Ino } from '../../base/vocabulary.ts';
import type { VolumeEvents } from '../../base/volume-events.ts';
import { decodeAttr, decodeNumber } from '../codec/codec.ts';
import { inlineMap, packPieces, unpackIds, unpackRecords } from '../codec/pieces.ts';
import type { CommitRequest, MetaData } from '../meta.ts';
import type { Reply } from '../redis/connection.ts';
import type { Engine } from '../redis/engine.ts';
import type { InlineLedger } from './inline-ledger.ts';

/** Chunks of one readMap: bounds the script and its reply. */
const MAP_CHUNKS_MAX = 256;
/** Records one cloneRange script appends at most. */
const CLONE_RECORDS_MAX = 500;
const INLINE_READ_MAX = 1_000;

export class DataScripts implements MetaData {
  readonly #engine: Engine;
  readonly #inline: InlineLedger;
  readonly #events: VolumeEvents;

  constructor(engine: Engine, inline: InlineLedger, events: VolumeEvents) {
    this.#engine = engine;
    this.#inline = inline;
    this.#events = events;
  }

  inlineFill(): number {
    return this.#inline.fill;
  }

  async readMap(
    ino: Ino,
    chunkIndex: number,
    count: number,
    inlineBytesMax: number,
  ): Promise<{ attr: Attr; map: FileMap }> {
    const chunkCount = Math.min(count, MAP_CHUNKS_MAX);
    const reply = await this.#engine.read('read-map', [ino, chunkIndex, chunkCount, inlineBytesMax]);
    const attr = decodeAttr(ino, reply[1] as Buffer);
    const chunks: FileMap['chunks'] = new Map();
    (reply[2] as Reply[]).forEach((packed, i) => {
      chunks.set(chunkIndex + i, unpackRecords('read-map', packed));
    });
    const inline = inlineMap(reply[3], reply.slice(4));
    return { attr, map: { version: attr.version, sizeBytes: attr.size, chunks, inline } };
  }

  async readInline(ids: number[]): Promise<(Buffer | undefined)[]> {
    const found: (Buffer | undefined)[] = [];
    for (let from = 0; from < ids.length; from += INLINE_READ_MAX) {
      const reply = await this.#engine.read('read-inline', ids.slice(from, from + INLINE_READ_MAX));
      for (const bytes of reply[1] as (Buffer | null)[]) found.push(bytes ?? undefined);
    }
    return found;
  }

  async commit(request: CommitRequest): Promise<CommitReply & { attr: Attr }> {
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
    this.#inline.noteTotal(decodeNumber(reply[3]));
    const attr = decodeAttr(ino, reply[1] as Buffer);
    const offset = decodeNumber(reply[2]);
    const inlineIds = unpackIds(reply[4] as Buffer);
    this.#inline.noteStored(ino, pieces, inlineIds, Math.max(offset, 0));
    this.#events.emit('recordsAppended', { ino, counts: unpackCounts(reply[5] as Buffer) });
    return { attr, version: attr.version, sizeBytes: attr.size, offset, inlineIds };
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
    this.#inline.noteTotal(decodeNumber(reply[2]));
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
