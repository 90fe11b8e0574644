import assert from 'node:assert/strict';
import { silentLogger } from '../../src/base/log.ts';
import { CHUNK_BYTES, type SliceRecord } from '../../src/base/slice-record.ts';
import type { CommitReply, FileMap, Piece } from '../../src/base/slices.ts';
import { objectBytes } from '../../src/chunk/block-format.ts';
import { blockBytesAt, sliceBlockNames } from '../../src/chunk/block-name.ts';
import { createChunkStore } from '../../src/chunk/chunk-store.ts';
import type { ChunkOptions, ChunkStore, CommitSink, MapSource, ObjectStore } from '../../src/chunk/chunks.ts';
import { MemoryStore } from '../../src/chunk/object/memory-store.ts';
import { COMMIT_INLINE_FACTOR } from '../../src/chunk/write/commit-batch.ts';
import type { PackSource } from '../../src/upkeep/packer.ts';

export const TEST_OPTIONS: ChunkOptions = {
  bufferBytes: 64 * 1024 * 1024,
  cacheBytes: 64 * 1024 * 1024,
  uploadParallel: 4,
  downloadParallel: 4,
  retryMs: 5_000,
  idleFlushMs: 60_000,
  readaheadBytesMax: 8 * 1024 * 1024,
  checked: true,
};

export function testChunkStore(store: ObjectStore, changes: Partial<ChunkOptions> = {}): ChunkStore {
  return createChunkStore(store, { ...TEST_OPTIONS, ...changes }, silentLogger);
}

interface FakeFile {
  version: number;
  sizeBytes: number;
  chunks: Map<number, SliceRecord[]>;
}

/**
 * What the data layer sees of the metadata, in memory: maps, commits, inline slices. It refuses a commit whose bytes
 * are not in the object store yet, which is the order everything else leans on.
 */
export class FakeVolume implements MapSource {
  /** Where blocks must be when a commit names them; undefined: not checked. */
  readonly store: MemoryStore | undefined;
  readonly files = new Map<number, FakeFile>();
  readonly inline = new Map<number, Buffer>();
  /** ino and chunk of each inline slice, oldest first. */
  readonly inlineQueue = new Map<number, { ino: number; chunkIndex: number; sizeBytes: number }>();
  readonly packsOpen = new Set<number>();
  inlineMax = 64 * 1024;
  nextId = 1000;
  commits: { ino: number; pieces: Piece[]; append: boolean; lastWriteUs: number; killPriv: boolean }[] = [];
  mapReads = 0;
  inlineReads = 0;
  /** Awaited before a commit is carried out: tests hold or fail commits here. */
  beforeCommit: (() => void | Promise<void>) | undefined;
  /** Awaited before a map is answered, after it was read. */
  afterReadMap: (() => void | Promise<void>) | undefined;

  constructor(store?: MemoryStore) {
    this.store = store;
  }

  file(ino: number): FakeFile {
    let file = this.files.get(ino);
    if (file === undefined) {
      file = { version: 1, sizeBytes: 0, chunks: new Map() };
      this.files.set(ino, file);
    }
    return file;
  }

  async readMap(ino: number, chunkIndex: number, count: number): Promise<FileMap> {
    this.mapReads++;
    const file = this.file(ino);
    const chunks = new Map<number, readonly SliceRecord[]>();
    for (let index = chunkIndex; index < chunkIndex + count; index++) {
      const records = file.chunks.get(index);
      if (records !== undefined) chunks.set(index, [...records]);
    }
    const map = { version: file.version, sizeBytes: file.sizeBytes, chunks, inline: new Map<number, Buffer>() };
    await this.afterReadMap?.();
    return map;
  }

  async readInline(ids: number[]): Promise<(Buffer | undefined)[]> {
    this.inlineReads++;
    return ids.map((id) => this.inline.get(id));
  }

  sink(): CommitSink {
    return {
      reserveSliceId: async () => this.nextId++,
      inlineBytesMax: () => this.inlineMax,
      nowUs: () => Date.now() * 1000,
      commit: (ino, pieces, options) => this.#commit(ino, pieces, options),
    };
  }

  packSource(): PackSource {
    return {
      candidates: async (_scope, _olderThanMs, limit) =>
        [...this.inlineQueue].slice(0, limit).map(([id, slice]) => ({ id, ...slice })),
      readInline: (ids) => this.readInline(ids),
      begin: async () => {
        const id = this.nextId++;
        this.packsOpen.add(id);
        return id;
      },
      swap: async (packId, packBytes, swaps) => {
        assert.ok(swaps.length <= 256, 'at most 256 swaps in one script');
        assert.ok(this.packsOpen.has(packId), 'a swap names a pack that was begun and not ended');
        this.#mustBeStored(packId, packBytes);
        let moved = 0;
        for (const swap of swaps) if (this.#swapOne(packId, packBytes, swap)) moved++;
        return moved;
      },
      end: async (packId) => {
        this.packsOpen.delete(packId);
      },
      fill: () => 0,
      lease: async () => false,
    };
  }

  /** Everything the records show of a file, read straight from store and inline bytes: what a crash now would leave. */
  contents(ino: number): Buffer {
    const file = this.file(ino);
    const out = Buffer.alloc(file.sizeBytes);
    for (const [chunkIndex, records] of file.chunks) {
      for (const record of records) {
        const bytes = record.id === 0 ? Buffer.alloc(record.len) : this.sliceBytes(record);
        bytes.copy(out, chunkIndex * CHUNK_BYTES + record.pos);
      }
    }
    return out;
  }

  sliceBytes(record: SliceRecord): Buffer {
    const blocks = record.inline
      ? [this.inline.get(record.id)]
      : sliceBlockNames(record.id, record.size).map((name, index) => {
          const object = this.store!.objects.get(name);
          assert.ok(object !== undefined, `block ${name} of a record is in the store`);
          return object.data.subarray(0, blockBytesAt(record.size, index));
        });
    // Packs are large and read for each of their files: no copy of a single block.
    const whole = blocks.length === 1 ? blocks[0] : Buffer.concat(blocks as Buffer[]);
    assert.ok(whole !== undefined, `inline slice ${record.id} of a record is there`);
    return whole.subarray(record.off, record.off + record.len);
  }

  async #commit(
    ino: number,
    pieces: Piece[],
    options: { append: boolean; lastWriteUs: number; killPriv: boolean },
  ): Promise<CommitReply> {
    this.commits.push({ ino, pieces, ...options });
    await this.beforeCommit?.();
    const file = this.file(ino);
    const offset = options.append ? file.sizeBytes : -1;
    const inlineIds: number[] = [];
    const inlineBytes = pieces.reduce((sum, piece) => sum + ('inline' in piece ? piece.inline.length : 0), 0);
    const room = this.inlineMax * COMMIT_INLINE_FACTOR;
    assert.ok(inlineBytes <= room, `${inlineBytes} inline bytes in one commit are too many`);
    for (const piece of pieces) {
      if ('inline' in piece) assert.ok(piece.inline.length <= this.inlineMax, 'an inline slice is too long');
    }
    for (const piece of pieces) {
      let record: SliceRecord;
      if ('inline' in piece) {
        const id = this.nextId++;
        inlineIds.push(id);
        this.inline.set(id, Buffer.from(piece.inline));
        const bytes = piece.inline.length;
        record = { pos: piece.pos, id, size: bytes, off: 0, len: bytes, inline: true };
      } else {
        record = piece.record;
        this.#mustBeStored(record.id, record.size);
      }
      const base = options.append ? offset : piece.chunkIndex * CHUNK_BYTES;
      for (const [chunkIndex, placed] of cutAtChunks(base, record)) {
        const records = file.chunks.get(chunkIndex) ?? [];
        records.push(placed);
        file.chunks.set(chunkIndex, records);
        if (placed.inline) this.inlineQueue.set(placed.id, { ino, chunkIndex, sizeBytes: placed.size });
        file.sizeBytes = Math.max(file.sizeBytes, chunkIndex * CHUNK_BYTES + placed.pos + placed.len);
      }
    }
    file.version++;
    return {
      version: file.version,
      sizeBytes: file.sizeBytes,
      offset,
      inlineIds,
    };
  }

  #mustBeStored(id: number, sizeBytes: number): void {
    if (this.store === undefined) return;
    sliceBlockNames(id, sizeBytes).forEach((name, index) => {
      const bytes = objectBytes(blockBytesAt(sizeBytes, index), TEST_OPTIONS.checked);
      const stored = this.store!.objects.get(name)?.data.length;
      assert.equal(stored, bytes, `slice ${id} is committed before its bytes are stored`);
    });
  }

  #swapOne(
    packId: number,
    packBytes: number,
    swap: { ino: number; chunkIndex: number; inlineId: number; packOffset: number; sizeBytes: number },
  ): boolean {
    const records = this.file(swap.ino).chunks.get(swap.chunkIndex) ?? [];
    const index = records.findIndex((record) => record.inline && record.id === swap.inlineId);
    this.inlineQueue.delete(swap.inlineId);
    this.inline.delete(swap.inlineId);
    if (index < 0) return false;
    const old = records[index]!;
    records[index] = { ...old, id: packId, size: packBytes, off: swap.packOffset + old.off, inline: false };
    return true;
  }
}

/** A record whose position counts from `base` of the file, cut where chunks end. */
function cutAtChunks(base: number, record: SliceRecord): [number, SliceRecord][] {
  const cut: [number, SliceRecord][] = [];
  for (let done = 0; done < record.len; ) {
    const at = base + record.pos + done;
    const chunkIndex = Math.floor(at / CHUNK_BYTES);
    const pos = at - chunkIndex * CHUNK_BYTES;
    const len = Math.min(record.len - done, CHUNK_BYTES - pos);
    cut.push([chunkIndex, { ...record, pos, off: record.off + done, len }]);
    done += len;
  }
  return cut;
}

/** Bytes that differ everywhere: a wrong offset shows. */
export function pattern(length: number, seed: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (state * 1664525 + 1013904223) >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}

export { MemoryStore };
