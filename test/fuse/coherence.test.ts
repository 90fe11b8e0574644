/** What the kernel caches, when it asks again, and what a signal does to a call that hangs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { buildAddon, cannotMount, Mounted, TEST_MS_MAX } from './mounted.ts';

for (const transport of ['native', 'pure'] as const) {
  describe(`caches over the ${transport} transport`, { skip: cannotMount, timeout: 3 * TEST_MS_MAX }, () => {
    let mounted: Mounted;
    before(async () => {
      buildAddon();
      mounted = await Mounted.start({ transport });
    });
    after(() => mounted?.remove());

    test('names and attributes are asked for once', async () => {
      await writeFile(mounted.path('once'), 'x');
      await stat(mounted.path('once'));
      const before = await mounted.calls('lookup');
      for (let i = 0; i < 20; i++) await stat(mounted.path('once'));
      assert.equal(await mounted.calls('lookup'), before);
    });

    test('a missing name is remembered, and a remote create shows at once', async () => {
      await assert.rejects(stat(mounted.path('remote')), { code: 'ENOENT' });
      const before = await mounted.calls('lookup');
      await assert.rejects(stat(mounted.path('remote')), { code: 'ENOENT' });
      assert.equal(await mounted.calls('lookup'), before, 'the second time the kernel answers');
      await mounted.ask('remote-write', 'remote', 'from far');
      assert.equal(await readFile(mounted.path('remote'), 'latin1'), 'from far');
    });

    test('remote bytes and sizes show at once, also in an open file', async () => {
      await mounted.ask('remote-write', 'changing', 'first');
      assert.equal(await readFile(mounted.path('changing'), 'latin1'), 'first');
      await mounted.ask('remote-write', 'changing', 'second version');
      assert.equal((await stat(mounted.path('changing'))).size, 14);
      assert.equal(await readFile(mounted.path('changing'), 'latin1'), 'second version');
    });

    test('a remote removal shows at once', async () => {
      await mounted.ask('remote-write', 'leaving', 'x');
      await stat(mounted.path('leaving'));
      await mounted.ask('remote-remove', 'leaving');
      await assert.rejects(stat(mounted.path('leaving')), { code: 'ENOENT' });
    });

    test('expireAll makes the kernel ask for everything again', async () => {
      await mounted.sh('mkdir -p deep; echo 1 > deep/f; cat deep/f; stat missing 2>/dev/null || true');
      const before = await mounted.calls('lookup');
      await mounted.ask('expire-all');
      // The root is invalidated with the epoch; another invalidation comes after it in the same queue.
      await mounted.ask('remote-write', 'marker', 'x');
      await mounted.sh('cat deep/f; stat missing 2>/dev/null || true');
      assert.ok((await mounted.calls('lookup')) >= before + 3, 'deep, f and the missing name');
    });

    test('many remote changes while the directory is in use come through', async () => {
      const busy = mounted.sh('for i in $(seq 300); do echo $i > busy-$i; ls > /dev/null; rm busy-$i; done');
      for (let i = 0; i < 100; i++) await mounted.ask('remote-write', `r${i % 10}`, `value ${i}`);
      await busy;
      for (let i = 0; i < 10; i++) {
        assert.equal(await readFile(mounted.path(`r${i}`), 'latin1'), `value ${90 + i}`);
      }
    });

    test('a signal ends a lookup that hangs', { timeout: TEST_MS_MAX }, async () => {
      const child = spawn('stat', [mounted.path('hanging')], { stdio: 'ignore' });
      const exited = once(child, 'exit');
      // The signal interrupts the call only once that waits in the kernel; repeated, it gets there.
      const timer = setInterval(() => child.kill('SIGTERM'), 100);
      const [, signal] = await exited;
      clearInterval(timer);
      assert.equal(signal, 'SIGTERM');
      await mounted.sh('echo still > works; cat works');
    });

    test('a signal that does not kill leaves calls that are merely slow alone', { timeout: TEST_MS_MAX }, async () => {
      // A timer signal every millisecond: without the grace, some of these many calls would fail with EINTR.
      const script = `
import os, signal
signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
libc = __import__('ctypes').CDLL(None, use_errno=True)
for i in range(2000):
    assert libc.mkdir(b'alarm%d' % i, 0o755) == 0, i
    assert libc.rmdir(b'alarm%d' % i) == 0, i
signal.setitimer(signal.ITIMER_REAL, 0)`;
      await mounted.sh(`python3 -c "$(cat <<'END'\n${script}\nEND\n)"`);
    });
  });
}
