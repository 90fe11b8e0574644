/** The queue between the vfs and the kernel's caches, with a transport that the test answers for. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLogger } from '../../src/base/log.ts';
import type { Attr } from '../../src/base/vocabulary.ts';
import { S_IFDIR, S_IFREG } from '../../src/base/vocabulary.ts';
import { KnownInodes, OvertakenGuard } from '../../src/fuse/ops/known-inodes.ts';
import { KernelNotifier } from '../../src/fuse/transport/notify.ts';
import type { Transport } from '../../src/fuse/transport/transport.ts';
import { WireBuffer } from '../../src/fuse/wire/decode.ts';

class FakeTransport implements Transport {
  readonly kind = 'native';
  readonly out = new WireBuffer(8);
  readonly notifyParallel = 2;
  /** Batches under way: bytes and the way to answer. */
  readonly batches: { messages: Buffer; answer: (errno: number) => void }[] = [];
  start(): void {}
  close(): void {}
  send(): number {
    return 0;
  }
  sendWith(): number {
    return 0;
  }
  notify(messages: Buffer): Promise<number> {
    return new Promise((answer) => this.batches.push({ messages, answer }));
  }
}

function attr(ino: number, mode: number, parent = 1): Attr {
  return { ino, mode, parent } as Attr;
}

function setUp(minor = 45) {
  const transport = new FakeTransport();
  const known = new KnownInodes();
  const guard = new OvertakenGuard();
  const notifier = new KernelNotifier({ transport, known, guard, logger: silentLogger }, { minor, expireOnly: true });
  return { transport, known, guard, notifier };
}

/** The codes of all messages in a batch. */
function codes(messages: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at < messages.length; at += messages.readUInt32LE(at)) found.push(messages.readInt32LE(at + 4));
  return found;
}

describe('kernel invalidations', () => {
  test('go only to inodes the kernel knows, and resolve when it has done them', async () => {
    const { transport, known, notifier } = setUp();
    await notifier.invalidateInode(7, 0, 0);
    await notifier.invalidateEntry(7, 'x');
    assert.equal(transport.batches.length, 0);
    known.add(attr(7, S_IFDIR));
    let done = false;
    const waiting = notifier.invalidateEntry(7, 'x').then(() => {
      done = true;
    });
    await turn();
    assert.deepEqual(codes(transport.batches[0]!.messages), [3]);
    assert.equal(done, false);
    transport.batches[0]!.answer(0);
    await waiting;
    known.forget(7, 1);
    await notifier.invalidateInode(7, 0, 0);
    assert.equal(transport.batches.length, 1);
  });

  test('queued ones are sent once, but one that is under way is sent again', async () => {
    const { transport, notifier } = setUp();
    const all = [
      notifier.invalidateEntry(1, 'a'),
      notifier.invalidateEntry(1, 'a'),
      notifier.invalidateInode(1, -1, 0),
    ];
    await turn();
    assert.deepEqual(codes(transport.batches[0]!.messages), [3, 2]);
    const again = notifier.invalidateEntry(1, 'a');
    await turn();
    assert.deepEqual(codes(transport.batches[1]!.messages), [3]);
    for (const batch of transport.batches) batch.answer(0);
    await Promise.all([...all, again]);
  });

  test('wait while as many are under way as the transport takes', async () => {
    const { transport, notifier } = setUp();
    for (const name of ['a', 'b', 'c']) {
      void notifier.invalidateEntry(1, name);
      await turn();
    }
    assert.equal(transport.batches.length, 2);
    transport.batches[0]!.answer(0);
    await turn();
    assert.equal(transport.batches.length, 3);
  });

  test('a caller does not wait for a kernel that never finishes', { timeout: 60_000 }, async () => {
    const { transport, notifier } = setUp();
    const keepAlive = setTimeout(() => {}, 50_000);
    await notifier.invalidateEntry(1, 'stuck');
    clearTimeout(keepAlive);
    assert.equal(transport.batches.length, 1);
  });

  test('expireAll starts a new epoch and invalidates every known inode', async () => {
    const { transport, known, notifier } = setUp();
    for (let ino = 2; ino <= 200; ino++) known.add(attr(ino, S_IFREG));
    notifier.expireAll();
    const found: number[] = [];
    for (let done = 0; done < transport.batches.length || done === 0; ) {
      await turn();
      for (; done < transport.batches.length; done++) {
        found.push(...codes(transport.batches[done]!.messages));
        transport.batches[done]!.answer(0);
      }
      await turn();
    }
    assert.equal(found[0], 8);
    assert.equal(found.filter((code) => code === 2).length, 200);
  });

  test('an old kernel gets no epoch', async () => {
    const { transport, notifier } = setUp(43);
    notifier.expireAll();
    await turn();
    assert.deepEqual(codes(transport.batches[0]!.messages), [2]);
  });

  test('after the end nobody waits', async () => {
    const { notifier } = setUp();
    const waiting = notifier.invalidateEntry(1, 'a');
    notifier.close();
    await waiting;
    await notifier.invalidateEntry(1, 'b');
  });
});

describe('replies that an invalidation overtook', () => {
  test('are told by inode, and all of them after a general expiry', () => {
    const guard = new OvertakenGuard();
    const before = guard.sequence;
    assert.equal(guard.overtaken(before, 5), false);
    guard.note(5);
    assert.equal(guard.overtaken(before, 5), true);
    assert.equal(guard.overtaken(before, 6), false);
    assert.equal(guard.overtaken(guard.sequence, 5), false);
    guard.noteAll();
    assert.equal(guard.overtaken(before, 6), true);
  });

  test('more invalidations than are remembered count for every inode', () => {
    const guard = new OvertakenGuard();
    const before = guard.sequence;
    for (let ino = 10; ino < 10_000; ino++) guard.note(ino);
    assert.equal(guard.overtaken(before, 1), true);
  });
});

describe('known inodes', () => {
  test('count references and know parents of directories', () => {
    const known = new KnownInodes();
    known.add(attr(5, S_IFDIR, 3));
    known.add(attr(5, S_IFDIR, 4));
    assert.equal(known.parentOf(5), 4);
    assert.equal(known.forget(5, 1), false);
    assert.equal(known.forget(5, 1), true);
    assert.equal(known.has(5), false);
    assert.equal(known.parentOf(5), undefined);
    assert.equal(known.has(1), true);
  });
});
