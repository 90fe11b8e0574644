/** Sessions, what they keep, uploads, and the volume's counters. */
import { type Attr, allocatedBytes, ROOT_INO, S_IFLNK, S_IFMT, S_IFREG } from '../base/vocabulary.ts';
import type { MendStep, Meta } from '../meta/meta.ts';
import type { Suspicion } from './findings.ts';
import type { LocalLook } from './local-look.ts';
import { FACT, type VolumeWalk } from './volume-walk.ts';

export async function* judgeSessions(meta: Meta, walk: VolumeWalk, look: LocalLook): AsyncGenerator<Suspicion> {
  const nowMs = meta.clock.nowUs() / 1000;
  const sessions = await meta.session.list();
  for (const { sid, expiresMs, kind, hostname } of sessions) {
    if (expiresMs >= nowMs) continue;
    yield {
      kind: 'stale-session',
      what: `session ${sid} (${kind} on ${hostname}) ended without saying so`,
      mendBy: async () => (await meta.session.cleanSessions()) >= 0,
    };
  }
  const known = new Set(sessions.map(({ sid }) => String(sid)));
  for (const sid of walk.openSets) {
    if (known.has(sid) || walk.sessions.has(sid)) continue;
    const check: MendStep[] = [
      ['has-key', `open:${sid}`],
      ['lacks-key', `ses:${sid}`],
    ];
    if (!(await meta.scan.apply(check))) continue;
    yield {
      kind: 'stale-hold',
      what: `what session ${sid} kept is there, and the session is not`,
      mend: [...check, ['delete', `open:${sid}`]],
    };
  }
  for (const [ino = 0, fact] of walk.facts.sorted()) {
    if (fact !== FACT.kept) continue;
    for (const sid of await meta.scan.setMembers(`os${ino}`)) {
      if (known.has(sid)) continue;
      const check: MendStep[] = [['lacks-key', `ses:${sid}`]];
      if (!(await meta.scan.apply(check))) continue;
      const mend: MendStep[] = [...check, ['leave-set', `os${ino}`, sid]];
      const found = await look.attr(ino);
      if (found !== undefined && found.attr.nlink === 0) mend.push(['add-member', 'del', String(ino), 0]);
      yield { kind: 'stale-hold', what: `inode ${ino} is kept by session ${sid}, which does not exist`, mend };
    }
  }
}

export async function* judgeUploads(meta: Meta, walk: VolumeWalk): AsyncGenerator<Suspicion> {
  for (const id of walk.partLists) {
    if (id.startsWith('waits ') || walk.uploads.has(id) || walk.partLists.has(`waits ${id}`)) continue;
    const check: MendStep[] = [
      ['has-key', `upp:${id}`],
      ['lacks-key', `up:${id}`],
      ['lacks-member', 'del', `u${id}`],
    ];
    if (!(await meta.scan.apply(check))) continue;
    yield {
      kind: 'upload',
      what: `the parts of upload ${id} are there, and the upload is not`,
      mend: [...check, ['add-member', 'del', `u${id}`, 0]],
    };
  }
  const listed = new Set<string>();
  for (const [bucket = 0, fact] of walk.facts.sorted()) {
    if (fact !== FACT.uploads) continue;
    for await (const page of meta.scan.members(`up${bucket}`)) {
      for (const member of page) {
        const id = member.toString('latin1', member.lastIndexOf(0) + 1);
        listed.add(id);
        const check: MendStep[] = [
          ['has-member', `up${bucket}`, member],
          ['lacks-key', `up:${id}`],
        ];
        if (walk.uploads.has(id) || !(await meta.scan.apply(check))) continue;
        yield {
          kind: 'upload',
          what: `upload ${id} is listed and does not exist`,
          mend: [...check, ['remove-member', `up${bucket}`, member]],
        };
      }
    }
  }
  for (const id of walk.uploads) {
    if (listed.has(id)) continue;
    const fields = new Map<string, Buffer>();
    for await (const page of meta.scan.fields(`up:${id}`)) for (const [field, value] of page) fields.set(field, value);
    const [bucket, key] = [fields.get('r'), fields.get('k')];
    if (bucket === undefined || key === undefined) continue;
    const member = Buffer.concat([key, Buffer.from(`\0${id}`)]);
    const check: MendStep[] = [
      ['has-key', `up:${id}`],
      ['lacks-member', `up${bucket}`, member],
    ];
    if (!(await meta.scan.apply(check))) continue;
    yield {
      kind: 'upload',
      what: `upload ${id} is not listed`,
      mend: [...check, ['add-member', `up${bucket}`, member, 0]],
    };
  }
}

/** Counters can be judged only when nobody changed anything during the walk. */
export async function* judgeCounters(meta: Meta, walk: VolumeWalk, quiet: boolean): AsyncGenerator<Suspicion> {
  if (!quiet) return;
  let inodes = 0;
  let bytes = 0;
  let last = 0;
  for (const [ino = 0, mode = 0, , flags = 0, , size = 0, sparseBytes = 0] of walk.inodes.sorted()) {
    last = Math.max(last, ino);
    if (ino !== ROOT_INO) inodes += 1;
    const type = mode & S_IFMT;
    if (type === S_IFREG || type === S_IFLNK) bytes += allocatedBytes({ mode, flags, size, sparseBytes } as Attr);
  }
  const { counters } = walk;
  const wanted: [string, number, string][] = [
    ['inodes', inodes, 'inodes'],
    ['bytes', bytes, 'used bytes'],
    ['inline', walk.inlineBytes, 'inline bytes'],
  ];
  for (const [field, value, name] of wanted) {
    const counted = counters.get(field) ?? '0';
    if (Number(counted) === value) continue;
    const check: MendStep[] = [['field-is', 'n', field, counters.has(field) ? counted : '']];
    // Somebody has begun to write since.
    if (!(await meta.scan.apply(check))) continue;
    yield {
      kind: 'counter',
      what: `the counter of ${name} is ${counted}, not ${value}`,
      mend: [...check, ['set-field', 'n', field, value]],
    };
  }
  const given = Number(counters.get('ino') ?? 0);
  if (given < last) {
    yield {
      kind: 'counter',
      what: `the last inode number given out is ${given}, and inode ${last} exists`,
      mend: [
        ['field-is', 'n', 'ino', String(given)],
        ['set-field', 'n', 'ino', last],
      ],
    };
  }
}
