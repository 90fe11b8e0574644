import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { type Block, blockName } from '../../src/chunk/block-name.ts';
import { FaultyStore, NO_FAULTS } from '../../src/chunk/object/faulty-store.ts';
import { MemoryStore } from '../../src/chunk/object/memory-store.ts';
import { DamagedBlockError } from '../../src/chunk/object/store-error.ts';
import { Journal, type JournalNotes } from '../../src/chunk/write/journal.ts';

const LIMIT = { timeout: 60_000 };
const OPTIONS = { uploadParallel: 2, maxBytes: 10_000_000, drainMs: 5_000, verify };

/** Blocks of these tests are whole unless they say otherwise. */
function verify({ sliceId, index, blockBytes }: Block, object: Buffer): void {
  if (object.includes('torn')) throw new DamagedBlockError(blockName(sliceId, index, blockBytes), 'it is torn');
}

/** Notes as the metadata would keep them. */
class Notes implements JournalNotes {
  readonly waiting = new Set<number>();
  fails = false;

  async change(waiting: readonly number[], settled: readonly number[]): Promise<void> {
    if (this.fails) throw new Error('no metadata');
    for (const id of waiting) this.waiting.add(id);
    for (const id of settled) this.waiting.delete(id);
  }
}

function parts() {
  const store = new FaultyStore(new MemoryStore(), NO_FAULTS);
  const directory = mkdtempSync(join(tmpdir(), 'janusfs-journal-'));
  const notes = new Notes();
  const open = async (options = {}): Promise<Journal> => {
    const journal = await Journal.open(directory, store, notes, { ...OPTIONS, drainMs: 100, ...options }, silentLogger);
    after(() => journal.close());
    return journal;
  };
  return { store, notes, open };
}

const key = (slice: number, index = 0): string => blockName(slice, index, 4);

test('a block is acknowledged while the store is away, read from here, and noted until it stands', LIMIT, async () => {
  const { store, notes, open } = parts();
  const journal = await open();
  let away = true;
  store.intercept = (operation) => {
    if (away && operation === 'put') throw new Error('away');
  };
  assert.equal(await journal.put(key(1), 1, [Buffer.from('ab'), Buffer.from('cd')]), true);
  assert.ok(notes.waiting.has(1) && journal.holds(1));
  assert.equal((await journal.get(key(1), undefined))?.toString(), 'abcd');
  assert.equal((await journal.get(key(1), { offset: 1, length: 2 }))?.toString(), 'bc');
  assert.equal(await journal.get(key(2), undefined), undefined);
  assert.deepEqual(journal.waiting, { blocks: 1, bytes: 4 });
  away = false;
  assert.equal(await journal.drained(20_000), 0);
  assert.equal((await store.get(key(1), undefined)).toString(), 'abcd');
  assert.deepEqual([notes.waiting.size, journal.waiting.bytes], [0, 0]);
  assert.equal(await journal.get(key(1), undefined), undefined, 'the store has it');
  await journal.close();
});

test('what a crash leaves is uploaded by the next one; blocks of one slice settle together', LIMIT, async () => {
  const { store, notes, open } = parts();
  store.intercept = () => new Promise(() => {});
  const first = await open({ drainMs: 0 });
  for (let index = 0; index < 5; index++) await first.put(key(7, index), 7, [Buffer.from(`abc${index}`)]);
  assert.deepEqual([...notes.waiting], [7]);
  await first.put(key(8), 8, [Buffer.from('torn')]);
  // It is not closed: it has crashed, and the last block was not on the disk yet.
  store.intercept = undefined;
  const settled: number[] = [];
  const change = notes.change.bind(notes);
  notes.change = async (waiting, gone) => {
    if (gone.includes(7)) settled.push((await store.list('chunks/', '', 10)).length);
    await change(waiting, gone);
  };
  const second = await open();
  assert.equal(await second.drained(10_000), 0);
  assert.deepEqual(settled, [5], 'every block stands before the note goes');
  assert.deepEqual([...notes.waiting], [8], 'the note of what was never acknowledged is for the caller to drop');
  assert.equal(second.holds(8), false);
  await second.close();
});

test('without room, without a note, and after close, a block is not taken', LIMIT, async () => {
  const { store, notes, open } = parts();
  const journal = await open({ maxBytes: 6, drainMs: 100 });
  store.intercept = () => new Promise(() => {});
  assert.equal(await journal.put(key(1), 1, [Buffer.from('abcd')]), true);
  assert.equal(await journal.put(key(2), 2, [Buffer.from('abcd')]), false, 'no room');
  notes.fails = true;
  const other = await parts().open();
  await other.close();
  assert.equal(await other.put(key(3), 3, [Buffer.from('abcd')]), false, 'closed');
  const unnoted = parts();
  unnoted.notes.fails = true;
  const failing = await unnoted.open();
  await assert.rejects(failing.put(key(4), 4, [Buffer.from('abcd')]), /no metadata/);
  assert.deepEqual(failing.waiting, { blocks: 0, bytes: 0 });
  await failing.close();
});
