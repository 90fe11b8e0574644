import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFsError } from '../../src/base/errors.ts';
import type { Entry } from '../../src/base/vocabulary.ts';
import { AttrCache } from '../../src/vfs/cache/attr-cache.ts';
import { CookieTable, FIRST_COOKIE } from '../../src/vfs/name/cookie-table.ts';
import { DirStream } from '../../src/vfs/name/dir-stream.ts';
import { sampleAttr } from '../support/sample-attr.ts';

const DIR = 1;

/** A directory in memory: sorted names, cursors are the names themselves. */
class FakeDirectory {
  readonly attrs = new AttrCache(10_000);
  readonly names: string[];
  trips = 0;
  shadowed = 0;
  beforeReply: () => void = () => {};

  constructor(count: number) {
    this.names = Array.from({ length: count }, (_, i) => `n${String(i).padStart(5, '0')}`);
  }

  async readdir(_ino: number, cursor: string, limit: number) {
    this.trips += 1;
    const from = this.names.findIndex((name) => name > cursor);
    const names = from < 0 ? [] : this.names.slice(from, from + limit);
    const entries = names.map((name) => ({ ...this.entry(name), cursor: name }));
    const end = from < 0 || from + limit >= this.names.length;
    await Promise.resolve();
    this.beforeReply();
    return { entries, end };
  }

  entry(name: string): Entry {
    return { name, attr: sampleAttr({ ino: inoOf(name) }), shadowed: false };
  }

  remove(name: string): void {
    this.names.splice(this.names.indexOf(name), 1);
    this.attrs.changed(sampleAttr({ ino: DIR }), this.attrs.token());
  }

  open(): DirStream {
    return new DirStream(1, DIR, {
      names: this,
      attrs: this.attrs,
      shown: (attr) => attr,
      sawShadowed: () => {
        this.shadowed += 1;
      },
      doubtful: () => {},
    });
  }
}

function inoOf(name: string): number {
  return 1_000 + Number(name.slice(1));
}

async function names(stream: DirStream, limit: number): Promise<string[]> {
  const found: string[] = [];
  let cookie = 0;
  for (;;) {
    const entries = await stream.read(cookie, limit);
    if (entries.length === 0) return found;
    found.push(...entries.map((entry) => entry.name));
    cookie = entries[entries.length - 1]!.cookie;
  }
}

test('a large directory is listed once, in order, whatever the kernel takes at a time', async () => {
  for (const limit of [1, 7, 100, 5_000]) {
    const directory = new FakeDirectory(3_000);
    assert.deepEqual(await names(directory.open(), limit), directory.names);
    assert.ok(directory.trips <= 5, `${directory.trips} trips`);
  }
});

test('the next page is on its way before this one ends, and serving from it needs no promise', async () => {
  const directory = new FakeDirectory(600);
  const stream = directory.open();
  const first = await stream.read(0, 200);
  assert.equal(directory.trips, 2);
  const second = stream.read(first[99]!.cookie, 50);
  assert.ok(Array.isArray(second));
  assert.equal(second[0]!.name, 'n00100');
});

test('F3: seeking to what this handle has listed costs nothing, until the directory changes', async () => {
  const directory = new FakeDirectory(4_000);
  const stream = directory.open();
  const places = [{ cookie: 0, next: 0 }];
  for (;;) {
    const { cookie, next } = places[places.length - 1]!;
    const entries = await stream.read(cookie, 100);
    if (entries.length === 0) break;
    places.push({ cookie: entries[entries.length - 1]!.cookie, next: next + entries.length });
  }
  places.pop();
  directory.trips = 0;
  for (let i = 0; i < 500; i++) {
    const { cookie, next } = places[(i * 17) % places.length]!;
    assert.equal((await stream.read(cookie, 10))[0]!.name, directory.names[next]);
  }
  assert.equal(directory.trips, 0);
  const { cookie, next } = places[1]!;
  directory.remove(directory.names[next]!);
  assert.equal((await stream.read(cookie, 10))[0]!.name, directory.names[next], 'what is gone is not shown');
  assert.ok(directory.trips > 0);
});

test('a handle keeps a bounded part of what it has listed', async () => {
  const directory = new FakeDirectory(40_000);
  const stream = directory.open();
  assert.equal((await names(stream, 1_000)).length, 40_000);
  directory.trips = 0;
  await stream.read(0, 10);
  assert.ok(directory.trips > 0, 'the first pages were let go');
  assert.deepEqual(await names(stream, 1_000), directory.names);
});

test('deleting what was listed while listing skips nothing and repeats nothing', async () => {
  const directory = new FakeDirectory(2_500);
  const all = [...directory.names];
  const stream = directory.open();
  const seen: string[] = [];
  let cookie = 0;
  for (;;) {
    const entries = await stream.read(cookie, 60);
    if (entries.length === 0) break;
    for (const entry of entries) {
      seen.push(entry.name);
      directory.remove(entry.name);
    }
    cookie = entries[entries.length - 1]!.cookie;
  }
  assert.deepEqual(seen, all);
  assert.equal(directory.names.length, 0);
});

test('entries removed behind the buffered page are not shown any more', async () => {
  const directory = new FakeDirectory(100);
  const stream = directory.open();
  const first = await stream.read(0, 10);
  directory.remove('n00010');
  const next = await stream.read(first[9]!.cookie, 1);
  assert.equal(next[0]!.name, 'n00011');
});

test('attributes are as of now, not as of the page', async () => {
  const directory = new FakeDirectory(10);
  const stream = directory.open();
  await stream.read(0, 1);
  directory.attrs.changed(sampleAttr({ ino: inoOf('n00005'), size: 77, version: 2 }), directory.attrs.token());
  const entries = await stream.read(0, 10);
  assert.equal(entries[5]!.attr.size, 77);
});

test('a page that a push overtook is read again', async () => {
  const directory = new FakeDirectory(10);
  let pushes = 1;
  directory.beforeReply = () => {
    if (pushes-- > 0) directory.attrs.pushedEntry(DIR, 'n00003');
  };
  await directory.open().read(0, 10);
  assert.equal(directory.trips, 2);
});

test('rewinding and seeking to any cookie handed out works, also long after', async () => {
  const directory = new FakeDirectory(70_000);
  const stream = directory.open();
  const all: { name: string; cookie: number }[] = [];
  for (let cookie = 0; ; ) {
    const entries = await stream.read(cookie, 1_000);
    if (entries.length === 0) break;
    all.push(...entries.map(({ name, cookie: at }) => ({ name, cookie: at })));
    cookie = entries[entries.length - 1]!.cookie;
  }
  assert.equal(all.length, 70_000);
  for (const index of [0, 5, 400, 35_000, 69_998]) {
    const entries = await stream.read(all[index]!.cookie, 1);
    assert.equal(entries[0]!.name, all[index + 1]!.name, `after cookie of entry ${index}`);
  }
  assert.equal((await stream.read(0, 1))[0]!.name, 'n00000');
});

test('a cookie nobody gave out is EINVAL', async () => {
  const stream = new FakeDirectory(3).open();
  await assert.rejects(
    async () => await stream.read(99, 1),
    (error) => isFsError(error, 'EINVAL'),
  );
});

test('a shadowed entry is shown under its escaped name', async () => {
  const directory = new FakeDirectory(1);
  directory.entry = (name) => ({ name, attr: sampleAttr({ ino: 9 }), shadowed: true });
  assert.equal((await directory.open().read(0, 10))[0]!.name, '%~file:n00000');
  assert.equal(directory.shadowed, 1);
});

test('cookies fit what the kernel reserves and old pages are remembered by their start', () => {
  const table = new CookieTable();
  assert.equal(table.add('', ['a', 'b']), FIRST_COOKIE);
  for (let page = 0; page < 100; page++) table.add('b', ['c', 'd']);
  assert.deepEqual(table.find(0), { cursor: '', skip: 0 });
  assert.deepEqual(table.find(FIRST_COOKIE + 1), { cursor: '', skip: 2 });
  assert.deepEqual(table.find(FIRST_COOKIE + 201), { cursor: 'd', skip: 0 });
  assert.equal(table.find(FIRST_COOKIE + 202), undefined);
  assert.equal(table.find(2), undefined);
});
