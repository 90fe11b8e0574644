/**
 * One walk over all keys of a volume, and one over its objects: what they say, as rows that are sorted outside of memory. What
 * belongs together meets when the rows are joined (judge-names.ts, judge-slices.ts).
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '../base/crc32c.ts';
import { readU64 } from '../base/integers.ts';
import { unpackSliceRecords } from '../base/slice-record.ts';
import type { VolumeFormat } from '../base/vocabulary.ts';
import { parseBlockName } from '../chunk/block-name.ts';
import type { ObjectStore } from '../chunk/chunks.ts';
import { sealBytesOf } from '../chunk/codec/inline-seal.ts';
import { withRetry } from '../chunk/retry.ts';
import { decodeAttr, decodeMember } from '../meta/codec/codec.ts';
import type { MetaScan } from '../meta/meta.ts';
import { Spool } from './spool.ts';

/** What a row of `facts` says of an inode. */
export const FACT = {
  /** [ino, ENTRIES]: `d<ino>` is there. */
  entries: 1,
  parents: 2,
  target: 3,
  xattrs: 4,
  s3: 5,
  chunkIndex: 6,
  acls: 7,
  /** [ino, RECORDS]: some `s<ino>:` is there. */
  records: 8,
  uploads: 9,
  /** It waits in `del`. */
  waits: 10,
  /** `os<ino>` is there. */
  kept: 11,
  /** A part of an upload that is there, or whose parts wait to be freed. */
  part: 12,
} as const;

/** What a row of `sliceFacts` says of a slice: [id, fact, a, b, c]. */
export const SLICE_FACT = {
  /** live bytes, size */
  pack: 1,
  /** records beyond the first */
  shared: 2,
  /** size, when it may be deleted */
  garbage: 3,
  /** being uploaded */
  uploading: 4,
  /** bytes of `b<id>` */
  inline: 5,
  /** inode, chunk, size: waits for the packer */
  queued: 6,
} as const;

const LIST_PAGE = 1_000;
const RETRY = { retryMs: 30_000 };

/** Keys of one inode, by the letter of docs/FORMAT.md. */
const INODE_KEYS: Record<string, number> = {
  d: FACT.entries,
  p: FACT.parents,
  l: FACT.target,
  x: FACT.xattrs,
  o: FACT.s3,
  k: FACT.chunkIndex,
  a: FACT.acls,
  up: FACT.uploads,
  os: FACT.kept,
};

export class VolumeWalk {
  readonly directory = mkdtempSync(join(tmpdir(), 'janusfs-check-'));
  // First: the fields below are put into it as they are made.
  readonly #spools: Spool[] = [];
  /** [ino, mode, nlink, flags, parent, size, sparse bytes, version] */
  readonly inodes = this.#spool('inodes', 8);
  /** [child, parent, is a directory, crc32c of the member] */
  readonly names = this.#spool('names', 4);
  /** [parent, child]: the directories in a directory. */
  readonly subdirs = this.#spool('subdirs', 2);
  readonly facts = this.#spool('facts', 2);
  /** [id, inline, size, ino, chunk, number of the record, offset, length] */
  readonly records = this.#spool('records', 8);
  readonly sliceFacts = this.#spool('slice-facts', 5);
  /** [ino, chunk, 0 records, 1 index] */
  readonly chunks = this.#spool('chunks', 3);
  /** [id, index, bytes, bytes of the object, modified ms] */
  readonly objects = this.#spool('objects', 5);
  /** Ids of uploads that are there. */
  readonly uploads = new Set<string>();
  /** Ids of uploads that have parts; `waits ID` for those whose parts wait to be freed. */
  readonly partLists = new Set<string>();
  readonly sessions = new Set<string>();
  readonly openSets = new Set<string>();
  /** The volume's counters (`n`) as they were behind the last key. */
  counters: ReadonlyMap<string, string> = new Map();
  /** The last inode number given out before the walk. */
  lastIno = 0;
  inlineBytes = 0;
  objectCount = 0;
  objectBytes = 0;
  foreignObjects = 0;
  readonly #inlineSeen = new Set<string>();
  readonly #sealBytes: number;

  constructor(format: Pick<VolumeFormat, 'encryption'>) {
    this.#sealBytes = sealBytesOf(format);
  }

  #spool(name: string, width: number): Spool {
    const spool = new Spool(this.directory, name, width);
    this.#spools.push(spool);
    return spool;
  }

  /** Lists the store. @throws FsError EIO when it does not answer. */
  async listStore(store: ObjectStore, signal: AbortSignal, progress: (count: number) => void): Promise<void> {
    let after = '';
    for (;;) {
      signal.throwIfAborted();
      const page = await withRetry('list', RETRY, signal, (attempt) =>
        store.list('chunks/', after, LIST_PAGE, attempt.signal),
      );
      for (const { key, sizeBytes, modifiedMs } of page) {
        const block = parseBlockName(key);
        if (block === undefined) {
          this.foreignObjects += 1;
          continue;
        }
        this.objectCount += 1;
        this.objectBytes += sizeBytes;
        this.objects.add(block.sliceId, block.index, block.blockBytes, sizeBytes, modifiedMs);
      }
      progress(this.objectCount);
      if (page.length < LIST_PAGE) return;
      after = page[page.length - 1]!.key;
    }
  }

  /** Reads every key. */
  async readKeys(scan: MetaScan, signal: AbortSignal, progress: (count: number) => void): Promise<void> {
    let count = 0;
    this.lastIno = Number((await readCounters(scan)).get('ino') ?? 0);
    for await (const keys of scan.keys()) {
      signal.throwIfAborted();
      await this.#readBatch(scan, keys);
      count += keys.length;
      progress(count);
    }
    await this.#readSliceTables(scan);
    for await (const page of scan.scored('del')) {
      for (const [member] of page) {
        const text = member.toString('latin1');
        if (text.startsWith('u')) this.partLists.add(`waits ${text.slice(1)}`);
        else this.facts.add(Number(text), FACT.waits);
      }
    }
    this.counters = await readCounters(scan);
  }

  /** Removes its files. */
  remove(): void {
    for (const spool of this.#spools) spool.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #readBatch(scan: MetaScan, keys: readonly string[]): Promise<void> {
    const inodes: [key: string, ino: number][] = [];
    const chunks: [key: string, ino: number, chunk: number][] = [];
    const inline: [key: string, id: number][] = [];
    for (const key of keys) {
      const [, letters = '', digits = '', rest = ''] = /^([a-z]+):?(\d*)(.*)$/s.exec(key) ?? [];
      if (letters === 'i' && rest === '' && digits !== '') inodes.push([key, Number(digits)]);
      else if (letters === 's' && digits !== '' && /^:\d+$/.test(rest)) {
        chunks.push([key, Number(digits), Number(rest.slice(1))]);
      } else if (letters === 'b' && digits !== '' && rest === '') inline.push([key, Number(digits)]);
      else if (key.startsWith('ses:')) this.sessions.add(key.slice(4));
      else if (key.startsWith('open:')) this.openSets.add(key.slice(5));
      else if (key.startsWith('up:')) this.uploads.add(key.slice(3));
      else if (key.startsWith('upp:')) this.partLists.add(key.slice(4));
      else if (digits !== '' && rest === '' && Object.hasOwn(INODE_KEYS, letters) && key === `${letters}${digits}`) {
        this.facts.add(Number(digits), INODE_KEYS[letters]!);
        if (letters === 'd') await this.#readDirectory(scan, Number(digits));
        if (letters === 'k') await this.#readChunkIndex(scan, Number(digits));
      }
    }
    await Promise.all([
      this.#readInodes(scan, inodes),
      this.#readRecords(scan, chunks),
      this.#readInline(scan, inline),
      this.#readParts(scan, keys),
    ]);
  }

  async #readInodes(scan: MetaScan, keys: readonly [string, number][]): Promise<void> {
    const values = await scan.values(keys.map(([key]) => key));
    values.forEach((value, i) => {
      if (value === undefined) return;
      const { ino, mode, nlink, flags, parent, size, sparseBytes, version } = decodeAttr(keys[i]![1], value);
      this.inodes.add(ino, mode, nlink, flags, parent, size, sparseBytes, version);
    });
  }

  async #readRecords(scan: MetaScan, keys: readonly [string, number, number][]): Promise<void> {
    const values = await scan.values(keys.map(([key]) => key));
    values.forEach((value, i) => {
      if (value === undefined) return;
      const [, ino, chunk] = keys[i]!;
      this.facts.add(ino, FACT.records);
      this.chunks.add(ino, chunk, 0);
      unpackSliceRecords(value).forEach(({ id, inline, size, off, len }, number) => {
        if (id !== 0) this.records.add(id, inline ? 1 : 0, size, ino, chunk, number, off, len);
      });
    });
  }

  async #readInline(scan: MetaScan, keys: readonly [string, number][]): Promise<void> {
    const lengths = await scan.lengths(keys.map(([key]) => key));
    lengths.forEach((kept, i) => {
      if (kept === 0) return;
      const bytes = kept - this.#sealBytes;
      const [key, id] = keys[i]!;
      this.sliceFacts.add(id, SLICE_FACT.inline, bytes, 0, 0);
      // Inline slices are few: the budget bounds them.
      if (this.#inlineSeen.has(key)) return;
      this.#inlineSeen.add(key);
      this.inlineBytes += bytes;
    });
  }

  async #readParts(scan: MetaScan, keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      if (!key.startsWith('upp:')) continue;
      for await (const page of scan.fields(key)) {
        for (const [, value] of page) this.facts.add(readU64(value, 0), FACT.part);
      }
    }
  }

  async #readDirectory(scan: MetaScan, ino: number): Promise<void> {
    for await (const page of scan.members(`d${ino}`)) {
      for (const packed of page) {
        const member = decodeMember(packed);
        this.names.add(member.ino, ino, member.dir ? 1 : 0, crc32c(packed));
        if (member.dir) this.subdirs.add(ino, member.ino);
      }
    }
  }

  async #readChunkIndex(scan: MetaScan, ino: number): Promise<void> {
    for await (const page of scan.scored(`k${ino}`)) {
      for (const [member] of page) this.chunks.add(ino, Number(member.toString()), 1);
    }
  }

  async #readSliceTables(scan: MetaScan): Promise<void> {
    const facts = this.sliceFacts;
    for await (const page of scan.fields('pk')) {
      for (const [id, value] of page) facts.add(Number(id), SLICE_FACT.pack, readU64(value, 0), readU64(value, 8), 0);
    }
    for await (const page of scan.fields('ref')) {
      for (const [id, value] of page) facts.add(Number(id), SLICE_FACT.shared, Number(value.toString()), 0, 0);
    }
    for await (const page of scan.scored('gc')) {
      for (const [member, score] of page) {
        const [id, size] = member.toString('latin1').split(':').map(Number) as [number, number];
        facts.add(id, SLICE_FACT.garbage, size, score, 0);
      }
    }
    for await (const page of scan.scored('pkup')) {
      for (const [member] of page) facts.add(Number(/^\d+/.exec(member.toString())![0]), SLICE_FACT.uploading, 0, 0, 0);
    }
    for await (const page of scan.scored('inq')) {
      for (const [member] of page) {
        const [ino, chunk, size] = [readU64(member, 8), member.readUInt32LE(16), member.readUInt32LE(20)];
        facts.add(readU64(member, 0), SLICE_FACT.queued, ino, chunk, size);
      }
    }
  }
}

async function readCounters(scan: MetaScan): Promise<Map<string, string>> {
  const counters = new Map<string, string>();
  for await (const page of scan.fields('n')) for (const [field, value] of page) counters.set(field, value.toString());
  return counters;
}
