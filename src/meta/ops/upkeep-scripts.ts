/** Background work: packing inline bytes, freeing removed inodes and dead slices. */

import { readU64, writeI64 } from '../../base/integers.ts';
import type { InlineSlice, PackSwap } from '../../base/slices.ts';
import type { Ino } from '../../base/vocabulary.ts';
import type { MetaUpkeep } from '../meta.ts';
import type { Engine } from '../redis/engine.ts';
import {
  compareAndWrite,
  deadSlices,
  forgetSlices,
  inlineAlive,
  inlineSlices,
  lease,
  packBegin,
  packEnd,
  packSwap,
  reap,
  reapNow,
  trashExpire,
} from '../schema/upkeep-schemas.ts';
import type { InlineLedger } from './inline-ledger.ts';

/** A pack that is not complete after this long is given up: its object may be deleted, no record points there. */
const PACK_MS_MAX = 600_000;
const SWAP_BYTES = 24;
const MEMBER_BYTES = 24;
const ALIVE_BATCH = 2_000;
/** Lua hands a reply on as one list: far below its limit. */
const REPLY_MAX = 4_000;
const REAP_RECORDS_MAX = 4_000;
const REAP_NOW_MAX = 100;

export class UpkeepScripts implements MetaUpkeep {
  readonly #engine: Engine;
  /** Sizes of the slices that deadSlices() answered: `gc` holds `id:size`. */
  readonly #dead = new Map<number, number>();

  readonly #inline: InlineLedger;

  constructor(engine: Engine, inline: InlineLedger) {
    this.#engine = engine;
    this.#inline = inline;
  }

  async inlineSlices(scope: 'own' | 'any', olderThanMs: number, limit: number): Promise<InlineSlice[]> {
    if (scope === 'own') return this.#ownSlices(limit);
    const youngest = Math.floor(this.#engine.clock.nowUs() / 1000) - olderThanMs;
    const members = await this.#engine.read(inlineSlices, {
      youngest: olderThanMs <= 0 ? '+inf' : String(youngest),
      limit: Math.min(limit, REPLY_MAX),
    });
    return members.map(unpackMember);
  }

  async packBegin(): Promise<number> {
    return (await this.#engine.mutate(packBegin, { msMax: PACK_MS_MAX })).id;
  }

  async packSwap(packId: number, packBytes: number, swaps: PackSwap[]): Promise<number> {
    const packed = Buffer.allocUnsafe(swaps.length * SWAP_BYTES);
    swaps.forEach((swap, i) => {
      const at = i * SWAP_BYTES;
      writeI64(packed, at, swap.ino);
      packed.writeUInt32LE(swap.chunkIndex, at + 8);
      writeI64(packed, at + 12, swap.inlineId);
      packed.writeUInt32LE(swap.packOffset, at + 20);
    });
    const { found, inlineTotal } = await this.#engine.mutate(packSwap, { packId, packBytes, swaps: packed });
    this.#inline.noteTotal(inlineTotal);
    for (const { inlineId, ino, chunkIndex } of swaps) this.#inline.remove({ id: inlineId, ino, chunkIndex });
    return found;
  }

  async packEnd(packId: number): Promise<void> {
    await this.#engine.mutate(packEnd, { packId });
  }

  async reap(limit: number): Promise<{ reaped: number; more: boolean }> {
    const reaped = await this.#engine.mutate(reap, { limit, recordsMax: REAP_RECORDS_MAX });
    this.#inline.noteTotal(reaped.inlineTotal);
    return { reaped: reaped.reaped, more: reaped.more };
  }

  async changePending(place: string, waiting: readonly number[], settled: readonly number[]): Promise<void> {
    const steps = [
      ...waiting.flatMap((id) => ['set-field', 'pend', id, place]),
      ...settled.flatMap((id) => ['delete-field', 'pend', id, '']),
    ];
    if (steps.length > 0) await this.#engine.mutate(compareAndWrite, { steps });
  }

  async pendingPlace(sliceId: number): Promise<string | undefined> {
    const place = (await this.#engine.command('HGET', [this.#engine.key('pend'), sliceId])) as Buffer | null;
    return place?.toString();
  }

  async expireTrash(beforeMs: number | undefined, limit: number): Promise<{ gone: number; more: boolean }> {
    return this.#engine.mutate(trashExpire, { before: beforeMs ?? -1, limit });
  }

  async reapNow(inos: Ino[]): Promise<void> {
    for (let from = 0; from < inos.length; from += REAP_NOW_MAX) {
      const batch = inos.slice(from, from + REAP_NOW_MAX);
      const { inlineTotal } = await this.#engine.mutate(reapNow, { recordsMax: REAP_RECORDS_MAX, inos: batch });
      this.#inline.noteTotal(inlineTotal);
    }
  }

  async deadSlices(limit: number, hurry = false): Promise<{ id: number; sizeBytes: number }[]> {
    const members = await this.#engine.read(deadSlices, { limit: Math.min(limit, REPLY_MAX), hurry });
    return members.map((member) => {
      const [id = 0, sizeBytes = 0] = member.toString('latin1').split(':').map(Number);
      this.#dead.set(id, sizeBytes);
      return { id, sizeBytes };
    });
  }

  /** Ids that this session's deadSlices() did not answer are left alone. */
  async forgetSlices(ids: number[]): Promise<void> {
    const members = ids.filter((id) => this.#dead.has(id)).map((id) => `${id}:${this.#dead.get(id)}`);
    for (let from = 0; from < members.length; from += ALIVE_BATCH) {
      await this.#engine.mutate(forgetSlices, { slices: members.slice(from, from + ALIVE_BATCH) });
    }
    for (const id of ids) this.#dead.delete(id);
  }

  async lease(name: string, ttlMs: number): Promise<boolean> {
    return (await this.#engine.mutate(lease, { name, ttlMs })).taken;
  }

  /** The oldest of this session's slices that still wait; forgets those that were overwritten, removed or packed. */
  async #ownSlices(limit: number): Promise<InlineSlice[]> {
    for (;;) {
      const oldest = this.#inline.oldest(Math.min(limit, ALIVE_BATCH));
      if (oldest.length === 0) return [];
      const { alive } = await this.#engine.read(inlineAlive, { members: oldest.map(packMember) });
      const waiting = oldest.filter((slice, i) => {
        if (alive[i] === '1') return true;
        this.#inline.remove(slice);
        return false;
      });
      if (waiting.length > 0) return waiting;
    }
  }
}

/** Member of `inq`: <I8I8I4I4 id, ino, chunk, size. */
function packMember(slice: InlineSlice): Buffer {
  const out = Buffer.allocUnsafe(MEMBER_BYTES);
  writeI64(out, 0, slice.id);
  writeI64(out, 8, slice.ino);
  out.writeUInt32LE(slice.chunkIndex, 16);
  out.writeUInt32LE(slice.sizeBytes, 20);
  return out;
}

function unpackMember(member: Buffer): InlineSlice {
  return {
    id: readU64(member, 0),
    ino: readU64(member, 8),
    chunkIndex: member.readUInt32LE(16),
    sizeBytes: member.readUInt32LE(20),
  };
}
