/**
 * Reads an object as it was when its key was walked. Slices are immutable and outlive their last record by a grace
 * period, so the slice map of that moment is all it takes: later writes, a PUT over the key or its removal do not show.
 */

import { FsError } from '../../base/errors.ts';
import { CHUNK_BYTES } from '../../base/slice-record.ts';
import type { FileMap } from '../../base/slices.ts';
import type { FileReader } from '../../chunk/chunks.ts';
import type { OpenFile } from '../file/open-file.ts';
import type { ObjectReader } from '../vfs.ts';
import type { VfsState } from '../vfs-state.ts';

/** Chunks whose map one round trip brings: 4 GiB of object. */
const MAP_CHUNKS = 64;
const EMPTY = Buffer.alloc(0);

export class SnapshotReader implements ObjectReader {
  readonly sizeBytes: number;
  readonly #state: VfsState;
  readonly #file: OpenFile;
  readonly #version: number;
  /** The map that came with the walk, until the reader has it. */
  #early: FileMap | undefined;
  #reader: FileReader | undefined;
  #whole: Buffer | undefined;
  #closed = false;

  /** `map`: what the walk brought of the content, if anything. */
  constructor(state: VfsState, ino: number, version: number, sizeBytes: number, map: FileMap | undefined) {
    this.#state = state;
    this.#version = version;
    this.sizeBytes = sizeBytes;
    this.#file = state.files.acquire(ino);
    if (map === undefined || map.version !== version) return;
    this.#whole = wholeInline(map, sizeBytes);
    if (this.#whole === undefined && sizeBytes <= CHUNK_BYTES) {
      this.#early = this.#withHoles(map, 0, 1);
    }
  }

  /** At most `lengthMax` bytes at `offset`. @throws FsError ESTALE when the content was changed before its map was read. */
  read(offset: number, lengthMax: number): Buffer | Promise<Buffer> {
    if (this.#closed) throw new FsError('EBADF', 'read', 'the object reader is closed');
    const length = Math.min(lengthMax, this.sizeBytes - offset);
    if (length <= 0) return EMPTY;
    if (this.#whole !== undefined) return this.#whole.subarray(offset, offset + length);
    // Of its own: it must not hear of the inode's later commits.
    this.#reader ??= this.#state.chunks.reader(this.#state.data.privateIno(), {
      readMap: (_ino, chunkIndex, count) => this.#readMap(chunkIndex, count),
      readInline: (ids) => this.#state.meta.data.readInline(ids),
    });
    const bytes = this.#reader.read(offset, length);
    return bytes instanceof Promise ? bytes.then((read) => checkLength(read, length)) : checkLength(bytes, length);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader?.close();
    this.#reader = undefined;
    this.#early = undefined;
    // It settles by itself and reports its failures to the log.
    void this.#state.files.release(this.#file);
  }

  async #readMap(chunkIndex: number, count: number): Promise<FileMap> {
    const early = this.#early;
    this.#early = undefined;
    // If the reader asks for it a second time, its bytes have moved (packing, compaction): then it is read anew.
    if (early !== undefined && chunkIndex === 0) return early;
    const group = Math.floor(chunkIndex / MAP_CHUNKS);
    const span = Math.max(MAP_CHUNKS, chunkIndex + count - group * MAP_CHUNKS);
    const map = await this.#state.data.readMap(this.#file.ino, group * MAP_CHUNKS, span);
    if (map.version !== this.#version) {
      throw new FsError('ESTALE', 'read', 'the object was changed before it could be read; look it up again');
    }
    return this.#withHoles(map, group * MAP_CHUNKS, span);
  }

  /** Says of chunks without records that they have none, so that nobody asks for them later. */
  #withHoles(map: FileMap, first: number, count: number): FileMap {
    const end = Math.min(first + count, Math.ceil(this.sizeBytes / CHUNK_BYTES));
    for (let index = first; index < end; index++) if (!map.chunks.has(index)) map.chunks.set(index, []);
    return map;
  }
}

/** The bytes of a file that is one inline slice: the common small object, served without the data layer. */
export function wholeInline(map: FileMap, sizeBytes: number): Buffer | undefined {
  const records = map.chunks.get(0);
  if (sizeBytes === 0 || map.chunks.size !== 1 || records?.length !== 1) return undefined;
  const record = records[0]!;
  if (record.pos !== 0 || record.len !== sizeBytes || !record.inline) return undefined;
  return map.inline.get(record.id)?.subarray(record.off, record.off + record.len);
}

/** The map's version said how long the content is: anything shorter would be a damaged answer. */
function checkLength(bytes: Buffer, wanted: number): Buffer {
  if (bytes.length === wanted) return bytes;
  throw new FsError('EIO', 'read', `only ${bytes.length} of ${wanted} bytes could be read`);
}
