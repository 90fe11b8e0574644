/** Looking at single inodes again: what the walk suspects is judged by what stands there now. */
import { type Attr, FLAG_LINKS, ROOT_INO, S_IFDIR, S_IFMT } from '../base/vocabulary.ts';
import { decodeAttr, decodeMember, encodeAttr, type Member } from '../meta/codec/codec.ts';
import type { MetaScan } from '../meta/meta.ts';

export interface Place {
  parent: number;
  member: Member;
  /** As stored. */
  packed: Buffer;
}

/** An inode as it was read, all of it between two equal readings of its attributes. */
export interface InodeView {
  attr: Attr;
  /** The attributes as stored: a condition of what mends it. */
  packed: Buffer;
  /** Its names, in the directories that were asked. */
  places: Place[];
}

const DEPTH_MAX = 1_000;
const STABLE_TRIES = 5;

export class LocalLook {
  readonly #scan: MetaScan;

  constructor(scan: MetaScan) {
    this.#scan = scan;
  }

  async attr(ino: number): Promise<{ attr: Attr; packed: Buffer } | undefined> {
    const [packed] = await this.#scan.values([`i${ino}`]);
    return packed === undefined ? undefined : { attr: decodeAttr(ino, packed), packed };
  }

  /**
   * The inode with its names in its own parents and in `alsoIn`. Undefined when it is gone, or changes all the time: then it is
   * alive, and nothing is said of it.
   */
  async inode(ino: number, alsoIn: readonly number[]): Promise<InodeView | undefined> {
    for (let tries = 0; tries < STABLE_TRIES; tries++) {
      const before = await this.attr(ino);
      if (before === undefined) return undefined;
      const parents = new Set([before.attr.parent, ...alsoIn]);
      for await (const page of this.#scan.fields(`p${ino}`)) for (const [parent] of page) parents.add(Number(parent));
      parents.delete(0);
      const places: Place[] = [];
      for (const parent of parents) places.push(...(await this.#placesIn(parent, ino)));
      const after = await this.attr(ino);
      if (after?.packed.equals(before.packed)) return { ...before, places };
    }
    return undefined;
  }

  /** The entries of a directory that are directories, and how many there are, between two equal readings. */
  async subdirs(ino: number): Promise<{ attr: Attr; packed: Buffer; count: number } | undefined> {
    for (let tries = 0; tries < STABLE_TRIES; tries++) {
      const before = await this.attr(ino);
      if (before === undefined) return undefined;
      let count = 0;
      for await (const page of this.#scan.members(`d${ino}`)) {
        for (const packed of page) if (decodeMember(packed).dir) count += 1;
      }
      const after = await this.attr(ino);
      if (after?.packed.equals(before.packed)) return { ...before, count };
    }
    return undefined;
  }

  /** A path of the inode from the root, as the mount shows it where it can; undefined when none leads there. */
  async path(ino: number): Promise<string | undefined> {
    const names: string[] = [];
    let at = ino;
    for (let depth = 0; depth < DEPTH_MAX; depth++) {
      if (at === ROOT_INO) return `/${names.reverse().join('/')}`;
      const found = await this.attr(at);
      if (found === undefined || found.attr.parent === 0) return undefined;
      const [place] = await this.#placesIn(found.attr.parent, at);
      if (place === undefined) return undefined;
      names.push(Buffer.from(place.member.name, 'latin1').toString());
      at = found.attr.parent;
    }
    return undefined;
  }

  async #placesIn(parent: number, ino: number): Promise<Place[]> {
    const places: Place[] = [];
    for await (const page of this.#scan.members(`d${parent}`)) {
      for (const packed of page) {
        const member = decodeMember(packed);
        if (member.ino === ino) places.push({ parent, member, packed });
      }
    }
    return places;
  }
}

export function isDirectory(attr: Pick<Attr, 'mode'>): boolean {
  return (attr.mode & S_IFMT) === S_IFDIR;
}

/** The attributes of an inode (no directory) whose names are these. */
export function withNames(attr: Attr, places: readonly Place[]): Buffer {
  const parents = places.map(({ parent }) => parent);
  const parent = parents.includes(attr.parent) ? attr.parent : (parents[0] ?? attr.parent);
  const flags = places.length > 1 ? attr.flags | FLAG_LINKS : attr.flags;
  return encodeAttr({ ...attr, nlink: places.length, parent, flags });
}
