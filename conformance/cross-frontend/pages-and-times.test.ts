/** What the kernel keeps of a file (pages, mode, times) is right after changes that it has not made itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { type RunningUp, type Started, shell, startMain, startUp, stopChild } from './running-up.ts';

const hasPython = spawnSync('python3', ['-c', 'import mmap, ctypes']).status === 0;
const skip = hasPython ? false : 'python3 is missing';

let up: RunningUp;
let second: Started;
let other: string;

before(async () => {
  up = await startUp();
  await up.s3.send(new CreateBucketCommand({ Bucket: 'pages' }));
  other = up.scratch('other');
  await mkdir(other);
  second = await startMain(['mount', `redis+unix://${up.data}/redis/redis.sock?volume=janusfs`, other]);
});
after(async () => {
  if (second !== undefined) await stopChild(second.child);
  await up?.end();
});

/** Runs a program in the bucket's directory of the first mount; OTHER is the same directory on the second. */
function python(program: string): Promise<string> {
  const text = `import os, mmap, fcntl, time, threading\nOTHER = '${other}/pages'\n${program}`;
  return shell(`cd ${up.at('pages')} && exec python3 - <<'PROGRAM'\n${text}\nPROGRAM`);
}

async function object(key: string): Promise<Buffer> {
  const reply = await up.s3.send(new GetObjectCommand({ Bucket: 'pages', Key: key }));
  return Buffer.from(await reply.Body!.transformToByteArray());
}

test('F10: a mapping of a descriptor with O_APPEND changes the bytes it maps', { skip }, async () => {
  await python(`
open('m', 'wb').write(b'a' * 6000)
f = open('m', 'a+b'); m = mmap.mmap(f.fileno(), 0); m[0:4] = b'ZZZZ'; m.flush(); m.close(); f.close()
assert os.path.getsize('m') == 6000, os.path.getsize('m')
assert open('m', 'rb').read() == b'ZZZZ' + b'a' * 5996
# Two descriptors, both mapped, only the second appends.
one = open('m', 'r+b'); two = open('m', 'a+b')
a = mmap.mmap(one.fileno(), 0); b = mmap.mmap(two.fileno(), 0)
a[100:104] = b'1111'; b[5000:5004] = b'2222'; b.flush(); a.flush()
two.write(b'tail'); two.flush(); os.fsync(two.fileno())
assert os.path.getsize('m') == 6004`);
  const bytes = await object('m');
  assert.equal(bytes.length, 6004);
  assert.equal(bytes.subarray(100, 104).toString(), '1111');
  assert.equal(bytes.subarray(5000, 5004).toString(), '2222');
  assert.equal(bytes.subarray(6000).toString(), 'tail');
});

test('F10: O_APPEND counts as it is at the write, not as it was at open', { skip }, async () => {
  await python(`
open('c', 'wb').write(b'0123456789')
fd = os.open('c', os.O_RDWR | os.O_APPEND)
fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_APPEND)
os.pwrite(fd, b'XX', 2)
other = os.open('c', os.O_RDONLY)
assert os.copy_file_range(other, fd, 2, 0, 6) == 2
fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
os.write(fd, b'end'); os.close(fd)
assert open('c', 'rb').read() == b'01XX4501' + b'89end', open('c', 'rb').read()`);
  assert.equal((await object('c')).toString(), '01XX450189end');
});

/** A writer that uses Linux' asynchronous I/O with O_DIRECT, as databases do, with a buffered reader beside it. */
const ASYNC_WRITER = `
import ctypes, platform, struct
libc = ctypes.CDLL(None, use_errno=True)
setup, submit, getevents = {'x86_64': (206, 209, 208), 'aarch64': (0, 2, 4)}[platform.machine()]
BLOCK, COUNT = 4096, 64
open('aio', 'wb').write(b'0' * BLOCK * COUNT)
buffer = mmap.mmap(-1, BLOCK * COUNT)
address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
context = ctypes.c_ulong(0)
assert libc.syscall(setup, 64, ctypes.byref(context)) == 0
fd = os.open('aio', os.O_RDWR | os.O_DIRECT)
done = False
def read():
    while not done:
        open('aio', 'rb').read()
readers = [threading.Thread(target=read) for _ in range(2)]
for reader in readers: reader.start()
for turn in range(1, 16):
    letter = bytes([96 + turn])
    buffer[:] = letter * (BLOCK * COUNT)
    blocks, pointers = [], (ctypes.c_void_p * COUNT)()
    for i in range(COUNT):
        # struct iocb: data, key/rw_flags, opcode (1 = pwrite), priority, fd, buffer, bytes, offset
        blocks.append(ctypes.create_string_buffer(struct.pack('<QIIHHIQQqQII', i, 0, 0, 1, 0, fd, address + i * BLOCK, BLOCK, i * BLOCK, 0, 0, 0)))
        pointers[i] = ctypes.cast(blocks[i], ctypes.c_void_p)
    sent = 0
    while sent < COUNT:
        took = libc.syscall(submit, context, COUNT - sent, ctypes.byref(pointers, sent * 8))
        assert took > 0, ctypes.get_errno()
        events = ctypes.create_string_buffer(32 * took)
        got = 0
        while got < took: got += libc.syscall(getevents, context, 1, took - got, events, None)
        sent += took
    shown = open('aio', 'rb').read()
    assert shown == letter * (BLOCK * COUNT), (turn, shown[:1], [i for i in range(COUNT) if shown[i * BLOCK:i * BLOCK + 1] != letter])
done = True
for reader in readers: reader.join()
shown = open('aio', 'rb').read()
assert shown == letter * (BLOCK * COUNT), 'a later open shows old bytes'`;

test('F11: after asynchronous direct writes every reader sees the new bytes', { skip, timeout: 120_000 }, async () => {
  await python(ASYNC_WRITER);
  assert.ok((await object('aio')).equals(Buffer.alloc(4096 * 64, 'o')));
});

test('F11: pages follow copies, holes, truncation and direct writes of another handle', { skip }, async () => {
  await python(`
open('p', 'wb').write(b'a' * 65536); open('q', 'wb').write(b'b' * 65536)
fd = os.open('p', os.O_RDWR); m = mmap.mmap(fd, 65536)
assert m[:] == b'a' * 65536
source = os.open('q', os.O_RDONLY)
assert os.copy_file_range(source, fd, 8192, 0, 4096) == 8192
assert m[4096:12288] == b'b' * 8192 and os.pread(fd, 8192, 4096) == b'b' * 8192
import ctypes; libc = ctypes.CDLL(None, use_errno=True)
assert libc.fallocate(fd, 3, ctypes.c_long(4096), ctypes.c_long(4096)) == 0
assert m[4096:8192] == bytes(4096) and os.pread(fd, 4096, 4096) == bytes(4096)
direct = os.open('p', os.O_RDWR | os.O_DIRECT); page = mmap.mmap(-1, 4096); page[:] = b'd' * 4096
os.pwrite(direct, page, 16384)
assert m[16384:20480] == b'd' * 4096
os.truncate('p', 20000); os.truncate('p', 24576)
assert os.pread(fd, 8192, 16384) == b'd' * 3616 + bytes(4576)
assert open('p', 'rb').read()[16384:] == b'd' * 3616 + bytes(4576)`);
});

test('F12: set-id bits and capabilities taken by a change of the content are gone at once', { skip }, async () => {
  if (process.getuid?.() !== 0) return;
  const shown = await python(`
import ctypes, subprocess; libc = ctypes.CDLL(None, use_errno=True)
def fresh(name):
    open(name, 'wb').write(b'x' * 8192); os.chmod(name, 0o6777); os.stat(name)
def as_nobody(action):
    pid = os.fork()
    if pid == 0:
        try: os.setgid(65534); os.setuid(65534); action(); os._exit(0)
        except BaseException as error: print(error, flush=True); os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
def check(name, action):
    fresh(name)
    held = os.open(name, os.O_RDWR)
    fds = []
    def run():
        fd = os.open(name, os.O_RDWR); action(fd)
        assert os.stat(name).st_mode & 0o7777 == 0o777, ('inside', name, oct(os.stat(name).st_mode))
    as_nobody(run)
    assert os.stat(name).st_mode & 0o7777 == 0o777, (name, oct(os.stat(name).st_mode))
    assert os.fstat(held).st_mode & 0o7777 == 0o777, name
check('write', lambda fd: os.write(fd, b'y'))
check('pwrite', lambda fd: os.pwrite(fd, b'y', 100))
check('fallocate', lambda fd: libc.fallocate(fd, 0, ctypes.c_long(0), ctypes.c_long(20000)))
check('keep', lambda fd: libc.fallocate(fd, 1, ctypes.c_long(0), ctypes.c_long(20000)))
check('punch', lambda fd: libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4096)))
check('truncate', lambda fd: os.ftruncate(fd, 10))
check('open', lambda fd: os.close(os.open('open', os.O_WRONLY | os.O_TRUNC)))
def direct(fd):
    page = mmap.mmap(-1, 4096); page[:] = b'd' * 4096
    os.pwrite(os.open('direct', os.O_RDWR | os.O_DIRECT), page, 0)
check('direct', direct)
open('from', 'wb').write(b'z' * 100); os.chmod('from', 0o666)
check('copy', lambda fd: os.copy_file_range(os.open('from', os.O_RDONLY), fd, 100, 0, 0))
caps = bytes.fromhex('0100000200040000000000000000000000000000')
for action in (lambda: open('caps', 'r+b').write(b'q'), lambda: os.truncate('caps', 5), lambda: os.chown('caps', 1, 1)):
    open('caps', 'wb').write(b'x' * 100); os.setxattr('caps', 'security.capability', caps)
    action()
    assert 'security.capability' not in os.listxattr('caps')
print('done')`);
  assert.match(shown, /done/);
});

const TIMES = `
def now(): return time.clock_gettime_ns(time.CLOCK_REALTIME)
def write_after_utime(name, at):
    open(f'{at}/{name}', 'wb').close()
    os.utime(name, (10**9, 10**9))
    with open(f'{at}/{name}', 'ab') as f: f.write(b'x')
    return os.stat(f'{at}/{name}').st_mtime_ns
`;

test('F13: a write after a utimens wins, and files order as one clock would have it', {
  skip,
  timeout: 120_000,
}, async () => {
  await python(`${TIMES}
stop = False
def load():
    n = 0
    while not stop:
        n = (n + 1) % 50
        with open(f'load-{threading.get_ident()}-{n}', 'wb') as f: f.write(b'x' * 5000)
threads = [threading.Thread(target=load) for _ in range(4)]
for round in range(2):
    for i in range(100):
        before = now()
        assert write_after_utime('u', '.') >= before // 1000 * 1000, ('lost to utime', round, i)
        open('out', 'w').close(); os.utime('out')
        with open('src', 'w') as f: f.write('x')
        assert os.stat('src').st_mtime_ns > os.stat('out').st_mtime_ns, ('src is older than out', round, i)
        with open('t', 'r+b' if os.path.exists('t') else 'w+b', buffering=0) as f:
            f.truncate(i); first = os.fstat(f.fileno()); f.write(b'y')
            shown = os.fstat(f.fileno())
        last = os.stat('t')
        assert first.st_mtime_ns < shown.st_mtime_ns <= last.st_mtime_ns, ('mtime goes back', round, i)
        assert first.st_ctime_ns < shown.st_ctime_ns <= last.st_ctime_ns <= now(), ('ctime goes back', round, i)
    if round == 0:
        for thread in threads: thread.start()
        end = time.monotonic() + 3
        while time.monotonic() < end: os.stat('.')
stop = True
for thread in threads: thread.join()`);
});

test('F13: also across machines', { skip, timeout: 120_000 }, async () => {
  await python(`${TIMES}
for i in range(60):
    before = now()
    assert write_after_utime('h', OTHER) >= before // 1000 * 1000, i
    open('out2', 'w').close(); os.utime('out2')
    with open(OTHER + '/src2', 'w') as f: f.write('x')
    assert os.stat(OTHER + '/src2').st_mtime_ns > os.stat('out2').st_mtime_ns, i
# A rename or chmod between the utimens and the write changes nothing of it.
with open('r', 'wb', buffering=0) as f:
    os.utime('r', (10**9, 10**9)); f.write(b'x'); os.rename('r', 'r2'); os.link('r2', 'r3')
assert os.stat('r2').st_mtime > 10**9 + 1
# A utimens wins over a write before it, whenever that is committed.
with open('w', 'wb', buffering=0) as f:
    f.write(b'x'); os.utime('w', (10**9, 10**9))
assert os.stat('w').st_mtime == 10**9`);
});

test('V3: open never fails while the path is replaced, by whom ever', { skip, timeout: 170_000 }, async () => {
  await python(`open('v', 'w').write('0')`);
  let writing = true;
  const put = (async () => {
    while (writing) await up.s3.send(new PutObjectCommand({ Bucket: 'pages', Key: 'v', Body: 'from s3' }));
  })();
  try {
    await python(`
stop = False
def replace():
    n = 0
    while not stop:
        n += 1
        with open(f'{OTHER}/v.new', 'w') as f: f.write(str(n))
        os.rename(f'{OTHER}/v.new', f'{OTHER}/v')
failed = []
def read():
    for i in range(2500):
        try:
            with open('v') as f: assert f.read() != ''
            os.stat('v'); os.listxattr('v')
        except OSError as error: failed.append(error)
replacer = threading.Thread(target=replace); replacer.start()
readers = [threading.Thread(target=read) for _ in range(2)]
for reader in readers: reader.start()
for reader in readers: reader.join()
stop = True; replacer.join()
assert not failed, failed`);
  } finally {
    writing = false;
    await put;
  }
});

test('F14: crosswise renames of directories on two machines end as they would on one', {
  skip,
  timeout: 120_000,
}, async () => {
  await python(`
import errno
for d in ('A', 'B', 'A/x', 'B/y'): os.mkdir(d)
bad = []
def turn(base, pairs):
    for i in range(100):
        for a, b in pairs:
            try: os.rename(f'{base}/{a}', f'{base}/{b}')
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENOTEMPTY, errno.EEXIST): bad.append(error)
one = threading.Thread(target=turn, args=('.', (('A/x', 'B/y/x'), ('B/y/x', 'A/x'))))
two = threading.Thread(target=turn, args=(OTHER, (('B/y', 'A/x/y'), ('A/x/y', 'B/y'))))
one.start(); two.start(); one.join(); two.join()
assert not bad, (len(bad), bad[:3])`);
});
