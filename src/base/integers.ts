/** 64-bit little-endian numbers as JavaScript numbers: two halves carry them without BigInt. */

/** Reads an unsigned number below 2^53. */
export function readU64(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readUInt32LE(at + 4) * 2 ** 32;
}

/** Reads a signed number within +-2^53. */
export function readI64(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readInt32LE(at + 4) * 2 ** 32;
}

/** Writes a whole number within +-2^53, signed and unsigned alike. */
export function writeI64(to: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  to.writeUInt32LE(value - high * 2 ** 32, at);
  to.writeInt32LE(high, at + 4);
}
