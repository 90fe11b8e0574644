/**
 * Entries, inodes and their keys joined by inode: dangling entries, link counts, inodes that nothing reaches, keys without an
 * inode. Each suspicion is looked at again before it is told: the volume may be written meanwhile.
 */
import { readU64 } from '../base/integers.ts';
import { FLAG_LINKS, ROOT_INO, S_IFREG } from '../base/vocabulary.ts';
import { encodeAttr } from '../meta/codec/codec.ts';
import type { MendStep, Meta } from '../meta/meta.ts';
import type { Suspicion } from './findings.ts';
import { isDirectory, type LocalLook, type Place, withNames } from './local-look.ts';
import { joinByKey, type Row } from './spool.ts';
import { FACT, type VolumeWalk } from './volume-walk.ts';

const PATH_TRIES = 5;

/** Keys that go with an inode, by their fact. */
const LEFTOVERS: readonly (readonly [fact: number, key: (ino: number) => string])[] = [
  [FACT.entries, (ino) => `d${ino}`],
  [FACT.parents, (ino) => `p${ino}`],
  [FACT.target, (ino) => `l${ino}`],
  [FACT.xattrs, (ino) => `x${ino}`],
  [FACT.s3, (ino) => `o${ino}`],
  [FACT.acls, (ino) => `a${ino}`],
  [FACT.kept, (ino) => `os${ino}`],
];

export async function* judgeNames(meta: Meta, walk: VolumeWalk, look: LocalLook): AsyncGenerator<Suspicion> {
  const { inodes, names, facts, subdirs } = walk;
  const tree = new DirectoryTree();
  const forgotten: number[] = [];
  for (const { key: ino, rows } of joinByKey({ inodes, names, facts, subdirs })) {
    const inode = rows.inodes[0];
    const known = new Set(rows.facts.map((row) => row[1]!));
    if (inode === undefined) {
      for (const name of rows.names) yield* danglingEntry(meta, ino, name, look);
      yield* leftovers(meta, ino, known);
      continue;
    }
    const [, mode = 0, nlink = 0, , parent = 0] = inode;
    const directory = isDirectory({ mode });
    if (directory && ino !== ROOT_INO && rows.names.length > 0) tree.add(ino, rows.names[0]![1]!);
    const expected = directory ? 2 + rows.subdirs.length : rows.names.length;
    const named = ino === ROOT_INO || rows.names.length > 0;
    if (!named && nlink > 0) yield* unreachable(meta, ino, look);
    else if (!named) {
      // Hidden, removed, or lost: somebody keeps it, it waits to be freed, or it is part of an upload. Of what was made during
      // the walk only a part may have been seen.
      if (ino <= walk.lastIno && ![FACT.waits, FACT.kept, FACT.part].some((fact) => known.has(fact)))
        forgotten.push(ino);
    } else if (nlink !== expected || (directory && ino !== ROOT_INO && rows.names[0]![1] !== parent)) {
      yield* linkCount(ino, directory, rows.names, look);
    } else if (!directory && known.has(FACT.waits)) yield* linkCount(ino, directory, rows.names, look);
  }
  for (const ino of tree.cutOff()) yield* unreachable(meta, ino, look, tree.parentOf(ino));
  if (forgotten.length > 0) yield* forgottenInodes(meta, forgotten, look);
}

async function* danglingEntry(meta: Meta, child: number, name: Row, look: LocalLook): AsyncGenerator<Suspicion> {
  const parent = name[1]!;
  for await (const page of meta.scan.members(`d${parent}`)) {
    for (const packed of page) {
      const text = packed.toString('latin1');
      if (!new RegExp(`[\\0/]${child}~?$`).test(text)) continue;
      const check: MendStep[] = [
        ['has-member', `d${parent}`, packed],
        ['lacks-key', `i${child}`],
      ];
      if (!(await meta.scan.apply(check))) continue;
      const shown = Buffer.from(text.split(/[\0/]/)[0]!, 'latin1');
      const directory = await look.attr(parent);
      const steps: MendStep[] = [...check, ['remove-member', `d${parent}`, packed]];
      if (directory !== undefined && text.includes('/')) {
        const nlink = Math.max(2, directory.attr.nlink - 1);
        steps.unshift(['is', `i${parent}`, directory.packed]);
        steps.push(['set', `i${parent}`, encodeAttr({ ...directory.attr, nlink })]);
      }
      steps.push(['tell-entry', String(parent), shown]);
      yield {
        kind: 'dangling-entry',
        what: `the entry '${shown}' of directory ${parent} names inode ${child}, which does not exist`,
        ino: parent,
        mend: steps,
      };
    }
  }
}

async function* leftovers(meta: Meta, ino: number, known: ReadonlySet<number>): AsyncGenerator<Suspicion> {
  const gone: MendStep[] = [['lacks-key', `i${ino}`]];
  if (known.has(FACT.records) || known.has(FACT.uploads) || known.has(FACT.entries)) {
    if (!(await meta.scan.apply([...gone, ['lacks-member', 'del', String(ino)]]))) return;
    if (!(await stillThere(meta, ino))) return;
    // Given back an inode without a name, everything under it is freed in the ordinary way.
    const attr = encodeAttr(namelessAttr(ino, known.has(FACT.records)));
    yield {
      kind: 'leftover-key',
      what: `content of inode ${ino} is there, which does not exist`,
      mend: [...gone, ['set', `i${ino}`, attr], ['add-member', 'del', String(ino), 0]],
    };
    return;
  }
  for (const [fact, key] of LEFTOVERS) {
    if (!known.has(fact)) continue;
    const check: MendStep[] = [...gone, ['has-key', key(ino)]];
    if (!(await meta.scan.apply(check))) continue;
    yield {
      kind: 'leftover-key',
      what: `the key ${key(ino)} belongs to inode ${ino}, which does not exist`,
      mend: [...check, ['delete', key(ino)]],
    };
  }
}

async function stillThere(meta: Meta, ino: number): Promise<boolean> {
  for (const key of [`s${ino}:0`, `k${ino}`, `up${ino}`, `d${ino}`]) {
    if (await meta.scan.apply([['has-key', key]])) return true;
  }
  return false;
}

function namelessAttr(ino: number, isFile: boolean) {
  const zero = {
    atimeSec: 0,
    atimeNsec: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    ctimeSec: 0,
    ctimeNsec: 0,
    btimeSec: 0,
    btimeNsec: 0,
  };
  const mode = isFile ? S_IFREG : 0o040000;
  return {
    ino,
    mode,
    uid: 0,
    gid: 0,
    nlink: 0,
    size: 0,
    rdev: 0,
    flags: 0,
    ...zero,
    parent: 1,
    version: 0,
    mtimeSetUs: 0,
    sparseBytes: 0,
  };
}

/** Inodes without a name that nothing will free. Some were made, named, freed, kept or put under an upload since the walk. */
async function* forgottenInodes(meta: Meta, inos: readonly number[], look: LocalLook): AsyncGenerator<Suspicion> {
  const parts = await partsNow(meta);
  for (const ino of inos) {
    const view = await look.inode(ino, []);
    if (view === undefined || view.attr.nlink > 0 || view.places.length > 0 || parts.has(ino)) continue;
    const check: MendStep[] = [
      ['is', `i${ino}`, view.packed],
      ['lacks-member', 'del', String(ino)],
      ['lacks-key', `os${ino}`],
    ];
    if (!(await meta.scan.apply(check))) continue;
    yield {
      kind: 'forgotten-inode',
      what: `inode ${ino} has no name, nobody keeps it, and it does not wait to be freed`,
      mend: [...check, ['add-member', 'del', String(ino), 0]],
    };
  }
}

async function partsNow(meta: Meta): Promise<Set<number>> {
  const parts = new Set<number>();
  for await (const keys of meta.scan.keys()) {
    for (const key of keys) {
      if (!key.startsWith('upp:')) continue;
      for await (const page of meta.scan.fields(key)) for (const [, value] of page) parts.add(readU64(value, 0));
    }
  }
  return parts;
}

async function* unreachable(meta: Meta, ino: number, look: LocalLook, cycleParent?: number): AsyncGenerator<Suspicion> {
  const view = await look.inode(ino, cycleParent === undefined ? [] : [cycleParent]);
  if (view === undefined || view.attr.nlink === 0) return;
  if (cycleParent === undefined && view.places.length > 0) return;
  for (let tries = 0; cycleParent !== undefined && tries < PATH_TRIES; tries++) {
    // A rename on the way may hide it for a moment.
    if ((await look.path(ino)) !== undefined) return;
  }
  yield {
    kind: 'unreachable-inode',
    what: `no path leads to inode ${ino} (${isDirectory(view.attr) ? 'a directory' : `${view.attr.size} bytes`})`,
    mendBy: () => reconnect(meta, ino, look, view.places),
  };
}

/** Gives the inode a name in /lost+found, taking those away that lead nowhere. */
async function reconnect(meta: Meta, ino: number, look: LocalLook, places: readonly Place[]): Promise<boolean> {
  const home = await lostAndFound(meta);
  const [view, directory] = [await look.inode(ino, []), await look.attr(home)];
  if (view === undefined || directory === undefined) return false;
  const isDir = isDirectory(view.attr);
  const member = Buffer.from(isDir ? `#${ino}/${ino}` : `#${ino}\0${ino}`, 'latin1');
  const steps: MendStep[] = [
    ['is', `i${ino}`, view.packed],
    ['is', `i${home}`, directory.packed],
    ['lacks-member', `d${home}`, member],
    ...places.map(({ parent, packed }): MendStep => ['remove-member', `d${parent}`, packed]),
    ['add-member', `d${home}`, member, 0],
    ['delete', `p${ino}`],
  ];
  const attr = { ...view.attr, parent: home, flags: view.attr.flags & ~FLAG_LINKS, nlink: isDir ? view.attr.nlink : 1 };
  steps.push(['set', `i${ino}`, encodeAttr(attr)]);
  if (isDir) steps.push(['set', `i${home}`, encodeAttr({ ...directory.attr, nlink: directory.attr.nlink + 1 })]);
  steps.push(
    ['tell-entry', String(home), `#${ino}`],
    ['tell-inode', String(ino), attr.version],
    ['tell-inode', String(home), directory.attr.version],
  );
  return meta.scan.apply(steps);
}

async function lostAndFound(meta: Meta): Promise<number> {
  const caller = { uid: 0, gid: 0, groups: [], check: false };
  const name = 'lost+found';
  try {
    return (await meta.names.lookup(ROOT_INO, name, 'dir', caller)).attr.ino;
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
  }
  const request = { parent: ROOT_INO, name, mode: 0o040700, uid: 0, gid: 0, rdev: 0, caller };
  return (await meta.names.mknod(request)).entry.attr.ino;
}

async function* linkCount(
  ino: number,
  directory: boolean,
  names: readonly Row[],
  look: LocalLook,
): AsyncGenerator<Suspicion> {
  const view = await look.inode(
    ino,
    names.map((row) => row[1]!),
  );
  if (view === undefined || (view.places.length === 0 && ino !== ROOT_INO)) return;
  if (directory) {
    const found = await look.subdirs(ino);
    if (found === undefined) return;
    const parent = ino === ROOT_INO ? ROOT_INO : view.places[0]!.parent;
    const nlink = 2 + found.count;
    if (found.attr.nlink === nlink && found.attr.parent === parent) return;
    const packed = encodeAttr({ ...found.attr, nlink, parent });
    const what =
      found.attr.nlink === nlink
        ? `directory ${ino} lies in ${parent} but says it lies in ${found.attr.parent}`
        : `the link count of directory ${ino} is ${found.attr.nlink}, not ${nlink}`;
    yield { kind: 'link-count', what, ino, mend: mendInode(ino, found.packed, packed, found.attr.version) };
    return;
  }
  const { attr } = view;
  if (attr.nlink === view.places.length) return;
  const steps = [...mendInode(ino, view.packed, withNames(attr, view.places), attr.version)];
  if (view.places.length > 1 || (attr.flags & FLAG_LINKS) !== 0) {
    const counts = new Map<number, number>();
    for (const { parent } of view.places) counts.set(parent, (counts.get(parent) ?? 0) + 1);
    steps.push(['delete', `p${ino}`]);
    for (const [parent, count] of counts) steps.push(['set-field', `p${ino}`, String(parent), count]);
  }
  steps.push(['remove-member', 'del', String(ino)]);
  const conditions = view.places.map(({ parent, packed }): MendStep => ['has-member', `d${parent}`, packed]);
  yield {
    kind: 'link-count',
    what: `the link count of inode ${ino} is ${attr.nlink}, and it has ${view.places.length} names`,
    ino,
    mend: [...conditions, ...steps],
  };
}

function mendInode(ino: number, before: Buffer, after: Buffer, version: number): MendStep[] {
  return [
    ['is', `i${ino}`, before],
    ['set', `i${ino}`, after],
    ['tell-inode', String(ino), version],
  ];
}

/** Which directory lies in which, to find rings that hang on nothing. 16 bytes a directory. */
class DirectoryTree {
  readonly #parents = new Map<number, number>();

  add(ino: number, parent: number): void {
    this.#parents.set(ino, parent);
  }

  parentOf(ino: number): number | undefined {
    return this.#parents.get(ino);
  }

  /** One directory of each ring. What hangs on a nameless directory is found with that one. */
  cutOff(): number[] {
    const state = new Map<number, number>();
    const rings: number[] = [];
    let walkNumber = 0;
    for (const start of this.#parents.keys()) {
      walkNumber += 1;
      let at: number | undefined = start;
      while (at !== undefined && at !== ROOT_INO && !state.has(at)) {
        state.set(at, walkNumber);
        at = this.#parents.get(at);
      }
      if (at !== undefined && state.get(at) === walkNumber) rings.push(at);
    }
    return rings;
  }
}
