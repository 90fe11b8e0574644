import { crc32c as compute } from '@node-rs/crc32';

/** CRC-32C (Castagnoli) of bytes; `before` is the value of the bytes in front of them. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  return compute(bytes, before);
}
