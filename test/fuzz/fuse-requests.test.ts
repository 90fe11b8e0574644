/**
 * Requests as no kernel makes them: any opcode, any words, any bytes behind. Whoever can write them is the kernel, so this is about a kernel
 * that is newer, older or broken: the server must answer each once, in bounds, and go on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { silentLogger } from '../../src/base/log.ts';
import { FuseServer } from '../../src/fuse/fuse-server.ts';
import type { Transport, TransportEvents } from '../../src/fuse/transport/transport.ts';
import { WireBuffer } from '../../src/fuse/wire/decode.ts';
import { OP } from '../../src/fuse/wire/protocol.ts';
import { writeFile } from '../support/vfs-files.ts';
import { joinVfs } from '../support/vfs-session.ts';
import { testVolume } from '../support/volume.ts';

const REQUEST_BYTES = 1024 * 1024 + 4096;
const SILENT: ReadonlySet<number> = new Set([OP.FORGET, OP.BATCH_FORGET, OP.INTERRUPT, OP.NOTIFY_REPLY, OP.DESTROY]);

/** A transport without a kernel: what is sent is looked at. */
class LooseTransport implements Transport {
  readonly kind = 'pure';
  readonly out = new WireBuffer(REQUEST_BYTES);
  readonly notifyParallel = 1;
  readonly replies: { length: number; errno: number; unique: number }[] = [];
  events: TransportEvents | undefined;

  start(events: TransportEvents): void {
    this.events = events;
  }

  send(length: number): number {
    return this.sendWith(length, Buffer.alloc(0));
  }

  sendWith(length: number, data: Buffer): number {
    const { words } = this.out;
    assert.equal(words[0], length + data.length, 'the length of the reply');
    assert.ok(length >= 16 && length + data.length <= REQUEST_BYTES, `a reply of ${length} bytes`);
    const errno = 0 - (words[1]! | 0);
    assert.ok(errno >= 0 && errno < 4096, `errno ${errno}`);
    if (errno > 0) assert.equal(length, 16, 'an error has no body');
    this.replies.push({ length, errno, unique: words[2]! });
    return 0;
  }

  async notify(): Promise<number> {
    return 0;
  }

  close(): void {}
}

test('any request is answered once and leaves the server standing', { timeout: 170_000 }, async (t) => {
  const volume = await testVolume();
  const { vfs } = await joinVfs(volume);
  await writeFile(vfs, 'file', 'content');
  const transport = new LooseTransport();
  const server = new FuseServer({ vfs, transport, logger: silentLogger, debug: false });
  server.start();
  const input = new WireBuffer(REQUEST_BYTES);
  let unique = 1;
  const give = (opcode: number, ino: number, words: readonly number[], tail: Buffer): void => {
    const length = 40 + words.length * 4 + tail.length;
    input.words.set([length, opcode, unique, 0, ino, 0, 0, 0, 1, 0]);
    input.words.set(words, 10);
    tail.copy(input.bytes, 40 + words.length * 4);
    transport.events!.onRequest(input);
    unique += 1;
  };
  // As a kernel of today introduces itself.
  give(OP.INIT, 0, [7, 45, 131072, 0xffffffff, 0, ...new Array<number>(11).fill(0)], Buffer.alloc(0));
  await server.ready;
  const opcodes = Object.values(OP).filter((opcode) => opcode !== OP.DESTROY);
  const word = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constant(0xffffffff), fc.constant(0x80000000), fc.nat());
  const name = fc.oneof(
    fc.constantFrom(
      'file\0',
      '\0',
      '.\0',
      '..\0',
      'a/b\0',
      'no-end',
      `${'n'.repeat(300)}\0`,
      'user.x\0v',
      'a\0b\0',
      '',
    ),
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  const kind = fc.record({
    opcode: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...opcodes) }, { weight: 1, arbitrary: fc.nat(70_000) }),
    ino: fc.constantFrom(0, 1, 2, 3, 0xffffffff),
    words: fc.array(word, { maxLength: 24 }),
    tail: name,
  });
  const seed = Number(process.env.JANUSFS_TEST_SEED ?? Date.now() % 1e9);
  t.diagnostic(`seed ${seed}`);
  const kinds = fc.sample(kind, { seed, numRuns: 6_000 });
  const waiting = new Map<number, number>();
  for (const [i, { opcode, ino, words, tail }] of kinds.entries()) {
    if (opcode === OP.DESTROY || opcode === OP.INIT) continue;
    if (!SILENT.has(opcode)) waiting.set(unique, opcode);
    give(opcode, ino, words, Buffer.from(tail, 'latin1'));
    if (i % 50 === 0) await sleep(1);
  }
  const isAnswered = (): boolean => {
    const answered = new Set(transport.replies.map((reply) => reply.unique));
    return [...waiting.keys()].every((id) => answered.has(id));
  };
  for (let i = 0; i < 400 && !isAnswered(); i++) await sleep(50);
  const counts = new Map<number, number>();
  for (const reply of transport.replies) counts.set(reply.unique, (counts.get(reply.unique) ?? 0) + 1);
  const twice = [...counts].filter(([id, count]) => count > 1 && waiting.has(id)).map(([id]) => waiting.get(id));
  assert.deepEqual(twice, [], 'opcodes that were answered twice');
  const never = [...waiting].filter(([id]) => !counts.has(id)).map(([, opcode]) => opcode);
  assert.deepEqual(never, [], 'opcodes that were never answered');
  give(OP.STATFS, 1, [], Buffer.alloc(0));
  for (let i = 0; i < 200 && transport.replies.at(-1)?.unique !== unique - 1; i++) await sleep(5);
  assert.deepEqual([transport.replies.at(-1)?.unique, transport.replies.at(-1)?.errno], [unique - 1, 0]);
  server.stop();
});
