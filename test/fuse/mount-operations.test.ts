/** What a mount must do with coreutils and Node's fs, on a real kernel, over both transports. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { before, describe, test } from 'node:test';
import { buildAddon, cannotMount, Mounted, TEST_MS_MAX } from '../support/mounted.ts';

for (const transport of ['native', 'pure'] as const) {
  describe(`mount over the ${transport} transport`, { skip: cannotMount, timeout: 3 * TEST_MS_MAX }, () => {
    let mounted: Mounted;
    before(async () => {
      buildAddon();
      mounted = await Mounted.start({ transport });
      assert.equal(mounted.transport, transport);
    });

    test('files are written, read, appended, truncated and removed', async () => {
      await mounted.sh(`
        echo one > f; echo two >> f; [ "$(cat f)" = "$(printf 'one\\ntwo')" ]
        truncate -s 3 f; [ "$(cat f)" = one ]; truncate -s 5 f; [ "$(stat -c %s f)" = 5 ]
        cmp f <(printf 'one\\0\\0'); echo x > f; [ "$(cat f)" = x ]; rm f; [ ! -e f ]`);
    });

    test('directories, renames and links behave', async () => {
      await mounted.sh(`
        mkdir -p a/b/c; echo 1 > a/b/c/f; [ "$(stat -c %h a)" = 3 ]; mv a/b z; [ "$(cat z/c/f)" = 1 ]
        ln z/c/f hard; [ "$(stat -c %h hard)" = 2 ]; ln -s z/c/f soft; [ "$(readlink soft)" = z/c/f ]; [ "$(cat soft)" = 1 ]
        ! rmdir z 2>/dev/null; ! mkdir z 2>/dev/null; rm -r a z hard soft; [ -z "$(ls -A)" ]`);
    });

    test('every byte of large files arrives both ways', async () => {
      const bytes = randomBytes(9 * 1024 * 1024 + 12345);
      await writeFile(mounted.path('large'), bytes);
      assert.equal((await stat(mounted.path('large'))).size, bytes.length);
      const sum = createHash('md5').update(bytes).digest('hex');
      assert.equal((await mounted.sh('md5sum < large')).slice(0, 32), sum, 'through the page cache');
      assert.equal(
        (await mounted.sh('dd if=large iflag=direct bs=1M status=none | md5sum')).slice(0, 32),
        sum,
        'from us',
      );
      await mounted.sh('dd if=/dev/zero of=large bs=1M count=9 oflag=direct conv=notrunc status=none');
      assert.equal((await mounted.sh('head -c 9437184 large | tr -d "\\0" | wc -c')).trim(), '0');
    });

    test('reads beyond the end are short and holes read as zeros', async () => {
      const file = await open(mounted.path('sparse'), 'w+');
      await file.write('end', 3 * 1024 * 1024);
      const { bytesRead, buffer } = await file.read(Buffer.alloc(100), 0, 100, 3 * 1024 * 1024 - 5);
      assert.equal(bytesRead, 8);
      assert.equal(buffer.toString('latin1', 0, 8), '\0\0\0\0\0end');
      await file.close();
    });

    test('mode, owner and times are kept to the nanosecond and before 1970', async () => {
      await mounted.sh(`
        touch t; chmod 640 t; chown 1234:4321 t; [ "$(stat -c '%a %u %g' t)" = "640 1234 4321" ]
        touch -d '1931-03-04 05:06:07.123456789 UTC' t; [ "$(stat -c %y t)" = "1931-03-04 05:06:07.123456789 +0000" ]
        touch -d '2299-01-01 00:00:00.5 UTC' t; [ "$(stat -c %Y t)" = 10382256000 ]; rm t`);
      await writeFile(mounted.path('born'), '');
      assert.ok((await stat(mounted.path('born'))).birthtimeMs > 1.5e12, 'statx gives the time of birth');
      await utimes(mounted.path('born'), 5, 6);
      assert.equal((await stat(mounted.path('born'))).mtimeMs, 6000);
    });

    test('chown by a user clears set-user-id', async () => {
      await mounted.sh('touch s; chmod 4755 s; chown 7 s; [ "$(stat -c %a s)" = 755 ]; rm s');
    });

    test('special files are made and carry their device number', async () => {
      await mounted.sh(`
        mkfifo p; mknod c c 4 300; mknod b b 259 1; [ "$(stat -c %F p)" = fifo ]
        [ "$(stat -c '%t %T' c)" = "4 12c" ]; [ "$(stat -c '%t %T' b)" = "103 1" ]; rm p c b`);
    });

    test('names of 255 bytes work, 256 are refused, odd bytes survive', async () => {
      await mounted.sh(
        `
        long=$(printf 'n%.0s' {1..255}); echo 1 > $long; [ "$(cat $long)" = 1 ]; rm $long
        ! touch n$long 2>err; ! stat n$long 2>/dev/null; ! mkdir n$long 2>/dev/null
        printf 1 > $'a b\\n"\\xff\\xc3\\xa9'; ls | grep -q .; [ "$(cat $'a b\\n"\\xff\\xc3\\xa9')" = 1 ]; rm $'a b\\n"\\xff\\xc3\\xa9'`.replace(
          '2>err',
          '2>/dev/null',
        ),
      );
      await assert.rejects(mkdir(mounted.path('x'.repeat(256))), { code: 'ENAMETOOLONG' });
    });

    test('extended attributes: set, get, list, remove, and the errors between', async () => {
      const script = `
import os, errno
def fails(code, call, *args):
    try: call(*args)
    except OSError as e: assert e.errno == code, e
    else: raise SystemExit('no error')
open('x', 'w').close()
os.setxattr('x', 'user.a', b'1\\0' * 100)
assert os.getxattr('x', 'user.a') == b'1\\0' * 100
os.setxattr('x', 'user.b', b'')
assert sorted(os.listxattr('x')) == ['user.a', 'user.b']
fails(errno.EEXIST, os.setxattr, 'x', 'user.a', b'', os.XATTR_CREATE)
fails(errno.ENODATA, os.setxattr, 'x', 'user.c', b'', os.XATTR_REPLACE)
os.removexattr('x', 'user.a')
fails(errno.ENODATA, os.getxattr, 'x', 'user.a')
os.remove('x')`;
      await mounted.sh(`python3 -c "$(cat <<'END'\n${script}\nEND\n)"`);
    });

    test('renameat2 flags, O_TMPFILE, copy_file_range, fallocate and SEEK_HOLE', async () => {
      const script = `
import ctypes, os, errno
libc = ctypes.CDLL(None, use_errno=True)
def rename2(a, b, flags):
    return 0 if libc.renameat2(-100, a, -100, b, flags) == 0 else ctypes.get_errno()
open('r1', 'w').write('1'); open('r2', 'w').write('2')
assert rename2(b'r1', b'r2', 1) == errno.EEXIST
assert rename2(b'r1', b'r2', 2) == 0 and open('r1').read() == '2'
assert rename2(b'r1', b'r2', 4) == errno.EINVAL
fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, b'temporary'); assert os.fstat(fd).st_nlink == 0
assert libc.linkat(-100, b'/proc/self/fd/%d' % fd, -100, b'linked', 0x400) == 0
assert open('linked').read() == 'temporary'
a = os.open('r1', os.O_RDWR); b = os.open('copy', os.O_CREAT | os.O_RDWR)
assert os.copy_file_range(fd, b, 100, 0, 0) == 9
os.posix_fallocate(a, 0, 5000); assert os.fstat(a).st_size == 5000
assert libc.fallocate(a, 3, ctypes.c_long(0), ctypes.c_long(1)) == 0 and os.pread(a, 1, 0) == b'\\0'
assert libc.fallocate(a, 8, ctypes.c_long(0), ctypes.c_long(4096)) == -1 and ctypes.get_errno() == errno.EOPNOTSUPP
assert os.lseek(b, 3, os.SEEK_HOLE) == 9 and os.lseek(b, 3, os.SEEK_DATA) == 3
os.pwrite(a, b'data', 8192); assert os.fstat(a).st_size == 8196
assert os.lseek(a, 4096, os.SEEK_HOLE) == 4096 and os.lseek(a, 4096, os.SEEK_DATA) == 8192
assert os.lseek(a, 8192, os.SEEK_HOLE) == 8196 and os.lseek(a, 8194, os.SEEK_DATA) == 8194
os.fsync(a); os.fdatasync(a)
for name in ('r1', 'r2', 'linked', 'copy'): os.remove(name)`;
      await mounted.sh(`python3 -c "$(cat <<'END'\n${script}\nEND\n)"`);
    });

    test('a file that is removed while open keeps its bytes and shows no links', async () => {
      const file = await open(mounted.path('gone'), 'w+');
      await file.write('still here');
      await mounted.sh('rm gone');
      assert.equal((await file.stat()).nlink, 0);
      assert.equal((await file.read(Buffer.alloc(20), 0, 20, 0)).buffer.toString('latin1', 0, 10), 'still here');
      await file.close();
      const openCount = (await mounted.ask('open-count')) as number;
      assert.ok(openCount >= 0);
    });

    test('appends from several processes all arrive', async () => {
      await mounted.sh(`
        for i in 1 2 3 4; do (for j in $(seq 50); do echo $i-$j >> log; done) & done; wait
        [ "$(wc -l < log)" = 200 ]; [ "$(sort -u log | wc -l)" = 200 ]; rm log`);
    });

    test('shared memory maps are written back', async () => {
      const script = `
import mmap, os
with open('m', 'wb') as f: f.truncate(300000)
with open('m', 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0); m[100000:100005] = b'hello'; m.flush(); m.close()
fd = os.open('m', os.O_RDONLY | os.O_DIRECT); buf = mmap.mmap(-1, 303104)
assert os.readv(fd, [buf]) == 300000 and buf[100000:100005] == b'hello'
os.remove('m')`;
      await mounted.sh(`python3 -c "$(cat <<'END'\n${script}\nEND\n)"`);
    });

    test('locks work within the mount', async () => {
      await mounted.sh(`
        touch k; flock k -c '! flock -n k true'; flock -n k true
        python3 -c 'import fcntl; f = open("k", "w"); fcntl.lockf(f, fcntl.LOCK_EX)'; rm k`);
    });

    test('df, readdir with inode numbers, and "." and ".." are right', async () => {
      await mkdir(mounted.path('sub'));
      await writeFile(mounted.path('sub/f'), 'f');
      await link(mounted.path('sub/f'), mounted.path('sub/g'));
      await symlink('f', mounted.path('sub/s'));
      assert.ok((await lstat(mounted.path('sub/s'))).isSymbolicLink());
      await rename(mounted.path('sub/g'), mounted.path('sub/h'));
      assert.deepEqual((await readdir(mounted.path('sub'))).sort(), ['f', 'h', 's']);
      await truncate(mounted.path('sub/f'), 0);
      assert.equal((await readFile(mounted.path('sub/h'))).length, 0);
      await mounted.sh(`
        [ "$(ls -ia sub | awk '$2=="." {print $1}')" = "$(stat -c %i sub)" ]
        [ "$(ls -ia sub | awk '$2==".." {print $1}')" = "$(stat -c %i .)" ]
        [ "$(ls -if sub | awk '$2=="f" {print $1}')" = "$(stat -c %i sub/f)" ]
        df . | grep -q volume; rm -r sub`);
    });

    // The slower transport has the same code for this: fewer entries keep the suite short.
    const count = transport === 'native' ? 5_000 : 1_000;
    test(`a directory of ${count} entries lists completely and can be deleted while it is read`, {
      timeout: TEST_MS_MAX,
    }, async () => {
      await mounted.sh(`
        mkdir many; cd many
        python3 -c 'for i in range(${count}): open(str(i), "w").close()'
        [ "$(ls -f | grep -c '^[0-9]')" = ${count} ]; [ "$(ls -l | grep -c root)" = ${count} ]
        python3 -c '
import os
with os.scandir(".") as entries:
    for entry in entries: os.remove(entry.name)
assert os.listdir(".") == []'
        cd ..; rmdir many`);
    });

    test('what is unknown to the mount is refused the right way', async () => {
      await writeFile(mounted.path('io'), 'x');
      const script = `
import fcntl, errno, select
f = open('io')
try: fcntl.ioctl(f, 0x1234)
except OSError as e: assert e.errno == errno.ENOTTY, e
assert select.poll() is not None
p = select.poll(); p.register(f); assert p.poll(0)`;
      await mounted.sh(`python3 -c "$(cat <<'END'\n${script}\nEND\n)"`);
    });

    test('nothing stays open', async () => {
      // RELEASE follows close(2) without being waited for.
      for (let tries = 0; tries < 200; tries++) {
        const openCount = (await mounted.ask('open-count')) as number;
        if (openCount === 0) return;
        await mounted.sh('true');
      }
      assert.fail('handles are left open');
    });
  });
}
