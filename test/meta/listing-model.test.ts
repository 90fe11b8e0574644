import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { type ByteString, type Ino, S_IFDIR } from '../../src/base/vocabulary.ts';
import type { KeyPath } from '../../src/meta/meta.ts';
import { list } from '../../src/meta/schema/object-schemas.ts';
import type { ResponseOf } from '../../src/meta/schema/script-schema.ts';
import { caller, KERNEL } from '../support/callers.ts';
import { type ContentMember, contentVolume, s3Record } from './content-fixture.ts';
import { checkVolume } from './volume-check.ts';

/** Trees made by random PUT, mkdir and DELETE are listed page by page and compared with a sorted list of strings. */
const LIMIT = { timeout: 180_000 };
const USER = caller(0);
let m: ContentMember;
before(async () => {
  ({ m } = await contentVolume());
}, LIMIT);

interface ModelDir {
  implicit: boolean;
  marker: boolean;
}

/** Keys of files; directories by their path with a slash at the end. The root is ''. */
class Model {
  readonly files = new Set<string>();
  readonly dirs = new Map<string, ModelDir>([['', { implicit: false, marker: false }]]);

  parents(key: string): string[] {
    const parts = key.split('/');
    return parts.slice(0, -1).map((_, i) => `${parts.slice(0, i + 1).join('/')}/`);
  }

  makeParents(key: string, implicit: boolean): void {
    for (const dir of this.parents(key)) if (!this.dirs.has(dir)) this.dirs.set(dir, { implicit, marker: false });
  }

  isEmpty(dir: string): boolean {
    for (const key of [...this.files, ...this.dirs.keys()]) if (key !== dir && key.startsWith(dir)) return false;
    return true;
  }

  prune(key: string): void {
    for (const dir of this.parents(key).reverse()) {
      if (!this.dirs.get(dir)!.implicit || !this.isEmpty(dir)) return;
      this.dirs.delete(dir);
    }
  }

  keys(): string[] {
    const dirs = [...this.dirs].filter(([dir, d]) => dir !== '' && (d.marker || (!d.implicit && this.isEmpty(dir))));
    return [...this.files, ...dirs.map(([dir]) => dir)].sort(compareBytes);
  }

  list(prefix: string, after: string, delimiter: string): string[] {
    const items: string[] = [];
    for (const key of this.keys()) {
      if (!key.startsWith(prefix)) continue;
      const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      const item = at < 0 ? key : key.slice(0, at + delimiter.length);
      if (items.at(-1) !== item && (after === '' || compareBytes(item, after) > 0)) items.push(item);
    }
    return items;
  }
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
}

function pathOf(root: Ino, key: ByteString): KeyPath {
  const components = key.split('/');
  const directory = components.at(-1) === '';
  return { root, components: directory ? components.slice(0, -1) : components, directory };
}

function put(root: Ino, key: string) {
  return m.objects.publish({
    path: pathOf(root, key),
    caller: USER,
    precondition: {},
    content: { kind: 'pieces', pieces: [], sizeBytes: 0 },
    fileMode: 0o644,
    dirMode: 0o755,
    s3: s3Record('d41d8cd98f00b204e9800998ecf8427e'),
    xattrs: new Map(),
  });
}

const component = fc.constantFrom('a', 'b', '', '.', '..', 'a-b', 'a0', 'ab', '\xff', 'x', 'a\x01', '~');
const name = component.filter((c) => c !== '');
const fileKey = fc.tuple(fc.array(component, { maxLength: 3 }), name).map(([dirs, last]) => [...dirs, last].join('/'));
const dirKey = fc.array(component, { minLength: 1, maxLength: 3 }).map((dirs) => `${dirs.join('/')}/`);

type Step = { op: 'put' | 'remove' | 'mkdir'; key: string };
const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom('put', 'put', 'remove', 'mkdir'),
  key: fc.oneof({ weight: 3, arbitrary: fileKey }, { weight: 1, arbitrary: dirKey }),
});

async function apply(root: Ino, model: Model, { op, key }: Step): Promise<void> {
  const directory = key.endsWith('/');
  if (op === 'put') {
    await put(root, key);
    model.makeParents(key, true);
    if (directory) model.dirs.set(key, { implicit: false, marker: true });
    else model.files.add(key);
  } else if (op === 'remove') {
    const { removed } = await m.objects.remove({ path: pathOf(root, key), caller: USER, precondition: {} });
    if (!directory) {
      assert.equal(removed !== undefined, model.files.has(key), `removing ${JSON.stringify(key)}`);
      if (!model.files.delete(key)) return;
    } else {
      const dir = model.dirs.get(key);
      if (dir === undefined) return;
      if (!model.isEmpty(key)) {
        model.dirs.set(key, { implicit: true, marker: false });
        return;
      }
      model.dirs.delete(key);
    }
    model.prune(directory ? key.slice(0, -1) : key);
  } else {
    // mkdir -p through the mount.
    let parent = root;
    for (const dir of model.parents(directory ? key : `${key}/`)) {
      const own = dir.slice(0, -1).split('/').at(-1)!;
      if (model.dirs.has(dir)) {
        parent = (await m.ns.lookup(parent, own, 'dir', KERNEL)).attr.ino;
        continue;
      }
      if (model.files.has(dir.slice(0, -1))) return;
      const made = await m.ns.mknod({
        parent,
        name: own,
        mode: S_IFDIR | 0o755,
        uid: 0,
        gid: 0,
        rdev: 0,
        caller: KERNEL,
      });
      parent = made.entry.attr.ino;
      model.dirs.set(dir, { implicit: false, marker: false });
    }
  }
}

async function pages(root: Ino, prefix: string, start: string, delimiter: string, limit: number): Promise<string[]> {
  const items: string[] = [];
  let from = start;
  for (;;) {
    const page = await m.objects.list({ root, prefix, after: from, delimiter, limit, caller: USER });
    for (const item of page.items) items.push(item.kind === 'key' ? item.key : item.prefix);
    if (!page.truncated) return items;
    assert.equal(page.items.length, limit, 'a truncated page is full');
    from = items.at(-1)!;
  }
}

/** The whole listing by scripts that may visit one entry each: every position is one to go on from. */
async function inSmallestSteps(root: Ino, prefix: string, start: string, delimiter: string): Promise<string[]> {
  const items: string[] = [];
  const behind = start !== '' && compareBytes(start, prefix) >= 0;
  if (behind && !start.startsWith(prefix)) return items;
  let bound: Buffer = Buffer.from(behind ? start : prefix, 'latin1');
  let inclusive = !behind;
  const fixed = {
    prefix: Buffer.from(prefix, 'latin1'),
    after: Buffer.from(behind ? start : '', 'latin1'),
    delimiter,
    limit: 1000,
    caller: KERNEL,
    steps: 1,
  };
  for (;;) {
    const page: ResponseOf<typeof list> = await m.engine.read(list, { root, ...fixed, bound, inclusive });
    for (const item of page.items) items.push(item.kind === 'key' ? item.key : item.prefix);
    if (page.state !== 'go') return items;
    const next = page.bound;
    assert.ok(!inclusive || !next.equals(bound), `stuck at ${JSON.stringify(next.toString('latin1'))}`);
    [bound, inclusive] = [next, true];
  }
}

const query = fc.record({
  prefix: fc.oneof(fc.constant(''), fc.constant(''), dirKey, fileKey, fc.constantFrom('a', 'a/', 'a-', '/', '//')),
  after: fc.oneof(fc.constant(''), fileKey, dirKey),
  delimiter: fc.constantFrom('', '', '/', '/', 'a', 'b', '-b', '/a', '//', '\xff', '0'),
  limit: fc.constantFrom(1, 2, 3, 7, 1000),
});

let bucketCount = 0;

test('L1 any tree, prefix, marker, delimiter and page size lists as the sorted keys do', LIMIT, async () => {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }),
    fc.array(query, { minLength: 8, maxLength: 8 }),
    async (steps, queries) => {
      bucketCount += 1;
      const bucket = `bucket-${bucketCount}`;
      const root = (await m.buckets.create(bucket, USER, 0o755)).entry.attr.ino;
      const model = new Model();
      for (const one of steps) await apply(root, model, one);
      for (const { prefix, after: start, delimiter, limit } of queries) {
        const wanted = model.list(prefix, start, delimiter);
        const context = JSON.stringify({ prefix, start, delimiter, limit, keys: model.keys() });
        assert.deepEqual(await pages(root, prefix, start, delimiter, limit), wanted, context);
        assert.deepEqual(await inSmallestSteps(root, prefix, start, delimiter), wanted, `in steps: ${context}`);
      }
      for (const key of model.keys())
        await m.objects.remove({ path: pathOf(root, key), caller: USER, precondition: {} });
      // What a removed key leaves are directories made by mkdir; they are keys now that they are empty.
      for (
        let left = await pages(root, '', '', '', 1000);
        left.length > 0;
        left = await pages(root, '', '', '', 1000)
      ) {
        for (const key of left) await m.objects.remove({ path: pathOf(root, key), caller: USER, precondition: {} });
      }
      await m.buckets.delete(bucket, USER);
    },
  );
  await fc.assert(property, { numRuns: 60, endOnFailure: false });
  while ((await m.upkeep.reap(1000)).more);
  await checkVolume(m.engine);
  assert.equal(((await m.engine.command('DBSIZE', [])) as number) < 12, true, 'removed buckets leave no keys behind');
});
