/** Programs that catch a signal while the store or Redis keeps them waiting. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../conformance/cross-frontend/running-up.ts';
import { behindProxy } from './behind-proxy.ts';
import { withVolume } from './served-volume.ts';

const BYTES = Buffer.alloc(6 * 1024 * 1024, 'x');

/** Runs a Python call, after its preparation, that must end by KeyboardInterrupt: what Python's handler of SIGINT raises. */
async function interrupted(call: string, preparation = ''): Promise<void> {
  const program = `import mmap, os
${preparation}
print('ready', flush=True)
try:
    ${call}
    print('not interrupted')
except KeyboardInterrupt: print('interrupted')`;
  const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString();
  });
  const closed = once(child, 'close');
  // Not while Python starts: it swallows an exception here and there.
  await once(child.stdout, 'data');
  await untilWaiting(child, /fuse|request_wait/);
  child.kill('SIGINT');
  await closed;
  assert.equal(said, 'ready\ninterrupted\n', call);
}

/** A program that catches nothing: Ctrl-C ends it. */
async function killed(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  await untilWaiting(child, /fuse|request_wait|folio|page/);
  child.kill('SIGINT');
  assert.deepEqual(await exited, [null, 'SIGINT']);
}

/** Until the kernel waits for the mount, or for a page of it, on the child's behalf. */
async function untilWaiting(child: ChildProcess, where: RegExp): Promise<void> {
  const wchan = (): string => readFileSync(`/proc/${child.pid}/wchan`, 'latin1');
  while (!where.test(wchan())) await new Promise((resolve) => setTimeout(resolve, 10));
}

test('D12: read and fsync end with EINTR while the store is silent, and later reads and writes work', {
  timeout: 170_000,
}, async () => {
  await behindProxy('120', async ({ proxy, path }) => {
    await writeFile(path('there'), BYTES, { flush: true });
    await writeFile(path('cat'), BYTES, { flush: true });
    // Drops the kernel's pages.
    await shell(`dd if=${path('cat')} iflag=nocache count=0`);
    await proxy.set('silent');
    await interrupted(`os.readv(os.open('${path('there')}', os.O_RDONLY | os.O_DIRECT), [mmap.mmap(-1, 4096)])`);
    const written = `f = os.open('${path('synced')}', os.O_CREAT | os.O_WRONLY); os.write(f, b'x' * ${BYTES.length})`;
    await interrupted('os.fsync(f)', written);
    await killed('cat', [path('cat')]);
    await proxy.set('pass');
    assert.ok((await readFile(path('there'))).equals(BYTES));
    assert.ok((await readFile(path('synced'))).equals(BYTES), 'what fsync was to store is stored without it');
  });
});

test('D12: lookups, stats and listings end with EINTR while Redis does not answer', { timeout: 170_000 }, async () => {
  await withVolume({}, async ({ redis, bucket }) => {
    await writeFile(join(bucket, 'there'), 'text');
    process.kill(redis.pid!, 'SIGSTOP');
    try {
      await interrupted(`os.stat('${join(bucket, 'unknown')}')`);
      await interrupted(`os.statvfs('${bucket}')`);
      await interrupted(`os.listdir('${bucket}')`);
      await killed('stat', [join(bucket, 'unknown-too')]);
    } finally {
      process.kill(redis.pid!, 'SIGCONT');
    }
    assert.equal(await readFile(join(bucket, 'there'), 'utf8'), 'text');
    await writeFile(join(bucket, 'unknown'), 'known');
    assert.equal(await readFile(join(bucket, 'unknown'), 'utf8'), 'known');
  });
});
