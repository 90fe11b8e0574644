/** What the kernel knows: inodes it holds references to, and which invalidations overtook requests under way. */
import type { Attr, Ino } from '../../base/vocabulary.ts';
import { ROOT_INO, S_IFDIR, S_IFMT } from '../../base/vocabulary.ts';

/**
 * Counts the kernel's references per inode, so that invalidations go only where something is cached. A reply that names
 * an inode adds one; FORGET takes many. The root is always known.
 */
export class KnownInodes {
  #references = new Map<Ino, number>();
  /** Parents of known directories, for the inode number of "..". */
  #parents = new Map<Ino, Ino>();

  get size(): number {
    return this.#references.size;
  }

  add(attr: Attr): void {
    this.#references.set(attr.ino, (this.#references.get(attr.ino) ?? 0) + 1);
    if ((attr.mode & S_IFMT) === S_IFDIR) this.#parents.set(attr.ino, attr.parent);
  }

  /** @returns true when the kernel holds no reference any more. */
  forget(ino: Ino, count: number): boolean {
    const left = (this.#references.get(ino) ?? 0) - count;
    if (left > 0) {
      this.#references.set(ino, left);
      return false;
    }
    this.#references.delete(ino);
    this.#parents.delete(ino);
    return true;
  }

  has(ino: Ino): boolean {
    return ino === ROOT_INO || this.#references.has(ino);
  }

  /** The directory's parent as the kernel was last told; undefined when it never was. */
  parentOf(ino: Ino): Ino | undefined {
    return ino === ROOT_INO ? ROOT_INO : this.#parents.get(ino);
  }

  /** All known inodes but the root; inodes that become known meanwhile may be among them. */
  inos(): IterableIterator<Ino> {
    return this.#references.keys();
  }
}

/** Invalidations remembered one by one; with more, all requests under way count as overtaken. */
const REMEMBERED_MAX = 4096;

/**
 * Tells whether an inode was invalidated after a request began. The reply to such a request may be stale, so it is sent
 * with no validity: the kernel would otherwise keep it for the whole time-out.
 */
export class OvertakenGuard {
  /** Grows with every invalidation; a request notes it when it begins. */
  sequence = 0;
  #floor = 0;
  #changed = new Map<Ino, number>();

  note(ino: Ino): void {
    if (this.#changed.size >= REMEMBERED_MAX) this.noteAll();
    this.sequence++;
    this.#changed.set(ino, this.sequence);
  }

  noteAll(): void {
    this.sequence++;
    this.#floor = this.sequence;
    this.#changed.clear();
  }

  overtaken(since: number, ino: Ino): boolean {
    if (since === this.sequence) return false;
    return since < this.#floor || (this.#changed.get(ino) ?? 0) > since;
  }
}
