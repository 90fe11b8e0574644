import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runMain, type Started, shell, startMain, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { type RedisServer, redisServer } from '../support/redis-server.ts';

test('D3: a mount suspended past its lease is fenced, writes nothing, and says how to go on', {
  timeout: 170_000,
}, async () => {
  const root = await mkdtemp(join(tmpdir(), 'janusfs-lease-'));
  let redis: RedisServer | undefined;
  const started: Started[] = [];
  try {
    redis = await redisServer();
    const url = `redis+unix://${redis.socket}?volume=lease`;
    await runMain(['format', url, '--store', `file://${join(root, 'store')}`]);
    const [asleep, awake] = [join(root, 'asleep'), join(root, 'awake')];
    await mkdir(asleep);
    await mkdir(awake);
    started.push(await startMain(['mount', url, asleep, '--lease', '3']));
    started.push(await startMain(['mount', url, awake, '--lease', '60']));
    await shell(`echo before > ${join(asleep, 'f')}`);

    const sleeper = started[0]!;
    sleeper.child.kill('SIGSTOP');
    // The other session ends the lost one; `status` stops listing it.
    const sessionCount = async (): Promise<number> =>
      (JSON.parse((await runMain(['status', url, '--json'])).stdout) as { sessions: unknown[] }).sessions.length;
    for (let i = 0; i < 300 && (await sessionCount()) > 1; i++)
      await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(await sessionCount(), 1);
    await shell(`echo changed meanwhile > ${join(awake, 'f')}`);

    const late = shell(`echo late > ${join(asleep, 'f')}`);
    late.catch(() => {});
    sleeper.child.kill('SIGCONT');
    await assert.rejects(late);
    assert.equal(await readFile(join(awake, 'f'), 'utf8'), 'changed meanwhile\n');
    const end = Date.now() + 30_000;
    while (!/lease|fenced/i.test(sleeper.stderr.join('')) && Date.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.match(sleeper.stderr.join(''), /lease|fenced/i);
    assert.match(sleeper.stderr.join(''), /mount again|again/i);
  } finally {
    for (const { child } of started) await stopChild(child).catch(() => {});
    await shell(`umount -l ${join(root, 'asleep')} 2>/dev/null; true`);
    await redis?.stop();
    await rm(root, { recursive: true, force: true });
  }
});
