/**
 * Every boundary between two commands of Redis' log is a state that a crash may leave. Operations are done while the log grows; then a Redis is
 * started on each prefix, and the volume in it must be sound and be in a state that it was in.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import { ROOT_INO } from '../../src/base/vocabulary.ts';
import { checkVolume } from '../../test/meta/volume-check.ts';
import { MOUNT } from '../../test/support/callers.ts';
import { RedisServer } from '../../test/support/redis-server.ts';
import { lookupPath, patchFile, readFile, writeFile } from '../../test/support/vfs-files.ts';
import { joinVfs, type Session } from '../../test/support/vfs-session.ts';
import { TestVolume, testVolume } from '../../test/support/volume.ts';
import { randomOf } from '../powercut/workload.ts';

const PREFIXES = Number(process.env.JANUSFS_TEST_RUNS ?? 40);
const seed = Number(process.env.JANUSFS_TEST_SEED ?? Date.now() % 1e9);
const OPERATIONS = 60;
const LOG = ['appendonlydir', 'appendonly.aof.1.incr.aof'] as const;

/** Offsets behind each whole command of a log; what lies between MULTI and EXEC is one. */
function boundaries(log: Buffer): number[] {
  const found: number[] = [];
  let inTransaction = false;
  for (let at = 0; at < log.length; ) {
    const line = (): string => {
      const end = log.indexOf('\r\n', at);
      const text = log.toString('latin1', at, end);
      at = end + 2;
      return text;
    };
    const head = line();
    if (head.startsWith('#')) continue; // A timestamp.
    let name = '';
    for (let left = Number(head.slice(1)); left > 0; left--) {
      const bytes = Number(line().slice(1));
      if (name === '') name = log.toString('latin1', at, at + bytes).toUpperCase();
      at += bytes + 2;
    }
    if (name === 'MULTI') inTransaction = true;
    if (name === 'EXEC') inTransaction = false;
    if (!inTransaction) found.push(at);
  }
  return found;
}

const NAMES = Array.from({ length: 8 }, (_, i) => `n${i}`);

/** What each name holds. */
type State = ReadonlyMap<string, string>;

const digestOf = (bytes: string): string =>
  `${bytes.length}:${createHash('sha256').update(bytes, 'latin1').digest('hex').slice(0, 12)}`;

async function look({ vfs }: Session): Promise<State> {
  const state = new Map<string, string>();
  for (const name of NAMES) {
    try {
      state.set(name, digestOf(await readFile(vfs, name)));
    } catch (error) {
      if (!isFsError(error, 'ENOENT')) throw error;
    }
  }
  return state;
}

async function linksOf({ vfs }: Session, name: string, state: State): Promise<string[]> {
  const { ino } = (await lookupPath(vfs, name)).attr;
  const names: string[] = [];
  for (const other of state.keys()) if ((await lookupPath(vfs, other)).attr.ino === ino) names.push(other);
  return names;
}

const textOf = (state: State): string => JSON.stringify([...state].sort());

/** Does random operations. @returns every state that the volume was in, in order, those between the steps of an operation too. */
async function work(session: Session): Promise<string[]> {
  const { vfs } = session;
  const random = randomOf(seed);
  const pick = (): string => NAMES[Math.floor(random() * NAMES.length)]!;
  const states = [textOf(await look(session))];
  for (let i = 0; i < OPERATIONS; i++) {
    const [name, to] = [pick(), pick()];
    const before = await look(session);
    const bytes = randomBytes(random() < 0.8 ? 1 + Math.floor(random() * 3_000) : 300_000);
    const dice = random();
    if (!before.has(name) || dice < 0.4) {
      // It is made, or cut to nothing under each of its names, before it has its bytes.
      const names = before.has(name) ? await linksOf(session, name, before) : [name];
      await writeFile(vfs, name, bytes);
      states.push(textOf(new Map([...before, ...names.map((one) => [one, digestOf('')] as const)])));
    } else if (dice < 0.6) await patchFile(vfs, name, 100, bytes.toString('latin1').slice(0, 500));
    else if (dice < 0.75) await vfs.names.unlink(MOUNT, ROOT_INO, name);
    else if (dice < 0.9 && to !== name) {
      await vfs.names.rename(MOUNT, { parent: ROOT_INO, name, newParent: ROOT_INO, newName: to, mode: 'replace' });
    } else if (!before.has(to)) await vfs.names.link(MOUNT, (await lookupPath(vfs, name)).attr.ino, ROOT_INO, to);
    states.push(textOf(await look(session)));
  }
  return states;
}

test(`D15: a Redis that starts on any prefix of its log (${PREFIXES} of them here) has a sound volume in a state that it was in`, {
  timeout: Math.max(300_000, PREFIXES * 3_000),
}, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const volume = await testVolume({ appendOnly: true });
  const session = await joinVfs(volume);
  const logPath = join(volume.redis.directory, ...LOG);
  const begun = readFileSync(logPath).length;
  const states = await work(session);
  const log = readFileSync(logPath);
  const cuts = boundaries(log).filter((at) => at >= begun);
  const random = randomOf(seed + 1);
  const chosen =
    PREFIXES >= cuts.length ? cuts : Array.from({ length: PREFIXES }, () => cuts[Math.floor(random() * cuts.length)]!);
  t.diagnostic(`${cuts.length} boundaries, ${states.length} states`);
  let newest = 0;
  for (const cut of chosen.sort((a, b) => a - b)) {
    newest = await checkPrefix(volume, log.subarray(0, cut), states, newest);
  }
  assert.ok(newest > OPERATIONS / 2, `the last prefix was state ${newest} of ${states.length}`);
});

/** @returns which state the prefix holds: not older than that of a shorter one. */
async function checkPrefix(
  volume: TestVolume,
  log: Buffer,
  states: readonly string[],
  notBefore: number,
): Promise<number> {
  const server = new RedisServer({ appendOnly: true });
  const copy = new TestVolume(server, 'test');
  try {
    cpSync(join(volume.redis.directory, LOG[0]), join(server.directory, LOG[0]), { recursive: true });
    writeFileSync(join(server.directory, ...LOG), log);
    symlinkSync(volume.blocks, copy.blocks);
    await server.start();
    const session = await joinVfs(copy);
    const is = textOf(await look(session));
    const at = states.findIndex((state, i) => i >= notBefore && state === is);
    assert.ok(at >= 0, `seed ${seed}, ${log.length} bytes of log: ${is} is no state from ${notBefore} on`);
    await checkVolume((await copy.join()).engine);
    return at;
  } finally {
    await copy.close();
    await server.stop();
  }
}
