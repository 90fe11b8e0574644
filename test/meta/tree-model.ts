/** A small in-memory tree that follows POSIX, to compare the metadata engine with. Single-threaded, no permissions. */

export interface Node {
  dir: boolean;
  nlink: number;
  size: number;
  /** Of a directory; undefined once it lost its name. */
  parent: Node | undefined;
  entries: Map<string, Node>;
}

export type Outcome = 'ok' | string;

export class TreeModel {
  readonly root: Node = directory(undefined);
  /** Every directory and file ever made, in order: operations name them by index, removed ones too. */
  readonly dirs: Node[] = [this.root];
  readonly files: Node[] = [];

  make(parent: Node, name: string, dir: boolean): Outcome {
    if (isRemoved(parent)) return 'ENOENT';
    if (parent.entries.has(name)) return 'EEXIST';
    const node = dir ? directory(parent) : file();
    parent.entries.set(name, node);
    if (dir) {
      parent.nlink += 1;
      this.dirs.push(node);
    } else {
      this.files.push(node);
    }
    return 'ok';
  }

  makeHidden(): void {
    this.files.push({ ...file(), nlink: 0, parent: this.root });
  }

  link(target: Node, parent: Node, name: string): Outcome {
    // A hidden file carries a parent until it has its first name; a removed one has none.
    if (isRemoved(parent) || (target.nlink === 0 && target.parent === undefined)) return 'ENOENT';
    if (parent.entries.has(name)) return 'EEXIST';
    target.parent = undefined;
    target.nlink += 1;
    parent.entries.set(name, target);
    return 'ok';
  }

  unlink(parent: Node, name: string): Outcome {
    const node = parent.entries.get(name);
    if (node === undefined) return 'ENOENT';
    if (node.dir) return 'EISDIR';
    parent.entries.delete(name);
    node.nlink -= 1;
    return 'ok';
  }

  rmdir(parent: Node, name: string): Outcome {
    const node = parent.entries.get(name);
    if (node === undefined) return 'ENOENT';
    if (!node.dir) return 'ENOTDIR';
    if (node.entries.size > 0) return 'ENOTEMPTY';
    parent.entries.delete(name);
    parent.nlink -= 1;
    this.#remove(node);
    return 'ok';
  }

  rename(parent: Node, name: string, to: Node, newName: string, mode: string): Outcome {
    const source = parent.entries.get(name);
    if (source === undefined) return 'ENOENT';
    const target = to.entries.get(newName);
    if (mode === 'noreplace' && target !== undefined) return 'EEXIST';
    if (mode === 'exchange' && target === undefined) return 'ENOENT';
    if (isRemoved(to)) return 'ENOENT';
    if (source === target) return 'ok';
    if (source.dir && isAbove(source, to)) return 'EINVAL';
    if (mode === 'exchange' && target!.dir && isAbove(target!, parent)) return 'EINVAL';
    if (mode === 'exchange') {
      this.#move(target!, to, parent, name);
    } else if (target !== undefined) {
      if (source.dir && !target.dir) return 'ENOTDIR';
      if (!source.dir && target.dir) return 'EISDIR';
      if (target.entries.size > 0) return 'ENOTEMPTY';
      if (target.dir) {
        to.nlink -= 1;
        this.#remove(target);
      } else {
        target.nlink -= 1;
      }
      parent.entries.delete(name);
    } else {
      parent.entries.delete(name);
    }
    this.#move(source, parent, to, newName);
    return 'ok';
  }

  #move(node: Node, from: Node, to: Node, name: string): void {
    to.entries.set(name, node);
    if (!node.dir) return;
    from.nlink -= 1;
    to.nlink += 1;
    node.parent = to;
  }

  #remove(node: Node): void {
    node.nlink = 0;
    node.parent = undefined;
  }
}

function directory(parent: Node | undefined): Node {
  return { dir: true, nlink: 2, size: 4096, parent, entries: new Map() };
}

function file(): Node {
  return { dir: false, nlink: 1, size: 0, parent: undefined, entries: new Map() };
}

function isRemoved(node: Node): boolean {
  return node.nlink === 0;
}

function isAbove(node: Node, below: Node): boolean {
  for (let at: Node | undefined = below; at !== undefined; at = at.parent) if (at === node) return true;
  return false;
}
