/** Compression of single frames. A frame that does not get smaller is stored as it is. */
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { Compression } from '../../base/vocabulary.ts';

/** Level 1: what a store saves is room and transfer, and both doors wait for it. */
const ZSTD_LEVEL = 1;

export interface Compressor {
  compress(frame: Buffer): Promise<Buffer>;
  /** @throws what the library throws for damaged input. */
  decompress(stored: Buffer, bytes: number): Promise<Buffer>;
}

/** Loads the library: a volume without compression never does. */
export function compressorOf(kind: Compression): Promise<Compressor> {
  return kind === 'lz4' ? lz4() : zstd();
}

async function lz4(): Promise<Compressor> {
  const { compress, uncompress } = await import('lz4-napi');
  return { compress, decompress: (stored) => uncompress(stored) };
}

type Zstd = (data: Buffer, options: object) => Promise<Buffer>;

/** Node's own since 22.15 (in its thread pool), else WebAssembly; the frames are the same. */
async function zstd(): Promise<Compressor> {
  const { zstdCompress, zstdDecompress, constants } = zlib as unknown as {
    zstdCompress?: (...args: never[]) => void;
    zstdDecompress?: (...args: never[]) => void;
    constants: Record<string, number>;
  };
  if (zstdCompress !== undefined && zstdDecompress !== undefined) {
    const [pack, unpack] = [promisify(zstdCompress) as unknown as Zstd, promisify(zstdDecompress) as unknown as Zstd];
    const params = { [constants.ZSTD_c_compressionLevel!]: ZSTD_LEVEL };
    return {
      compress: (frame) => pack(frame, { params }),
      decompress: (stored, bytes) => unpack(stored, { maxOutputLength: bytes }),
    };
  }
  const { zstdCompressFrame, zstdDecompressFrame } = await import('./zstd-wasm.ts');
  return {
    compress: async (frame) => zstdCompressFrame(frame, ZSTD_LEVEL),
    decompress: async (stored, bytes) => zstdDecompressFrame(stored, bytes),
  };
}
