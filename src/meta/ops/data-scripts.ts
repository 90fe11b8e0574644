/** File content: slice maps, commits, clones. One script each; what it means is in scripts/*.lua and lib/content/slices.lua. */
import { FsError } from '../../base/errors.ts';
import { FILE_BYTES_MAX, packSliceRecords, type SliceRecord } from '../../base/slice-record.ts';
import type { CommitReply, FileMap } from '../../base/slices.ts';
import type { Attr, Ino } from '../../base/vocabulary.ts';
import type { VolumeEvents } from '../../base/volume-events.ts';
import type { CloneRangeRequest, CommitRequest, MetaData } from '../meta.ts';
import type { Engine } from '../redis/engine.ts';
import {
  cloneRange,
  commit,
  compactChunk,
  fallocate,
  readInline,
  readMap,
  reserveSlices,
  seek,
} from '../schema/content-schemas.ts';
import type { InlineBytes } from './inline-bytes.ts';
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
  readonly #bytes: InlineBytes;

  constructor(engine: Engine, inline: InlineLedger, events: VolumeEvents, bytes: InlineBytes) {
    this.#engine = engine;
    this.#inline = inline;
    this.#bytes = bytes;
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
    const chunks = Math.min(count, MAP_CHUNKS_MAX);
    const reply = await this.#engine.read(readMap, { ino, chunkIndex, count: chunks, inlineBytesMax });
    this.#bytes.openMap(reply.map);
    return reply;
  }

  async readInline(ids: number[]): Promise<(Buffer | undefined)[]> {
    const found: (Buffer | undefined)[] = [];
    for (let from = 0; from < ids.length; from += INLINE_READ_MAX) {
      const some = await this.#engine.read(readInline, { ids: ids.slice(from, from + INLINE_READ_MAX) });
      for (const bytes of some.found) found.push(bytes === null ? undefined : this.#bytes.open(bytes));
    }
    return found;
  }

  async commit(request: CommitRequest): Promise<CommitReply & { attr: Attr }> {
    const { ino, pieces } = request;
    const { attr, offset, inlineTotal, inlineIds, counts } = await this.#engine.mutate(commit, {
      ...request,
      pieces: this.#bytes.sealed(pieces),
    });
    this.#inline.noteTotal(inlineTotal);
    this.#inline.noteStored(ino, pieces, inlineIds, Math.max(offset, 0));
    this.#events.emit('recordsAppended', { ino, counts });
    return { attr, version: attr.version, sizeBytes: attr.size, offset, inlineIds };
  }

  async reserveSlices(count: number): Promise<number> {
    return (await this.#engine.mutate(reserveSlices, { count })).first;
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
    const { attr, inlineTotal } = await this.#engine.mutate(fallocate, { ino, mode, offset, length, killPriv });
    this.#inline.noteTotal(inlineTotal);
    return attr;
  }

  async cloneRange(request: CloneRangeRequest): Promise<{ attr: Attr; copied: number }> {
    const { source, sourceOffset, target, targetOffset, length, killPriv = false } = request;
    if (source === target && Math.abs(sourceOffset - targetOffset) < length) {
      throw new FsError('EINVAL', 'clone-range', 'ranges of one file overlap');
    }
    let copied = 0;
    for (;;) {
      const step = await this.#engine.mutate(cloneRange, {
        source,
        sourceOffset: sourceOffset + copied,
        target,
        targetOffset: targetOffset + copied,
        length: length - copied,
        most: CLONE_RECORDS_MAX,
        killPriv,
      });
      copied += step.copied;
      // The script answers how much the source really had: a short source ends the copy.
      if (step.copied >= step.length) return { attr: step.attr, copied };
    }
  }

  async seek(ino: Ino, offset: number, whence: 'data' | 'hole'): Promise<number> {
    let from = offset;
    for (;;) {
      const found = await this.#engine.read(seek, { ino, offset: from, whence });
      from = found.offset;
      if (!found.more) return from;
    }
  }

  async compactChunk(
    ino: Ino,
    chunkIndex: number,
    prefix: SliceRecord[],
    replacement: SliceRecord[],
  ): Promise<boolean> {
    const { done } = await this.#engine.mutate(compactChunk, {
      ino,
      chunkIndex,
      prefix: packSliceRecords(prefix),
      replacement: packSliceRecords(replacement),
    });
    return done;
  }
}
