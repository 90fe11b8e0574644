/**
 * The checksums that S3 objects carry, incrementally, and the joining of CRCs without reading bytes again.
 *
 * | name | implementation | speed on one core |
 * |---|---|---|
 * | CRC32 | node:zlib | 5 GB/s |
 * | CRC32C | @node-rs/crc32 | 14 GB/s |
 * | CRC64NVME | the addon (src/fuse/native/crc64.c); hash-wasm where it is not built | 8 GB/s; 1.5 GB/s |
 * | SHA1, SHA256, SHA512, MD5 | node:crypto | 0.6 to 1.7 GB/s |
 * | XXHASH64, XXHASH3, XXHASH128 | hash-wasm, seed 0 | 6 to 8 GB/s |
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { createCRC64, createXXHash3, createXXHash64, createXXHash128, type IHasher } from 'hash-wasm';
import { requireAddon } from './addon-file.ts';
import { crc32c } from './crc32c.ts';

export const CHECKSUM_ALGORITHMS = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'SHA1',
  'SHA256',
  'SHA512',
  'MD5',
  'XXHASH64',
  'XXHASH3',
  'XXHASH128',
] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];
/** The checksums whose value over joined parts follows from the parts' values. */
export type CrcAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME';

/** Length of each checksum's value, bytes. */
export const CHECKSUM_BYTES: Record<ChecksumAlgorithm, number> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
  SHA512: 64,
  MD5: 16,
  XXHASH64: 8,
  XXHASH3: 8,
  XXHASH128: 16,
};

/** What S3 computes for content whose client sent no checksum. */
export const DEFAULT_CHECKSUM = 'CRC64NVME' satisfies ChecksumAlgorithm;

/** Tells whether the checksum of joined parts follows from the parts' checksums. */
export function isCrc(algorithm: ChecksumAlgorithm): algorithm is CrcAlgorithm {
  return algorithm === 'CRC32' || algorithm === 'CRC32C' || algorithm === 'CRC64NVME';
}

/** A checksum in progress. */
export interface Checksum {
  update(data: Uint8Array): void;
  /** The value, big-endian bytes. Call once, last. */
  digest(): Buffer;
}

/** Starts a checksum. */
export function createChecksum(algorithm: ChecksumAlgorithm): Checksum {
  switch (algorithm) {
    case 'CRC32':
      return new Crc32((data, before) => crc32(data, before));
    case 'CRC32C':
      return new Crc32(crc32c);
    case 'CRC64NVME':
      return nativeCrc64 === undefined ? wasmChecksum(algorithm) : new NativeCrc64(nativeCrc64);
    case 'XXHASH64':
    case 'XXHASH3':
    case 'XXHASH128':
      return wasmChecksum(algorithm);
    case 'SHA1':
      return createHash('sha1');
    case 'SHA256':
      return createHash('sha256');
    case 'SHA512':
      return createHash('sha512');
    case 'MD5':
      return createHash('md5');
  }
}

class Crc32 implements Checksum {
  readonly #step: (data: Uint8Array, before: number) => number;
  #value = 0;

  constructor(step: (data: Uint8Array, before: number) => number) {
    this.#step = step;
  }

  update(data: Uint8Array): void {
    this.#value = this.#step(data, this.#value);
  }

  digest(): Buffer {
    const out = Buffer.allocUnsafe(4);
    out.writeUInt32BE(this.#value >>> 0, 0);
    return out;
  }
}

/** Carries on the CRC whose value is in `state` (8 bytes, big-endian; zeros begin one). */
type NativeCrc64Step = (state: Buffer, data: Uint8Array) => void;

const nativeCrc64 = loadNativeCrc64();

/** Undefined where the addon is not built, or is older than its source. */
function loadNativeCrc64(): NativeCrc64Step | undefined {
  try {
    return (requireAddon() as { crc64nvme?: NativeCrc64Step }).crc64nvme;
  } catch {
    return undefined;
  }
}

class NativeCrc64 implements Checksum {
  readonly #step: NativeCrc64Step;
  readonly #state = Buffer.alloc(8);

  constructor(step: NativeCrc64Step) {
    this.#step = step;
  }

  update(data: Uint8Array): void {
    this.#step(this.#state, data);
  }

  digest(): Buffer {
    return this.#state;
  }
}

/** The polynomial in hash-wasm's (reflected) spelling. */
const CRC64NVME_POLYNOMIAL = '9a6c9329ac4bc9b5';

/**
 * One instance of a WebAssembly hasher for all checksums of its kind: an instance of its own would cost each of them a
 * memory. The state of the one that loses its turn is saved (12 bytes for a CRC, 600 for an XXHASH).
 */
class SharedHasher {
  readonly #hasher: IHasher;
  #owner: WasmChecksum | undefined;

  constructor(hasher: IHasher) {
    this.#hasher = hasher;
  }

  claim(wanted: WasmChecksum): IHasher {
    if (this.#owner === wanted) return this.#hasher;
    if (this.#owner !== undefined) this.#owner.saved = this.#hasher.save();
    if (wanted.saved === undefined) this.#hasher.init();
    else this.#hasher.load(wanted.saved);
    this.#owner = wanted;
    return this.#hasher;
  }

  release(): void {
    this.#owner = undefined;
  }
}

class WasmChecksum implements Checksum {
  readonly #shared: SharedHasher;
  saved: Uint8Array | undefined;

  constructor(shared: SharedHasher) {
    this.#shared = shared;
  }

  update(data: Uint8Array): void {
    this.#shared.claim(this).update(data);
  }

  digest(): Buffer {
    const value = this.#shared.claim(this).digest('binary');
    this.#shared.release();
    return Buffer.from(value);
  }
}

type WasmAlgorithm = 'CRC64NVME' | 'XXHASH64' | 'XXHASH3' | 'XXHASH128';

/** Compiled while the module loads, a few milliseconds, so that a checksum can be started at any time. */
const [crc64, xxhash64, xxhash3, xxhash128] = await Promise.all([
  createCRC64(CRC64NVME_POLYNOMIAL),
  createXXHash64(0, 0),
  createXXHash3(0, 0),
  createXXHash128(0, 0),
]);
const WASM_HASHERS: Readonly<Record<WasmAlgorithm, SharedHasher>> = {
  CRC64NVME: new SharedHasher(crc64),
  XXHASH64: new SharedHasher(xxhash64),
  XXHASH3: new SharedHasher(xxhash3),
  XXHASH128: new SharedHasher(xxhash128),
};

/** Starts a checksum in WebAssembly, also where createChecksum() has a faster one. */
export function wasmChecksum(algorithm: WasmAlgorithm): Checksum {
  return new WasmChecksum(WASM_HASHERS[algorithm]);
}

/** Reflected polynomials: bit k of the number is the coefficient of x^(width - 1 - k). */
const CRC_FIELD: Record<CrcAlgorithm, { width: bigint; polynomial: bigint }> = {
  CRC32: { width: 32n, polynomial: 0xedb88320n },
  CRC32C: { width: 32n, polynomial: 0x82f63b78n },
  CRC64NVME: { width: 64n, polynomial: 0x9a6c9329ac4bc9b5n },
};

/**
 * Joins CRCs of consecutive pieces into the CRC of the whole: crc(AB) = crc(A) * x^(8 |B|) + crc(B) in the CRC's field
 * (the standard initial and final inversions cancel out). Powers are kept per length, so that the usual upload of equal
 * parts costs one multiplication (about 20 us) per part.
 * @see zlib's crc32_combine
 */
export class CrcJoiner {
  readonly #width: bigint;
  readonly #polynomial: bigint;
  readonly #powers = new Map<number, bigint>();
  #value = 0n;

  constructor(algorithm: CrcAlgorithm) {
    const field = CRC_FIELD[algorithm];
    this.#width = field.width;
    this.#polynomial = field.polynomial;
  }

  /** Appends a piece. @param lengthBytes 0 <= lengthBytes < 2^53 */
  append(crc: Buffer, lengthBytes: number): void {
    const value = BigInt(`0x${crc.toString('hex')}`);
    this.#value = this.#multiply(this.#value, this.#power(lengthBytes)) ^ value;
  }

  /** The CRC of everything appended, big-endian bytes. */
  digest(): Buffer {
    const digits = Number(this.#width) / 4;
    return Buffer.from(this.#value.toString(16).padStart(digits, '0'), 'hex');
  }

  /** x^(8 * lengthBytes) modulo the polynomial, by squaring. */
  #power(lengthBytes: number): bigint {
    const known = this.#powers.get(lengthBytes);
    if (known !== undefined) return known;
    const one = 1n << (this.#width - 1n);
    let result = one;
    let square = one >> 8n;
    for (let rest = BigInt(lengthBytes); rest > 0n; rest >>= 1n) {
      if ((rest & 1n) === 1n) result = this.#multiply(result, square);
      square = this.#multiply(square, square);
    }
    this.#powers.set(lengthBytes, result);
    return result;
  }

  #multiply(a: bigint, b: bigint): bigint {
    let product = 0n;
    let term = b;
    for (let bit = 1n << (this.#width - 1n); bit > 0n; bit >>= 1n) {
      if ((a & bit) !== 0n) product ^= term;
      term = (term & 1n) === 1n ? (term >> 1n) ^ this.#polynomial : term >> 1n;
    }
    return product;
  }
}
