import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { SessionLostError } from '../../src/base/errors.ts';
import { ROOT_INO, S_IFREG } from '../../src/base/vocabulary.ts';
import { timestampOf } from '../../src/meta/redis/server-clock.ts';
import { sessionEnd } from '../../src/meta/schema/session-schemas.ts';
import { KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let m: Member;

before(async () => {
  volume = await testVolume();
  m = await volume.join();
}, LIMIT);

/** Makes a session's lease end in the past, as a suspension longer than the lease does. */
async function expire(sid: number): Promise<void> {
  await m.engine.command('HSET', [m.engine.key(`ses:${sid}`), 'exp', 1]);
  await m.engine.command('ZADD', [m.engine.key('ses'), 1, sid]);
}

async function removedFile(member: Member, name: string): Promise<number> {
  const request = { parent: ROOT_INO, name, mode: S_IFREG | 0o644, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
  const { ino } = (await member.ns.mknod(request)).entry.attr;
  await member.ns.unlink(ROOT_INO, name, 'primary', KERNEL);
  return ino;
}

function dueTime(ino: number): Promise<unknown> {
  return m.engine.command('ZSCORE', [m.engine.key('del'), ino]);
}

test('a heartbeat renews the lease', LIMIT, async () => {
  const [before] = (await m.session.list()).filter((session) => session.sid === m.engine.sid);
  await m.engine.command('HSET', [m.engine.key(`ses:${m.engine.sid}`), 'exp', before!.expiresMs - 1000]);
  await m.session.beat();
  const [now] = (await m.session.list()).filter((session) => session.sid === m.engine.sid);
  assert.ok(now!.expiresMs >= before!.expiresMs);
});

test('the heartbeat beats by itself', LIMIT, async () => {
  const own = await volume.join({ leaseMs: 50_000, heartbeatMs: 10 });
  const key = m.engine.key(`ses:${own.engine.sid}`);
  const first = String(await m.engine.command('HGET', [key, 'exp']));
  for (;;) {
    if (String(await m.engine.command('HGET', [key, 'exp'])) !== first) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

test('D13: past its lease a session that nobody has ended goes on', LIMIT, async () => {
  const own = await volume.join();
  const hidden = await own.ns.mkHidden(S_IFREG, 0, 0);
  await expire(own.engine.sid);
  const request = { parent: ROOT_INO, name: 'late', mode: S_IFREG, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
  assert.ok((await own.ns.mknod(request)).entry.attr.ino > 0);
  assert.equal(own.engine.fenced, false);
  assert.equal(await m.engine.command('EXISTS', [m.engine.key(`os${hidden.ino}`)]), 1, 'what it kept is kept');
  const listed = (await m.session.list()).find((session) => session.sid === own.engine.sid);
  assert.ok(listed!.expiresMs > Date.now());
  await expire(own.engine.sid);
  await Promise.all([own.session.beat(), own.ns.mkHidden(S_IFREG, 0, 0), own.ns.mkHidden(S_IFREG, 0, 0)]);
  assert.equal(own.engine.fenced, false);
  assert.ok(own.session.steadyMs < 5_000, 'others get time to come back as well');
});

test(
  'D3: a session that another has ended changes nothing, hears that it is lost, and is never revived',
  LIMIT,
  async () => {
    const own = await volume.join();
    let fenced = 0;
    own.events.on('fenced', () => {
      fenced += 1;
    });
    await expire(own.engine.sid);
    await m.session.cleanSessions();
    const before = await m.ns.getattr(ROOT_INO);
    const lost = (error: unknown): boolean => error instanceof SessionLostError && error.code === 'EIO';
    await assert.rejects(own.ns.mkHidden(S_IFREG, 0, 0), lost);
    const request = { parent: ROOT_INO, name: 'too late', mode: S_IFREG, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
    await assert.rejects(own.ns.mknod(request), lost);
    await assert.rejects(own.ns.getattr(ROOT_INO), lost);
    await own.session.beat();
    assert.equal(fenced, 1);
    assert.deepEqual(await m.ns.getattr(ROOT_INO), before);
    assert.ok(!(await m.session.list()).some((session) => session.sid === own.engine.sid));
    let heard = false;
    own.events.on('fenced', () => {
      heard = true;
    });
    assert.ok(heard, 'who asks later hears it too');
  },
);

test(
  'files that are open nowhere are not freed at once while a session past its lease may have them open',
  LIMIT,
  async () => {
    await m.session.cleanSessions();
    const own = await volume.join();
    const removed = await removedFile(m, 'open in a session past its lease');
    await expire(own.engine.sid);
    await m.upkeep.reapNow([removed]);
    assert.equal(await m.engine.command('EXISTS', [m.engine.key(`i${removed}`)]), 1);
  },
);

test('a call that was under way when the session was lost is not executed on retry', LIMIT, async () => {
  const own = await volume.join();
  await m.engine.command('DEL', [m.engine.key(`ses:${own.engine.sid}`)]);
  await assert.rejects(own.ns.mkHidden(S_IFREG, 0, 0), SessionLostError);
});

test('any live session ends lost ones and releases what they kept', LIMIT, async () => {
  await m.session.cleanSessions();
  const own = await volume.join();
  const removed = await removedFile(own, 'kept by a lost session');
  const hidden = await own.ns.mkHidden(S_IFREG, 0, 0);
  const [attr] = await own.ns.sustain([removed]);
  assert.equal(attr?.nlink, 0);
  assert.equal(await m.engine.command('EXISTS', [m.engine.key(`os${removed}`)]), 1);
  const due = await dueTime(removed);
  assert.equal(await dueTime(hidden.ino), null);
  await expire(own.engine.sid);
  assert.equal(await m.session.cleanSessions(), 1);
  assert.equal(await m.session.cleanSessions(), 0);
  for (const key of [`ses:${own.engine.sid}`, `open:${own.engine.sid}`, `os${removed}`, `os${hidden.ino}`]) {
    assert.equal(await m.engine.command('EXISTS', [m.engine.key(key)]), 0, key);
  }
  assert.deepEqual(await dueTime(removed), due, 'another session may have it open without having said so yet');
  assert.notEqual(await dueTime(hidden.ino), null);
  assert.ok(!(await m.session.list()).some((session) => session.sid === own.engine.sid));
});

test('cleaning ends a session that kept thousands of inodes, in steps', LIMIT, async () => {
  const own = await volume.join();
  const key = m.engine.key(`open:${own.engine.sid}`);
  await m.engine.command('SADD', [key, ...Array.from({ length: 1700 }, (_, i) => 1_000_000 + i)]);
  await expire(own.engine.sid);
  assert.equal(await m.session.cleanSessions(), 1);
  assert.equal(await m.engine.command('EXISTS', [key]), 0);
});

test('a live session cannot be ended by another', LIMIT, async () => {
  const own = await volume.join();
  await assert.rejects(m.engine.mutate(sessionEnd, { sid: String(own.engine.sid) }), /alive/);
});

test('sustain keeps what is removed and leaves named inodes alone; release gives it back', LIMIT, async () => {
  const removed = await removedFile(m, 'open and removed');
  const request = { parent: ROOT_INO, name: 'named', mode: S_IFREG, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
  const named = (await m.ns.mknod(request)).entry.attr.ino;
  const attrs = await m.ns.sustain([removed, named, 999_999]);
  assert.deepEqual(
    attrs.map((attr) => [attr.ino, attr.nlink]),
    [
      [removed, 0],
      [named, 1],
    ],
  );
  assert.equal(await m.engine.command('EXISTS', [m.engine.key(`os${named}`)]), 0);
  // As reap does when the time is over while it is kept.
  await m.engine.command('ZREM', [m.engine.key('del'), removed]);
  await m.ns.release(removed);
  assert.notEqual(await dueTime(removed), null);
  assert.equal(await m.engine.command('EXISTS', [m.engine.key(`os${removed}`)]), 0);
  assert.deepEqual(await m.ns.sustain(Array.from({ length: 250 }, (_, i) => 2_000_000 + i)), []);
});

test('ending a session takes its record and what it kept away', LIMIT, async () => {
  const own = await volume.join();
  const hidden = await own.ns.mkHidden(S_IFREG, 0, 0);
  await own.close();
  assert.equal(await m.engine.command('EXISTS', [m.engine.key(`ses:${own.engine.sid}`)]), 0);
  assert.notEqual(await dueTime(hidden.ino), null);
  await own.close();
});

test('the grace period stays above every live lease', LIMIT, async () => {
  const grace = async (): Promise<number> => Number(await m.engine.command('HGET', [m.engine.key('n'), 'graceMs']));
  assert.equal(await grace(), 75_000);
  const long = await volume.join({ leaseMs: 200_000 });
  assert.equal(await grace(), 250_000);
  await volume.join({ leaseMs: 1_000, heartbeatMs: 100, graceMs: 2_000 });
  assert.equal(await grace(), 250_000);
  await long.close();
});

test('sessions are listed with what they are', LIMIT, async () => {
  const own = await volume.join({ kind: 'gateway', version: '1.2.3' });
  await own.session.describe('127.0.0.1:9000');
  const listed = (await m.session.list()).find((session) => session.sid === own.engine.sid);
  assert.deepEqual(
    [listed?.kind, listed?.version, listed?.where, listed?.pid],
    ['gateway', '1.2.3', '127.0.0.1:9000', process.pid],
  );
  assert.ok(listed!.expiresMs > listed!.startedMs);
});

test('server time is known without asking', LIMIT, async () => {
  const [seconds, micros] = (await m.engine.command('TIME', [])) as Buffer[];
  const server = Number(seconds) + Number(micros) / 1e6;
  const { sec, nsec } = timestampOf(m.engine.clock.nowUs());
  assert.ok(Math.abs(sec + nsec / 1e9 - server) < 30, `${sec} against ${server}`);
  assert.ok(nsec >= 0 && nsec < 1e9 && Number.isInteger(nsec));
});
