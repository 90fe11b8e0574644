/**
 * `node dist/bench/codec-cost.js [ROUNDS]`: what storing and reading a block of 4 MiB costs by codec, against the plain block with its
 * checksums in the same minute, for text (this repository's sources) and for noise.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { VolumeFormat } from '../src/base/vocabulary.ts';
import { encodeTrailer, openObject } from '../src/chunk/block-format.ts';
import { newDataKey } from '../src/chunk/codec/data-key.ts';
import { FrameCodec } from '../src/chunk/codec/framed-block.ts';

const BLOCK = 4 * 2 ** 20;
const rounds = Number(process.argv[2] ?? 20);
const block = { sliceId: 1, index: 0, blockBytes: BLOCK };
const wrapped = { kind: 'command', wrapped: '' } as const;
const codecs: [string, Pick<VolumeFormat, 'compress' | 'encryption'> | undefined][] = [
  ['plain', undefined],
  ['lz4', { compress: 'lz4' }],
  ['zstd', { compress: 'zstd' }],
  ['aes', { encryption: wrapped }],
  ['lz4 aes', { compress: 'lz4', encryption: wrapped }],
  ['zstd aes', { compress: 'zstd', encryption: wrapped }],
];

function sources(): Buffer {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');
  const text = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => readFileSync(join(root, name)));
  const all = Buffer.concat(text);
  return Buffer.concat(Array.from({ length: Math.ceil(BLOCK / all.length) }, () => all)).subarray(0, BLOCK);
}

async function rate(work: () => Promise<unknown> | unknown): Promise<number> {
  await work();
  const began = performance.now();
  for (let i = 0; i < rounds; i++) await work();
  return (BLOCK * rounds) / 2 ** 20 / ((performance.now() - began) / 1000);
}

process.stdout.write('data    codec      stored   store MiB/s   read MiB/s\n');
for (const [name, data] of [
  ['text', sources()],
  ['noise', randomBytes(BLOCK)],
] as const) {
  for (const [label, format] of codecs) {
    const codec = format === undefined ? undefined : new FrameCodec(format, newDataKey());
    const encode = async (): Promise<Buffer[]> => codec?.encode(block, [data]) ?? [data, encodeTrailer(block, [data])];
    const object = Buffer.concat(await encode());
    const stored = await rate(encode);
    const read = await rate(() => codec?.decode(block, object) ?? openObject(block, object));
    process.stdout.write(
      `${name.padEnd(8)}${label.padEnd(11)}${(object.length / BLOCK).toFixed(2).padStart(6)}${stored.toFixed(0).padStart(14)}${read.toFixed(0).padStart(13)}\n`,
    );
  }
}
