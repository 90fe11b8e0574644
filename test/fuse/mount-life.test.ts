/** How a mount begins and ends, well or badly. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildAddon, cannotMount, isMounted, Mounted, sh, TEST_MS_MAX } from '../support/mounted.ts';
import { testVolume } from '../support/volume.ts';

const NOBODY = 65_534;
const directory = mkdtempSync(join(tmpdir(), 'janusfs-life-'));

/** Whether a thread of the process waits uninterruptibly. */
function hangsInKernel(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).some((task) => readFileSync(join(tasks, task, 'stat'), 'latin1').includes(') D '));
}

after(() => rmSync(directory, { recursive: true, force: true }));

describe('mount points', { skip: cannotMount, timeout: TEST_MS_MAX }, () => {
  before(buildAddon);

  test('a missing, non-empty or wrong place is refused in one line', async () => {
    const missing = join(directory, 'missing');
    await assert.rejects(Mounted.start({}, { mountPoint: missing }), /does not exist: mkdir -p/);
    const full = join(directory, 'full');
    mkdirSync(full);
    writeFileSync(join(full, 'file'), '');
    await assert.rejects(Mounted.start({}, { mountPoint: full }), /is not empty/);
    await assert.rejects(Mounted.start({}, { mountPoint: join(full, 'file') }), /is not a directory/);
    assert.equal(isMounted(full), false);
  });

  test('a place that is mounted already is refused and left alone', async () => {
    const first = await Mounted.start();
    await first.sh('echo 1 > f');
    await assert.rejects(Mounted.start({}, { mountPoint: first.mountPoint }), /already mounted \(volume\)/);
    assert.equal((await first.sh('cat f')).trim(), '1');
    await assert.rejects(Mounted.start({}, { mountPoint: '/proc' }), /already the mount point of a proc file system/);
  });

  test('a symbolic link leads to the real place, names with spaces work', async () => {
    const real = join(directory, 'a place\twith spaces');
    mkdirSync(real);
    symlinkSync(real, join(directory, 'link'));
    const mounted = await Mounted.start({}, { mountPoint: join(directory, 'link') });
    await mounted.sh('echo 1 > f; [ "$(cat f)" = 1 ]');
    await mounted.ask('unmount');
    assert.deepEqual(await mounted.exited, [0, null]);
  });

  test('options reach the kernel', async () => {
    const mounted = await Mounted.start({ fsName: 'vol,ume \\1', readOnly: true });
    const line = await sh(`grep ' ${mounted.mountPoint} ' /proc/self/mounts`);
    assert.match(line, /^vol,ume\\040\\1341 .* fuse\.janusfs ro,/);
    assert.match(line, /default_permissions,allow_other,max_read=1048576/);
    await assert.rejects(mounted.sh('touch x'), /Read-only file system/);
  });

  test('read-ahead is raised to 1 MiB', async () => {
    const mounted = await Mounted.start();
    const { dev } = statSync(mounted.mountPoint);
    assert.equal((await sh(`cat /sys/class/bdi/0:${dev & 0xff}/read_ahead_kb`)).trim(), '1024');
  });

  test('a driver that is not installed is refused with the command that installs it', async () => {
    await assert.rejects(Mounted.start({ driver: 'fuse-native' }), /npm install fuse-native@2\.2\.6/);
  });
});

for (const transport of ['native', 'pure'] as const) {
  describe(`the end of a mount over the ${transport} transport`, {
    skip: cannotMount,
    timeout: 4 * TEST_MS_MAX,
  }, () => {
    before(buildAddon);

    test('SIGTERM unmounts, releases everything and exits 0', async () => {
      const mounted = await Mounted.start({ transport });
      await mounted.sh('echo 1 > f; cat f');
      mounted.child.kill('SIGTERM');
      assert.deepEqual(await mounted.exited, [0, null]);
      assert.equal(isMounted(mounted.mountPoint), false);
      assert.equal(mounted.ended?.openCount, 0);
    });

    test('umount(8) from outside ends the server', async () => {
      const mounted = await Mounted.start({ transport });
      await mounted.sh('mkdir d');
      await sh(`umount ${mounted.mountPoint}`);
      assert.deepEqual(await mounted.exited, [0, null]);
    });

    test('SIGTERM ends a mount that is in use, and its users get errors', { timeout: TEST_MS_MAX }, async () => {
      const mounted = await Mounted.start({ transport });
      await mounted.sh('mkdir d; echo 1 > d/f');
      const script = 'exec 3>>f; echo busy; read line; ! echo more >&3 2>/dev/null; ! ls . >/dev/null 2>&1';
      const user = spawn('bash', ['-c', script], { cwd: mounted.path('d'), stdio: ['pipe', 'pipe', 'ignore'] });
      const left = once(user, 'exit');
      await once(user.stdout, 'data');
      mounted.child.kill('SIGTERM');
      assert.deepEqual(await mounted.exited, [0, null]);
      assert.equal(isMounted(mounted.mountPoint), false);
      assert.equal(mounted.ended?.openCount, 0, 'what the user had open is released');
      user.stdin.end('go\n');
      assert.deepEqual(await left, [0, null], 'writing and listing fail instead of hanging');
    });

    test('SIGTERM ends a mount in which a read hangs', { timeout: TEST_MS_MAX }, async () => {
      const mounted = await Mounted.start({ transport });
      await mounted.sh('echo 1 > f');
      await mounted.ask('hold', 'read');
      const user = spawn('cat', [mounted.path('f')], { stdio: 'ignore' });
      const left = once(user, 'exit');
      while ((await mounted.calls('read')) === 0) await sh('true');
      mounted.child.kill('SIGTERM');
      assert.deepEqual(await mounted.exited, [0, null]);
      assert.equal(isMounted(mounted.mountPoint), false);
      assert.notDeepEqual(await left, [0, null], 'the reader gets an error');
      assert.equal(mounted.ended?.openCount, 0, 'the file is released, though its read is not over');
    });

    test('a mount left by kill -9 is taken over', { timeout: TEST_MS_MAX }, async () => {
      const first = await Mounted.start({ transport });
      await first.sh('echo 1 > f');
      first.child.kill('SIGKILL');
      await first.exited;
      await assert.rejects(first.sh('ls'), /not connected|ENOTCONN|ENOENT|spawn/);
      assert.equal(isMounted(first.mountPoint), true);
      const second = await Mounted.start({ transport }, { mountPoint: first.mountPoint });
      await second.sh('echo 2 > g; [ "$(cat g)" = 2 ]');
      await second.ask('unmount');
      assert.deepEqual(await second.exited, [0, null]);
      assert.equal(isMounted(first.mountPoint), false, 'no layer is left below');
    });

    test('a mount whose dead server hangs in the kernel is taken over', { timeout: TEST_MS_MAX }, async () => {
      const first = await Mounted.start({ transport });
      const user = spawn('stat', [first.path('hanging')], { stdio: 'ignore' });
      const left = once(user, 'exit');
      while ((await first.calls('lookup')) === 0) await sh('true');
      // This message waits in the kernel for the root's lock, which the lookup holds. Its thread survives the kill and
      // keeps the connection open, so that the mount does not even fail.
      void first.ask('put', 'far', 'x').catch(() => {});
      while (!hangsInKernel(first.child.pid!)) await sh('true');
      first.child.kill('SIGKILL');
      const second = await Mounted.start({ transport }, { mountPoint: first.mountPoint });
      await first.exited;
      await left;
      await second.sh('echo 2 > g; [ "$(cat g)" = 2 ]');
      await second.ask('unmount');
      assert.deepEqual(await second.exited, [0, null]);
      assert.equal(isMounted(first.mountPoint), false);
    });
  });
}

describe('mounting as a user', { skip: cannotMount, timeout: 2 * TEST_MS_MAX }, () => {
  test('goes through fusermount3, and back', async () => {
    buildAddon();
    const mountPoint = join(directory, 'by-user');
    mkdirSync(mountPoint);
    chmodSync(directory, 0o755);
    chmodSync(mountPoint, 0o777);
    // The device is for everybody on a usual system; here it may be root's only.
    const { mode } = statSync('/dev/fuse');
    chmodSync('/dev/fuse', 0o666);
    try {
      await sh(`chown ${NOBODY} ${mountPoint}`);
      const volume = await testVolume({ rootMode: 0o777, args: ['--unixsocketperm', '777'] });
      chmodSync(volume.redis.directory, 0o755);
      chmodSync(volume.blocks, 0o777);
      const mounted = await Mounted.start({}, { volume, mountPoint, uid: NOBODY });
      assert.equal(mounted.transport, 'native');
      const asUser = `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups`;
      await sh(
        `${asUser} bash -euc 'cd ${mountPoint}; echo 1 > f; [ "$(cat f)" = 1 ]; [ "$(stat -c %u f)" = ${NOBODY} ]'`,
      );
      assert.match(await sh(`grep ' ${mountPoint} ' /proc/self/mounts`), /^volume .* fuse\.janusfs rw,nosuid,nodev/);
      mounted.child.kill('SIGTERM');
      assert.deepEqual(await mounted.exited, [0, null]);
      assert.equal(isMounted(mountPoint), false);
      const pure = Mounted.start({ transport: 'pure' }, { volume, mountPoint, uid: NOBODY });
      await assert.rejects(pure, /as a user needs the native addon/);
    } finally {
      chmodSync('/dev/fuse', mode & 0o7777);
    }
  });
});
