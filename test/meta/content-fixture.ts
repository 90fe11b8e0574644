import { CHUNK_BYTES } from '../../src/base/slice-record.ts';
import type { FileMap } from '../../src/base/slices.ts';
import { type Attr, type Ino, ROOT_INO, S_IFDIR, S_IFREG, type S3Record } from '../../src/base/vocabulary.ts';
import { timestampOf } from '../../src/meta/redis/server-clock.ts';
import { KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

/** Bytes of stored slices, as the object store would hold them. */
export type Store = Map<number, Buffer>;

/** A member of a volume with the operations of content, objects and upkeep. */
export async function contentMember(volume: TestVolume, options: Parameters<TestVolume['join']>[0] = {}) {
  const member = await volume.join(options);
  const { engine } = member;
  // Removed inodes and slices wait for nobody, so that tests see them go; joining has set the grace anew.
  await engine.command('HSET', [engine.key('n'), 'graceMs', 0, 'gcMs', 0]);
  return member;
}

export type ContentMember = Awaited<ReturnType<typeof contentMember>>;

export async function contentVolume(): Promise<{ volume: TestVolume; m: ContentMember }> {
  const volume = await testVolume();
  const m = await contentMember(volume);
  return { volume, m };
}

export async function makeFile(m: Member, name: string, parent: Ino = ROOT_INO, mode = 0o644): Promise<Attr> {
  const request = { parent, name, mode: S_IFREG | mode, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
  return (await m.ns.mknod(request)).entry.attr;
}

export async function makeDir(m: Member, name: string, parent: Ino = ROOT_INO, mode = 0o755): Promise<Attr> {
  const request = { parent, name, mode: S_IFDIR | mode, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
  return (await m.ns.mknod(request)).entry.attr;
}

/** Commits bytes inline at an offset within one chunk. */
export function writeInline(m: ContentMember, ino: Ino, offset: number, bytes: Buffer) {
  const chunkIndex = Math.floor(offset / CHUNK_BYTES);
  return m.data.commit({
    ino,
    pieces: [{ chunkIndex, pos: offset % CHUNK_BYTES, inline: bytes }],
    placement: 'write',
    mtime: timestampOf(m.engine.clock.nowUs()),
    killPriv: false,
  });
}

/** Commits bytes as a stored slice. */
export async function writeStored(m: ContentMember, store: Store, ino: Ino, offset: number, bytes: Buffer) {
  const id = await m.data.reserveSlices(1);
  store.set(id, bytes);
  const record = { pos: offset % CHUNK_BYTES, id, size: bytes.length, off: 0, len: bytes.length, inline: false };
  return m.data.commit({
    ino,
    pieces: [{ chunkIndex: Math.floor(offset / CHUNK_BYTES), record }],
    placement: 'write',
    mtime: timestampOf(m.engine.clock.nowUs()),
    killPriv: false,
  });
}

/** Paints records over zeros, as a reader does. */
export function renderMap(map: FileMap, store: Store): Buffer {
  const out = Buffer.alloc(map.sizeBytes);
  for (const [chunkIndex, records] of map.chunks) {
    for (const record of records) {
      const at = chunkIndex * CHUNK_BYTES + record.pos;
      if (record.id === 0) {
        out.fill(0, at, Math.min(at + record.len, out.length));
        continue;
      }
      const bytes = record.inline ? map.inline.get(record.id) : store.get(record.id);
      if (bytes === undefined) throw new Error(`bytes of slice ${record.id} are missing`);
      bytes.copy(out, at, record.off, record.off + record.len);
    }
  }
  return out;
}

/** The whole content of a file of one chunk. */
export async function readFile(m: ContentMember, store: Store, ino: Ino): Promise<Buffer> {
  return renderMap((await m.data.readMap(ino, 0, 1, 1 << 20)).map, store);
}

/** Packs everything that waits, as the packer does. Answers how many slices were swapped. */
export async function packAll(m: ContentMember, store: Store, limit = 256): Promise<number> {
  const slices = await m.upkeep.inlineSlices('any', 0, limit);
  if (slices.length === 0) return 0;
  const bytes = await m.data.readInline(slices.map((slice) => slice.id));
  const packId = await m.upkeep.packBegin();
  let packOffset = 0;
  const swaps = slices.flatMap((slice, i) => {
    if (bytes[i] === undefined) return [];
    const swap = { ...slice, inlineId: slice.id, packOffset };
    packOffset += slice.sizeBytes;
    return [swap];
  });
  const pack = Buffer.concat(bytes.filter((b) => b !== undefined));
  store.set(packId, pack);
  const found = await m.upkeep.packSwap(packId, pack.length, swaps);
  await m.upkeep.packEnd(packId);
  return found;
}

export function s3Record(etag: string, fields: Partial<S3Record> = {}): S3Record {
  return { version: 0, etag, headers: {}, tags: [], checksums: {}, checksumType: '', parts: [], ...fields };
}
