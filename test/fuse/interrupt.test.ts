/** What becomes of calls whose callers get a signal while the vfs keeps them waiting. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { afterEach, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLogger } from '../../src/base/log.ts';
import type { Attr, Entry } from '../../src/base/vocabulary.ts';
import { S_IFREG } from '../../src/base/vocabulary.ts';
import { FuseSession } from '../../src/fuse/ops/fuse-session.ts';
import { OPERATIONS } from '../../src/fuse/ops/opcode-table.ts';
import type { Transport } from '../../src/fuse/transport/transport.ts';
import { BODY, Request, WireBuffer } from '../../src/fuse/wire/decode.ts';
import { OP } from '../../src/fuse/wire/protocol.ts';
import type { FileHandle, KernelCache, Vfs } from '../../src/vfs/vfs.ts';
import { buildAddon, cannotMount, Mounted, TEST_MS_MAX } from '../support/mounted.ts';
import { until } from '../support/until.ts';

const EINTR = 4;

/** Keeps the errno of each reply, by the request's unique id. */
class ReplyLog implements Transport {
  readonly kind = 'pure';
  readonly out = new WireBuffer(8192);
  readonly notifyParallel = 1;
  readonly replies: [unique: number, errno: number][] = [];
  start(): void {}
  close(): void {}
  send(): number {
    this.replies.push([this.out.words[2]!, -(this.out.words[1]! | 0)]);
    return 0;
  }
  sendWith(): number {
    return this.send();
  }
  async notify(): Promise<number> {
    return 0;
  }
}

function request(opcode: number, unique: number, words: number[], tail = ''): Request {
  const input = new WireBuffer(256);
  const end = 40 + 4 * words.length + tail.length;
  input.words.set([end, opcode, unique, 0, 1, 0, 0, 0, 0, 0]);
  input.words.set(words, BODY);
  input.bytes.write(tail, 40 + 4 * words.length, 'latin1');
  return new Request(input, 0);
}

/** A session over a vfs whose lookup and open answer when the test says so. */
function heldSession() {
  const transport = new ReplyLog();
  const released: FileHandle[] = [];
  const invalidated: number[] = [];
  let found: (entry: Entry) => void = () => {};
  let opened: (reply: { handle: FileHandle; keepCache: boolean }) => void = () => {};
  const vfs = {
    names: { lookup: () => new Promise<Entry>((resolve) => (found = resolve)) },
    files: {
      open: () => new Promise<{ handle: FileHandle; keepCache: boolean }>((resolve) => (opened = resolve)),
      release: async (_ctx: unknown, handle: FileHandle) => {
        released.push(handle);
        throw new Error('a failure here must not end the process');
      },
    },
  } as unknown as Vfs;
  const session = new FuseSession({ vfs, transport, logger: silentLogger, debug: false });
  session.kernelCache = {
    invalidateInode: async (ino: number) => void invalidated.push(ino),
  } as Partial<KernelCache> as KernelCache;
  return {
    session,
    transport,
    released,
    invalidated,
    found: (entry: Entry) => found(entry),
    opened: (reply: { handle: FileHandle; keepCache: boolean }) => opened(reply),
  };
}

test('a lookup whose caller was let go is answered once, and what it finds is not counted as known', async () => {
  const { session, transport, found } = heldSession();
  const lookup = request(OP.LOOKUP, 7, [], 'name\0');
  OPERATIONS[OP.LOOKUP]!(session, lookup);
  session.abandon(lookup.key, lookup);
  assert.deepEqual(transport.replies, [[7, EINTR]]);
  found({ name: 'name', attr: { ino: 9, mode: S_IFREG } as Attr, shadowed: false });
  await turn();
  assert.deepEqual(transport.replies, [[7, EINTR]]);
  assert.equal(session.known.size, 0);
  assert.equal(session.pending.size, 0);
});

test('a file opened for a caller that was let go is released, and the kernel drops its pages', async () => {
  const { session, transport, released, invalidated, opened } = heldSession();
  const open = request(OP.OPEN, 8, [0, 0]);
  OPERATIONS[OP.OPEN]!(session, open);
  session.abandon(open.key, open);
  const handle = { id: 5, ino: 9, flags: 0 };
  opened({ handle, keepCache: false });
  await turn();
  assert.deepEqual(transport.replies, [[8, EINTR]]);
  assert.deepEqual(released, [handle]);
  assert.deepEqual(invalidated, [9]);
  assert.equal(session.files.size, 0);
});

interface Caller {
  /** Sends the signals every now and then until the program ends: one alone may come before the call waits. */
  keepSending(...signals: NodeJS.Signals[]): void;
  waits(): boolean;
  readonly child: ChildProcess;
  readonly said: Promise<string>;
}

/** A Python program that says "ready" before its call; the handler of `signals` does nothing but let EINTR through. */
function caller(call: string, signals: string): Caller {
  const program = `
import ctypes, os, signal
for name in '${signals}'.split(): signal.signal(getattr(signal, name), lambda *_: None)
libc = ctypes.CDLL(None, use_errno=True)
print('ready', flush=True)
result = libc.${call}
print('result', result, ctypes.get_errno() if result < 0 else 0, flush=True)`;
  const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  const said = once(child, 'close').then(() => text.replace('ready\n', '').trim());
  return {
    child,
    said,
    waits: () => text.startsWith('ready') && waitsForUs(child.pid!),
    keepSending(...names) {
      const send = () => names.forEach((name) => void child.kill(name));
      send();
      const timer = setInterval(send, 100);
      child.once('exit', () => clearInterval(timer));
    },
  };
}

/** A Python expression: the file opened, with no page of it in the kernel. */
function openFile(path: string, flags: string): string {
  return `[f := os.open('${path}', ${flags}), os.posix_fadvise(f, 0, 0, os.POSIX_FADV_DONTNEED)][0]`;
}

/** Whether the process waits in a call of ours. */
function waitsForUs(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/wchan`)) return false;
  return /fuse|request_wait|folio|completion/.test(readFileSync(`/proc/${pid}/wchan`, 'latin1'));
}

for (const transport of ['native', 'pure'] as const) {
  describe(`signals over the ${transport} transport`, { skip: cannotMount, timeout: 6 * TEST_MS_MAX }, () => {
    let mounted: Mounted;
    before(async () => {
      buildAddon();
      mounted = await Mounted.start({ transport });
      await mounted.sh('mkdir d; echo text > file; echo text > other');
    });
    afterEach(() => mounted.ask('resume'));

    const calls: [string, string, (path: (name: string) => string) => string][] = [
      ['lookup', 'SIGTERM', (path) => `access(b'${path('unknown')}', 0)`],
      ['open', 'SIGINT', (path) => `open(b'${path('file')}', 0)`],
      [
        'read',
        'SIGHUP',
        (path) => `pread(${openFile(path('file'), 'os.O_DIRECT')}, ctypes.create_string_buffer(9), 9, 0)`,
      ],
      ['read', 'SIGQUIT', (path) => `pread(${openFile(path('file'), '0')}, ctypes.create_string_buffer(9), 9, 0)`],
    ];
    for (const [held, signal, call] of calls) {
      test(`a ${held} ends with EINTR when its caller catches ${signal}`, { timeout: TEST_MS_MAX }, async () => {
        await mounted.ask('hold', held);
        const interrupted = caller(
          call((name) => mounted.path(name)),
          signal,
        );
        await until(() => interrupted.waits(), 'the caller to wait');
        interrupted.keepSending(signal as NodeJS.Signals);
        assert.equal(await interrupted.said, `result -1 ${EINTR}`);
        // The late result: whatever it took is given back, and the next call sees the truth.
        await mounted.ask('resume');
        await until(async () => (await mounted.ask('open-count')) === 0, 'the file to be released');
        assert.equal((await mounted.sh('cat file')).trim(), 'text');
        await assert.rejects(stat(mounted.path('unknown')), { code: 'ENOENT' });
      });
    }

    test('a change and a call with other signals wait for their true answer', { timeout: TEST_MS_MAX }, async () => {
      const path = (name: string) => mounted.path(name);
      await assert.rejects(stat(path('d/made')), { code: 'ENOENT' });
      for (const held of ['mkdir', 'open']) await mounted.ask('hold', held);
      const making = caller(`mkdir(b'${path('d/made')}', 0o755)`, 'SIGTERM');
      const timed = caller(`open(b'${path('other')}', 0)`, 'SIGALRM SIGCHLD SIGUSR1');
      const truncating = caller(`open(b'${path('other')}', os.O_WRONLY | os.O_TRUNC)`, 'SIGTERM');
      const looking = caller(`open(b'${path('file')}', 0)`, 'SIGTERM');
      for (const one of [making, timed, truncating, looking]) await until(() => one.waits(), 'the callers to wait');
      for (const one of [making, truncating]) one.keepSending('SIGTERM');
      timed.keepSending('SIGALRM', 'SIGCHLD', 'SIGUSR1');
      looking.keepSending('SIGTERM');
      // Once this one is let go, the others were looked at as often.
      assert.equal(await looking.said, `result -1 ${EINTR}`);
      assert.equal(making.child.exitCode, null);
      await mounted.ask('resume');
      assert.equal(await making.said, 'result 0 0');
      assert.match(await timed.said, /^result \d+ 0$/);
      assert.match(await truncating.said, /^result \d+ 0$/);
      assert.ok((await stat(path('d/made'))).isDirectory());
    });
  });
}
