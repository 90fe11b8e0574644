/** A store behind a proxy that refuses, stays silent and cuts answers off. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { shell } from '../../conformance/cross-frontend/running-up.ts';
import { behindProxy } from './behind-proxy.ts';
import type { ServedVolume } from './served-volume.ts';

const MIB = 1024 * 1024;
const BYTES = Buffer.alloc(6 * MIB, 'x');

/** A program that stays in the call it names until it is killed. */
function stuck(program: string): ChildProcess {
  return spawn('python3', ['-c', `import os\n${program}`], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function saysReady(child: ChildProcess): Promise<void> {
  const [text] = (await once(child.stdout!, 'data')) as [Buffer];
  assert.match(text.toString(), /ready/);
}

/** Whether the process sleeps in a system call, as /proc tells, or has ended. */
function sleeps(child: ChildProcess): boolean {
  if (child.exitCode !== null || child.signalCode !== null) return true;
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1');
  return /^[DS] /.test(stat.slice(stat.lastIndexOf(')') + 2));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function untilStored(volume: ServedVolume, name: string): Promise<void> {
  for (;;) {
    const reply = await volume.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: name }));
    if (BYTES.equals(await reply.Body!.transformToByteArray())) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('D10: a store that refuses for a while costs time, not an error', { timeout: 170_000 }, async () => {
  await behindProxy('60', async ({ volume, proxy, path }) => {
    await proxy.set('refuse');
    const writing = writeFile(path('refused'), BYTES, { flush: true });
    let done = false;
    void writing.then(() => {
      done = true;
    });
    // Far longer than ten attempts in a row take.
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    assert.equal(done, false);
    await proxy.set('pass');
    await writing;
    const reply = await volume.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'refused' }));
    assert.ok(BYTES.equals(await reply.Body!.transformToByteArray()));
    await proxy.set('cut');
    const reading = readFile(path('refused'));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await proxy.set('pass');
    assert.ok((await reading).equals(BYTES), 'answers that were cut off are asked for again');
  });
});

test('D10: a silent store is an error when the time is over, and what was written is stored when it speaks again', {
  timeout: 170_000,
}, async () => {
  await behindProxy('4', async ({ volume, proxy, path }) => {
    await writeFile(path('there'), BYTES, { flush: true });
    await proxy.set('silent');
    await assert.rejects(
      shell(`dd if=${path('there')} iflag=direct bs=1M count=1 of=/dev/null`),
      /Input\/output error/,
    );
    await assert.rejects(writeFile(path('silent'), BYTES, { flush: true }), { code: 'EIO' });
    await proxy.set('pass');
    assert.ok((await readFile(path('there'))).equals(BYTES));
    // The bytes were kept, and are tried again without anybody asking.
    await untilStored(volume, 'silent');
  });
});

test('D11: a process that is killed while the store is silent ends, in read, fsync and close', {
  timeout: 170_000,
}, async () => {
  await behindProxy('120', async ({ volume, proxy, path }) => {
    await writeFile(path('there'), BYTES, { flush: true });
    await proxy.set('silent');
    const programs = [
      `import mmap; f = os.open('${path('there')}', os.O_RDONLY | os.O_DIRECT); print('ready', flush=True); os.readv(f, [mmap.mmap(-1, 4096)])`,
      `f = open('${path('synced')}', 'wb', 0); f.write(b'x' * ${BYTES.length}); print('ready', flush=True); os.fsync(f.fileno())`,
      `f = open('${path('closed')}', 'wb', 0); f.write(b'x' * ${BYTES.length}); print('ready', flush=True); f.close()`,
      // Closed by its end: the kernel then waits without listening to signals.
      `f = open('${path('dying')}', 'wb', 0); f.write(b'x' * ${BYTES.length}); print('ready', flush=True); os.kill(os.getpid(), 9)`,
    ];
    await Promise.all(
      programs.map(async (program) => {
        const child = stuck(program);
        const exited = once(child, 'exit');
        await saysReady(child);
        await until(() => sleeps(child));
        child.kill('SIGKILL');
        await exited;
      }),
    );
    await proxy.set('pass');
    for (const name of ['synced', 'closed', 'dying']) {
      await untilStored(volume, name);
    }
  });
});
