import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { filesBelow, importsOf } from './source-files.ts';

/** What each house may import besides itself: base <- meta, chunk <- upkeep <- vfs <- fuse, s3api <- cli; check, dump and trash are tools beside vfs. */
const ALLOWED: Record<string, readonly string[]> = {
  base: [],
  meta: ['base'],
  chunk: ['base'],
  upkeep: ['base', 'meta', 'chunk'],
  vfs: ['base', 'meta', 'chunk', 'upkeep'],
  check: ['base', 'meta', 'chunk', 'upkeep'],
  dump: ['base', 'meta', 'chunk', 'upkeep'],
  trash: ['base', 'meta'],
  fuse: ['base', 'meta', 'vfs'],
  s3api: ['base', 'meta', 'vfs'],
  'config.ts': ['base'],
  cli: ['base', 'meta', 'chunk', 'upkeep', 'vfs', 'check', 'dump', 'trash', 'fuse', 's3api', 'config.ts'],
  'main.ts': ['cli'],
};

/** RunningUp and layers above may know the metadata's types, never its engine. */
const TYPES_ONLY: Record<string, readonly string[]> = { fuse: ['meta'], s3api: ['meta'] };

/** Who may speak to a third-party package: one house each, but where two have a reason of their own. */
const OWNERS: Record<string, string | readonly string[]> = {
  ioredis: 'meta',
  pino: 'base',
  'hash-wasm': 'base',
  '@node-rs/crc32': 'base',
  undici: 'chunk',
  'lz4-napi': 'chunk',
  '@bokuweb/zstd-wasm': 'chunk',
  '@aws-sdk/credential-providers': 'chunk',
  '@aws-sdk/client-s3': 'chunk',
  fastify: 's3api',
  // Requests of S3 clients at the one end, error answers of S3 stores at the other; neither may import the other's reading.
  'fast-xml-parser': ['s3api', 'chunk'],
  'fuse-native': 'fuse',
  commander: 'cli',
  'cli-progress': 'cli',
};

const sources = filesBelow(['src'], /\.ts$/);

/** The house of a path below src: its directory, or the file at the top. */
function houseOf(path: string): string {
  return path.split('/')[1]!;
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

test('imports between the houses point one way', () => {
  const wrong: string[] = [];
  for (const { path, text } of sources) {
    const house = houseOf(path);
    for (const specifier of importsOf(text).filter((one) => one.startsWith('.'))) {
      const target = houseOf(posix.join(posix.dirname(path), specifier));
      if (target !== house && !(ALLOWED[house] ?? []).includes(target)) wrong.push(`${path} imports ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the doors know the types of the metadata, not its engine', () => {
  const wrong: string[] = [];
  for (const { path, text } of sources) {
    for (const specifier of importsOf(text).filter((one) => one.startsWith('.'))) {
      const target = posix.join(posix.dirname(path), specifier);
      const typesOnly = TYPES_ONLY[houseOf(path)]?.includes(houseOf(target)) ?? false;
      if (typesOnly && target !== 'src/meta/meta.ts') wrong.push(`${path} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('every third-party package has its owner', () => {
  const wrong: string[] = [];
  for (const { path, text } of sources) {
    for (const specifier of importsOf(text)) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
      const owners = [OWNERS[packageOf(specifier)] ?? []].flat();
      if (!owners.includes(houseOf(path)))
        wrong.push(`${path} imports ${specifier}, which belongs to ${owners.join(', ') || 'nobody yet'}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('local imports name the file with its ending', () => {
  const wrong = filesBelow(['src', 'test', 'conformance', 'bench'], /\.ts$/).flatMap(({ path, text }) =>
    importsOf(text)
      .filter((specifier) => specifier.startsWith('.') && !/\.(ts|json)$/.test(specifier))
      .map((specifier) => `${path}: ${specifier}`),
  );
  assert.deepEqual(wrong, []);
});
