import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { FsError } from '../../src/base/errors.ts';
import { type Attr, type Ino, ROOT_INO, S_IFDIR, S_IFMT, S_IFREG } from '../../src/base/vocabulary.ts';
import { KERNEL } from '../support/callers.ts';
import { type Member, type TestVolume, testVolume } from '../support/volume.ts';
import { type Node, TreeModel } from './tree-model.ts';

const LIMIT = { timeout: 60_000 };
let volume: TestVolume;
let m: Member;

before(async () => {
  volume = await testVolume();
  m = await volume.join();
}, LIMIT);

const NAMES = ['a', 'b', '', '\xff'];
const name = fc.constantFrom(...NAMES);
const pick = fc.nat({ max: 5 });
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constantFrom('create', 'mkdir'), dir: pick, name }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('hide') }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('link'), file: pick, dir: pick, name }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('unlink', 'rmdir'), dir: pick, name }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('truncate'), file: pick, size: fc.nat({ max: 2 ** 28 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('rename'),
      dir: pick,
      name,
      to: pick,
      newName: name,
      mode: fc.constantFrom('replace', 'noreplace', 'exchange'),
    }),
  },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** The model and the inode number of each of its nodes. */
class Pair {
  readonly model = new TreeModel();
  readonly inos = new Map<Node, Ino>();

  constructor(root: Ino) {
    this.inos.set(this.model.root, root);
  }

  dir(index: number): Node {
    return this.model.dirs[index % this.model.dirs.length]!;
  }

  file(index: number): Node | undefined {
    return this.model.files[index % Math.max(1, this.model.files.length)];
  }

  /** Applies an operation to both; answers both outcomes. */
  async apply(step: Operation): Promise<{ expected: string; actual: string }> {
    if (step.op === 'hide') {
      const attr = await m.ns.mkHidden(S_IFREG, 0, 0);
      this.model.makeHidden();
      this.inos.set(this.model.files.at(-1)!, attr.ino);
      return { expected: 'ok', actual: 'ok' };
    }
    if ('size' in step) {
      const file = this.file(step.file);
      if (file === undefined) return { expected: 'ok', actual: 'ok' };
      file.size = step.size;
      return { expected: 'ok', actual: await outcome(m.ns.setattr(this.inos.get(file)!, { size: step.size }, KERNEL)) };
    }
    const dir = this.dir(step.dir);
    const parent = this.inos.get(dir)!;
    if ('mode' in step) return this.#rename(dir, step);
    if ('file' in step) {
      const file = this.file(step.file);
      if (file === undefined) return { expected: 'ok', actual: 'ok' };
      const actual = await outcome(m.ns.link(this.inos.get(file)!, parent, step.name, KERNEL));
      return { expected: this.model.link(file, dir, step.name), actual };
    }
    if (step.op === 'create' || step.op === 'mkdir') return this.#make(dir, step.name, step.op === 'mkdir');
    const remove = step.op as 'unlink' | 'rmdir';
    const actual = await outcome(m.ns[remove](parent, step.name, 'primary', KERNEL));
    return { expected: this.model[remove](dir, step.name), actual };
  }

  async #make(dir: Node, name: string, isDir: boolean): Promise<{ expected: string; actual: string }> {
    const request = { parent: this.inos.get(dir)!, name, mode: isDir ? S_IFDIR : S_IFREG, uid: 0, gid: 0, rdev: 0 };
    let ino = 0;
    const actual = await outcome(
      m.ns.mknod({ ...request, caller: KERNEL }).then((reply) => {
        ino = reply.entry.attr.ino;
      }),
    );
    const expected = this.model.make(dir, name, isDir);
    if (expected === 'ok') this.inos.set((isDir ? this.model.dirs : this.model.files).at(-1)!, ino);
    return { expected, actual };
  }

  async #rename(
    dir: Node,
    step: { name: string; to: number; newName: string; mode: string },
  ): Promise<{ expected: string; actual: string }> {
    const to = this.dir(step.to);
    const actual = await outcome(
      m.ns.rename({
        parent: this.inos.get(dir)!,
        name: step.name,
        kind: 'primary',
        newParent: this.inos.get(to)!,
        newName: step.newName,
        newKind: 'primary',
        mode: step.mode as 'replace' | 'noreplace' | 'exchange',
        caller: KERNEL,
      }),
    );
    return { expected: this.model.rename(dir, step.name, to, step.newName, step.mode), actual };
  }

  /** Every directory and file is as the model says: entries, types, link counts, sizes, parents. */
  async compare(): Promise<void> {
    for (const dir of this.model.dirs) {
      const ino = this.inos.get(dir)!;
      assert.equal((await m.ns.getattr(ino)).nlink, dir.nlink, `nlink of directory ${ino}`);
      const { entries, end } = await m.ns.readdir(ino, '', 100);
      assert.ok(end);
      const found = entries.map((entry) => [entry.name, entry.attr.ino, entry.shadowed]);
      const wanted = [...dir.entries].map(([name, node]) => [name, this.inos.get(node), false]);
      assert.deepEqual(found.sort(byName), wanted.sort(byName));
      for (const entry of entries) this.#compareNode(dir.entries.get(entry.name)!, entry.attr, dir);
    }
    for (const file of this.model.files) {
      const attr = await m.ns.getattr(this.inos.get(file)!);
      assert.deepEqual([attr.nlink, attr.size], [file.nlink, file.size]);
      const due = await m.engine.command('ZSCORE', [m.engine.key('del'), attr.ino]);
      assert.equal(due !== null, attr.nlink === 0 && attr.parent !== 0, `inode ${attr.ino} waits in del`);
    }
  }

  #compareNode(node: Node, attr: Attr, parent: Node): void {
    assert.equal((attr.mode & S_IFMT) === S_IFDIR, node.dir);
    assert.deepEqual([attr.nlink, attr.size], [node.nlink, node.size]);
    if (node.dir) assert.equal(attr.parent, this.inos.get(parent));
    else
      assert.ok(
        this.model.dirs.some((dir) => this.inos.get(dir) === attr.parent && [...dir.entries.values()].includes(node)),
      );
  }
}

function byName(a: unknown[], b: unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}

async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    if (error instanceof FsError) return error.code;
    throw error;
  }
}

test('random operations leave the tree as POSIX says', LIMIT, async () => {
  let run = 0;
  const property = fc.asyncProperty(fc.array(operation, { minLength: 40, maxLength: 100 }), async (steps) => {
    run += 1;
    const request = { parent: ROOT_INO, name: `run${run}`, mode: S_IFDIR, uid: 0, gid: 0, rdev: 0, caller: KERNEL };
    const pair = new Pair((await m.ns.mknod(request)).entry.attr.ino);
    for (const [at, step] of steps.entries()) {
      const { expected, actual } = await pair.apply(step);
      assert.equal(actual, expected, `step ${at}: ${JSON.stringify(step)}`);
    }
    await pair.compare();
  });
  await fc.assert(property, { numRuns: 40, interruptAfterTimeLimit: 30_000 });
});
