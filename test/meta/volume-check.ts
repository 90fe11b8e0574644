import assert from 'node:assert/strict';
import { readU64 } from '../../src/base/integers.ts';
import { unpackSliceRecords } from '../../src/base/slice-record.ts';
import {
  ALLOCATION_BYTES,
  allocatedBytes,
  FLAG_SPARSE,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../../src/base/vocabulary.ts';
import { decodeAttr, decodeMember } from '../../src/meta/codec/codec.ts';
import type { Engine } from '../../src/meta/redis/engine.ts';

/** Everything a volume holds, read key by key. */
async function readVolume(engine: Engine) {
  const keys: string[] = [];
  let cursor = '0';
  do {
    const reply = (await engine.command('SCAN', [cursor, 'MATCH', `${engine.prefix}*`, 'COUNT', 1000])) as [
      Buffer,
      Buffer[],
    ];
    cursor = reply[0].toString();
    keys.push(...reply[1].map((key) => key.toString('latin1').slice(engine.prefix.length)));
  } while (cursor !== '0');
  return keys;
}

async function hash(engine: Engine, key: string): Promise<Map<string, Buffer>> {
  const flat = (await engine.command('HGETALL', [engine.key(key)])) as Buffer[];
  const map = new Map<string, Buffer>();
  for (let i = 0; i < flat.length; i += 2) map.set(flat[i]!.toString('latin1'), flat[i + 1]!);
  return map;
}

async function members(engine: Engine, key: string): Promise<Buffer[]> {
  return (await engine.command('ZRANGE', [engine.key(key), 0, -1])) as Buffer[];
}

/**
 * Checks that counters and reverse indexes say what the records, inodes and entries say. Answers the stored slices
 * with records, so that a test can tell what must not be in `gc`.
 */
export async function checkVolume(engine: Engine): Promise<Set<number>> {
  const keys = await readVolume(engine);
  const packs = await hash(engine, 'pk');
  const counts = new Map<number, number>();
  const live = new Map<number, number>();
  const inline = new Map<number, number>();
  const queued = new Set<string>();
  const chunkIndex = new Map<string, string[]>();
  for (const key of keys) {
    const parts = /^s(\d+):(\d+)$/.exec(key);
    if (parts === null) continue;
    const [, ino, chunk] = parts as unknown as [string, string, string];
    if (chunk !== '0') chunkIndex.set(ino, [...(chunkIndex.get(ino) ?? []), chunk]);
    const records = unpackSliceRecords((await engine.command('GET', [engine.key(key)])) as Buffer);
    assert.ok(records.length > 0, `${key} is empty`);
    for (const record of records) {
      if (record.id === 0) continue;
      counts.set(record.id, (counts.get(record.id) ?? 0) + 1);
      if (packs.has(String(record.id))) live.set(record.id, (live.get(record.id) ?? 0) + record.len);
      if (record.inline) {
        inline.set(record.id, record.size);
        queued.add(`${record.id},${ino},${chunk},${record.size}`);
      }
    }
  }

  for (const [id, value] of packs)
    assert.equal(readU64(value, 0), live.get(Number(id)) ?? 0, `live bytes of pack ${id}`);
  const refs = await hash(engine, 'ref');
  for (const [id, count] of counts) {
    if (packs.has(String(id))) assert.ok(!refs.has(String(id)), `pack ${id} has a ref`);
    else assert.equal(Number(refs.get(String(id))?.toString() ?? 0), count - 1, `references of slice ${id}`);
  }
  for (const id of refs.keys()) assert.ok((counts.get(Number(id)) ?? 0) > 1, `ref names ${id}, which is not shared`);

  let inlineBytes = 0;
  const held = keys.filter((key) => /^b\d+$/.test(key)).map((key) => Number(key.slice(1)));
  assert.deepEqual(held.sort(), [...inline.keys()].sort(), 'inline bytes are there exactly for inline records');
  for (const [id, size] of inline) {
    inlineBytes += size;
    assert.equal(await engine.command('STRLEN', [engine.key(`b${id}`)]), size, `bytes of inline slice ${id}`);
  }
  const counters = await hash(engine, 'n');
  const counter = (name: string): number => Number(counters.get(name)?.toString() ?? 0);
  assert.equal(counter('inline'), inlineBytes, 'counter of inline bytes');
  const queue = (await members(engine, 'inq')).map(
    (m) => `${readU64(m, 0)},${readU64(m, 8)},${m.readUInt32LE(16)},${m.readUInt32LE(20)}`,
  );
  assert.deepEqual(queue.sort(), [...queued].sort(), 'the packer queue names exactly the inline records');
  for (const key of keys) {
    const ino = /^k(\d+)$/.exec(key)?.[1];
    if (ino === undefined) continue;
    const listed = (await members(engine, key)).map((m) => m.toString());
    assert.deepEqual(listed.sort(), (chunkIndex.get(ino) ?? []).sort(), `chunk index of inode ${ino}`);
    chunkIndex.delete(ino);
  }
  assert.equal(chunkIndex.size, 0, `chunks without index: ${[...chunkIndex.keys()]}`);
  for (const member of await members(engine, 'gc')) {
    const id = Number(member.toString().split(':')[0]);
    assert.ok(!counts.has(id), `slice ${id} has a record and waits for deletion`);
  }
  await checkTree(engine, keys, counter);
  return new Set([...counts.keys()].filter((id) => !inline.has(id)));
}

/** Bytes of the blocks in which a file's records show data. */
async function roomOf(engine: Engine, keys: string[], ino: number): Promise<number> {
  let blocks = 0;
  for (const key of keys.filter((name) => name.startsWith(`s${ino}:`))) {
    const shown = new Map<number, Uint8Array>();
    for (const { id, pos, len } of unpackSliceRecords((await engine.command('GET', [engine.key(key)])) as Buffer)) {
      for (let at = pos; at < pos + len; ) {
        const block = Math.floor(at / ALLOCATION_BYTES);
        const from = at - block * ALLOCATION_BYTES;
        const to = Math.min(ALLOCATION_BYTES, from + pos + len - at);
        if (id !== 0 && !shown.has(block)) shown.set(block, new Uint8Array(ALLOCATION_BYTES));
        shown.get(block)?.fill(id === 0 ? 0 : 1, from, to);
        at += to - from;
      }
    }
    for (const bytes of shown.values()) if (bytes.includes(1)) blocks++;
  }
  return blocks * ALLOCATION_BYTES;
}

async function checkTree(engine: Engine, keys: string[], counter: (name: string) => number): Promise<void> {
  let bytes = 0;
  let inodes = 0;
  for (const key of keys) {
    const ino = Number(/^i(\d+)$/.exec(key)?.[1] ?? 0);
    if (ino === 0) continue;
    if (ino !== 1) inodes += 1;
    const attr = decodeAttr(ino, (await engine.command('GET', [engine.key(key)])) as Buffer);
    const type = attr.mode & S_IFMT;
    if (type === S_IFREG || type === S_IFLNK) bytes += allocatedBytes(attr);
    if (type === S_IFREG && (attr.flags & FLAG_SPARSE) !== 0) {
      // A block may keep its room when what was in it has been cut off, as on a disk.
      const [low, high] = [await roomOf(engine, keys, ino), allocatedBytes({ ...attr, flags: 0 })];
      assert.ok(
        attr.sparseBytes >= low && attr.sparseBytes <= high,
        `${attr.sparseBytes} bytes of inode ${ino}, not ${low} to ${high}`,
      );
    }
    if (type !== S_IFDIR || attr.nlink === 0) continue;
    const entries = (await members(engine, `d${ino}`)).map((member) => decodeMember(member));
    const subdirs = entries.filter((entry) => entry.dir).length;
    assert.equal(attr.nlink, 2 + subdirs, `link count of directory ${ino}`);
    const byName = new Map<string, boolean[]>();
    for (const { name, shadowed } of entries) byName.set(name, [...(byName.get(name) ?? []), shadowed]);
    for (const [name, shadowed] of byName) {
      assert.ok(shadowed.length <= 2, `${shadowed.length} entries named ${name}`);
      assert.equal(shadowed.filter((y) => !y).length, 1, `exactly one entry named ${name} is the primary`);
    }
  }
  assert.equal(counter('inodes'), inodes, 'counter of inodes');
  assert.equal(counter('bytes'), bytes, 'counter of used bytes');
}
