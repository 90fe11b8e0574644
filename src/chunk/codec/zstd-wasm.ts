/** zstd where Node has none of its own (before 22.15). Loading this module makes the WebAssembly ready, once: it must not happen twice. */
import { compress, decompress, init } from '@bokuweb/zstd-wasm';

await init();

/** Copies: the answer lies in the memory of the WebAssembly, which the next call uses again. */
export function zstdCompressFrame(frame: Buffer, level: number): Buffer {
  return Buffer.from(compress(frame, level));
}

export function zstdDecompressFrame(stored: Buffer, bytes: number): Buffer {
  return Buffer.from(decompress(stored, { defaultHeapSize: bytes }));
}
