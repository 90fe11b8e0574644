/** What files take, compared with ext4 (or whatever the test machine's disk is formatted with). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { type RunningUp, shell, startUp } from './running-up.ts';

const skip = spawnSync('python3', ['-c', 'import ctypes']).status === 0 ? false : 'python3 is missing';

let up: RunningUp;
before(async () => {
  up = await startUp();
  await mkdir(up.at('room'));
});
after(() => up?.end());

test('F1: st_blocks and SEEK_HOLE tell of data in blocks of 4 KiB, as on a disk', {
  skip,
  timeout: 170_000,
}, async () => {
  await mkdir(up.scratch('disk'));
  await shell(`python3 - <<'PROGRAM'
import ctypes, os, random
libc = ctypes.CDLL(None, use_errno=True)
BLOCK = 4096
class Both:
    """One history on two file systems. Data is synced first: a disk allocates late."""
    def __init__(self, name):
        self.fds = [os.open(f'{base}/{name}', os.O_RDWR | os.O_CREAT) for base in ('${up.at('room')}', '${up.scratch('disk')}')]
    def run(self, action):
        for fd in self.fds: action(fd)
    def check(self, what):
        for fd in self.fds: os.fsync(fd)
        ours, theirs = [self.story(fd) for fd in self.fds]
        assert ours[0::2] == theirs[0::2], (what, ours, theirs)
        # A disk counts blocks of its extent tree as well.
        room = sum(-(-end // BLOCK) * BLOCK - start for start, end in ours[2])
        assert ours[1] * 512 == room and 0 <= theirs[1] - ours[1] <= 16, (what, ours, theirs)
    @staticmethod
    def story(fd):
        stat = os.fstat(fd)
        extents, at = [], 0
        while at < stat.st_size:
            try: data = os.lseek(fd, at, os.SEEK_DATA)
            except OSError: break
            at = os.lseek(fd, data, os.SEEK_HOLE)
            extents.append((data, at))
        return stat.st_size, stat.st_blocks, extents
for seed in range(12):
    random.seed(seed)
    both = Both(f'f{seed}')
    for step in range(25):
        choice = random.randrange(5)
        offset = random.randrange(0, 300) * (BLOCK if seed % 2 else 1000)
        length = random.randrange(1, 40) * (BLOCK if seed % 2 else 700)
        if choice <= 1: both.run(lambda fd: os.pwrite(fd, b'x' * length, offset))
        elif choice == 2: both.run(lambda fd: os.ftruncate(fd, offset))
        elif choice == 3 and seed % 2: both.run(lambda fd: libc.fallocate(fd, 3, ctypes.c_long(offset), ctypes.c_long(length)))
        elif choice == 4: both.run(lambda fd: os.pwrite(fd, b'y', 200 * 1024 * 1024 + offset))
        # Bytes that are cut off within a block leave the block on a disk, whether or not data is left in it.
        if seed % 2: both.check((seed, step, choice, offset, length))
PROGRAM`);
});

test('F1: sparse files stay sparse for du, tar and rsync, and df moves by what du shows', {
  skip,
  timeout: 120_000,
}, async () => {
  const lines = await shell(`set -e; cd ${up.at('room')}; mkdir s; cd s
    used() { df -k --output=used . | tail -1; }
    before=$(used); truncate -s 512M a; printf x | dd of=a bs=1 seek=300000000 conv=notrunc status=none; sync a
    du -k a | cut -f1; echo $(( $(used) - before ))
    tar -cSf - a | wc -c; cp --sparse=always a b; du -k b | cut -f1
    dd if=/dev/zero of=c bs=1M count=8 status=none; du -k c | cut -f1; fallocate -p -o 1M -l 4M c; du -k c | cut -f1
    truncate -s 0 a b c; du -sk . | cut -f1; echo $(( $(used) - before ))`);
  const [du, df, tar, copy, dense, punched, , rest] = lines.trim().split('\n').map(Number);
  assert.deepEqual(
    { du, df, copy, dense, punched, rest },
    { du: 4, df: 4, copy: 4, dense: 8192, punched: 4096, rest: 0 },
  );
  assert.ok(tar! < 100_000, `tar -S wrote ${tar} bytes`);
});

test('F2: a preallocated or zeroed range is a hole until it is written', { skip, timeout: 60_000 }, async () => {
  const lines = await shell(`set -e; cd ${up.at('room')}; fallocate -l 1M pre; sync pre; stat -c '%s %b' pre
    dd if=/dev/urandom of=pre bs=64k count=2 conv=notrunc,fsync status=none; stat -c '%s %b' pre
    fallocate -z -o 64k -l 64k pre; stat -c '%s %b' pre; dd if=pre bs=64k skip=1 count=1 status=none | tr -d '\\0' | wc -c`);
  assert.deepEqual(lines.trim().split('\n'), ['1048576 0', '1048576 256', '1048576 128', '0']);
});

test('F4: what cannot be stored is ENOSPC, a file that cannot exist EFBIG', { skip, timeout: 60_000 }, async () => {
  await shell(`cd ${up.at('room')} && python3 - <<'PROGRAM'
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open('huge', os.O_RDWR | os.O_CREAT)
def fallocate(offset, length):
    return 0 if libc.fallocate(fd, 0, ctypes.c_long(offset), ctypes.c_long(length)) == 0 else ctypes.get_errno()
assert fallocate(0, 2**30) == 0
assert fallocate(0, 2**50) in (0, errno.ENOSPC)
os.write(fd, b'x' * 5000); os.fsync(fd)
assert fallocate(0, 2**50) == errno.ENOSPC
assert fallocate(2**50, 4096) == errno.EFBIG
os.ftruncate(fd, 2**50)
os.pwrite(fd, b'end', 2**50 - 3); os.fsync(fd)
assert os.fstat(fd).st_blocks <= 32, os.fstat(fd).st_blocks
assert os.lseek(fd, 10000, os.SEEK_DATA) == 2**50 - 4096
for call in (lambda: os.ftruncate(fd, 2**50 + 1), lambda: os.pwrite(fd, b'x', 2**50)):
    try: call(); assert False
    except OSError as error: assert error.errno == errno.EFBIG, error
os.ftruncate(fd, 0); assert os.fstat(fd).st_blocks == 0
PROGRAM`);
});
