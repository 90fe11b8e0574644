/** What the kernel caches, when it asks again, and what a signal does to a call that hangs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { before, describe, test } from 'node:test';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { MOUNT } from '../support/callers.ts';
import { buildAddon, cannotMount, Mounted, TEST_MS_MAX } from '../support/mounted.ts';
import { until } from '../support/until.ts';
import { writeFile as writeFar } from '../support/vfs-files.ts';
import { joinVfs } from '../support/vfs-session.ts';

for (const transport of ['native', 'pure'] as const) {
  describe(`caches over the ${transport} transport`, { skip: cannotMount, timeout: 3 * TEST_MS_MAX }, () => {
    let mounted: Mounted;
    before(async () => {
      buildAddon();
      mounted = await Mounted.start({ transport });
    });

    test('names and attributes are asked for once', async () => {
      await writeFile(mounted.path('once'), 'x');
      await stat(mounted.path('once'));
      const before = await mounted.calls('lookup');
      for (let i = 0; i < 20; i++) await stat(mounted.path('once'));
      assert.equal(await mounted.calls('lookup'), before);
    });

    test('a missing name is remembered, and a PUT shows at once', async () => {
      await assert.rejects(stat(mounted.path('remote')), { code: 'ENOENT' });
      const before = await mounted.calls('lookup');
      await assert.rejects(stat(mounted.path('remote')), { code: 'ENOENT' });
      assert.equal(await mounted.calls('lookup'), before, 'the second time the kernel answers');
      await mounted.ask('put', 'remote', 'from far');
      assert.equal(await readFile(mounted.path('remote'), 'latin1'), 'from far');
    });

    test('bytes and sizes of a PUT over a file show at once', async () => {
      await mounted.ask('put', 'changing', 'first');
      assert.equal(await readFile(mounted.path('changing'), 'latin1'), 'first');
      await mounted.ask('put', 'changing', 'second version');
      assert.equal((await stat(mounted.path('changing'))).size, 14);
      assert.equal(await readFile(mounted.path('changing'), 'latin1'), 'second version');
    });

    test('what another session writes shows when its push has come, also in an open file', async () => {
      const far = await joinVfs(mounted.volume);
      await writeFar(far.vfs, 'far', 'first');
      await until(async () => (await readFile(mounted.path('far'), 'latin1')) === 'first', 'the first bytes');
      const file = await open(mounted.path('far'));
      assert.equal((await file.read(Buffer.alloc(20), 0, 20, 0)).bytesRead, 5);
      await writeFar(far.vfs, 'far', 'second version');
      await until(async () => (await stat(mounted.path('far'))).size === 14, 'the new size');
      const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0);
      assert.equal(buffer.toString('latin1', 0, bytesRead), 'second version');
      assert.equal(await readFile(mounted.path('far'), 'latin1'), 'second version');
      await file.close();
      await far.vfs.names.unlink(MOUNT, ROOT_INO, 'far');
      const gone = (error: NodeJS.ErrnoException) => error.code === 'ENOENT';
      await until(() => stat(mounted.path('far')).then(() => false, gone), 'the removal');
    });

    test('a DELETE shows at once', async () => {
      await mounted.ask('put', 'leaving', 'x');
      await stat(mounted.path('leaving'));
      await mounted.ask('remove', 'leaving');
      await assert.rejects(stat(mounted.path('leaving')), { code: 'ENOENT' });
    });

    test('when pushes come again the kernel asks for everything anew', async () => {
      await mounted.sh('mkdir -p deep; echo 1 > deep/f; cat deep/f; stat missing 2>/dev/null || true');
      const before = await mounted.calls('lookup');
      await mounted.ask('pushes-again');
      // The root is invalidated with the epoch; another invalidation comes after it in the same queue.
      await mounted.ask('put', 'marker', 'x');
      await mounted.sh('cat deep/f; stat missing 2>/dev/null || true');
      assert.ok((await mounted.calls('lookup')) >= before + 3, 'deep, f and the missing name');
    });

    test('many PUTs while the directory is in use come through', async () => {
      const busy = mounted.sh('for i in $(seq 300); do echo $i > busy-$i; ls > /dev/null; rm busy-$i; done');
      for (let i = 0; i < 100; i++) await mounted.ask('put', `r${i % 10}`, `value ${i}`);
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
