import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFsError } from '../../src/base/errors.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { O_APPEND, O_CREAT, O_RDONLY, O_RDWR } from '../../src/vfs/file/open-flags.ts';
import type { FileHandle, Vfs } from '../../src/vfs/vfs.ts';
import { MOUNT } from '../support/callers.ts';
import { create, readAll } from '../support/vfs-files.ts';
import { joinVfs, type Session } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const timeout = 60_000;
/** Ranges stay small and cross the block size of nothing but the inline limit, so that many cases fit a short run. */
const OFFSET_MAX = 150_000;
const LENGTH_MAX = 90_000;

const volume = await testVolume();
const plain = await joinVfs(volume);
/** Rewrites a chunk's records all the time, under the feet of everybody. */
const busy = await joinVfs(volume, { vfs: { upkeep: { compaction: true, compactRecords: 2 } } });
const far = await joinVfs(volume);

type Op =
  | { op: 'write'; offset: number; length: number; fill: number }
  | { op: 'append'; length: number; fill: number }
  | { op: 'truncate'; size: number }
  | { op: 'fallocate'; mode: 0 | 1 | 3 | 0x10 | 0x11; offset: number; length: number }
  | { op: 'copy'; from: number; to: number; length: number }
  | { op: 'read'; offset: number; length: number }
  | { op: 'flush' | 'reopen' | 'stat' }
  | { op: 'elsewhere'; offset: number; length: number; fill: number };

const offset = fc.oneof(fc.integer({ min: 0, max: OFFSET_MAX }), fc.constantFrom(0, 4096, 65_536));
const length = fc.oneof(fc.integer({ min: 1, max: LENGTH_MAX }), fc.constantFrom(1, 4096, 65_536, 65_537));
const fill = fc.integer({ min: 1, max: 255 });
const operation: fc.Arbitrary<Op> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('write' as const), offset, length, fill }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('append' as const), length, fill }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('truncate' as const), size: offset }) },
  fc.record({
    op: fc.constant('fallocate' as const),
    mode: fc.constantFrom(0 as const, 1 as const, 3 as const, 0x10 as const, 0x11 as const),
    offset,
    length,
  }),
  fc.record({ op: fc.constant('copy' as const), from: offset, to: offset, length }),
  { weight: 3, arbitrary: fc.record({ op: fc.constant('read' as const), offset, length }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('flush' as const, 'reopen' as const, 'stat' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('elsewhere' as const), offset, length, fill }) },
);

test('random operations on a file give what a plain array of bytes gives', { timeout }, async () => {
  await check(plain, 60);
});

test('the same while chunks are compacted in the background', { timeout }, async () => {
  await check(busy, 60);
  assert.ok((busy.trips.get('compactChunk') ?? 0) > 0, 'there was compaction');
});

let run = 0;
async function check(near: Session, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 25 }), async (operations) => {
      await new FileUnderTest(`random-${run++}`, near).run(operations);
    }),
    { numRuns },
  );
}

/** A file with two handles here (one appending) and now and then a writer in another session, beside its model. */
class FileUnderTest {
  readonly name: string;
  readonly #near: Session;
  #model = Buffer.alloc(0);
  #handle!: FileHandle;
  #appender!: FileHandle;

  constructor(name: string, near: Session) {
    this.name = name;
    this.#near = near;
  }

  async run(operations: Op[]): Promise<void> {
    this.#handle = await create(this.#near.vfs, this.name, O_RDWR | O_CREAT);
    this.#appender = await this.#open(this.#near.vfs, O_RDWR | O_APPEND);
    for (const operation of operations) await this.#apply(operation);
    await this.#flush();
    this.#same(await readAll(this.#near.vfs, this.#handle), 'at the end, here');
    await this.#closeHandles();
    const elsewhere = await this.#open(far.vfs, O_RDONLY);
    this.#same(await readAll(far.vfs, elsewhere), 'at the end, in the other session');
    await far.vfs.files.release(MOUNT, elsewhere);
    await this.#near.vfs.names.unlink(MOUNT, ROOT_INO, this.name);
  }

  async #apply(operation: Op): Promise<void> {
    const { vfs } = this.#near;
    switch (operation.op) {
      case 'write':
        await this.#write(this.#near, this.#handle, operation);
        break;
      case 'append': {
        const data = Buffer.alloc(operation.length, operation.fill);
        await vfs.files.write(MOUNT, this.#appender, this.#model.length, data, false);
        this.#model = Buffer.concat([this.#model, data]);
        break;
      }
      case 'truncate':
        await vfs.attributes.setattr(MOUNT, this.#handle.ino, { size: operation.size });
        this.#resize(operation.size);
        break;
      case 'fallocate':
        await vfs.files.fallocate(MOUNT, this.#handle, operation.mode, operation.offset, operation.length);
        this.#fallocate(operation);
        break;
      case 'copy':
        await this.#copy(operation);
        break;
      case 'read': {
        const bytes = await vfs.files.read(MOUNT, this.#handle, operation.offset, operation.length);
        const wanted = this.#model.subarray(operation.offset, operation.offset + operation.length);
        assert.ok(bytes.equals(wanted), `read of ${operation.length} at ${operation.offset}`);
        break;
      }
      case 'flush':
        await this.#flush();
        break;
      case 'reopen':
        await this.#closeHandles();
        this.#handle = await this.#open(vfs, O_RDWR);
        this.#appender = await this.#open(vfs, O_RDWR | O_APPEND);
        break;
      case 'elsewhere':
        await this.#writeElsewhere(operation);
        break;
      default:
        assert.equal((await vfs.attributes.getattr(MOUNT, this.#handle.ino)).size, this.#model.length);
    }
  }

  async #write(session: Session, handle: FileHandle, at: { offset: number; length: number; fill: number }) {
    const data = Buffer.alloc(at.length, at.fill);
    await session.vfs.files.write(MOUNT, handle, at.offset, data, false);
    if (this.#model.length < at.offset + at.length) this.#resize(at.offset + at.length);
    data.copy(this.#model, at.offset);
  }

  /** Another session writes what this one has committed before; this one waits for its push, as a user would see it. */
  async #writeElsewhere(at: { offset: number; length: number; fill: number }): Promise<void> {
    await this.#flush();
    const handle = await this.#open(far.vfs, O_RDWR);
    await this.#write(far, handle, at);
    await far.vfs.files.flush(MOUNT, handle);
    await far.vfs.files.release(MOUNT, handle);
    const { version } = await far.meta.names.getattr(handle.ino);
    const end = Date.now() + 30_000;
    while ((await this.#near.vfs.attributes.getattr(MOUNT, handle.ino)).version < version) {
      if (Date.now() > end) throw new Error('no push came from the other session');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async #copy(at: { from: number; to: number; length: number }): Promise<void> {
    const { vfs } = this.#near;
    const call = vfs.files.copyFileRange(MOUNT, this.#handle, at.from, this.#handle, at.to, at.length);
    const bytes = Buffer.from(this.#model.subarray(at.from, at.from + at.length));
    if (Math.abs(at.from - at.to) < bytes.length) {
      await assert.rejects(call, (error) => isFsError(error, 'EINVAL'));
      return;
    }
    assert.equal(await call, bytes.length);
    if (bytes.length === 0) return;
    if (this.#model.length < at.to + bytes.length) this.#resize(at.to + bytes.length);
    bytes.copy(this.#model, at.to);
  }

  #fallocate(at: { mode: number; offset: number; length: number }): void {
    const keepSize = (at.mode & 1) !== 0;
    if (!keepSize && this.#model.length < at.offset + at.length) this.#resize(at.offset + at.length);
    const end = Math.min(this.#model.length, at.offset + at.length);
    if (at.mode > 1 && at.offset < end) this.#model.fill(0, at.offset, end);
  }

  #resize(size: number): void {
    const resized = Buffer.alloc(size);
    this.#model.copy(resized);
    this.#model = resized;
  }

  async #open(vfs: Vfs, flags: number): Promise<FileHandle> {
    const { attr } = await vfs.names.lookup(MOUNT, ROOT_INO, this.name);
    return (await vfs.files.open(MOUNT, attr.ino, flags, false)).handle;
  }

  async #flush(): Promise<void> {
    await this.#near.vfs.files.flush(MOUNT, this.#handle);
  }

  async #closeHandles(): Promise<void> {
    for (const handle of [this.#handle, this.#appender]) {
      await this.#near.vfs.files.flush(MOUNT, handle);
      await this.#near.vfs.files.release(MOUNT, handle);
    }
  }

  #same(bytes: Buffer, when: string): void {
    assert.equal(bytes.length, this.#model.length, `length ${when}`);
    assert.ok(bytes.equals(this.#model), `bytes ${when}`);
  }
}
